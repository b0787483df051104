"""Files for the official tools: every sample, in the official order and conventions; read back, nothing has moved."""

import json
import zipfile

import numpy as np
import pytest

from handbench.errors import InvalidError, UsageError
from handbench.evaluation.importing import read_predictions
from handbench.evaluation.prediction_check import check_submission
from handbench.evaluation.protocol import load
from handbench.evaluation.submission import protocol_of, write_submission
from handbench.hands.record import Hands
from handbench.metrics import align
from handbench.metrics.errors import mpjpe
from handbench.store.hands_file import HandsFile
from handbench.store.hands_writer import write_hands
from tests.conftest import hands_in_view

# HO-3D's order out of FH21, by hand from the official description: wrist, index, middle, little, ring, thumb, tips
HO3D = [0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3, 4, 8, 12, 16, 20]
BENCHMARKS = ["freihand", "ho3d-v2", "dexycb-s0"]


def made_up(name: str, n: int | None = None, dtype: type = np.float64) -> Hands:
    """Predictions for the official list (DexYCB: for every other frame), or its first n samples."""
    protocol = load(name)
    n = n or protocol.count
    ids = protocol.official_ids() or [protocol.ids.format(2 * i + 1) for i in range(n)]
    joints = np.tile(hands_in_view(40), (n // 40 + 1, 1, 1))[:n]
    joints = joints + np.random.default_rng(2).normal(0, 0.001, joints.shape)
    mesh = joints[:, :5] + np.linspace(0, 0.01, 15).reshape(5, 3)
    return Hands(id=np.array(ids[:n]), joints=joints.astype(dtype), vertices=mesh.astype(dtype))


@pytest.fixture
def stored(tmp_path):
    def write(hands):
        write_hands(tmp_path / "predictions.h5", hands)
        return HandsFile(tmp_path / "predictions.h5")

    return write


def out_for(tmp_path, name):
    return tmp_path / ("pred.txt" if "dexycb" in name else "pred.zip")


def pred_json(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["pred.json"]
        return json.loads(archive.read("pred.json"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_freihand_as_it_is(stored, tmp_path, dtype):
    hands = made_up("freihand", dtype=dtype)
    write_submission(stored(hands), tmp_path / "pred.zip", load("freihand"))
    joints, vertices = pred_json(tmp_path / "pred.zip")
    np.testing.assert_array_equal(np.array(joints), hands.joints.astype(np.float64))
    np.testing.assert_array_equal(np.array(vertices), hands.vertices.astype(np.float64))


def test_ho3d_in_its_order_and_axes(stored, tmp_path):
    hands = made_up("ho3d-v2")
    done = write_submission(stored(hands), tmp_path / "pred.zip", load("ho3d-v2"))
    assert done.samples == done.official == 11524
    joints, vertices = map(np.array, pred_json(tmp_path / "pred.zip"))
    np.testing.assert_array_equal(joints, hands.joints[:, HO3D] * [1, -1, -1])
    np.testing.assert_array_equal(vertices, hands.vertices * [1, -1, -1])
    assert (joints[..., 2] < 0).all()


def test_dexycb_in_lines_of_millimetres(stored, tmp_path):
    hands = made_up("dexycb-s0", 6)
    write_submission(stored(hands), tmp_path / "pred.txt", load("dexycb-s0"), truth_ids=hands.id)
    rows = [line.split(",") for line in (tmp_path / "pred.txt").read_text().splitlines()]
    assert [row[0] for row in rows] == ["1", "3", "5", "7", "9", "11"]
    assert all(len(field.partition(".")[2]) == 4 for row in rows for field in row[1:])
    np.testing.assert_allclose(np.array(rows, float)[:, 1:].reshape(6, 21, 3), 1000 * hands.joints, atol=5.1e-5, rtol=0)


def test_dexycb_s_labels_become_millimetres_in_single_precision_and_keep_as_many_decimals_as_asked(stored, tmp_path):
    """hpe_eval.py: `joint_3d *= 1000` on float32. A truth written as predictions is that truth."""
    hands = made_up("dexycb-s0", 6, np.float32)
    wanted = (hands.joints * np.float32(1000)).astype(np.float64)
    assert np.abs(wanted - hands.joints.astype(np.float64) * 1000).max() > 1e-6
    for decimals, slack in ((4, 0.51e-4), (9, 0.51e-9)):
        out = tmp_path / f"{decimals}.txt"
        write_submission(stored(hands), out, load("dexycb-s0"), truth_ids=hands.id, decimals=decimals)
        lines = [line.split(",") for line in out.read_text().splitlines()]
        written = np.array([[float(value) for value in line[1:]] for line in lines]).reshape(-1, 21, 3)
        assert all(len(value.partition(".")[2]) == decimals for line in lines for value in line[1:])
        assert np.abs(written - wanted).max() <= slack


@pytest.mark.parametrize("name", BENCHMARKS)
def test_read_back_it_scores_the_same(stored, tmp_path, name):
    protocol, hands = load(name), made_up(name, 5000 if "dexycb" in name else None, dtype=np.float32)
    truth = hands.joints + np.random.default_rng(0).normal(0, 0.005, hands.joints.shape)
    shuffled = hands.take(np.random.default_rng(1).permutation(len(hands)))
    out = out_for(tmp_path, name)
    # DexYCB's four decimals are 5e-5 mm off at most, either way: of a mean over many joints nothing is left
    write_submission(stored(shuffled), out, protocol, truth_ids=hands.id)
    back = read_predictions(out, hands.id, written=protocol.written)
    assert list(back.id) == list(hands.id)

    def scores(joints):
        joints = joints.astype(np.float64)
        aligned, _ = align.procrustes_official(truth, joints)
        return [1000 * mpjpe(truth, points).mean() for points in (joints, aligned, joints - joints[:, :1])]

    assert scores(back.joints) == pytest.approx(scores(hands.joints), abs=1e-6)
    if back.vertices is not None:
        np.testing.assert_array_equal(back.vertices, hands.vertices)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_what_was_written_passes_the_check(stored, tmp_path, name):
    out = out_for(tmp_path, name)
    write_submission(stored(made_up(name)), out, load(name))
    assert [finding.wrong for finding in check_submission(out, load(name)) if not finding.fine] == []


def refused(match, *arguments, error=InvalidError, **options):
    with pytest.raises(error, match=match) as caught:
        write_submission(*arguments, **options)
    assert caught.value.hint
    assert not arguments[1].exists()


def test_missing_samples_are_named_and_partial_writes_the_rest(stored, tmp_path):
    file, out, protocol = stored(made_up("freihand", 3958)), tmp_path / "pred.json", load("freihand")
    refused(
        "2 of 3,960 samples have no prediction: freihand/test/00003958, freihand/test/00003959", file, out, protocol
    )
    done = write_submission(file, out, protocol, partial=True)
    assert (done.samples, done.official) == (3958, 3960)
    assert [len(points) for points in json.loads(out.read_bytes())] == [3958, 3958]


def test_samples_of_another_set_and_samples_there_twice(stored, tmp_path):
    hands, out = made_up("freihand"), tmp_path / "pred.zip"
    other = hands.replace(id=np.r_[hands.id[:-1], ["freihand/test/00009999"]])
    refused("1 predictions are for samples that are not of .*00009999", stored(other), out, load("freihand"))
    refused("3,960 predictions are for samples", stored(hands), out, load("ho3d-v3"))
    twice = hands.replace(id=np.r_[hands.id[:-1], hands.id[:1]])
    with pytest.raises(InvalidError, match="more than once in the predictions: freihand/test/00000000"):
        write_submission(stored(twice), out, load("freihand"))


def test_dexycb_frames_are_those_of_the_truth(stored, tmp_path):
    hands, out, s0, s1 = made_up("dexycb-s0", 6), tmp_path / "pred.txt", load("dexycb-s0"), load("dexycb-s1")
    file = stored(hands)
    refused("There are 6 predictions, and the official list .* has 78,768 frames", file, out, s0)
    more = np.r_[hands.id, ["dexycb/s0-test/00000013"]]
    refused("1 of 7 samples have no prediction: dexycb/s0-test/00000013", file, out, s0, truth_ids=more)
    refused("1 predictions are for samples that are not of", file, out, s0, truth_ids=hands.id[:5])
    assert write_submission(file, out, s0, partial=True).samples == 6
    out.unlink()
    refused("6 predictions are for samples that are not of", file, out, s1, partial=True)
    file = stored(hands.replace(id=np.array([name.replace("s0", "s1") for name in hands.id])))
    refused("official list of DexYCB S1 .* is not known here", file, out, s1)


def test_a_mesh_is_never_made_up(stored, tmp_path):
    for name in ("freihand", "ho3d-v2"):
        file = stored(made_up(name).replace(vertices=None))
        refused("no vertices, and .* joints alone cannot be submitted", file, tmp_path / "pred.zip", load(name))


@pytest.mark.parametrize("field", ["joints", "vertices"])
def test_nan_is_named_and_nothing_is_written(stored, tmp_path, field):
    hands = made_up("freihand")
    getattr(hands, field)[3000, 2, 1] = np.nan
    refused(
        rf"Sample 3000 \(freihand/test/00003000\).* {field}", stored(hands), tmp_path / "pred.zip", load("freihand")
    )
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.h5"]


def test_the_name_says_the_format(stored, tmp_path):
    file = stored(made_up("freihand", 5))
    for name, out in (("freihand", "pred.txt"), ("freihand", "pred.h5"), ("dexycb-s0", "pred.zip")):
        refused("official script takes a", file, tmp_path / out, load(name), error=UsageError)


def test_which_protocol():
    assert protocol_of("freihand", None, None).name == "freihand"
    assert protocol_of("ho3d", None, None, np.array(["ho3d-v2/test/00000000"])).name == "ho3d-v2"
    assert protocol_of("ho3d", "v3", None, np.array(["ho3d-v2/test/00000000"])).name == "ho3d-v3"
    assert protocol_of("dexycb", None, None, np.array(["dexycb/s2-test/00000000"])).name == "dexycb-s2"
    assert protocol_of("dexycb", None, None).name == "dexycb-s0"
    for arguments, match in (
        (("ho3d", None, None), "Which version"),
        (("ho-3d", None, None), "did you mean 'ho3d'"),
        (("ho3d", "v1", None), "no version 'v1'"),
        (("dexycb", None, "s4"), "no setup 's4'"),
        (("freihand", "v2", None), "--version is HO-3D's"),
        (("freihand", None, "s0"), "--setup is DexYCB's"),
    ):
        with pytest.raises(UsageError, match=match):
            protocol_of(*arguments)


class TestCheck:
    """What the check finds wrong with a file that another tool wrote."""

    def odd(self, path, name, **more):
        return {
            finding.what: finding.wrong for finding in check_submission(path, load(name), **more) if not finding.fine
        }

    def pred(self, tmp_path, joints, vertices):
        path = tmp_path / "pred.json"
        path.write_text(json.dumps([joints.tolist(), vertices.tolist()]))
        return path

    @pytest.mark.parametrize(
        ("change", "what", "wrong"),
        [
            (lambda x: 1000 * x, "unit", "look like millimetres"),
            (lambda x: x / 10, "unit", "no unit in use"),
            (
                lambda x: x * [1, -1, -1],
                "axes",
                "100.0% of the hands lie behind the camera, as with OpenGL axes instead of OpenCV",
            ),
            (lambda x: x - x[:, :1], "place", "must be absolute"),
            (lambda x: x[:, HO3D] if x.shape[1] == 21 else x, "order", "look like HO-3D order"),
            (lambda x: 0 * x, "hands", "3,960 of 3,960 hands have all joints at one point"),
        ],
    )
    def test_freihand(self, tmp_path, change, what, wrong):
        hands = made_up("freihand")
        found = self.odd(self.pred(tmp_path, change(hands.joints), change(hands.vertices)), "freihand")
        assert wrong in found.pop(what)
        # one thing wrong is one finding
        assert found == {}

    def test_one_hand_at_one_point_hides_nothing(self, tmp_path):
        hands = made_up("freihand")
        joints = 1000 * hands.joints
        joints[7] = 0
        found = self.odd(self.pred(tmp_path, joints, hands.vertices), "freihand")
        assert found.pop("hands") == "1 of 3,960 hands has all joints at one point"
        assert "look like millimetres" in found.pop("unit")
        assert found == {}

    @pytest.mark.parametrize("larger", [1, 1000, 0.1])
    def test_the_place_is_judged_in_the_unit_it_looks_like(self, tmp_path, larger):
        hands = made_up("freihand")
        path = self.pred(tmp_path, larger * (hands.joints - hands.joints[:, :1]), hands.vertices)
        assert "must be absolute" in self.odd(path, "freihand")["place"]
        path = self.pred(tmp_path, larger * 50 * hands.joints[:, :1] + larger * hands.joints, hands.vertices)
        found = check_submission(path, load("freihand"))[-1]
        assert found.wrong.endswith("m away")
        assert {1: "m; ", 1000: "m if they are millimetres; ", 0.1: "m if a palm is 95 mm; "}[larger] in found.seen

    def test_handbenchs_own_convention_is_not_ho3ds(self, tmp_path):
        hands = made_up("ho3d-v2")
        found = self.odd(self.pred(tmp_path, hands.joints, hands.vertices), "ho3d-v2")
        assert "must be in HO-3D order, and look like FH21 order" in found["order"]
        assert "OpenCV axes instead of OpenGL axes" in found["axes"]
        assert "all z > 0" in found["axes"]

    def test_count_nan_shape_and_mesh(self, tmp_path):
        hands = made_up("freihand")
        joints, mesh = hands.joints, hands.vertices
        assert "3,959 samples, 3,960 are expected" in self.odd(
            self.pred(tmp_path, joints[:-1], mesh[:-1]), "freihand"
        ).pop("layout")
        assert "are 20x3, not 21x3" in self.odd(self.pred(tmp_path, joints[:, :20], mesh), "freihand").pop("layout")
        assert "scores a mesh" in self.odd(self.pred(tmp_path, joints, mesh[:0]), "freihand").pop("mesh")
        broken = joints.copy()
        broken[7, 0, 0] = np.nan
        assert "Sample 7" in self.odd(self.pred(tmp_path, broken, mesh), "freihand").pop("layout")

    def test_another_format(self, tmp_path):
        np.savez(tmp_path / "pred.npz", joints=made_up("freihand").joints)
        assert "takes JSON" in self.odd(tmp_path / "pred.npz", "freihand").pop("layout")
        (tmp_path / "pred.txt").write_text(",".join(map(str, range(64))) + "\n")
        assert "takes JSON" in self.odd(tmp_path / "pred.txt", "freihand").pop("layout")
        assert "is a folder" in self.odd(tmp_path, "freihand").pop("layout")

    def test_dexycb(self, stored, tmp_path):
        hands, out = made_up("dexycb-s0", 60), tmp_path / "pred.txt"
        write_submission(stored(hands), out, load("dexycb-s0"), partial=True)
        assert "78,708 frames have no line" in self.odd(out, "dexycb-s0").pop("count")
        assert self.odd(out, "dexycb-s0", truth_ids=hands.id) == {}
        for counted, said in (
            (60, "60 samples, all there are"),
            (59, "59 samples, all there are; 1 line is of a frame that does not count"),
            (54, "54 samples, all there are; 6 lines are of frames that do not count"),
        ):
            findings = check_submission(out, load("dexycb-s0"), hands.id[:counted])
            assert [finding.seen for finding in findings if finding.what == "count"] == [said]
        more = np.r_[hands.id, ["dexycb/s0-test/00009999"]]
        assert "dexycb/s0-test/00009999" in self.odd(out, "dexycb-s0", truth_ids=more).pop("layout")
        in_metres = hands.replace(joints=hands.joints / 1000)
        write_submission(stored(in_metres), out, load("dexycb-s0"), partial=True)
        assert "must be millimetres, and look like metres" in self.odd(out, "dexycb-s0").pop("unit")
