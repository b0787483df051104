"""DexYCB's folders: which frames a split has, in which order, and the joints of their labels."""

from __future__ import annotations

import hashlib
import pickle
import shutil
import zipfile
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml

from handbench import datasets
from handbench.errors import InvalidError, MissingError, UsageError
from handbench.hands.camera import project
from handbench.hands.mano import HandModel
from handbench.layouts.dexycb_labels import annotated, read_joint_3d, read_joints
from handbench.layouts.dexycb_tree import list_sequences, read_intrinsics, read_meta, split_frames
from handbench.layouts.folder import Folder
from handbench.synth.dexycb import synthetic_labels, write_dexycb
from handbench.synth.dexycb_tree import default_subjects, write_tree
from handbench.synth.hand import synthetic_hand
from tests.conftest import hands_in_view
from tests.datasets.dexycb_layout import SERIALS, SUBJECTS, plant, read_golden, takes_of

# the official table in words of (subject, sequence, camera), each from 0
TABLE = {
    "s0-train": lambda s, i, j: i % 5 != 4,
    "s0-val": lambda s, i, j: i % 5 == 4 and s <= 1,
    "s0-test": lambda s, i, j: i % 5 == 4 and s >= 2,
    "s1-train": lambda s, i, j: s in (0, 1, 2, 3, 4, 5, 9),
    "s1-val": lambda s, i, j: s == 6,
    "s1-test": lambda s, i, j: s in (7, 8),
    "s2-train": lambda s, i, j: j < 6,
    "s2-val": lambda s, i, j: j == 6,
    "s2-test": lambda s, i, j: j == 7,
    "s3-train": lambda s, i, j: i // 5 not in (3, 7, 11, 15, 19),
    "s3-val": lambda s, i, j: i // 5 in (3, 19),
    "s3-test": lambda s, i, j: i // 5 in (7, 11, 15),
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    return plant(tmp_path_factory.mktemp("dexycb"))


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("synthetic") / "dexycb"
    write_dexycb(root)
    return root


@pytest.fixture(scope="module")
def golden_tree(tmp_path_factory) -> Path:
    spec = read_golden("dexycb_tree_spec.json.gz")
    assert spec["serials"] == SERIALS
    return plant(tmp_path_factory.mktemp("golden"), spec["subjects"])


@cache
def labels_of(root: Path, split: str) -> list[str]:
    frames = split_frames(root, *split.split("-"))
    return [frames.label(i) for i in range(len(frames))]


def test_it_is_no_dataset_of_its_own():
    assert not {"dexycb-tree", "dexycb_tree", "dexycb-labels", "dexycb_labels"} & set(datasets.names())


class TestSplits:
    @pytest.mark.parametrize("split", TABLE)
    def test_the_table(self, tree, split):
        expected = [
            f"{subject}/{take['name']}/{serial}/labels_{frame:06d}.npz"
            for s, subject in enumerate(SUBJECTS)
            for i, take in enumerate(takes_of(subject))
            for j, serial in enumerate(SERIALS)
            if TABLE[split](s, i, j)
            for frame in range(take["num_frames"])
        ]
        assert labels_of(tree, split) == expected

    @pytest.mark.parametrize("setup", ["s0", "s1", "s2", "s3"])
    def test_every_frame_is_in_one_part(self, tree, setup):
        parts = [labels_of(tree, f"{setup}-{part}") for part in ("train", "val", "test")]
        together = [label for part in parts for label in part]
        # 34 x 1 + 33 x 2 + 33 x 3 frames a subject
        assert len(together) == len(set(together)) == 10 * 8 * 199

    def test_by_hand(self, tree):
        frames = split_frames(tree, "s0", "test")
        # the fifth sequence of the third subject has two frames: camera before frame
        assert [frames.label(i) for i in (0, 1, 2)] == [
            "20200820-subject-03/20200820_100004/836212060125/labels_000000.npz",
            "20200820-subject-03/20200820_100004/836212060125/labels_000001.npz",
            "20200820-subject-03/20200820_100004/839512060362/labels_000000.npz",
        ]
        # its eight cameras' sixteen, then the tenth sequence
        assert frames.label(16) == "20200820-subject-03/20200820_100009/836212060125/labels_000000.npz"
        assert frames.label(len(frames) - 1) == "20201022-subject-10/20201022_100099/932122062010/labels_000000.npz"
        assert frames.capture(1) == "20200820-subject-03/20200820_100004"
        assert frames.track(2) == "20200820-subject-03/20200820_100004/839512060362"
        assert (frames.split, frames.frame[1], frames.serial[2], frames.subject[0]) == ("s0-test", 1, 1, 2)
        # sequence 9 is of a right hand, 4 of a left one
        assert (frames.side[16], frames.side[0]) == ("right", "left")
        # 4, 9, 14, ... 99: seven of twenty are multiples of three
        rights = {frames.capture(i) for i in np.flatnonzero(frames.side == "right")}
        assert len(rights) == 7 * 8
        assert len({frames.capture(i) for i in range(len(frames))}) == 20 * 8

    @pytest.mark.parametrize("split", TABLE)
    def test_the_official_lists(self, golden, golden_tree, split):
        name = split.replace("-", "_")
        listed, summary = golden("dexycb_split_lists")[name], read_golden("dexycb_splits.json")[name]
        labels = list(labels_of(golden_tree, split))
        assert labels == listed.tolist()
        assert hashlib.sha256("\n".join(labels).encode()).hexdigest() == summary["sha256"]
        assert (len(labels), labels[:20]) == (summary["n"], summary["first"])

    def test_the_real_names(self, real_data, tmp_path):
        sides = {side: (real_data / "dexycb" / f"{side}_side.csv").read_text().split() for side in ("left", "right")}
        subjects: dict[str, list[dict]] = {name: [] for name in SUBJECTS}
        for side, names in sides.items():
            for name in names:
                subject, _, sequence = name.partition("/")
                subjects[subject].append({"name": sequence, "num_frames": 1, "mano_sides": [side]})
        plant(tmp_path, subjects)
        assert [len(names) for names in list_sequences(tmp_path)] == [100] * 10
        everything = split_frames(tmp_path, "s2", "test")
        assert ((everything.side == "left").sum(), len(everything)) == (499, 1000)
        test = split_frames(tmp_path, "s0", "test")
        taken = {test.capture(i): test.side[i] for i in range(len(test))}
        assert (len(test), len(taken)) == (1280, 160)
        assert [sum(name.startswith(subject) for name in taken) for subject in SUBJECTS] == [0, 0] + [20] * 8
        assert all(name in sides[side] for name, side in taken.items())
        assert all(a < b for a, b in pairwise(taken))
        # s0's four fifths, and the last of every five
        for subject in SUBJECTS[2:]:
            ordered = sorted(name for names in sides.values() for name in names if name.startswith(subject))
            assert ordered[4::5] == [name for name in taken if name.startswith(subject)]


class TestTreesThatAreNoDexYcb:
    def test_splits_that_there_are_not(self, tree):
        for split in (("s4", "test"), ("s0", "evaluation")):
            with pytest.raises(UsageError, match=r"DexYCB has no split"):
                split_frames(tree, *split)

    def test_nine_subjects(self, tmp_path):
        plant(tmp_path, {name: takes_of(name) for name in SUBJECTS[:9]})
        with pytest.raises(MissingError, match=r"no complete DexYCB: it has no folder 20201022-subject-10\.") as caught:
            split_frames(tmp_path, "s0", "test")
        assert "DEX_YCB_DIR" in caught.value.hint
        (tmp_path / "empty").mkdir()
        with pytest.raises(MissingError, match=r"20200709-subject-01, 20200813-subject-02 and 8 more"):
            split_frames(tmp_path / "empty", "s0", "test")
        with pytest.raises(MissingError, match=r"none does not exist"):
            split_frames(tmp_path / "none", "s0", "test")

    def test_other_than_a_hundred_sequences(self, tmp_path):
        plant(tmp_path)
        # what is not a sequence does not count
        (tmp_path / SUBJECTS[3] / ".cache").mkdir()
        (tmp_path / SUBJECTS[3] / "notes.txt").write_text("x")
        assert len(list_sequences(tmp_path)[3]) == 100
        (tmp_path / SUBJECTS[3] / "20200903_999999").mkdir()
        with pytest.raises(InvalidError, match=r"subject-04 has 101 sequences"):
            list_sequences(tmp_path)
        for name in ("20200903_999999", "20200903_100000"):
            shutil.rmtree(tmp_path / SUBJECTS[3] / name)
        with pytest.raises(InvalidError, match=r"subject-04 has 99 sequences"):
            list_sequences(tmp_path)

    @pytest.mark.parametrize(
        ("text", "wrong"),
        [
            ("num_frames: 3\n", r"mano_sides in .*meta.yml is None"),
            ("num_frames: 3\nmano_sides: [right, left]\n", r"mano_sides in .*meta.yml is \['right', 'left'\]"),
            ("num_frames: 3\nmano_sides: [both]\n", r"mano_sides in .*meta.yml is \['both'\]"),
            ("mano_sides: [right]\n", r"num_frames in .*meta.yml is None"),
            ("num_frames: yes\nmano_sides: [right]\n", r"num_frames in .*meta.yml is True"),
            ("num_frames: -1\nmano_sides: [right]\n", r"num_frames in .*meta.yml is -1"),
            ("num_frames: '3'\nmano_sides: [right]\n", r"num_frames in .*meta.yml is '3'"),
            ("- 1\n- 2\n", r"meta.yml holds no keys and values"),
            ("", r"meta.yml holds no keys and values"),
            ("a: [1, 2\n", r"meta.yml cannot be read"),
            ("a: \x00\n", r"meta.yml cannot be read"),
            ("a: !!python/object/apply:os.mkdir [made]\n", r"meta.yml cannot be read: could not determine"),
        ],
    )
    def test_a_meta_file(self, tmp_path, monkeypatch, text, wrong):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "meta.yml").write_text(text)
        with pytest.raises(InvalidError, match=wrong):
            read_meta(Folder(tmp_path, "DexYCB"), "")
        assert not (tmp_path / "made").exists()

    def test_no_meta_file(self, tmp_path):
        with pytest.raises(MissingError, match=r"meta.yml does not exist"):
            read_meta(Folder(tmp_path, "DexYCB"), "")


