"""Intervals of tiny, of cancelling and of very many values, and single precision."""

import numpy as np
import pytest
from scipy.special import stdtrit

from handbench.metrics.intervals import Moments, mean_interval, median_interval, median_of_all

NAN = float("nan")


def skewed(samples=60, columns=3):
    return np.random.default_rng(0).lognormal(1.7, 0.5, (samples, columns))


@pytest.mark.parametrize("estimate", [mean_interval, median_interval, median_of_all])
@pytest.mark.parametrize("clusters", [None, np.arange(60) // 7])
def test_the_unit_does_not_matter_however_small_the_numbers(estimate, clusters):
    plain, tiny = estimate(skewed(), clusters), estimate(1e-6 * skewed(), clusters)
    assert 1e6 * np.array(tiny[:3]) == pytest.approx(plain[:3], rel=1e-12)
    assert tiny.df == pytest.approx(plain.df, rel=1e-12)


@pytest.mark.parametrize("estimate", [mean_interval, median_interval, median_of_all])
@pytest.mark.parametrize("clusters", [None, np.arange(60) // 7])
def test_single_precision_is_computed_in_double(estimate, clusters):
    single = skewed().astype(np.float32)
    assert estimate(single, clusters) == estimate(single.astype(np.float64), clusters)
    assert estimate(single, clusters).value == estimate(single.astype(np.float64), clusters).value


def test_blocks_of_single_precision_are_added_in_double():
    single, double = Moments(3), Moments(3)
    single.add(skewed().astype(np.float32))
    double.add(skewed().astype(np.float32).astype(np.float64))
    assert single.interval() == double.interval()


def test_samples_whose_own_means_are_equal_have_no_skewness():
    """Columns (1, 3, 2, 2, 2) and (3, 1): means 2 and 2, the contributions of the first two do not cancel."""
    with np.errstate(all="raise"):
        found = mean_interval([[1, 3], [3, 1], [2, NAN], [2, NAN], [2, NAN]])
    assert found.value == 2
    assert found.high - 2 == 2 - found.low > 0.1


def test_columns_that_cancel_leave_no_width_and_no_nan():
    """x, 2 x and -3 x: what rounding leaves of the variance is now above 0 and now below."""
    for seed in range(300):
        x = np.random.default_rng(seed).lognormal(size=(9, 1))
        for factors in ([1, 1, -2], [1, 2, -3]):
            assert mean_interval(x * factors)[:3] == pytest.approx((0, 0, 0), abs=1e-6)


def test_a_million_samples():
    found = mean_interval(np.arange(1_200_000) % 2)
    half = stdtrit(1_199_999, 0.975) * 0.5 / np.sqrt(1_199_999)
    assert (found.value - found.low, found.high - found.value) == pytest.approx((half, half), rel=1e-6)
