"""DexYCB's label files: what is asked for is read, nothing else is, and what is no label is named."""

from __future__ import annotations

import pickle
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from handbench.errors import InvalidError, MissingError
from handbench.layouts.dexycb_labels import Label, annotated, mano_of, read_joints
from handbench.layouts.dexycb_tree import split_frames
from handbench.layouts.folder import Folder
from handbench.synth.hand import synthetic_hand
from tests.conftest import hands_in_view
from tests.datasets.dexycb_layout import plant, put_label


def label_of(path: Path) -> Label:
    return Label(Folder(path.parent, "DexYCB"), path.name)


def joints_of(path: Path) -> np.ndarray:
    return label_of(path).joints


class TestLabels:
    def label(self, path: Path, **arrays) -> Path:
        np.savez(path, **arrays)
        return path

    def test_the_joints(self, tmp_path):
        joints = hands_in_view(1).astype(np.float32)
        path = self.label(tmp_path / "a.npz", seg=np.zeros((480, 640), np.uint8), joint_3d=joints)
        found = joints_of(path)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, joints[0])

    def test_nothing_else_is_opened(self, tmp_path):
        joints = hands_in_view(1).astype(np.float32)
        path = self.label(tmp_path / "a.npz", seg=np.array([{"a": 1}], object), joint_3d=joints)
        np.testing.assert_array_equal(joints_of(path), joints[0])

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
            joints_of(path)

    def test_files_that_are_no_labels(self, tmp_path):
        path = tmp_path / "labels_000000.npz"
        with pytest.raises(MissingError, match=r"labels_000000.npz does not exist"):
            joints_of(path)
        self.label(path, joints=np.zeros((1, 21, 3), np.float32))
        with pytest.raises(InvalidError, match=r"labels_000000.npz has no joint_3d"):
            joints_of(path)
        self.label(path, joint_3d=np.zeros((480, 640), np.float32))
        with pytest.raises(InvalidError, match=r"joint_3d in .*labels_000000.npz has 1,228,928 bytes, not 252"):
            joints_of(path)
        for damaged in (b"", b"no zip", pickle.dumps({"joint_3d": np.zeros(3)})):
            path.write_bytes(damaged)
            with pytest.raises(InvalidError, match=r"labels_000000.npz cannot be read: File is not a zip file"):
                joints_of(path)
        path.unlink()
        path.mkdir()
        with pytest.raises(InvalidError, match=r"labels_000000.npz is not a file"):
            joints_of(path)

    def test_pickles_are_refused(self, tmp_path):
        class Trap:
            def __reduce__(self):
                return (Path.mkdir, (tmp_path / "made",))

        path = self.label(tmp_path / "a.npz", joint_3d=np.array([Trap()], object))
        with pytest.raises(InvalidError, match=r"cannot be read: Object arrays cannot be loaded"):
            joints_of(path)
        assert not (tmp_path / "made").exists()

    def test_damaged_in_any_place(self, tmp_path):
        """Cut short anywhere, or with a byte changed anywhere: the same joints, or one sentence."""
        joints = hands_in_view(1).astype(np.float32)
        path = tmp_path / "a.npz"
        np.savez_compressed(path, joint_3d=joints)
        data = path.read_bytes()
        refused = 0
        for cut in range(0, len(data), 11):
            path.write_bytes(data[:cut])
            with pytest.raises(InvalidError):
                joints_of(path)
        for i in range(0, len(data), 3):
            path.write_bytes(data[:i] + bytes([data[i] ^ 0x55]) + data[i + 1 :])
            try:
                np.testing.assert_array_equal(joints_of(path), joints[0])
            except InvalidError:
                refused += 1
        assert refused > len(data) / 6

    def test_a_header_that_promises_too_much(self, tmp_path):
        text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 210000000000, 3), }\n"
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
            file.writestr("joint_3d.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(252))
        with pytest.raises(InvalidError, match=r"cannot be read"):
            joints_of(tmp_path / "a.npz")

    def test_an_archive_that_unpacks_to_more_than_it_says(self, tmp_path):
        """A member of 50 MB that claims to have 380 bytes: no more than an array's bytes are unpacked."""
        path = tmp_path / "a.npz"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("joint_3d.npy", bytes(50 << 20))
        data = path.read_bytes()
        assert len(data) < 1 << 20
        path.write_bytes(data.replace((50 << 20).to_bytes(4, "little"), (380).to_bytes(4, "little")))
        tracemalloc.start()
        with pytest.raises(InvalidError, match=r"cannot be read"):
            joints_of(path)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 8 << 20

    def test_the_hand_s_pixels_are_255(self, tmp_path):
        seg = np.zeros((480, 640), np.uint8)
        seg[10:20, 30:50], seg[100:200, 300:400] = 255, 21
        path = self.label(tmp_path / "a.npz", seg=seg, joint_3d=np.zeros((1, 21, 3), np.float32))
        mask = label_of(path).hand_mask
        assert (mask.sum(), mask[10:20, 30:50].all()) == (200, True)
        for other, is_ in ((seg.astype(np.int32), "int32"), (seg[:, :639], r"uint8 \(480, 639\)"), (seg.T, "uint8")):
            self.label(path, seg=other)
            with pytest.raises(InvalidError, match=rf"seg in .*a.npz (is {is_}|has [\d,]+ bytes)"):
                _ = label_of(path).hand_mask

    def test_pose(self, tmp_path):
        pose = np.arange(51, dtype=np.float32)[None]
        path = self.label(tmp_path / "a.npz", pose_m=pose)
        np.testing.assert_array_equal(label_of(path).pose, pose[0])
        self.label(path, pose_m=pose[:, :48])
        with pytest.raises(InvalidError, match=r"pose_m in .*a.npz is float32 \(1, 48\), not float32 \(1, 51\)"):
            _ = label_of(path).pose

    def test_a_link_out_of_the_folder(self, tmp_path):
        outside = self.label(tmp_path / "b.npz", joint_3d=np.zeros((1, 21, 3), np.float32))
        (tmp_path / "root").mkdir()
        (tmp_path / "root/a.npz").symlink_to(outside)
        with pytest.raises(InvalidError, match=r"a.npz is a link that leads out of"):
            joints_of(tmp_path / "root/a.npz")


class TestPoses:
    def test_coefficients_are_added_to_the_mean_pose(self):
        hand = synthetic_hand("left")
        pose = np.zeros((3, 51), np.float32)
        pose[0, :3], pose[0, 48:] = [0.5, -0.25, 2], [0.125, 0.25, 0.75]
        pose[1, 3 + 7], pose[1, 50] = 2.0, 1.0
        full, moved = mano_of(pose, hand)
        np.testing.assert_array_equal(full[0], [0.5, -0.25, 2, *hand.hands_mean])
        np.testing.assert_allclose(full[1, 3:], hand.hands_mean + 2 * hand.hands_components[7], rtol=0, atol=1e-15)
        np.testing.assert_array_equal(moved[:2], [[0.125, 0.25, 0.75], [0, 0, 1]])
        assert moved.dtype == np.float32
        # all zero: no hand
        assert np.isnan(full[2]).all()
        assert np.isnan(moved[2]).all()


class TestAllLabelsOfASplit:
    @pytest.fixture
    def frames(self, tmp_path):
        root = plant(tmp_path / "tree")
        frames = split_frames(Folder(root, "DexYCB"), "s0-val")
        for i, joints in enumerate(hands_in_view(len(frames))):
            put_label(root, frames.label(i), joints)
        return frames

    def test_each_and_the_first_that_is_missing_is_named(self, frames, tmp_path):
        whole = read_joints(frames)
        np.testing.assert_array_equal(whole, hands_in_view(len(frames)).astype(np.float32))
        np.testing.assert_array_equal(whole, read_joints(frames, workers=1))
        root = frames.folder.root
        for i in (501, 333):
            (root / frames.label(i)).unlink()
        with pytest.raises(MissingError, match=rf"{root / frames.label(333)} does not exist"):
            read_joints(frames)
