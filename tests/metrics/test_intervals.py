"""Means and medians with their intervals: worked by hand, the textbook's where it applies, the same however fed."""

import numpy as np
import pytest
from scipy.special import stdtrit

from handbench.errors import InvalidError
from handbench.metrics.errors import mean_of_point_means, mean_of_point_medians
from handbench.metrics.intervals import (
    LEVEL,
    WARN_BELOW,
    Interval,
    Moments,
    mean_interval,
    median_interval,
    median_of_all,
)

NAN = float("nan")
T1, T2, T3 = 12.7062047361747, 4.302652729749462, 3.182446305283710


def johnson(half, skew, t):
    """How far the long side goes: `half` is t standard errors."""
    return half * (1 + min(abs(skew) * (1 + 2 * t * t) / (6 * t), 0.25))


def uneven(seed=0, samples=200, columns=4, clusters=15):
    """Skewed values with holes, and clusters of unequal sizes."""
    generator = np.random.default_rng(seed)
    index = (clusters * generator.random(samples) ** 2).astype(int)
    values = (
        generator.lognormal(1.7, 0.5, (samples, columns))
        * np.exp(0.3 * generator.normal(size=clusters))[index][:, None]
    )
    values[generator.random(values.shape) < 0.2] = NAN
    return values, index


def test_what_is_promised():
    assert LEVEL == 0.95
    assert WARN_BELOW == 10
    assert Interval._fields == ("value", "low", "high", "n", "clusters", "df")


# -- means of samples


def test_a_symmetric_mean_has_the_textbooks_interval():
    """1, 2, 4, 5: mean 3, s = sqrt(10/3), s/sqrt(4), t of 3 degrees."""
    half = T3 * np.sqrt(10 / 3) / 2
    assert mean_interval([1, 2, 4, 5]) == pytest.approx((3, 3 - half, 3 + half, 4, 4, 3))
    half = 2.353363434801823 * np.sqrt(10 / 3) / 2
    assert mean_interval([1, 2, 4, 5], level=0.9) == pytest.approx((3, 3 - half, 3 + half, 4, 4, 3))


def test_a_skewed_mean_has_a_longer_side():
    """Of many values, where the term is small: third moment over the second's 3/2 power, over sqrt(n)."""
    values = np.random.default_rng(1).lognormal(1.7, 0.3, 400)
    centred = values - values.mean()
    half = stdtrit(399, 0.975) * values.std(ddof=1) / 20
    skew = (centred**3).sum() / (centred**2).sum() ** 1.5
    more = johnson(half, skew, stdtrit(399, 0.975))
    assert 1.001 * half < more < 1.2 * half
    for sign in (1, -1):
        found = mean_interval(sign * values)
        longer, shorter = (found.high, found.low)[::sign]
        assert found.value == pytest.approx(sign * values.mean(), rel=1e-14)
        assert sign * (longer - found.value) == pytest.approx(more, rel=1e-9)
        assert sign * (found.value - shorter) == pytest.approx(half, rel=1e-12)


def test_a_very_skewed_mean_is_lengthened_by_a_quarter():
    values = np.r_[np.zeros(9), 10.0]
    half = stdtrit(9, 0.975) * values.std(ddof=1) / np.sqrt(10)
    assert mean_interval(values) == pytest.approx((1, 1 - half, 1 + 1.25 * half, 10, 10, 9))


def test_complete_columns_are_the_mean_of_each_sample():
    values = np.random.default_rng(2).lognormal(size=(50, 5))
    assert mean_interval(values) == pytest.approx(mean_interval(values.mean(1)), rel=1e-10)
    index = np.arange(50) // 7
    assert mean_interval(values, index) == pytest.approx(mean_interval(values.mean(1), index), rel=1e-10)


