"""Errors in pixels, and points that have no place in the image."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handbench.errors import InvalidError
from handbench.metrics.errors import sample_mean
from handbench.metrics.image_plane import epe_2d, epe_2d_points
from tests.conftest import CAMERA, hands_in_view

SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_by_hand():
    """30 mm right and 40 mm down at 0.48 m, with a focal length of 480 pixels: 30 and 40 pixels."""
    target, points = np.array([[[0.0, 0, 0.48], [0, 0, 1]]]), np.array([[[0.03, 0.04, 0.48], [0, 0, 2]]])
    np.testing.assert_allclose(epe_2d(target, points, CAMERA[None]), [[50.0, 0.0]], rtol=1e-13)
    np.testing.assert_allclose(epe_2d(target, points, CAMERA), [[50.0, 0.0]], rtol=1e-13)


def test_every_sample_has_its_own_camera():
    points = np.array([[[0.1, 0, 1.0]], [[0.1, 0, 1.0]]])
    cameras = CAMERA * np.array([1.0, 2.0])[:, None, None]
    cameras[:, 2, 2] = 1.0
    found = epe_2d(points * [0.0, 1, 1], points, cameras)
    np.testing.assert_allclose(found, [[48.0], [96.0]], rtol=1e-13)


def test_points_by_hand():
    target, points = np.array([[[1.0, 2], [5, 5]]]), np.array([[[4.0, 6], [5, 4]]])
    np.testing.assert_array_equal(epe_2d_points(target, points), [[5.0, 1.0]])
    np.testing.assert_array_equal(epe_2d_points(target, points, [[False, True]]), [[np.nan, 1.0]])


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_depth_along_the_ray_and_the_unit_are_not_seen(seed):
    generator = np.random.default_rng(seed)
    target, camera = hands_in_view(3, seed), np.tile(CAMERA, (3, 1, 1))
    points = target + generator.normal(0, 0.01, target.shape)
    found = epe_2d(target, points, camera)
    rays = generator.uniform(0.5, 2, (3, 21, 1))
    np.testing.assert_allclose(epe_2d(target, points * rays, camera), found, atol=1e-10)
    np.testing.assert_allclose(epe_2d(target * 1000, points * 1000, camera), found, atol=1e-10)
    np.testing.assert_allclose(epe_2d(points, target, camera), found, atol=1e-12)
    mirrored = camera * [[1.0, 1, -1], [1, 1, 1], [1, 1, 1]]
    np.testing.assert_allclose(epe_2d(target * [-1, 1, 1], points * [-1, 1, 1], mirrored), found, atol=1e-10)
    wide = camera * [[2.0], [2.0], [1.0]]
    np.testing.assert_allclose(epe_2d(target, points, wide), found * 2, atol=1e-10)


def test_points_at_or_behind_the_camera_have_no_projection_and_can_be_counted():
    target = np.tile([0.0, 0.0, 1.0], (1, 5, 1))
    points = target.copy()
    points[0, :, 2] = [0.0, -0.0, -1.0, 1e-9, 0.3]
    valid = np.array([[True, True, False, True, True]])
    found = epe_2d(target, points, CAMERA, valid)
    np.testing.assert_array_equal(np.isnan(found), [[True, True, True, False, False]])
    assert (np.isnan(found) & valid).sum() == 2
    np.testing.assert_allclose(found[0, 3:], 0.0, atol=1e-12)
    assert sample_mean(found)[0] == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_array_equal(np.isnan(epe_2d(points, target, CAMERA)), np.isnan(found))


def test_a_target_that_is_not_annotated_is_nan():
    target, points = np.tile([0.0, 0.0, 1.0], (2, 3, 1)), np.tile([0.0, 0.0, 1.0], (2, 3, 1))
    target[0, 1] = np.nan
    valid = np.isfinite(target).all(-1)
    np.testing.assert_array_equal(epe_2d(target, points, CAMERA, valid), np.where(valid, 0.0, np.nan))


def test_single_precision_is_computed_in_double():
    target = hands_in_view(2).astype(np.float32)
    points, camera = target + np.float32(0.01), CAMERA.astype(np.float32)
    found = epe_2d(target, points, camera)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, epe_2d(target.astype(float), points.astype(float), camera.astype(float)))
    valid = np.arange(42).reshape(2, 21) % 5 != 1
    listed = epe_2d(target.tolist(), points.tolist(), camera.tolist(), valid.astype(int).tolist())
    np.testing.assert_array_equal(listed, np.where(valid, found, np.nan))
    flat = target[..., :2], points[..., :2]
    assert epe_2d_points(*flat).dtype == np.float64
    np.testing.assert_array_equal(epe_2d_points(*flat), epe_2d_points(*(p.astype(float) for p in flat)))


def test_shapes():
    three, two = np.zeros((2, 4, 3)), np.zeros((2, 4, 2))
    for bad in (np.zeros((2, 5, 3)), two, three[0]):
        with pytest.raises(InvalidError, match=r"^Cannot compare points \(") as e:
            epe_2d(three, bad, CAMERA)
        assert e.value.hint == "Both must be (samples, points, 3)."
        with pytest.raises(InvalidError, match=r"^Cannot compare points"):
            epe_2d_points(two, three)
    with pytest.raises(InvalidError, match=r"^Cannot compare points \(4, 2\) with \(4, 2\)\.$") as e:
        epe_2d_points(two[0], two[0])
    assert e.value.hint == "Both must be (samples, points, 2)."
    with pytest.raises(InvalidError, match=r"^Cannot compare points"):
        epe_2d(two, two, CAMERA)
