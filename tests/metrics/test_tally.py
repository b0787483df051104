"""Counts that come block by block give what the whole gives."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handbench.errors import InvalidError
from handbench.metrics.curves import Tally, first_within, point_areas, sample_auc, thresholds
from handbench.metrics.errors import mean_of_point_means, sample_mean

SEEDS = st.integers(0, 2**32 - 1)


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


class TestTally:
    def test_counts_by_hand(self):
        tally = Tally(np.array([0.0, 1.0, 2.0]))
        assert tally.total is None
        tally.add([[0.0, 3.0], [1.0, np.nan], [1.5, 2.0]])
        np.testing.assert_array_equal(tally.within, [[1, 0], [2, 0], [3, 1]])
        np.testing.assert_array_equal(tally.count, [3, 2])
        np.testing.assert_array_equal(tally.total, [2.5, 5.0])
        np.testing.assert_array_equal(tally.point_pck(), [[1 / 3, 0], [2 / 3, 0], [1, 0.5]])
        np.testing.assert_allclose(tally.pck(), [1 / 6, 1 / 3, 0.75], rtol=1e-15)
        assert tally.mean() == pytest.approx((2.5 / 3 + 2.5) / 2)
        assert tally.auc() == pytest.approx((1 / 6 + 2 / 3 + 0.75) / 4)

    @pytest.mark.parametrize("shape", [(2500, 20), (3, 20000), (1, 3), (0, 3), (4, 0)])
    def test_large_blocks_are_counted_whole(self, shape):
        """They are worked on piece by piece."""
        errors, at = np.random.default_rng(7).exponential(0.02, shape), thresholds(0.0, 0.05, 11)
        errors[::3, ::7] = np.nan
        slots = first_within(errors, at)
        areas = point_areas(errors, at)
        present = ~np.isnan(errors)
        for known in (None, slots):
            tally = Tally(at)
            tally.add(errors, known)
            np.testing.assert_array_equal(tally.within, [(errors <= limit).sum(0) for limit in at])
            np.testing.assert_array_equal(tally.count, present.sum(0))
            np.testing.assert_array_equal(sample_auc(errors, at, known), sample_mean(areas))
        if shape == (2500, 20):
            np.testing.assert_allclose(np.nanmean(sample_auc(errors[:, 1:7], at)), areas[:, 1:7].mean(), rtol=1e-12)

    def test_single_precision_is_added_in_double(self):
        errors = np.random.default_rng(6).exponential(0.02, (50, 3)).astype(np.float32)
        single, double = Tally(thresholds()), Tally(thresholds())
        single.add(errors)
        double.add(errors.astype(np.float64))
        np.testing.assert_array_equal(single.total, double.total)
        assert single.mean() == double.mean()

    def test_a_point_that_nobody_has_is_left_out(self):
        tally = Tally(np.array([0.0, 1.0]))
        tally.add([[0.0, np.nan, 2.0], [1.0, np.nan, np.nan]])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            np.testing.assert_array_equal(tally.point_pck(), [[0.5, np.nan, 0.0], [1.0, np.nan, 0.0]])
        np.testing.assert_array_equal(tally.pck(), [0.25, 0.5])
        assert tally.auc() == 0.375
        assert tally.mean() == 1.25

    def test_before_the_first_block_there_is_nothing(self):
        tally = Tally(np.array([0.0, 1.0]))
        assert tally.count.shape == (0,)
        assert tally.within.shape == (2, 0)
        assert np.isnan(tally.mean())
        assert np.isnan(tally.auc())
        np.testing.assert_array_equal(tally.pck(), [np.nan, np.nan])

    @given(SEEDS, st.integers(1, 12))
    @settings(max_examples=20, deadline=None)
    def test_merged_is_as_if_added(self, seed, cut):
        generator = np.random.default_rng(seed)
        errors, at = generator.exponential(0.02, (13, 5)), thresholds(0.0, 0.05, 20)
        errors[generator.random(errors.shape) < 0.2] = np.nan
        whole, parts, first, second = (Tally(at) for _ in range(4))
        for block in (errors[:cut], errors[cut:]):
            whole.add(block)
        first.add(errors[:cut])
        second.add(errors[cut:])
        for part in (Tally(at), first, second, Tally(at)):
            parts.merge(part)
        for name in ("total", "count", "within"):
            np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))
        kept = first.count.copy(), first.within.copy(), first.total.copy()
        parts.add(errors)
        for was, name in zip(kept, ("count", "within", "total"), strict=True):
            np.testing.assert_array_equal(getattr(first, name), was)

    def test_other_thresholds_and_other_points_are_refused(self):
        tally = Tally(np.array([0.0, 1.0]))
        with pytest.raises(InvalidError, match=r"^Cannot merge curves over different thresholds\.$") as e:
            tally.merge(Tally(np.array([0.0, 2.0])))
        assert e.value.hint == "Count both at the same."
        with pytest.raises(InvalidError, match=r"^Cannot count errors \(2,\)"):
            tally.add(np.zeros(2))
        tally.add(np.zeros((2, 3)))
        for shape in ((2, 1), (2, 4)):
            with pytest.raises(InvalidError, match=r"^Cannot count errors \(2, [14]\)\.$") as e:
                tally.add(np.zeros(shape))
            assert e.value.hint == "They must be (samples, points), always as many."
        np.testing.assert_array_equal(tally.count, [2, 2, 2])
