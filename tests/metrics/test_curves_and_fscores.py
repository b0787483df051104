"""PCK, AUC and F-score on cases worked by hand, and what must hold for all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handbench.errors import InvalidError
from handbench.metrics.curves import Tally, auc, pck, sample_auc, thresholds
from handbench.metrics.errors import distances, mean_of_point_means, mean_of_point_medians, sample_mean
from handbench.metrics.fscore import fscore

SEEDS = st.integers(0, 2**32 - 1)


def test_distance_by_hand():
    found = distances([[[0.0, 0, 0], [1, 1, 1]]], [[[3.0, 4, 0], [1, 1, 1]]], [[True, False]])
    np.testing.assert_array_equal(found, [[5.0, np.nan]])


def test_the_official_mean_weighs_points_and_not_entries():
    """One joint seen twice with errors 1 and 3, another once with 10: (2 + 10) / 2, not 14 / 3."""
    errors = np.array([[1.0, 10.0, np.nan], [3.0, np.nan, np.nan]])
    assert mean_of_point_means(errors) == 6.0
    assert mean_of_point_medians(errors) == 6.0
    np.testing.assert_array_equal(sample_mean(errors), [5.5, 3.0])


def test_pck_by_hand():
    """Errors 0, 10, 20 and 60 mm at 0, 10, 20, 30: inclusive."""
    errors = np.array([0.0, 0.01, 0.02, 0.06])[:, None]
    per_point, curve = pck(errors, np.array([0.0, 0.01, 0.02, 0.03]))
    np.testing.assert_array_equal(curve, [0.25, 0.5, 0.75, 0.75])
    np.testing.assert_array_equal(per_point[:, 0], curve)
    # trapezoids: (.25+.5)/2 + (.5+.75)/2 + (.75+.75)/2 = 1.75, of 3
    assert auc(curve, np.array([0.0, 0.01, 0.02, 0.03])) == pytest.approx(1.75 / 3)


def test_auc_over_another_range_and_number_of_steps():
    errors = np.full((5, 21), 0.035)
    at = thresholds(0.02, 0.05, 4)
    assert auc(pck(errors, at)[1], at) == pytest.approx(0.5)
    assert auc(pck(np.zeros((5, 21)), at)[1], at) == 1.0
    assert auc(pck(np.full((5, 21), 0.051), at)[1], at) == 0.0


@given(SEEDS)
@settings(max_examples=40, deadline=None)
def test_pck_rises_with_the_threshold_and_falls_with_the_error(seed):
    errors = np.random.default_rng(seed).exponential(0.02, (13, 5))
    at = thresholds()
    curve, worse = pck(errors, at)[1], pck(errors * 1.3, at)[1]
    assert (np.diff(curve) >= 0).all()
    assert (worse <= curve).all()
    assert curve.min() >= 0
    assert curve.max() <= 1


@given(SEEDS, st.integers(1, 13))
@settings(max_examples=40, deadline=None)
def test_blocks_give_what_the_whole_gives(seed, size):
    generator = np.random.default_rng(seed)
    errors = generator.exponential(0.02, (13, 5))
    errors[generator.random(errors.shape) < 0.2] = np.nan
    at = thresholds(0.0, 0.05, 20)
    whole, parts = Tally(at), Tally(at)
    whole.add(errors)
    for start in range(0, len(errors), size):
        parts.add(errors[start : start + size])
    np.testing.assert_array_equal(parts.pck(), whole.pck())
    assert parts.auc() == whole.auc()
    assert parts.mean() == pytest.approx(whole.mean(), rel=1e-14)
    assert whole.mean() == pytest.approx(mean_of_point_means(errors), rel=1e-14)


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_the_auc_is_the_mean_of_the_samples_own(seed):
    errors = np.random.default_rng(seed).exponential(0.02, (13, 5))
    at = thresholds()
    tally = Tally(at)
    tally.add(errors)
    assert sample_auc(errors, at).mean() == pytest.approx(tally.auc(), rel=1e-12)


def test_nothing_seen_is_nan_and_not_zero():
    tally = Tally(thresholds())
    tally.add(np.full((3, 2), np.nan))
    assert np.isnan(tally.mean())
    assert np.isnan(tally.auc())
    assert np.isnan(tally.pck()).all()


def brute_force(target, points, limit):
    distance = np.sqrt(((target[:, None] - points[None]) ** 2).sum(-1))
    covered, accurate = (distance.min(1) < limit).mean(), (distance.min(0) < limit).mean()
    total = covered + accurate
    return 2 * covered * accurate / total if total else 0.0


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_fscore_is_that_of_brute_force(seed):
    generator = np.random.default_rng(seed)
    target, points = generator.normal(0, 0.02, (3, 40, 3)), generator.normal(0, 0.02, (3, 25, 3))
    found = fscore(target, points, (0.005, 0.015)).f
    expected = [[brute_force(a, b, limit) for limit in (0.005, 0.015)] for a, b in zip(target, points, strict=True)]
    np.testing.assert_array_equal(found, expected)


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_fscore_is_symmetric_and_rises_with_the_threshold(seed):
    generator = np.random.default_rng(seed)
    a, b = generator.normal(0, 0.02, (3, 40, 3)), generator.normal(0, 0.02, (3, 25, 3))
    forth, back = fscore(a, b, (0.005, 0.015)), fscore(b, a, (0.005, 0.015))
    np.testing.assert_allclose(forth.f, back.f, rtol=1e-15)
    np.testing.assert_array_equal(forth.covered, back.accurate)
    assert (np.diff(forth.f, axis=1) >= 0).all()


def test_fscore_by_hand():
    """Of two true points one is covered; of three predictions one is near a true point: P = 1/3, R = 1/2, F = 0.4."""
    target = np.array([[[0.0, 0, 0], [1, 0, 0]]])
    points = np.array([[[0.004, 0, 0], [0.5, 0, 0], [0.6, 0, 0]]])
    found = fscore(target, points, (0.005,))
    assert found.covered.item() == 0.5
    assert found.accurate.item() == pytest.approx(1 / 3)
    assert found.f.item() == pytest.approx(0.4)


def test_fscore_is_strict_at_the_threshold():
    target = np.zeros((1, 4, 3))
    points = np.full((1, 4, 3), [0.005, 0.0, 0.0])
    assert fscore(target, points, (0.005,)).f.item() == 0.0
    assert fscore(target, points, (np.nextafter(0.005, 1),)).f.item() == 1.0


def test_empty_meshes_score_zero_and_nan_stops():
    assert fscore(np.zeros((1, 4, 3)), np.zeros((1, 0, 3)), (0.005,)).f.item() == 0.0
    bad = np.zeros((2, 4, 3))
    bad[1, 0, 0] = np.nan
    with pytest.raises(InvalidError, match="Sample 1 of the points"):
        fscore(np.zeros((2, 4, 3)), bad, (0.005,))


def test_threads_change_nothing():
    generator = np.random.default_rng(3)
    a, b = generator.normal(0, 0.02, (9, 50, 3)), generator.normal(0, 0.02, (9, 50, 3))
    np.testing.assert_array_equal(fscore(a, b, (0.005,), workers=3).f, fscore(a, b, (0.005,)).f)