def test_two_columns_with_missing_values_by_hand():
    """Columns (1, 3, -) and (2, -, 6): means 2 and 4, value 3.

    Contributions ((1-2)/2 + (2-4)/2)/2, ((3-2)/2)/2, ((6-4)/2)/2 = -0.75, 0.25, 0.5; weights 0.5, 0.25, 0.25, their
    squares 0.375: 1/0.375 samples that weigh equally. Under one effect per sample the contributions are
    (2 e1 - e2 - e3)/8, (e2 - e1)/8, (e3 - e1)/8, with squares of 6/64, 2/64, 2/64, in all 10/64 against 0.375.
    """
    found = mean_interval([[1, 2], [3, NAN], [NAN, 6]])
    error = np.sqrt((0.5625 + 0.0625 + 0.25) * 0.375 / (10 / 64))
    df = 1 / 0.375 - 1
    half = stdtrit(df, 0.975) * error
    # the samples' own means 1.5, 3, 6: skewed to the right
    own = np.array([1.5, 3, 6]) - 3.5
    skew = np.sqrt(3 * 0.375) * (own**3).sum() / (own**2).sum() ** 1.5
    assert found.value == 3
    assert found.low == pytest.approx(3 - half)
    assert found.high == pytest.approx(3 + johnson(half, skew, stdtrit(df, 0.975)))
    assert found[3:] == pytest.approx((3, 3, df))


def test_samples_with_missing_values_are_nearly_clusters_of_one():
    """Not exactly: one scale for all samples against one each."""
    values, _ = uneven(3)
    assert mean_interval(values)[:5] == pytest.approx(mean_interval(values, np.arange(200))[:5], rel=3e-3)
    assert mean_interval(values).df == pytest.approx(mean_interval(values, np.arange(200)).df, rel=0.1)


def test_complete_samples_are_exactly_clusters_of_one():
    values = np.random.default_rng(4).lognormal(size=(30, 2))
    assert mean_interval(values) == pytest.approx(mean_interval(values, np.arange(30)), rel=1e-8)


def test_disjoint_columns_of_one_sample_tell_nothing():
    found = mean_interval([[1, NAN], [NAN, 5]])
    assert found[:1] + found[3:5] == (3, 2, 2)
    assert np.isnan([found.low, found.high, found.df]).all()


# -- means of clusters


def test_equal_clusters_are_the_textbooks_t_of_their_means():
    """Means 1, 2, 4, 5 of three samples each."""
    values = np.add.outer([1.0, 2, 4, 5], [-1, 0, 1]).ravel()
    half = T3 * np.sqrt(10 / 3) / 2
    found = mean_interval(values, np.repeat(list("abcd"), 3))
    assert found == pytest.approx((3, 3 - half, 3 + half, 12, 4, 3))
    assert mean_interval(values, np.repeat(list("abcd"), 3), 0.9).high == pytest.approx(
        3 + 2.353363434801823 * np.sqrt(10 / 3) / 2
    )


def test_unequal_clusters_by_hand():
    """Weights 0.5, 0.3, 0.2 of means 1, 2, 4; t = 5.38 by simulation, as of 1.6 degrees; negative to the left."""
    values, index = np.repeat([1.0, 2, 4], [5, 3, 2]), np.repeat([7, 3, 5], [5, 3, 2])
    found = mean_interval(values, index)
    error = np.sqrt(0.2025 / 0.38 + 0.0009 / 0.78 + 0.1764 / 0.98)
    t = stdtrit(found.df, 0.975)
    assert (found.value, found.n, found.clusters) == (pytest.approx(1.9), 10, 3)
    skew = sum(np.array([-0.45 / 0.38**0.5, 0.03 / 0.78**0.5, 0.42 / 0.98**0.5]) ** 3) / error**3
    assert skew < 0
    assert 1.9 - found.low == pytest.approx(johnson(t * error, skew, t))
    assert found.high - 1.9 == pytest.approx(t * error)
    effects = np.random.default_rng(0).standard_normal((100_000, 3)) @ (np.eye(3) - np.array([[5, 3, 2]]).T / 10)
    mean = np.random.default_rng(0).standard_normal((100_000, 3)) @ [0.5, 0.3, 0.2]
    under = np.sqrt((effects**2 * [0.25 / 0.38, 0.09 / 0.78, 0.04 / 0.98]).sum(1))
    assert (np.abs(mean) <= t * under).mean() == pytest.approx(0.95, abs=0.003)


