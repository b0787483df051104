"""The truth of a protocol out of the official folders: FreiHAND's, HO-3D's, DexYCB's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from handbench.errors import InvalidError, MissingError, UsageError
from handbench.evaluation.protocol import load, names
from handbench.evaluation.scoring import evaluate
from handbench.evaluation.truth import read_truth
from handbench.store.hands_file import HandsFile
from handbench.store.hands_writer import write_hands
from tests.conftest import hands_in_view
from tests.datasets.dexycb_layout import SUBJECTS, plant, put_label, read_golden

# the source's joint of each joint of FH21: wrist; thumb, index, middle, ring, little, each from base to tip
FROM_HO3D = [0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20]
TO_HO3D = [0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3, 4, 8, 12, 16, 20]
FLIP = np.array([1.0, -1.0, -1.0])


def write(path: Path, content) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(np.asarray(content).tolist()))
    return path


def ho3d_folder(folder: Path, n: int = 6, vertices: bool = True) -> np.ndarray:
    """HO-3D's published truth of n frames under `folder`; returns the joints (n, 21, 3) m, OpenCV, FH21."""
    joints = hands_in_view(n)
    write(folder / "evaluation_xyz.json", (joints * FLIP)[:, TO_HO3D])
    if vertices:
        write(folder / "evaluation_verts.json", np.tile(joints * FLIP, (1, 38, 1))[:, :778])
    return joints


class TestAnyFolder:
    def test_a_prepared_file_is_read_as_it_is(self, make_hands, tmp_path):
        write_hands(tmp_path / "a.h5", make_hands(3, dataset="rhd"))
        with HandsFile(tmp_path / "a.h5") as file:
            expected = file.read()
        np.testing.assert_array_equal(read_truth(tmp_path / "a.h5", "rhd").joints, expected.joints)

    def test_protocols_without_an_official_folder(self, tmp_path):
        for name in ("rhd", "ge-realworld", "dexter-object"):
            assert name in names()
            with pytest.raises(UsageError, match=rf"truth of {name} is read from a prepared file") as caught:
                read_truth(tmp_path, name)
            assert "handbench prep" in caught.value.hint

    @pytest.mark.parametrize("name", ["freihand", "ho3d-v2", "ho3d-v3", "dexycb-s0", "rhd"])
    def test_nothing_there(self, tmp_path, name):
        with pytest.raises(MissingError, match=r"There is no truth at"):
            read_truth(tmp_path / "none", name)

    def test_which_file_is_expected(self, tmp_path):
        for name, title in (("freihand", "FreiHAND"), ("ho3d-v2", "HO-3D v2"), ("ho3d-v3", "HO-3D v3")):
            with pytest.raises(MissingError, match=rf"has no evaluation_xyz.json, .* truth of {name}\.") as caught:
                read_truth(tmp_path, name)
            assert f"files of {title};" in caught.value.hint

    def test_an_empty_folder_is_no_dexycb(self, tmp_path):
        with pytest.raises(MissingError, match=r"is no complete DexYCB"):
            read_truth(tmp_path, "dexycb-s0")


class TestFreihand:
    def test_the_input_folder_of_the_official_script(self, tmp_path):
        joints, others = hands_in_view(4), hands_in_view(5, 1)
        write(tmp_path / "ref" / "evaluation_xyz.json", joints)
        write(tmp_path / "ref" / "evaluation_verts.json", np.zeros((4, 778, 3)))
        found = read_truth(tmp_path, "freihand")
        np.testing.assert_array_equal(found.joints, joints)
        assert found.vertices.shape == (4, 778, 3)
        assert (found.meta["count"], found.meta["partial"], found.meta["source"]) == (3960, True, "official files")
        # what lies in the folder itself comes first
        write(tmp_path / "evaluation_xyz.json", others)
        np.testing.assert_array_equal(read_truth(tmp_path).joints, others)
        assert read_truth(tmp_path).vertices is None

    def test_more_than_the_official_list(self, tmp_path):
        write(tmp_path / "evaluation_xyz.json", np.tile(hands_in_view(1), (3961, 1, 1)))
        with pytest.raises(InvalidError, match=r"has 3,961 entries, FreiHAND has 3,960"):
            read_truth(tmp_path)


