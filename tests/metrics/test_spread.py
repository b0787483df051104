"""The standard error of few unequal units and the t that fits it, against closed forms and brute force."""

import numpy as np
import pytest
from scipy.special import stdtrit

from handbench.metrics.spread import LONGEST, Spread, _degrees, critical, spread, spread_of_samples


def squares(weight):
    return weight**2 / (1 - 2 * weight + (weight**2).sum())


@pytest.mark.parametrize("units", [2, 3, 5, 20, 300])
@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99])
def test_with_equal_units_t_is_students(units, level):
    weight = np.full(units, 1 / units)
    assert critical(weight, squares(weight), level) == pytest.approx(stdtrit(units - 1, (1 + level) / 2), rel=1e-10)


@pytest.mark.parametrize("share", [0.6, 0.9, 0.99])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_with_two_units_t_is_a_shifted_cauchys(share, level):
    """w'u over a multiple of |u1 - u2|: two normals with a correlation."""
    weight = np.array([share, 1 - share])
    t = critical(weight, squares(weight), level)
    correlation = (2 * share - 1) / np.sqrt(2 * (weight**2).sum())
    rest = np.sqrt(1 - correlation**2)
    at = t * np.sqrt((squares(weight) * weight[::-1] ** 2).sum() * 2 / (weight**2).sum())
    inside = (np.arctan((at - correlation) / rest) + np.arctan((at + correlation) / rest)) / np.pi
    assert inside == pytest.approx(level, abs=1e-6)


@pytest.mark.parametrize(
    ("sizes", "level", "expected"),
    [
        ([13, 25, 45, 82, 147], 0.95, 3.779257951698),
        ([8, 1, 1], 0.95, 6.001080502),
        ([16, 8, 4, 2, 1], 0.99, 7.471005738),
    ],
)
def test_with_unequal_units_t_is_what_simulation_says(sizes, level, expected):
    weight = np.array(sizes) / np.sum(sizes)
    assert critical(weight, squares(weight), level) == pytest.approx(expected, rel=1e-9)
    effects = np.random.default_rng(0).standard_normal((200_000, len(sizes)))
    mean = effects @ weight
    under = np.sqrt((squares(weight) * (effects - mean[:, None]) ** 2).sum(1))
    assert (np.abs(mean) <= expected * under).mean() == pytest.approx(level, abs=0.002)


def test_units_of_one_size_are_one_entry_and_their_order_is_nothing():
    weight = np.array([1, 3, 1, 2, 3, 1]) / 11
    t = critical(weight, squares(weight), 0.95)
    assert critical(weight[::-1].copy(), squares(weight[::-1]), 0.95) == t
    slightly = weight + 1e-9 * np.array([1, 1, -1, 0, -1, 0])
    assert critical(slightly, squares(slightly), 0.95) == pytest.approx(t, rel=1e-7)


def test_two_equal_units_by_hand():
    """Means 1 and 4: standard error |1 - 4|/2, t of one degree of freedom, no skewness."""
    found = spread(np.array([-0.75, 0.75]), np.array([[0.5], [0.5]]), 0.95)
    assert found == pytest.approx((1.5, 0.0, 12.7062047361747, 1.0), rel=1e-9, abs=1e-12)
    assert found.sides() == pytest.approx((1.5 * 12.7062047361747,) * 2)


def test_three_unequal_units_by_hand():
    """Weights 0.5, 0.3, 0.2 of 1, 2, 4: mean 1.9, sum of squared weights 0.38, scales 1/0.38, 1/0.78, 1/0.98."""
    weight, values = np.array([0.5, 0.3, 0.2]), np.array([1.0, 2.0, 4.0])
    found = spread(weight * (values - 1.9), weight[:, None], 0.95)
    parts = np.array([-0.45 / 0.38**0.5, 0.03 / 0.78**0.5, 0.42 / 0.98**0.5])
    assert found.error == pytest.approx(np.sqrt(0.2025 / 0.38 + 0.0009 / 0.78 + 0.1764 / 0.98))
    assert found.skew == pytest.approx((parts**3).sum() / found.error**3)
    assert found.t == pytest.approx(critical(weight, weight**2 / np.array([0.38, 0.78, 0.98]), 0.95), rel=1e-12)
    assert stdtrit(found.df, 0.975) == pytest.approx(found.t)
    assert 1 < found.df < 2