def test_clusters_with_missing_values_by_hand():
    """Two columns, two clusters: column means 2 and 6; cluster sums less their share -1, 1 and -2, 2."""
    found = mean_interval([[1, 5], [NAN, 4], [3, 9]], ["a", "a", "b"])
    # column 1: 1 and 3, shares 1/2 each; column 2: 5, 4 | 9, shares 2/3, 1/3, mean 6
    assert found.value == 4
    parts = np.array([(-1 / 2 - 3 / 3) / 2, (1 / 2 + 3 / 3) / 2])
    shares = np.array([[1 / 2, 2 / 3], [1 / 2, 1 / 3]])
    weight = shares.mean(1)
    expected = ((np.diag(weight) - shares @ shares.T / 2) ** 2).sum(1)
    error = np.sqrt((weight**2 / expected * parts**2).sum())
    assert min(found.high - 4, 4 - found.low) == pytest.approx(stdtrit(found.df, 0.975) * error)
    assert found[3:5] == (3, 2)


def test_the_value_is_the_official_mean():
    values, index = uneven(5)
    values[:, 2] = NAN
    for found in (mean_interval(values), mean_interval(values, index)):
        assert found.value == pytest.approx(mean_of_point_means(values), rel=1e-13)


# -- the same however it is fed


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("cuts", [[1], [3, 50, 50, 120], range(1, 200)])
def test_blocks_of_any_size_in_any_order_give_the_same(clustered, cuts):
    values, index = uneven(6)
    values[:10, 1] = NAN
    whole = mean_interval(values, index if clustered else None)
    for order in (np.arange(200), np.random.default_rng(1).permutation(200)):
        moments = Moments(4, clustered)
        for rows in np.split(order, list(cuts)):
            moments.add(values[rows], index[rows] if clustered else None)
        assert moments.interval() == pytest.approx(whole, rel=1e-11)
    # asking in between changes nothing
    assert moments.interval(0.5).low > whole.low
    assert moments.interval() == pytest.approx(whole, rel=1e-11)


@pytest.mark.parametrize("clustered", [False, True])
def test_units_and_origin_do_not_matter(clustered):
    values, index = uneven(7)
    clusters = index if clustered else None
    plain = mean_interval(values, clusters)
    scaled = mean_interval(1000 * values, clusters)
    assert scaled[:3] == pytest.approx(tuple(1000 * np.array(plain[:3])), rel=1e-12)
    assert scaled[3:] == plain[3:]
    moved = mean_interval(values + 1e6, clusters)
    assert np.array(moved[:3]) - 1e6 == pytest.approx(plain[:3], rel=1e-8)
    mirrored = mean_interval(-values, clusters)
    assert mirrored[:3] == pytest.approx((-plain.value, -plain.high, -plain.low), rel=1e-11)


def test_names_of_clusters_do_not_matter():
    values, index = uneven(8)
    names = np.array([f"capture {k * 7 % 15:02d}" for k in range(15)])[index]
    assert mean_interval(values, names) == pytest.approx(mean_interval(values, index), rel=1e-12)
    assert median_interval(values, names) == pytest.approx(median_interval(values, index), rel=1e-12)
    gaps = Moments(4, clustered=True)
    gaps.add(values, 3 * index + 2)
    assert gaps.interval() == pytest.approx(mean_interval(values, index), rel=1e-12)


def test_repeating_the_samples_of_clusters_changes_no_interval_but_of_samples():
    values, index = uneven(9)
    once, twice = mean_interval(values, index), mean_interval(np.r_[values, values], np.r_[index, index])
    assert twice == pytest.approx(once._replace(n=2 * once.n), rel=1e-10)
    assert mean_interval(np.r_[values, values]).high < mean_interval(values).high


# -- at the edges


@pytest.mark.parametrize("value", [0.1, 6.0, 1e6 / 3])
@pytest.mark.parametrize("clusters", [None, np.arange(30) % 4])
def test_constant_values_have_an_interval_of_no_width(value, clusters):
    for estimate in (mean_interval, median_interval, median_of_all):
        values = np.full((30, 2), value)
        values[3:9, 1] = NAN
        found = estimate(values, clusters)
        assert found[:3] == (value, value, value)
        assert found[3:5] == (30, 30 if clusters is None else 4)


@pytest.mark.parametrize("estimate", [mean_interval, median_interval, median_of_all])
def test_one_unit_leaves_the_interval_open(estimate):
    for values, clusters, n in (([[1.0], [2], [6]], ["a"] * 3, 3), ([[2.0]], None, 1), ([[NAN], [2.0]], ["a", "b"], 1)):
        found = estimate(np.array(values), clusters)
        assert (found.value, found.n, found.clusters) == (np.nanmedian(values) if n == 1 else found.value, n, 1)
        assert np.isnan([found.low, found.high, found.df]).all()