class TestHo3d:
    def test_the_permutations_are_inverse(self):
        assert np.argsort(FROM_HO3D).tolist() == TO_HO3D

    @pytest.mark.parametrize("version", ["v2", "v3"])
    def test_conversion_both_ways(self, golden, tmp_path, version):
        g = golden("ho3d")
        write(tmp_path / "evaluation_xyz.json", g["gt_xyz"])
        write(tmp_path / "evaluation_verts.json", g["gt_verts"])
        truth = read_truth(tmp_path, f"ho3d-{version}")
        np.testing.assert_array_equal(truth.joints, g["gt_xyz"][:, FROM_HO3D] * FLIP)
        np.testing.assert_array_equal(truth.vertices, g["gt_verts"] * FLIP)
        np.testing.assert_array_equal((truth.joints * FLIP)[:, TO_HO3D], g["gt_xyz"])
        assert (truth.joints[..., 2] > 0).all()
        assert truth.joints.dtype == np.float64

    def test_without_goldens(self, tmp_path):
        joints = ho3d_folder(tmp_path)
        truth = read_truth(tmp_path, "ho3d-v2")
        np.testing.assert_array_equal(truth.joints, joints)
        assert truth.vertices.shape == (6, 778, 3)
        assert truth.id.tolist() == [f"ho3d-v2/test/0000000{i}" for i in range(6)]
        assert (truth.side == "right").all()
        assert {key: truth.meta[key] for key in ("dataset", "split", "count", "partial", "fingertips")} == {
            "dataset": "ho3d-v2",
            "split": "test",
            "count": 11524,
            "partial": True,
            "fingertips": "ho3d",
        }

    def test_captures_are_the_takes_of_the_list_with_all_their_cameras(self, tmp_path, capsys):
        ho3d_folder(tmp_path)
        truth = read_truth(tmp_path, "ho3d-v2")
        assert truth.capture is truth.track is truth.frame is None
        assert "intervals take frames as independent" in truth.meta["note"]
        assert "intervals take frames as independent" in capsys.readouterr().err
        lines = ["SM1/0000", "SM1/0001", "SM1/0003", "SB11/0000", "SB13/0012", "AP10/0099"]
        write(tmp_path / "evaluation.txt", "\n".join(lines) + "\n")
        truth = read_truth(tmp_path, "ho3d-v2")
        assert truth.track.tolist() == ["SM1"] * 3 + ["SB11", "SB13", "AP10"]
        assert truth.capture.tolist() == ["SM1"] * 3 + ["SB1"] * 2 + ["AP1"]
        assert truth.frame.tolist() == [0, 1, 3, 0, 12, 99]
        assert "note" not in truth.meta

    @pytest.mark.parametrize(
        ("text", "wrong"),
        [
            ("SM1/0000\nSM1/0001\n", r"has 2 lines and evaluation_xyz.json 3 entries"),
            ("SM1/0000\nSM1/0001\nSM1/0002\nSM1/0003\n", r"has 4 lines and evaluation_xyz.json 3 entries"),
            ("SM1/0000\nSM1/zero\nSM1/0002\n", r"Line 2 of .*evaluation.txt is 'SM1/zero'"),
            ("SM1/0000\nSM1/0001\n0002\n", r"Line 3 of .*evaluation.txt is '0002'"),
            ("SM1/0000\nSM1/0001\nSM1/0000\n", r"names the frame SM1/0000 twice"),
            ("\xff\x00\n1\n2\n", r"Line 1 of"),
        ],
    )
    def test_a_list_that_does_not_belong(self, tmp_path, text, wrong):
        ho3d_folder(tmp_path, 3)
        write(tmp_path / "evaluation.txt", text)
        with pytest.raises(InvalidError, match=wrong):
            read_truth(tmp_path, "ho3d-v2")

    def test_without_vertices(self, tmp_path, capsys):
        ho3d_folder(tmp_path, vertices=False)
        assert read_truth(tmp_path, "ho3d-v3").vertices is None
        assert "has no evaluation_verts.json: no figure of the mesh" in capsys.readouterr().err
        write(tmp_path / "evaluation_verts.json", np.zeros((5, 778, 3)))
        with pytest.raises(InvalidError, match=r"5 entries and evaluation_xyz.json 6: they do not belong together"):
            read_truth(tmp_path, "ho3d-v3")

    def test_counts(self, tmp_path):
        one = (hands_in_view(1) * FLIP)[:, TO_HO3D].round(4)
        counts = {name: load(name).count for name in ("ho3d-v2", "ho3d-v3")}
        write(tmp_path / "evaluation_xyz.json", np.tile(one, (counts["ho3d-v2"], 1, 1)))
        assert read_truth(tmp_path, "ho3d-v2").meta["partial"] is False
        with pytest.raises(InvalidError, match=r"has 11,524 entries: those of HO-3D v2; HO-3D v3 has 20,137") as caught:
            read_truth(tmp_path, "ho3d-v3")
        assert "ho3d-v2" in caught.value.hint
        write(tmp_path / "evaluation_xyz.json", np.tile(one, (counts["ho3d-v2"] + 1, 1, 1)))
        with pytest.raises(InvalidError, match=r"has 11,525 entries, HO-3D v2 has 11,524"):
            read_truth(tmp_path, "ho3d-v2")
        assert read_truth(tmp_path, "ho3d-v3").meta["partial"] is True

    @pytest.mark.parametrize(
        ("change", "wrong"),
        [
            (lambda joints: joints * FLIP, r"most joints have z > 0, and HO-3D's axes are OpenGL's"),
            (lambda joints: joints[:, FROM_HO3D], r"the joints look like FH21 order, not HO-3D's"),
        ],
    )
    def test_what_contradicts_the_layout(self, tmp_path, change, wrong):
        ho3d_folder(tmp_path, 8, vertices=False)
        path = tmp_path / "evaluation_xyz.json"
        write(path, change(np.array(json.loads(path.read_text()))))
        with pytest.raises(InvalidError, match=rf"The truth in {path} contradicts its layout: {wrong}"):
            read_truth(tmp_path, "ho3d-v2")

    def test_another_unit_is_said_and_scored_as_it_is(self, tmp_path, capsys):
        ho3d_folder(tmp_path, 8, vertices=False)
        path = tmp_path / "evaluation_xyz.json"
        write(path, np.array(json.loads(path.read_text())) * 1000)
        assert np.abs(read_truth(tmp_path, "ho3d-v2").joints).max() > 100
        assert "millimetres" in capsys.readouterr().err

    def test_damaged(self, tmp_path):
        ho3d_folder(tmp_path)
        path = tmp_path / "evaluation_xyz.json"
        path.write_text(path.read_text()[:-100])
        with pytest.raises(InvalidError, match=r"is not valid JSON"):
            read_truth(tmp_path, "ho3d-v2")

    def test_a_synthetic_set_is_no_official_one(self, tmp_path):
        ho3d_folder(tmp_path)
        write(tmp_path / "handbench-synthetic.json", '{"source": "handbench synthetic hand"}')
        assert read_truth(tmp_path, "ho3d-v2").meta["source"] == "handbench synthetic hand"


