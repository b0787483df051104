"""The written set has the layout of Ge et al.'s, number by number."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
import scipy.io

from handbench.datasets.card import Wanted
from handbench.datasets.ge_realworld import open_split
from handbench.errors import InvalidError, UsageError
from handbench.layouts.folder import Folder
from handbench.synth import ge_realworld as writer
from handbench.synth.hand import synthetic_hand
from handbench.synth.layout import Size

SIZE, SEED = Size(samples=6), 3


def write(out, size=SIZE, seed=SEED, advance=lambda steps: None):
    writer.write(out, size, seed, synthetic_hand, advance)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    out = tmp_path_factory.mktemp("ge") / "set"
    write(out)
    return out


@pytest.fixture(scope="module")
def pose(root):
    return scipy.io.loadmat(root / "pose_gt.mat")["pose_gt"]


@pytest.fixture(scope="module")
def params(root):
    return scipy.io.loadmat(root / "params.mat")


def test_every_file_of_the_layout_is_there_and_nothing_else(root):
    want = {"handbench-synthetic.json", "pose_gt.mat", "params.mat", *(f"images/{i:05d}.jpg" for i in range(6))}
    assert {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()} == want


def test_arrays_have_the_names_types_and_units_of_the_set(pose, params):
    assert (pose.shape, pose.dtype) == ((6, 21, 3), np.float32)
    found = {key: (value.shape, value.dtype.kind) for key, value in params.items() if not key.startswith("_")}
    assert found == {
        "image_path": ((6,), "U"),
        "cam_param": ((6, 4), "f"),
        "bbox": ((6, 4), "i"),
        "pose_root": ((6, 3), "f"),
        "pose_scale": ((1, 6), "u"),
    }
    assert params["image_path"][1] == "images/00001.jpg"
    # centimetres, some half a metre before the camera
    assert (np.abs(pose[..., 2] - 48) < 25).all()
    assert np.array_equal(params["pose_root"], pose[:, 0])
    assert (params["pose_scale"] == 5).all()


def test_crops_are_squares_inside_the_frame_with_the_whole_hand(pose, params):
    fx, fy, cx, cy = params["cam_param"][0]
    uv = pose[..., :2] / pose[..., 2:] * [fx, fy] + [cx, cy]
    x, y, w, h = params["bbox"].T
    assert np.array_equal(w, h)
    assert ((x >= 0) & (x + w <= 1280) & (y >= 0) & (y + h <= 720)).all()
    crop = (uv - np.stack([x, y], 1)[:, None]) * 256 / w[:, None, None]
    assert ((crop > 0) & (crop < 255)).all()


def test_the_hand_is_painted_where_its_joints_are(root):
    """The crop of a hand and the same crop with nothing but its background differ under the joints."""
    for i, scene in enumerate(writer._scenes(range(6), SIZE, SEED, synthetic_hand)):
        shot = writer._shot(scene)
        picture = cv2.imread(str(root / f"images/{i:05d}.jpg"))
        assert picture.shape == (256, 256, 3)
        away = dataclasses.replace(
            shot.scene,
            vertices=shot.scene.vertices + [0, 0, 50],
            arm=(shot.scene.arm[0] + [0, 0, 50], shot.scene.arm[1]),
        )
        empty = writer._picture(dataclasses.replace(shot, scene=away))[..., ::-1]
        differs = cv2.dilate((np.abs(picture.astype(int) - empty).max(-1) > 24).astype(np.uint8), np.ones((5, 5)))
        fx, fy, cx, cy = writer.CAMERA
        uv = shot.scene.joints[:, :2] / shot.scene.joints[:, 2:] * [fx, fy] + [cx, cy]
        column, row = np.rint((uv - shot.bbox[:2]) * 256 / shot.bbox[2]).astype(int).T
        assert differs[row, column].mean() > 0.8


def test_the_truth_is_what_the_reader_finds(root):
    split = open_split(Folder(root, "Ge et al."), "train", Wanted(partial=True))
    hands = split.read(0, len(split)).hands
    true = writer.truth("train", SIZE, SEED, synthetic_hand)
    assert [name for name, _ in hands.arrays()] == [name for name, _ in true.arrays()]
    for name, expected in true.arrays():
        got = getattr(hands, name)
        if expected.dtype.kind == "f":
            assert np.abs(got - expected).max() < 1e-9, name
        else:
            assert np.array_equal(got, expected), name
    assert hands.meta["source"] == "handbench synthetic hand"


def test_the_test_split_begins_with_crop_466():
    with pytest.raises(UsageError, match="no test split"):
        writer.truth("test", Size(samples=466), SEED, synthetic_hand)
    hands = writer.truth("test", Size(samples=468), SEED, synthetic_hand)
    assert hands.id.tolist() == ["ge-realworld/test/00466", "ge-realworld/test/00467"]
    assert writer.SIZE.samples == 583


def test_an_interrupted_run_continues_and_ends_the_same(root, tmp_path):
    class Stop(Exception):
        pass

    done = []

    def stop(steps):
        done.append(steps)
        if len(done) == 4:
            raise Stop

    out = tmp_path / "again"
    with pytest.raises(Stop):
        write(out, advance=stop)
    assert not list(out.glob("*.mat"))
    kept = {path: path.stat().st_mtime_ns for path in out.rglob("*.jpg")}
    assert len(kept) == 4
    told = []
    write(out, advance=told.append)
    assert sum(told) == writer.images(SIZE) == 6
    assert all(path.stat().st_mtime_ns == then for path, then in kept.items())
    for path in root.rglob("*.jpg"):
        assert (out / path.relative_to(root)).read_bytes() == path.read_bytes()
    again = scipy.io.loadmat(out / "pose_gt.mat")["pose_gt"]
    assert np.array_equal(again, scipy.io.loadmat(root / "pose_gt.mat")["pose_gt"])


def test_a_folder_of_another_run_is_left_alone(root, tmp_path):
    with pytest.raises(InvalidError, match="otherwise"):
        write(root, seed=4)
    (tmp_path / "pose_gt.mat").write_bytes(b"official")
    with pytest.raises(InvalidError, match="not empty"):
        write(tmp_path)
    with pytest.raises(UsageError, match="at least 1"):
        write(tmp_path / "new", Size(samples=0))
