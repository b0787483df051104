"""The real-world set of Ge et al.: centimetres in, metres out; crops with their affine."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.io

from handbench.datasets.holdout import validation_mask
from handbench.errors import InvalidError, MissingError
from handbench.hands.camera import apply_affine, project
from tests.conftest import hands_in_view, jpeg
from tests.datasets import official


@pytest.fixture
def layout(tmp_path):
    root = tmp_path / "ge"
    (root / "images").mkdir(parents=True)
    n = 583
    joints = hands_in_view(n)
    camera = np.tile([920.0, 921.0, 640.0, 360.0], (n, 1))
    uv = joints[..., :2] / joints[..., 2:] * [920, 921] + [640, 360]
    low = np.floor(uv.min(1)) - 20
    side = np.ceil((uv.max(1) - low).max(1)) + 20
    box = np.concatenate([low, side[:, None], side[:, None]], 1).astype(np.int32)
    scipy.io.savemat(root / "pose_gt.mat", {"pose_gt": (joints * 100).astype(np.float32)})
    scipy.io.savemat(root / "params.mat", {"cam_param": camera, "bbox": box})
    image = jpeg(1, 256)
    for i in range(n):
        (root / "images" / f"{i:05d}.jpg").write_bytes(image)
    return root, joints, uv, box


def test_centimetres_become_metres_and_the_crop_is_the_published_one(layout, tmp_path):
    root, joints, uv, box = layout
    file = official.prepared("ge-realworld", root, "test", tmp_path / "a.h5")
    hands = file.read()
    assert len(hands) == 117
    assert hands.id[0] == "ge-realworld/test/00466"
    assert np.abs(hands.joints - joints[466:]).max() < 1e-6
    # README of the set: uv_crop = (uv - bbox_xy) * 256 / bbox_w
    expected = (uv - box[:, None, :2]) * 256 / box[:, None, 2:3]
    assert np.abs(project(hands.joints, hands.camera) - expected[466:]).max() < 1e-3
    full = project(hands.joints, hands.frame_camera)
    assert np.allclose(apply_affine(hands.crop, full), project(hands.joints, hands.camera), atol=1e-6)
    assert hands.side is None
    assert hands.vertices is None


def test_validation_is_the_last_tenth_before_the_test_frames(layout, tmp_path):
    root, *_ = layout
    file = official.prepared("ge-realworld", root, "train", tmp_path / "a.h5")
    mask = validation_mask(file)
    assert len(file) == 466
    assert list(np.flatnonzero(mask)) == list(range(419, 466))


def test_another_unit_or_count_is_refused(layout, tmp_path):
    root, joints, *_ = layout
    scipy.io.savemat(root / "pose_gt.mat", {"pose_gt": joints * 1000})
    with pytest.raises(InvalidError, match="decimetres"):
        official.prepared("ge-realworld", root, "test", tmp_path / "a.h5")
    scipy.io.savemat(root / "pose_gt.mat", {"pose_gt": joints[:500] * 100})
    with pytest.raises(InvalidError, match="do not belong together"):
        official.opened("ge-realworld", root, "test")


def test_a_missing_or_cut_mat_file_is_named(layout):
    root, *_ = layout
    data = (root / "params.mat").read_bytes()
    (root / "params.mat").write_bytes(data[: len(data) // 2])
    with pytest.raises(InvalidError, match=r"params\.mat"):
        official.opened("ge-realworld", root, "test")
    (root / "params.mat").unlink()
    with pytest.raises(MissingError, match=r"params\.mat"):
        official.opened("ge-realworld", root, "test")


def test_real_frames_carry_the_figures_of_a_mean_pose(real_data, tmp_path):
    """Mean training pose against the test frames, root-aligned at the wrist: 52.57 mm."""
    train = official.prepared("ge-realworld", real_data / "ge_realworld", "train", tmp_path / "a.h5").read()
    test = official.prepared("ge-realworld", real_data / "ge_realworld", "test", tmp_path / "b.h5").read()
    mean = (train.joints - train.joints[:, :1]).mean(0)
    error = np.linalg.norm(test.joints - test.joints[:, :1] - mean, axis=-1).mean()
    assert 1000 * error == pytest.approx(52.57, abs=0.005)