def dexycb(root: Path, subjects=None, joints=None) -> tuple[Path, list[str]]:
    """A tree with labels of S0's test frames, and their places, in order. `joints` (N, 21, 3): those labels'."""
    plant(root, subjects)
    places = []
    for subject in SUBJECTS[2:]:
        for sequence in sorted(path.name for path in (root / subject).iterdir())[4::5]:
            meta = (root / subject / sequence / "meta.yml").read_text()
            serials = json.loads(meta.partition("serials: ")[2].partition("\n")[0])
            frames = int(meta.partition("num_frames: ")[2].partition("\n")[0])
            places += [f"{subject}/{sequence}/{s}/labels_{f:06d}.npz" for s in serials for f in range(frames)]
    joints = hands_in_view(len(places)) if joints is None else joints
    assert len(joints) == len(places)
    for place, one in zip(places, joints, strict=True):
        put_label(root, place, one)
    return root, places


@pytest.fixture(scope="module")
def hands() -> np.ndarray:
    """Labels of 2,560 frames: the eighth is without annotation, of the ninth one joint is -1."""
    joints = hands_in_view(2560).astype(np.float32)
    joints[7], joints[8, 3] = -1, -1
    return joints


@pytest.fixture(scope="module")
def root(tmp_path_factory, hands) -> Path:
    return dexycb(tmp_path_factory.mktemp("dexycb"), two_frames(), hands)[0]


@pytest.fixture(scope="module")
def official_tree(golden, tmp_path_factory) -> Path:
    spec = read_golden("dexycb_tree_spec.json.gz")
    joints = golden("dexycb_hpe")["joint_3d_label_m_f32"]
    root, places = dexycb(tmp_path_factory.mktemp("official"), spec["subjects"], joints)
    assert places == golden("dexycb_split_lists")["s0_test"].tolist()
    return root


