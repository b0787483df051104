"""Alignments where little is left to align: points that differ by rounding, nearly straight ones, one or none valid."""

import numpy as np
import pytest

from handbench.errors import InvalidError
from handbench.metrics import align

PROPER = [align.procrustes, align.rigid]
MIRROR = np.array([1.0, 1.0, -1.0])


def clouds(seed, n=4, k=21):
    generator = np.random.default_rng(seed)
    target = generator.normal(0, 0.05, (n, k, 3)) + generator.normal(0, 0.5, (n, 1, 3))
    return generator, target, target + generator.normal(0, 0.01, target.shape)


def directions(seed, n, k=21):
    """n columns of unit length, at right angles to each other and to a shift: of their products nothing is left."""
    columns = np.random.default_rng(seed).normal(size=(k, n))
    return np.linalg.qr(np.c_[np.ones(k), columns])[0][:, 1:]


def test_the_fit_says_what_it_found():
    _, target, points = clouds(20)
    fit = align.fit_official(target, points)
    for cloud, norm, centre in (
        (target, fit.target_norm, fit.target_centre),
        (points, fit.points_norm, fit.points_centre),
    ):
        np.testing.assert_allclose(centre, cloud.mean(1, keepdims=True), rtol=1e-13)
        np.testing.assert_allclose(norm - 1e-8, np.linalg.norm(cloud - centre, axis=(1, 2)), rtol=1e-13)
    # what is said of the target alone is exact where it is one point
    assert align.fit_official(np.zeros((1, 5, 3)), points[:1, :5]).target_norm == 1e-8


@pytest.mark.parametrize("aligner", [*PROPER, lambda *given: align.procrustes_official(*given)[0]])
def test_all_goes_to_a_target_that_is_one_point(aligner):
    """But for the size, which `rigid` keeps."""
    _, target, points = clouds(21)
    target[:] = target[:, :1]
    with np.errstate(all="raise", under="ignore"):
        found = aligner(target, points)
    np.testing.assert_allclose(found.mean(1), target[:, 0], atol=1e-12)
    size = np.linalg.norm(found - found.mean(1, keepdims=True), axis=(1, 2))
    expected = np.linalg.norm(points - points.mean(1, keepdims=True), axis=(1, 2)) if aligner is align.rigid else 0
    np.testing.assert_allclose(size, expected, atol=1e-12)


def test_what_differs_by_rounding_only_is_one_point_wherever_the_other_samples_are():
    """One unit in the last place of 1000 is 1e-13: noise has no size, and is no mirrored hand."""
    _, target, points = clouds(22)
    noise = np.random.default_rng(0).integers(-1, 2, (21, 3)) * 2.0**-43
    points[1], target[1] = 1000 + noise, target[0, 0] + 0.05 * (noise / 2.0**-43) * MIRROR
    points[3] = target[3] * MIRROR
    fit = align.fit_official(target, points)
    np.testing.assert_array_equal(fit.reflected, [False, False, False, True])
    assert np.linalg.det(fit.rotation[1]) < 0
    np.testing.assert_allclose(align.procrustes(target, points)[1], np.tile(target[1].mean(0), (21, 1)), atol=1e-12)
    # a hand of some nanometres, a metre away, is still a hand
    points[0] += 1e6
    points[2] = 1 + 1e-8 * points[2]
    points[3] *= 1e-7
    np.testing.assert_array_equal(align.fit_official(target, points).reflected, [False, False, False, True])
    alone = align.procrustes(target[2:3], points[2:3])[0]
    np.testing.assert_allclose(align.procrustes(target, points)[2], alone, atol=1e-12)
    np.testing.assert_allclose(alone, align.procrustes(target[2:3], 1e8 * (points[2:3] - 1))[0], atol=1e-6)


@pytest.mark.parametrize(("weakest", "reflected"), [(1e-10, True), (1e-14, False)])
def test_flat_is_measured_against_the_longest_direction(weakest, reflected):
    """Nearly straight points, and points whose best fit is a poor one."""
    columns = directions(1, 6)
    for scale in ([1.0, 1e-8, weakest], [1e-3, 1e-3, 1e-3 * weakest]):
        points = columns[:, :3]
        target = columns[:, 3:] * (scale[0] < 1) + points * scale * MIRROR
        assert align.fit_official(target[None], points[None]).reflected.item() == reflected


def test_single_precision_meshes_move_in_double():
    _, target, points = clouds(23)
    fit = align.fit_official(target, points)
    mesh = points.astype(np.float32)
    found = align.move_official(fit, mesh)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, align.move_official(fit, mesh.astype(np.float64)))


def test_each_mesh_moves_about_its_own_mean():
    _, target, points = clouds(24)
    fit = align.fit_official(target, points)
    whole = align.move_official(fit, points[:, :9])
    for i in range(4):
        one = align.OfficialFit(*(part[i : i + 1] for part in fit))
        np.testing.assert_allclose(align.move_official(one, points[i : i + 1, :9])[0], whole[i], atol=1e-14)


def test_a_mesh_with_nan_stops():
    _, target, points = clouds(25)
    mesh = points.copy()
    mesh[1, 0, 0] = np.nan
    with pytest.raises(InvalidError, match="Sample 1 of the mesh has NaN or infinity"):
        align.move_official(align.fit_official(target, points), mesh)


@pytest.mark.parametrize("aligner", PROPER)
def test_one_valid_point_goes_onto_the_true_one_and_none_stops_nothing(aligner):
    _, target, points = clouds(26)
    valid = np.zeros((4, 21), int)
    valid[0, 5], valid[1], valid[2, :7] = 1, 1, 3
    with np.errstate(all="raise", under="ignore"):
        found = aligner(target, points, valid)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[0, 5], target[0, 5], atol=1e-13)
    # how large a mark is does not matter
    np.testing.assert_array_equal(found, aligner(target, points, valid > 0))


@pytest.mark.parametrize("shape", [(21, 3), (2, 21, 2), (2, 2, 21, 3), (1, 3)])
@pytest.mark.parametrize("aligner", [*PROPER, align.fit_official])
def test_what_is_not_points_is_refused(aligner, shape):
    with pytest.raises(InvalidError, match="Cannot align"):
        aligner(np.zeros(shape), np.zeros(shape))