def test_columns_that_miss_different_samples_get_the_expectation_of_the_model():
    counts = np.random.default_rng(1).integers(0, 6, (9, 4)).astype(float)
    shares = counts / counts.sum(0)
    weight = shares.mean(1)
    form = np.diag(weight) - shares @ shares.T / 4
    parts = form @ np.random.default_rng(2).normal(size=9)
    scale = weight**2 / (form**2).sum(1)
    found = spread(parts, shares, 0.95)
    assert found.error == pytest.approx(np.sqrt((scale * parts**2).sum()))
    assert found.skew == pytest.approx((scale**1.5 * parts**3).sum() / found.error**3)
    square, total = scale * weight**2, (weight**2).sum()
    expectation = (square * (1 - 2 * weight + total)).sum()
    assert expectation != pytest.approx(total, rel=1e-3)
    assert found.t == pytest.approx(critical(weight, square * total / expectation, 0.95), rel=1e-12)


def test_columns_of_the_same_shares_are_one_column():
    weight = np.array([0.5, 0.3, 0.2])
    parts = weight * (np.array([1.0, 2.0, 4.0]) - 1.9)
    assert spread(parts, np.stack([weight] * 3, 1), 0.9) == pytest.approx(spread(parts, weight[:, None], 0.9))


def test_units_without_a_share_are_none():
    parts, weight = np.array([-0.1, 0.0, 0.1, 0.0]), np.array([0.5, 0.0, 0.5, 0.0])
    assert spread(parts, weight[:, None], 0.95) == spread(parts[::2], weight[::2, None], 0.95)


def test_one_unit_or_columns_of_one_unit_each_tell_nothing():
    for shares in (np.ones((1, 1)), np.eye(2), np.eye(3), np.zeros((0, 1)), np.array([[1.0], [0.0]])):
        assert np.isnan(spread(np.zeros(len(shares)), shares, 0.95)).all()


def test_columns_of_two_units_each_do():
    """Four units, two a column: half of |a - b|/2 each; var = (d1^2 + d2^2)/16."""
    shares = np.array([[0.5, 0], [0.5, 0], [0, 0.5], [0, 0.5]])
    found = spread(np.array([-0.75, 0.75, -0.25, 0.25]) / 2, shares, 0.95)
    assert found.error == pytest.approx(np.sqrt((9 + 1) / 16))


def test_no_spread_is_no_skewness():
    found = spread(np.zeros(3), np.full((3, 1), 1 / 3), 0.95)
    assert found == pytest.approx((0, 0, stdtrit(2, 0.975), 2))
    assert found.sides() == (0.0, 0.0)


def test_a_tiny_spread_has_its_skewness():
    weight = np.array([0.5, 0.3, 0.2])
    parts = weight * (np.array([1.0, 2.0, 4.0]) - 1.9)
    small, usual = spread(1e-150 * parts, weight[:, None], 0.95), spread(parts, weight[:, None], 0.95)
    assert small.skew == pytest.approx(usual.skew)
    assert small.error == pytest.approx(1e-150 * usual.error)


def test_the_long_side_is_lengthened_by_johnsons_term_and_the_other_is_not_shortened():
    # half = 4; 2 x 0.1 x (1 + 2 x 4)/6 = 0.3
    assert Spread(2.0, 0.1, 2.0, 60.0).sides() == pytest.approx((4.0, 4.3))
    assert Spread(2.0, -0.1, 2.0, 60.0).sides() == pytest.approx((4.3, 4.0))
    assert Spread(2.0, 0.0, 2.0, 60.0).sides() == (4.0, 4.0)


def test_the_long_side_is_lengthened_by_a_quarter_at_most():
    assert LONGEST == 0.25
    assert Spread(2.0, 9.0, 2.0, 60.0).sides() == pytest.approx((4.0, 5.0))
    assert Spread(2.0, -9.0, 2.0, 60.0).sides() == pytest.approx((5.0, 4.0))


def test_samples_have_the_textbooks_t():
    assert spread_of_samples(2.0, 0.5, 10.0, 0.9) == pytest.approx((2.0, 0.5, 1.83311293265624, 9.0))


def test_degrees_are_infinite_where_t_is_not_above_the_normal_quantile():
    """Columns that lean on few units can have such a t; the interval is the normal one's."""
    assert _degrees(1.9599639845, 0.95) == np.inf
    assert _degrees(1.9, 0.95) == np.inf
    assert _degrees(1.96, 0.95) == pytest.approx(66_000, rel=0.02)
    assert _degrees(stdtrit(28, 0.95), 0.9) == pytest.approx(28)
    assert _degrees(4.302652729749462, 0.95) == pytest.approx(2)
