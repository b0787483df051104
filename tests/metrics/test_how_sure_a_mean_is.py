"""Intervals cover what they claim, pair what is paired, and depend on nothing but their seed."""

import numpy as np
import pytest
import scipy.stats

from handbench.errors import InvalidError
from handbench.metrics.statistics import mean_interval, mean_intervals, paired_difference


def test_it_is_scipys_bca():
    values = np.random.default_rng(0).exponential(8, 120)
    ours = mean_interval(values, resamples=4000)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=9999, method="BCa", random_state=np.random.default_rng(1)
    ).confidence_interval
    assert ours.value == pytest.approx(values.mean())
    width = theirs.high - theirs.low
    assert abs(ours.low - theirs.low) < 0.06 * width
    assert abs(ours.high - theirs.high) < 0.06 * width
    # skewed to the right: the upper arm is the longer one
    assert ours.high - ours.value > ours.value - ours.low


def test_it_is_scipys_bca_where_the_correction_matters():
    """Few and skewed: the plain percentiles are off by a tenth of the width."""
    values = np.random.default_rng(8).lognormal(0, 1.2, 15)
    ours = mean_interval(values, resamples=20_000)
    bca, plain = (
        scipy.stats.bootstrap((values,), np.mean, n_resamples=20_000, method=method, rng=9).confidence_interval
        for method in ("BCa", "percentile")
    )
    width = bca.high - bca.low
    assert abs(ours.low - bca.low) + abs(ours.high - bca.high) < 0.05 * width
    assert abs(plain.low - bca.low) + abs(plain.high - bca.high) > 0.1 * width


def test_it_covers_the_true_mean_about_95_times_of_100():
    generator = np.random.default_rng(2)
    inside = 0
    for _ in range(200):
        found = mean_interval(generator.normal(10, 3, 60), resamples=400)
        inside += found.low <= 10 <= found.high
    assert 180 <= inside <= 199


def test_the_same_seed_gives_the_same_interval_and_another_another():
    values = np.random.default_rng(3).normal(size=50)
    assert mean_interval(values, seed=5) == mean_interval(values, seed=5)
    assert mean_interval(values, seed=5) != mean_interval(values, seed=6)


def test_columns_do_not_disturb_each_other():
    values = np.random.default_rng(4).normal(size=(50, 3))
    together = mean_intervals(values, seed=1)
    for i, alone in enumerate(together):
        assert alone.low == pytest.approx(mean_interval(values[:, i], seed=1).low)


def test_a_sample_without_a_value_does_not_count():
    values = np.array([1.0, np.nan, 3.0, np.nan])
    found = mean_interval(values)
    assert found.value == 2.0
    assert found.n == 2


def test_nothing_and_one_have_no_interval():
    assert np.isnan(mean_interval(np.array([np.nan])).value)
    one = mean_interval(np.array([4.0]))
    assert one.value == 4.0
    assert np.isnan(one.low)


def test_a_constant_is_certain():
    found = mean_interval(np.full(20, 7.0))
    assert (found.value, found.low, found.high) == (7.0, 7.0, 7.0)


def test_samples_recorded_together_count_once():
    """Twenty values, each four times: treated as eighty independent ones, the interval would be half as wide."""
    values = np.random.default_rng(5).normal(size=20).repeat(4)
    clusters = np.arange(20).repeat(4).astype(str)
    naive, honest = mean_interval(values), mean_interval(values, clusters)
    assert naive.value == pytest.approx(honest.value)
    assert 1.6 < (honest.high - honest.low) / (naive.high - naive.low) < 2.4
    assert honest.n == 80


def test_a_paired_difference_sees_what_hard_samples_hide():
    generator = np.random.default_rng(6)
    hard = generator.exponential(10, 300)
    a, b = hard + generator.normal(0, 0.5, 300), hard + 0.3 + generator.normal(0, 0.5, 300)
    found = paired_difference(a, b, seed=0)
    assert found.value == pytest.approx(np.mean(a - b))
    assert found.certain
    assert found.high < 0
    assert mean_interval(a).high > mean_interval(b).low


def test_no_difference_is_not_certain():
    a = np.random.default_rng(7).normal(size=100)
    same = paired_difference(a, a)
    assert (same.value, same.low, same.high, same.certain) == (0.0, 0.0, 0.0, False)
    assert paired_difference(a, a + 1.0).value == pytest.approx(-1.0)


def test_unpaired_values_are_refused():
    with pytest.raises(InvalidError, match="Cannot pair"):
        paired_difference(np.zeros(3), np.zeros(4))