class TestLabels:
    def label(self, path: Path, **arrays) -> Path:
        np.savez(path, **arrays)
        return path

    def test_the_joints(self, tmp_path):
        joints = hands_in_view(1).astype(np.float32)
        path = self.label(tmp_path / "a.npz", seg=np.zeros((480, 640), np.uint8), joint_3d=joints)
        found = read_joint_3d(path)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, joints[0])

    def test_nothing_else_is_opened(self, tmp_path):
        joints = hands_in_view(1).astype(np.float32)
        path = self.label(tmp_path / "a.npz", seg=np.array([{"a": 1}], object), joint_3d=joints)
        np.testing.assert_array_equal(read_joint_3d(path), joints[0])

    def test_which_count(self):
        joints = np.array(hands_in_view(4), np.float32)
        joints[1], joints[2, 5], joints[3, :, :2] = -1, -1, -1
        assert annotated(joints).tolist() == [True, False, True, True]

    @pytest.mark.parametrize(
        ("array", "is_"),
        [
            (np.zeros((1, 21, 3)), r"float64 \(1, 21, 3\)"),
            (np.zeros((21, 3), np.float32), r"float32 \(21, 3\)"),
            (np.zeros((2, 21, 3), np.float32), r"float32 \(2, 21, 3\)"),
            (np.zeros((1, 21, 2), np.float32), r"float32 \(1, 21, 2\)"),
            (np.float32(0), r"float32 \(\)"),
        ],
    )
    def test_another_shape_or_type(self, tmp_path, array, is_):
        path = self.label(tmp_path / "a.npz", joint_3d=array)
        with pytest.raises(InvalidError, match=rf"joint_3d in .*a.npz is {is_}, not float32 \(1, 21, 3\)"):
            read_joint_3d(path)

    def test_files_that_are_no_labels(self, tmp_path):
        path = tmp_path / "labels_000000.npz"
        with pytest.raises(MissingError, match=r"The label .*labels_000000.npz does not exist"):
            read_joint_3d(path)
        self.label(path, joints=np.zeros((1, 21, 3), np.float32))
        with pytest.raises(InvalidError, match=r"labels_000000.npz has no joint_3d"):
            read_joint_3d(path)
        self.label(path, joint_3d=np.zeros((480, 640), np.float32))
        with pytest.raises(InvalidError, match=r"joint_3d in .*labels_000000.npz has 1,228,928 bytes, not those of"):
            read_joint_3d(path)
        for damaged in (b"", b"no zip", pickle.dumps({"joint_3d": np.zeros(3)})):
            path.write_bytes(damaged)
            with pytest.raises(InvalidError, match=r"labels_000000.npz cannot be read: File is not a zip file"):
                read_joint_3d(path)
        path.unlink()
        path.mkdir()
        with pytest.raises(InvalidError, match=r"cannot be read"):
            read_joint_3d(path)

    def test_pickles_are_refused(self, tmp_path):
        class Trap:
            def __reduce__(self):
                return (Path.mkdir, (tmp_path / "made",))

        path = self.label(tmp_path / "a.npz", joint_3d=np.array([Trap()], object))
        with pytest.raises(InvalidError, match=r"cannot be read: Object arrays cannot be loaded"):
            read_joint_3d(path)
        assert not (tmp_path / "made").exists()

    def test_damaged_in_any_place(self, tmp_path):
        """Cut short anywhere, or with a byte changed anywhere: the same joints, or one sentence."""
        joints = hands_in_view(1).astype(np.float32)
        path = tmp_path / "a.npz"
        np.savez_compressed(path, joint_3d=joints)
        data = path.read_bytes()
        refused = 0
        for cut in range(0, len(data), 7):
            path.write_bytes(data[:cut])
            with pytest.raises(InvalidError):
                read_joint_3d(path)
        for i in range(len(data)):
            path.write_bytes(data[:i] + bytes([data[i] ^ 0x55]) + data[i + 1 :])
            try:
                np.testing.assert_array_equal(read_joint_3d(path), joints[0])
            except InvalidError:
                refused += 1
        assert refused > len(data) / 2

    def test_a_header_that_promises_too_much(self, tmp_path):
        text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 210000000000, 3), }\n"
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
            file.writestr("joint_3d.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(252))
        with pytest.raises(InvalidError, match=r"cannot be read"):
            read_joint_3d(tmp_path / "a.npz")

    def test_the_first_that_is_missing_is_named(self, written, tmp_path):
        frames = split_frames(written, "s0", "test")
        whole = read_joints(frames)
        np.testing.assert_array_equal(whole, read_joints(frames, workers=1))
        np.testing.assert_array_equal(whole[700], read_joint_3d(written / frames.label(700)))
        for i in (901, 333):
            (written / frames.label(i)).rename(tmp_path / f"{i}.npz")
        try:
            with pytest.raises(MissingError, match=rf"The label {written / frames.label(333)} does not exist"):
                read_joints(frames)
        finally:
            for i in (901, 333):
                (tmp_path / f"{i}.npz").rename(written / frames.label(i))


class TestIntrinsics:
    def test_in_the_order_of_the_serials(self, tmp_path):
        assert read_intrinsics(tmp_path) is None
        folder = tmp_path / "calibration" / "intrinsics"
        folder.mkdir(parents=True)
        for j, serial in enumerate(SERIALS):
            colour = f"{{fx: {600 + j}.5, fy: {610 + j}, ppx: 311.5, ppy: 24{j}}}"
            (folder / f"{serial}_640x480.yml").write_text(f"depth: {{fx: 1, fy: 1, ppx: 1, ppy: 1}}\ncolor: {colour}\n")
        found = read_intrinsics(tmp_path)
        assert found.shape == (8, 3, 3)
        np.testing.assert_array_equal(found[3], [[603.5, 0, 311.5], [0, 613, 243], [0, 0, 1]])
        path = folder / f"{SERIALS[5]}_640x480.yml"
        for text in ("color: 3\n", "color: {fx: 1, fy: 1, ppx: a, ppy: 1}\n", "depth: {}\n"):
            path.write_text(text)
            with pytest.raises(InvalidError, match=r"932122060861_640x480.yml has no color: fx, fy, ppx, ppy"):
                read_intrinsics(tmp_path)
        path.unlink()
        with pytest.raises(MissingError, match=r"932122060861_640x480.yml does not exist"):
            read_intrinsics(tmp_path)


class TestTheWriter:
    def test_the_official_layout(self, written):
        frames = split_frames(written, "s0", "test")
        assert len(frames) == 8 * 20 * 8
        with np.load(written / frames.label(0), allow_pickle=False) as file:
            shapes = {name: (file[name].shape, file[name].dtype.name) for name in file.files}
        objects = len(yaml.safe_load((written / frames.capture(0) / "meta.yml").read_text())["ycb_ids"])
        assert shapes == {
            "seg": ((480, 640), "uint8"),
            "pose_y": ((objects, 3, 4), "float32"),
            "pose_m": ((1, 51), "float32"),
            "joint_3d": ((1, 21, 3), "float32"),
            "joint_2d": ((1, 21, 2), "float32"),
        }

    def test_what_the_toolkit_would_make_of_it(self, written):
        """Its reading, step by step: betas of the subject, 45 principal components about the mean pose, translation."""
        frames = split_frames(written, "s0", "test")
        cameras = read_intrinsics(written)
        seen = {"right": 0, "left": 0, "none": 0}
        for i in range(0, len(frames), 23):
            with np.load(written / frames.label(i), allow_pickle=False) as file:
                seg, pose, joints, pixels = (file[name] for name in ("seg", "pose_m", "joint_3d", "joint_2d"))
            side = str(frames.side[i])
            if (joints == -1).all():
                assert not pose.any()
                assert (pixels == -1).all()
                assert not seg.any()
                seen["none"] += 1
                continue
            model: HandModel = synthetic_hand(side)
            meta = yaml.safe_load((written / frames.capture(i) / "meta.yml").read_text())
            calibration = written / "calibration" / f"mano_{meta['mano_calib'][0]}" / "mano.yml"
            betas = np.array(yaml.safe_load(calibration.read_text())["betas"])
            full = np.concatenate([pose[:, :3], pose[:, 3:48] @ model.hands_components + model.hands_mean], 1)
            vertices, joints16 = model.forward(full, betas[None], pose[:, 48:])
            tips = "manopth" if side == "right" else "manopth-left"
            np.testing.assert_allclose(model.joints21(vertices, joints16, tips), joints, atol=2e-6)
            np.testing.assert_allclose(project(joints, cameras[frames.serial[i]]), pixels, atol=1e-2)
            assert (seg == 255).any()
            seen[side] += 1
        assert min(seen.values()) > 0

    def test_eight_cameras_of_a_take_see_one_hand(self, written):
        frames = split_frames(written, "s0", "test")
        joints = read_joints(frames)
        read = yaml.safe_load((written / "calibration" / "extrinsics_20200702_151821" / "extrinsics.yml").read_text())
        for start in range(0, 64, 8):
            if not annotated(joints[start : start + 8]).all():
                continue
            world = []
            for i in range(start, start + 8):
                matrix = np.array(read["extrinsics"][SERIALS[frames.serial[i]]]).reshape(3, 4)
                world.append(joints[i] @ matrix[:, :3].T + matrix[:, 3])
            assert len({frames.capture(i) for i in range(start, start + 8)}) == 1
            np.testing.assert_allclose(world, np.tile(world[0], (8, 1, 1)), atol=1e-6)

    def test_again_the_same_bytes_of_joints(self, written, tmp_path):
        frames = split_frames(written, "s0", "test")
        for (place, arrays), _ in zip(synthetic_labels(frames, default_subjects()), range(20), strict=False):
            with np.load(written / place) as file:
                np.testing.assert_array_equal(file["joint_3d"], arrays["joint_3d"])

    def test_a_folder_with_something_in_it(self, tmp_path):
        (tmp_path / "mine.txt").write_text("x")
        with pytest.raises(InvalidError, match=r"is not empty"):
            write_tree(tmp_path, default_subjects())
        assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]

    def test_sequences_of_several_frames(self, tmp_path):
        subjects = default_subjects(3)
        write_tree(tmp_path / "a", subjects)
        frames = split_frames(tmp_path / "a", "s3", "val")
        expected = sum(take["num_frames"] for takes in subjects.values() for take in takes[15:20] + takes[95:100])
        assert len(frames) == 8 * expected
        # the sixteenth sequence has one frame, the seventeenth two
        assert frames.frame[:12].tolist() == [0] * 8 + [0, 1, 0, 1]