class TestDexYcb:
    def test_the_labels(self, root, hands):
        truth = read_truth(root, "dexycb-s0")
        valid = np.delete(np.arange(2560), 7)
        assert truth.id.tolist() == [f"dexycb/s0-test/{i:08d}" for i in valid]
        assert truth.joints.dtype == np.float32
        np.testing.assert_array_equal(truth.joints, hands[valid])
        # a joint of -1 is evaluated as it stands, as officially
        assert truth.joints_valid.all()
        assert truth.joints[7, 3].tolist() == [-1, -1, -1]
        sequence = "20200820-subject-03/20200820_100004"
        assert truth.capture[:15].tolist() == [sequence] * 15
        assert truth.capture[15] == "20200820-subject-03/20200820_100009"
        assert truth.track[:3].tolist() == [f"{sequence}/{s}" for s in ("836212060125", "836212060125", "839512060362")]
        # number 7, frame 1 of the fourth camera, has no annotation
        assert truth.frame[:8].tolist() == [0, 1, 0, 1, 0, 1, 0, 0]
        assert (truth.fps == 30).all()
        assert (truth.side[0], truth.side[15]) == ("right", "left")
        assert truth.camera is None
        assert dict(truth.meta) == {
            "dataset": "dexycb",
            "split": "s0-test",
            "count": 78768,
            "partial": True,
            "source": "official files",
            "joint_source": "annotated",
            "fingertips": "manopth",
            "frames": 2560,
            "frames_without_annotation": 1,
        }

    def test_other_protocols_of_the_same_frames(self, root):
        whole = read_truth(root, "dexycb-s0")
        for name in ("dexycb-s0-right", "deformer-dexycb"):
            truth = read_truth(root, name)
            assert truth.id.tolist() == whole.id.tolist()
            assert truth.meta["partial"] is True
        rights = int((whole.side == "right").sum())
        assert 0 < rights < len(whole)
        assert evaluate(root, whole, "dexycb-s0-right").n == rights

    def test_cameras_of_the_calibration(self, root):
        folder = root / "calibration" / "intrinsics"
        folder.mkdir(parents=True)
        serials = sorted({path.name for path in (root / SUBJECTS[2] / "20200820_100004").iterdir() if path.is_dir()})
        for j, serial in enumerate(serials):
            write(folder / f"{serial}_640x480.yml", f"color: {{fx: {600 + j}, fy: 610, ppx: 320, ppy: 240}}\n")
        try:
            truth = read_truth(root, "dexycb-s0")
        finally:
            shutil.rmtree(root / "calibration")
        assert truth.camera[:8, 0, 0].tolist() == [600, 600, 601, 601, 602, 602, 603, 604]
        assert truth.image_size[0].tolist() == [640, 480]

    def test_a_label_that_is_missing_or_damaged(self, tmp_path):
        root, places = dexycb(tmp_path / "a")
        path = root / places[1000]
        joints = path.read_bytes()
        path.write_bytes(joints[:200])
        with pytest.raises(InvalidError, match=rf"The label {path} cannot be read"):
            read_truth(root, "dexycb-s0")
        path.unlink()
        with pytest.raises(MissingError, match=rf"{path} does not exist"):
            read_truth(root, "dexycb-s0")
        path.write_bytes(joints)
        for place in places:
            put_label(root, place, np.full((21, 3), -1.0))
        with pytest.raises(InvalidError, match=r"None of the [\d,]+ frames of s0-test in .* has an annotation"):
            read_truth(root, "dexycb-s0")

    def test_a_synthetic_set_is_no_official_one(self, tmp_path):
        root, _ = dexycb(tmp_path / "a")
        write(root / "handbench-synthetic.json", '{"source": "handbench synthetic hand"}')
        assert read_truth(root, "dexycb-s0").meta["source"] == "handbench synthetic hand"


class TestDexYcbOfficially:
    """The toolkit's own run over the synthetic tree of the goldens: from label files to the figures it printed."""

    def test_which_frames_count_and_their_joints(self, golden, official_tree):
        g = golden("dexycb_hpe")
        truth = read_truth(official_tree, "dexycb-s0")
        assert truth.id.tolist() == [f"dexycb/s0-test/{i:08d}" for i in g["out_valid_ids"]]
        in_mm = (truth.joints * np.float32(1000)).astype(np.float64)
        np.testing.assert_array_equal(in_mm, g["out_gt_mm_f64"])
        assert truth.meta["frames_without_annotation"] == (~g["expected_valid"]).sum()

    def test_the_figures_out_of_a_result_file(self, golden, official_tree, tmp_path):
        g = golden("dexycb_hpe")
        lines = [f"{i}," + ",".join(f"{x:.4f}" for x in one) for i, one in enumerate(g["pred_mm"].reshape(-1, 63))]
        result = evaluate(official_tree, write(tmp_path / "s0_test.txt", "\n".join(lines) + "\n"), "dexycb-s0")
        for name in ("absolute", "root-relative", "procrustes"):
            assert result.official[f"{name}_mpjpe"] == pytest.approx(float(g[f"eval_{name}_mpjpe"]), abs=1e-9)
            assert result.official[f"{name}_auc"] == pytest.approx(float(g[f"eval_{name}_auc"]), abs=1e-12)


def two_frames() -> dict[str, list[dict]]:
    """Sequences of two frames, the ones with an even number of right hands."""
    sides = ("right", "left")
    return {
        subject: [
            {"name": f"{subject[:8]}_{100000 + i}", "num_frames": 2, "mano_sides": [sides[i % 2]]} for i in range(100)
        ]
        for subject in SUBJECTS
    }
