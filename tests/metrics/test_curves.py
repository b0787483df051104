"""PCK and AUC on cases worked by hand, and what must hold for all."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handbench.errors import InvalidError
from handbench.metrics.curves import (
    Tally,
    auc,
    first_within,
    mean_pck,
    pck,
    point_areas,
    sample_auc,
    thresholds,
)
from handbench.metrics.errors import (
    distances,
    mean_of_point_means,
    mean_of_point_medians,
    mpjpe,
    plain_median,
    sample_mean,
)

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
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(sample_mean(errors[:, 2:]), [np.nan, np.nan])


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


def test_two_medians():
    """Joint medians 2 and 30, mean 16; of all seven errors the fourth, 3."""
    errors = np.array([[1.0, 10.0, np.nan], [2.0, 30.0, np.nan], [3.0, 40.0, np.nan], [np.nan, np.nan, np.nan]])
    errors[3, 0] = 2.0
    assert mean_of_point_medians(errors) == 16.0
    assert plain_median(errors) == 3.0
    nothing = np.full((3, 2), np.nan)
    for value in (plain_median(nothing), mean_of_point_medians(nothing), mean_of_point_means(nothing)):
        assert np.isnan(value)


def test_mean_distance_of_a_sample():
    target, points = np.zeros((2, 3, 3)), np.zeros((2, 3, 3))
    points[:, :, 2] = [1.0, 2.0, 9.0]
    np.testing.assert_array_equal(mpjpe(target, points), [4.0, 4.0])
    valid = np.array([[True, True, False], [False, False, False]])
    np.testing.assert_array_equal(mpjpe(target, points, valid), [1.5, np.nan])


def test_single_precision_is_computed_in_double():
    generator = np.random.default_rng(5)
    target, points = (generator.normal(0, 0.05, (4, 3, 3)).astype(np.float32) for _ in range(2))
    found = distances(target, points)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, distances(target.astype(float), points.astype(float)))
    valid = np.arange(12).reshape(4, 3) % 5 != 1
    np.testing.assert_array_equal(distances(target, points, valid.astype(int)), np.where(valid, found, np.nan))
    at, single = np.linspace(0, 0.2, 7), found.astype(np.float32)
    for function in (first_within, point_areas, sample_auc, mean_pck):
        np.testing.assert_array_equal(function(single, at), function(single.astype(float), at))
        np.testing.assert_array_equal(function(single.tolist(), at), function(single.astype(float), at))
    for statistic in (mean_of_point_means, mean_of_point_medians, plain_median):
        assert statistic(single) == statistic(single.astype(float)) == statistic(single.tolist())


def test_distances_refuse_other_shapes():
    for target, points in (((2, 3, 3), (2, 4, 3)), ((2, 3, 2), (2, 3, 2))):
        with pytest.raises(InvalidError, match=r"^Cannot compare points \(.*\) with \(.*\)\.$") as e:
            distances(np.zeros(target), np.zeros(points))
        assert e.value.hint == "Both must be (samples, points, 3)."


class TestThresholds:
    def test_freihands_by_default(self):
        np.testing.assert_array_equal(thresholds(), np.linspace(0.0, 0.05, 100))

    def test_what_hand3d_calls_20_to_50(self):
        at = thresholds(0.0, 50.0, 20, skip=8)
        assert len(at) == 12
        assert at[0] == pytest.approx(400 / 19, rel=1e-15)
        assert at[-1] == 50.0
        np.testing.assert_array_equal(thresholds(1.0, 3.0, 3, 1), [2.0, 3.0])


class TestFirstWithin:
    @pytest.mark.parametrize(
        "at",
        [
            thresholds(),
            thresholds(0.0, 50.0, 100),
            thresholds(20.0, 50.0, 15),
            thresholds(0.0, 50.0, 20, 8),
            thresholds(0.0, 150.0, 31),
            thresholds(1e-3, 1e-3 + 1e-9, 7),
            np.array([1.0, 2.0, 4.0, 8.0]),
            np.array([0.0, 1.0, 1.001, 2.0, 4.0]),
            np.array([0.0, 1.0 + 5e-6, 2.0, 3.0]),
            np.array([0.0, 1.0, 1.5, 2.0, 4.0]) * 1e-6,
            np.array([0.0, 0.0, 0.0]),
            np.array([3.0]),
            np.array([2.0, 3.0]),
        ],
    )
    def test_it_is_a_search_also_at_ties_and_their_neighbours(self, at):
        generator = np.random.default_rng(1)
        beyond = [0.0, -1.0, 1e9, np.inf, -np.inf, at[-1] * 1.001, at[0] * 0.999]
        errors = np.concatenate(
            [at, np.nextafter(at, -np.inf), np.nextafter(at, np.inf), beyond, generator.uniform(0, at[-1] * 1.2, 40000)]
        )
        found = first_within(errors[:, None], at)
        assert found.shape == (len(errors), 1)
        assert found.dtype == np.intp
        np.testing.assert_array_equal(found[:, 0], np.searchsorted(at, errors, side="left"))

    def test_by_hand(self):
        errors = [[0.0, 0.5, 1.0], [1.5, 2.0, 2.5], [np.nan, np.inf, -1.0]]
        np.testing.assert_array_equal(
            first_within(errors, np.array([0.0, 1.0, 2.0])), [[0, 1, 1], [2, 2, 3], [4, 3, 0]]
        )
        np.testing.assert_array_equal(
            first_within(errors, np.array([0.0, 1.9, 2.0])), [[0, 1, 1], [1, 2, 3], [4, 3, 0]]
        )

    def test_pieces_are_put_together_in_order(self):
        errors = np.random.default_rng(2).exponential(0.02, (20, 1700))
        errors[:, ::7] = np.nan
        at = thresholds()
        found = first_within(errors, at)
        expected = np.where(np.isnan(errors), 101, np.searchsorted(at, errors))
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(first_within(errors[:, ::2], at), expected[:, ::2])
        np.testing.assert_array_equal(first_within(np.zeros((0, 21)), at), np.zeros((0, 21)))


class TestAreas:
    def test_by_hand(self):
        """Thresholds 0, 1, 3: a step at 1 has half of the first interval and all of the second: 2.5 of 3."""
        at = np.array([0.0, 1.0, 3.0])
        errors = np.array([[0.0, 1.0, 2.0], [3.5, np.nan, 0.5]])
        np.testing.assert_allclose(point_areas(errors, at), [[1.0, 2.5 / 3, 1 / 3], [0.0, np.nan, 2.5 / 3]], rtol=1e-15)
        np.testing.assert_allclose(sample_auc(errors, at), [6.5 / 9, 2.5 / 6], rtol=1e-15)

    def test_a_range_that_does_not_begin_at_zero(self):
        np.testing.assert_array_equal(
            point_areas([[19.0, 20.0, 35.0, 50.0, 51.0]], np.array([20.0, 50.0])), [[1, 1, 0.5, 0.5, 0]]
        )

    @given(SEEDS)
    @settings(max_examples=20, deadline=None)
    def test_each_is_the_area_under_its_own_curve(self, seed):
        generator = np.random.default_rng(seed)
        errors, at = generator.exponential(0.02, (4, 3)), np.sort(generator.uniform(0, 0.05, 9))
        for error, area in zip(errors.ravel(), point_areas(errors, at).ravel(), strict=True):
            assert area == pytest.approx(float(auc((error <= at).astype(float), at)), abs=1e-14)

    def test_known_slots_are_used(self):
        errors, at = np.random.default_rng(4).exponential(0.02, (13, 5)), thresholds()
        errors[3, 2] = np.nan
        slots = first_within(errors, at)
        np.testing.assert_array_equal(point_areas(errors, at, slots), point_areas(errors, at))
        np.testing.assert_array_equal(sample_auc(errors, at, slots), sample_auc(errors, at))
        np.testing.assert_array_equal(point_areas(errors, at, np.zeros_like(slots)), np.ones((13, 5)))
        np.testing.assert_array_equal(sample_auc(errors, at, np.zeros_like(slots)), np.ones(13))
        shared, own = Tally(at), Tally(at)
        shared.add(errors, slots)
        own.add(errors)
        np.testing.assert_array_equal(shared.within, own.within)
        shared.add(errors, np.full_like(slots, 100))
        np.testing.assert_array_equal(shared.within, own.within)


class TestMeanPck:
    def test_strict_pooled_and_the_mean_of_the_curve(self):
        """Errors 0, 5, 5, 149 at 0, 5, ..., 150: strictly below are 0, 1, 3 (28 times), 4."""
        at = thresholds(0.0, 150.0, 31)
        errors = np.array([[0.0, 5.0], [5.0, 149.0], [np.nan, np.nan]])
        assert mean_pck(errors, at) == pytest.approx((0 + 1 + 3 * 28 + 4) / 4 / 31, rel=1e-15)
        assert mean_pck(np.zeros((3, 2)), at) == pytest.approx(30 / 31, rel=1e-15)

    def test_points_that_are_seen_more_often_weigh_more(self):
        """Pooled: three of four errors are below; the official mean over points says (1 + 0) / 2."""
        errors, at = np.array([[1.0, 9.0], [1.0, np.nan], [1.0, np.nan]]), np.array([5.0])
        assert mean_pck(errors, at) == 0.75
        assert pck(errors, at)[1] == [0.5]

    def test_nothing_is_nan(self):
        assert np.isnan(mean_pck(np.full((2, 2), np.nan), thresholds()))

    @given(SEEDS)
    @settings(max_examples=20, deadline=None)
    def test_it_is_the_plain_definition(self, seed):
        generator = np.random.default_rng(seed)
        errors, at = generator.integers(0, 160, (11, 6)).astype(float), thresholds(0.0, 150.0, 31)
        assert mean_pck(errors, at) == pytest.approx(np.mean([(errors < limit).mean() for limit in at]), rel=1e-13)