@pytest.mark.parametrize("estimate", [mean_interval, median_interval, median_of_all])
@pytest.mark.parametrize("clusters", [None, ["a", "b", "b"]])
def test_no_value_at_all_is_nan(estimate, clusters):
    found = estimate(np.full((3, 2), NAN), clusters)
    assert np.isnan([found.value, found.low, found.high, found.df]).all()
    assert found[3:5] == (0, 0)


def test_nothing_added_is_nan():
    for clustered in (False, True):
        moments = Moments(2, clustered)
        assert np.isnan(moments.interval().value)
        moments.add(np.zeros((0, 2)), np.zeros(0, int) if clustered else None)
        assert np.isnan(moments.interval().value)
        assert moments.interval()[3:5] == (0, 0)


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("estimate", [mean_interval, median_interval, median_of_all])
def test_what_nobody_has_changes_nothing(estimate, clustered):
    values, index = uneven(10)
    more = np.full((230, 5), NAN)
    more[:200, :3], more[:200, 4] = values[:, :3], values[:, 3]
    found = estimate(more, np.r_[index, np.arange(30) + 50] if clustered else None)
    assert found == pytest.approx(estimate(values, index if clustered else None), rel=1e-10)


def test_shapes_and_clusters_must_be_as_announced():
    with pytest.raises(InvalidError, match=r"Cannot average values \(3, 2\)"):
        Moments(3).add(np.zeros((3, 2)))
    with pytest.raises(InvalidError, match=r"\(1, 1, 1\)"):
        Moments().add(np.zeros((1, 1, 1)))
    for moments, clusters in ((Moments(), np.zeros(2, int)), (Moments(1, clustered=True), None)):
        with pytest.raises(InvalidError, match="with every block or with none"):
            moments.add(np.zeros(2), clusters)
    for clusters in ([0, -1], [0], [[0, 1]]):
        with pytest.raises(InvalidError, match="Cannot tell the clusters"):
            Moments(1, clustered=True).add(np.zeros(2), np.array(clusters))
    for estimate in (mean_interval, median_interval, median_of_all):
        with pytest.raises(InvalidError, match="Cannot tell the clusters"):
            estimate(np.zeros((3, 1)), ["a", "b"])


def test_defaults_are_one_column_of_samples():
    moments = Moments()
    moments.add([1.0, 2.0])
    moments.add(np.array([[4.0], [5.0]]))
    assert (moments.columns, moments.clustered, moments.samples) == (1, False, 4)
    assert moments.interval() == pytest.approx(mean_interval([1, 2, 4, 5]))


# -- medians


def test_the_median_of_one_column_has_woodruffs_interval():
    """Share below the median: standard error sqrt(0.25/(n-1)) for even n; its t limits' quantiles are the ends."""
    values = np.random.default_rng(11).lognormal(1.7, 0.5, 60)
    window = stdtrit(59, 0.975) * np.sqrt(0.25 / 59)
    expected = (np.median(values), *np.quantile(values, [0.5 - window, 0.5 + window]))
    for estimate in (median_interval, median_of_all):
        assert estimate(values[:, None]) == pytest.approx((*expected, 60, 60, 59), rel=1e-8)
    window = stdtrit(59, 0.75) * np.sqrt(0.25 / 59)
    assert median_interval(values[:, None], level=0.5)[1:3] == pytest.approx(
        np.quantile(values, [0.5 - window, 0.5 + window])
    )


def test_the_median_of_odd_and_tied_samples_counts_ties_half():
    """1, 2, 2, 3, 9: shares 1, 1/2, 1/2, 0, 0 of mean 0.4; their s is 0.4183, over sqrt(5) 0.1871, t of 4 degrees.

    At 95 % that is beyond a half either way: a line through the smallest and the largest value goes on.
    """
    window = stdtrit(4, 0.975) * np.std([1, 0.5, 0.5, 0, 0], ddof=1) / np.sqrt(5)
    assert window > 0.5
    assert median_interval(np.array([[1.0], [2], [2], [3], [9]]))[:3] == pytest.approx(
        (2, 2 - 2 * window, 2 + 14 * window)
    )
    window = stdtrit(4, 0.75) * np.std([1, 0.5, 0.5, 0, 0], ddof=1) / np.sqrt(5)
    expected = np.quantile([1, 2, 2, 3, 9], [0.5 - window, 0.5 + window])
    assert median_interval(np.array([[1.0], [2], [2], [3], [9]]), level=0.5)[1:3] == pytest.approx(expected)


