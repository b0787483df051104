"""What each alignment undoes, and what it leaves."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from handbench.errors import InvalidError
from handbench.metrics import align
from handbench.metrics.errors import mpjpe

SEEDS = st.integers(0, 2**32 - 1)


def clouds(seed, n=4, k=21):
    generator = np.random.default_rng(seed)
    target = generator.normal(0, 0.05, (n, k, 3)) + generator.normal(0, 0.5, (n, 1, 3))
    return generator, target, target + generator.normal(0, 0.01, target.shape)


def moved(generator, points, scale=True):
    n = len(points)
    turned = points @ Rotation.random(n, random_state=int(generator.integers(2**31))).as_matrix()
    size = generator.uniform(0.3, 3, (n, 1, 1)) if scale else 1.0
    return turned * size + generator.normal(0, 1, (n, 1, 3))


@given(SEEDS)
@settings(max_examples=40, deadline=None)
def test_procrustes_does_not_see_rotation_scale_and_translation_of_the_prediction(seed):
    generator, target, points = clouds(seed)
    other = moved(generator, points)
    np.testing.assert_allclose(align.procrustes(target, other), align.procrustes(target, points), atol=1e-12)
    official, _ = align.procrustes_official(target, points)
    np.testing.assert_allclose(align.procrustes_official(target, other)[0], official, atol=1e-7)


@given(SEEDS)
@settings(max_examples=40, deadline=None)
def test_rigid_sees_scale_and_nothing_else(seed):
    generator, target, points = clouds(seed)
    other = moved(generator, points, scale=False)
    np.testing.assert_allclose(align.rigid(target, other), align.rigid(target, points), atol=1e-12)
    assert (mpjpe(target, align.rigid(target, points * 1.5)) > mpjpe(target, align.rigid(target, points))).all()


@given(SEEDS)
@settings(max_examples=40, deadline=None)
def test_more_freedom_never_fits_worse(seed):
    """In the sum of squares, which is what the alignments minimise."""
    _, target, points = clouds(seed)
    fits = (
        points - points.mean(1, keepdims=True) + target.mean(1, keepdims=True),
        align.rigid(target, points),
        align.procrustes(target, points),
        align.procrustes_official(target, points)[0],
    )
    squares = [((target - fit) ** 2).sum((1, 2)) for fit in fits]
    for free, freer in itertools.pairwise(squares):
        assert (freer <= free + 1e-9).all()


def test_a_mirrored_hand_is_forgiven_only_officially_and_is_counted():
    _, target, _ = clouds(7)
    mirrored = target * [-1.0, 1.0, 1.0]
    aligned, reflected = align.procrustes_official(target, mirrored)
    assert reflected.all()
    assert mpjpe(target, aligned).max() < 1e-7
    assert mpjpe(target, align.procrustes(target, mirrored)).min() > 0.01


def test_an_unmirrored_hand_is_not_counted():
    _, target, points = clouds(8)
    assert not align.procrustes_official(target, points)[1].any()


def test_a_flat_hand_is_not_counted_as_mirrored():
    """Turning a flat hand over mirrors it: no reflection is needed, whatever the sign of the determinant."""
    _, target, _ = clouds(9)
    target[..., 2] = 0.4
    aligned, reflected = align.procrustes_official(target, target * [-1.0, 1.0, 1.0])
    assert not reflected.any()
    assert mpjpe(target, aligned).max() < 1e-7
    proper = align.procrustes(target, target * [-1.0, 1.0, 1.0])
    assert mpjpe(target, proper).max() < 1e-12


def test_an_exact_prediction_keeps_the_official_epsilon():
    _, target, _ = clouds(10)
    aligned, _ = align.procrustes_official(target, target)
    error = mpjpe(target, aligned)
    assert (error > 1e-11).all()
    assert (error < 1e-8).all()
    assert (mpjpe(target, align.procrustes(target, target)) < 1e-14).all()


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_a_point_goes_to_the_centre_of_the_target(value):
    _, target, _ = clouds(11)
    points = np.full_like(target, value)
    centre = np.broadcast_to(target.mean(1, keepdims=True), target.shape)
    aligned, reflected = align.procrustes_official(target, points)
    np.testing.assert_allclose(aligned, centre, atol=1e-8)
    assert not reflected.any()
    np.testing.assert_allclose(align.procrustes(target, points), centre, atol=1e-12)
    np.testing.assert_allclose(align.rigid(target, points), centre, atol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("aligner", [align.procrustes_official, align.procrustes, align.rigid])
def test_nan_and_infinity_stop_with_the_sample_named(aligner, bad):
    _, target, points = clouds(12)
    points[2, 5, 1] = bad
    with pytest.raises(InvalidError, match="Sample 2 of the points has NaN or infinity"):
        aligner(target, points)


def test_points_that_are_not_annotated_decide_nothing():
    generator, target, points = clouds(13)
    valid = generator.random(target.shape[:2]) < 0.7
    spoiled = np.where(valid[..., None], target, np.nan)
    for aligner in (align.procrustes, align.rigid, lambda *a: align.procrustes_official(*a)[0]):
        found = aligner(spoiled, points, valid)
        assert np.isfinite(found).all()
        for i in range(len(target)):
            few = valid[i]
            alone = aligner(target[i : i + 1, few], points[i : i + 1, few])[0]
            np.testing.assert_allclose(found[i, few], alone, atol=1e-12)


def test_a_mesh_moves_with_its_joints_about_its_own_mean():
    """Shrunk, not scaled back: the official code does not divide by the norm of the predicted joints."""
    _, target, _ = clouds(14, n=1)
    fit = align.fit_official(target, target)
    mesh = target[:, :7]
    norm = np.linalg.norm(target - target.mean(1, keepdims=True))
    expected = (mesh - mesh.mean(1)) * norm + mesh.mean(1)
    np.testing.assert_allclose(align.move_official(fit, mesh), expected, atol=1e-7)


def test_root_alignment_moves_the_root_to_the_origin():
    _, target, _ = clouds(15)
    found = align.root_align(target, target[:, 9])
    assert (found[:, 9] == 0).all()
    np.testing.assert_allclose(np.diff(found, axis=1), np.diff(target, axis=1), atol=1e-15)


def test_unlike_shapes_are_refused():
    with pytest.raises(InvalidError, match="Cannot align"):
        align.procrustes(np.zeros((2, 21, 3)), np.zeros((2, 20, 3)))