def test_the_median_of_clusters_goes_by_their_shares_below():
    """Equal clusters with 4, 3, 1, 0 of 4 below: shares 1, 3/4, 1/4, 0; s/sqrt(4) = 0.2282."""
    low, high = [1.0, 2, 3, 4, 5, 6, 7, 8], [11.0, 12, 13, 14, 15, 16, 17, 18]
    values = np.array([*low[:4], *low[4:7], high[0], low[7], *high[1:4], *high[4:]])[:, None]
    window = stdtrit(3, 0.75) * np.std([1, 0.75, 0.25, 0], ddof=1) / 2
    expected = np.quantile(values, [0.5 - window, 0.5 + window])
    found = median_interval(values, np.arange(16) // 4, 0.5)
    assert found == pytest.approx((9.5, *expected, 16, 4, 3))
    # 95 % go beyond a half either way: from the median through the ends of the values, and further
    window = stdtrit(3, 0.975) * np.std([1, 0.75, 0.25, 0], ddof=1) / 2
    assert median_interval(values, np.arange(16) // 4)[1:3] == pytest.approx((9.5 - 17 * window, 9.5 + 17 * window))


def test_the_medians_of_columns_add_up_per_unit():
    """Twice the same column is that column; opposite columns cancel."""
    values = np.random.default_rng(12).lognormal(size=(80, 1))
    index = np.arange(80) // 9
    for clusters in (None, index):
        alone = median_interval(values, clusters)
        assert median_interval(np.repeat(values, 2, 1), clusters) == pytest.approx(alone)
        both = median_interval(np.hstack([values, 3 * values]), clusters)
        assert both[:3] == pytest.approx(tuple(2 * np.array(alone[:3])))
    symmetric = np.r_[-3.0, -2, -1, 1, 2, 3][:, None]
    assert median_interval(np.hstack([symmetric, -symmetric]))[:3] == pytest.approx((0, 0, 0), abs=1e-12)


def test_the_medians_of_columns_with_missing_values():
    values, index = uneven(13)
    values[:, 1] = NAN
    for clusters, units in ((None, 200), (index, 15)):
        found = median_interval(values, clusters)
        assert found.value == pytest.approx(mean_of_point_medians(values), rel=1e-13)
        have = ~np.isnan(values).all(1)
        assert (found.n, found.clusters) == (have.sum(), min(units, have.sum()))
        assert 0 < found.value - found.low < 2
        assert 0 < found.high - found.value < 2
        # of the order of a mean's
        mean = mean_interval(values, clusters)
        assert 0.4 < (found.high - found.low) / (mean.high - mean.low) < 2


def test_columns_are_read_one_at_a_time():
    values, _ = uneven(14)

    class OnDisk:
        shape, asked = values.shape, []

        def __len__(self):
            return len(values)

        def __getitem__(self, key):
            self.asked.append(key)
            return values[key].astype(np.float32)

    for estimate in (median_interval, median_of_all):
        OnDisk.asked.clear()
        assert estimate(OnDisk())[:3] == pytest.approx(estimate(values)[:3], rel=1e-6)
        assert OnDisk.asked == [(slice(None), j) for j in range(4)]


def test_the_median_of_all_counts_a_sample_by_its_values():
    """One cluster per sample, with as many values as it has."""
    values, index = uneven(15)
    pooled = values[~np.isnan(values)]
    for clusters in (None, index):
        found = median_of_all(values, clusters)
        owner = np.broadcast_to((np.arange(200) if clusters is None else index)[:, None], values.shape)
        long = median_interval(pooled[:, None], owner[~np.isnan(values)])
        assert found.value == np.median(pooled)
        assert found == pytest.approx(long._replace(n=int((~np.isnan(values)).any(1).sum())))
    assert median_of_all(values, index, 0.5).high < median_of_all(values, index).high
