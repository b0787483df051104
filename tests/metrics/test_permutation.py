"""Sign flips of clusters counted by hand, by brute force and in their limit; Holm's adjustment by hand."""

from itertools import product
from math import comb

import numpy as np
import pytest
from scipy.special import ndtr

from handbench.errors import InvalidError
from handbench.metrics import permutation
from handbench.metrics.permutation import ALL_UP_TO, DRAWS, NORMAL_ABOVE, Permutation, holm, sign_flip_test

NAN = float("nan")


def test_what_is_promised():
    assert (DRAWS, ALL_UP_TO, NORMAL_ABOVE) == (9999, 14, 20_000)
    assert Permutation._fields == ("p", "smallest", "units", "exact")


def test_three_units_by_hand():
    """1, 2, 3: only all plus and all minus reach 6. 1, 2, -3: sums 0, 2, 4, 6 and their mirrors are all as far as 0."""
    assert sign_flip_test([1, 2, 3]) == [(0.25, 0.25, 3, True)]
    assert sign_flip_test([1, 2, -3]) == [(1.0, 0.25, 3, True)]
    # -1 + 2 + 3 = 4: so are 1 + 2 + 3, and the mirrors
    assert sign_flip_test([-1, 2, 3]) == [(0.5, 0.25, 3, True)]
    assert sign_flip_test([5.0]) == [(1.0, 1.0, 1, True)]
    assert sign_flip_test([5.0, 4.0]) == [(0.5, 0.5, 2, True)]


def test_clusters_flip_as_one():
    """Sums 3, 3, -1 of clusters: 5, as far are 5 and 7 and their mirrors."""
    found = sign_flip_test([1, 2, 3, -2, 1], ["x", "x", "y", "z", "z"])
    assert found == [(0.5, 0.25, 3, True)]
    # 4 and 1: only both the same way
    assert sign_flip_test(np.array([[4.0], [-1], [2]]), [5, 7, 7]) == [(0.5, 0.5, 2, True)]


def test_a_unit_without_a_difference_cannot_flip_but_is_there():
    assert sign_flip_test([1, 0, 2, 3, 0]) == [(0.25, 0.25, 5, True)]
    assert sign_flip_test([0.0, 0.0]) == [(1.0, 1.0, 2, True)]
    assert sign_flip_test([1, -1, 2], ["a", "a", "b"]) == [(1.0, 1.0, 2, True)]


def test_a_missing_value_is_not_there():
    columns = np.array([[1, NAN], [2, NAN], [NAN, NAN], [3, NAN]])
    there, nothing = sign_flip_test(columns)
    assert there == (0.25, 0.25, 3, True)
    assert np.isnan([nothing.p, nothing.smallest]).all()
    assert nothing[2:] == (0, False)
    assert sign_flip_test(columns, ["a", "a", "b", "c"])[0] == (0.5, 0.5, 2, True)


def test_no_samples():
    (nothing,) = sign_flip_test(np.zeros((0, 1)))
    assert np.isnan(nothing.p)
    assert nothing.units == 0


def test_all_flips_are_gone_through_up_to_fourteen():
    values = np.random.default_rng(0).normal(0.4, 1, 15)
    totals = np.array([values[:14] @ signs for signs in product((-1, 1), repeat=14)])
    share = (np.abs(totals) >= abs(values[:14].sum()) - 1e-9).mean()
    (found,) = sign_flip_test(values[:14])
    assert found == (share, 2 / 2**14, 14, True)
    assert sign_flip_test(values[:14], seed=5) == [found]
    (more,) = sign_flip_test(values)
    assert more[1:] == (1e-4, 15, False)
    # a zero is not among those that flip
    assert sign_flip_test(np.r_[values[:14], 0.0]) == [(share, 2 / 2**14, 15, True)]


def test_drawn_flips_agree_with_all_of_them(monkeypatch):
    values = np.random.default_rng(1).normal(0.3, 1, (14, 6))
    exact = sign_flip_test(values)
    monkeypatch.setattr(permutation, "ALL_UP_TO", 0)
    drawn = sign_flip_test(values)
    for a, b in zip(exact, drawn, strict=True):
        assert b.p == pytest.approx(a.p, abs=4 * np.sqrt(a.p * (1 - a.p) / 9999))
        assert b[1:] == (2 / 2**14, 14, False)
    assert sign_flip_test(values, draws=99)[0].smallest == 0.01


def test_every_draw_is_counted(monkeypatch):
    """Of one unit both flips are as far: p = (1 + draws)/(1 + draws), in whatever pieces."""
    monkeypatch.setattr(permutation, "ALL_UP_TO", 0)
    for at_once in (1, 640, 10**6):
        monkeypatch.setattr(permutation, "_AT_ONCE", at_once)
        assert sign_flip_test([2.0], draws=99) == [(1.0, 1.0, 1, False)]


def test_drawn_flips_agree_with_their_normal_limit(monkeypatch):
    values = np.random.default_rng(2).normal(0, 1, (400, 8)) + np.linspace(-0.1, 0.1, 8)
    drawn = sign_flip_test(values)
    monkeypatch.setattr(permutation, "NORMAL_ABOVE", 399)
    limit = sign_flip_test(values)
    assert [test.exact for test in limit] == [False] * 8
    for test, other, column in zip(drawn, limit, values.T, strict=True):
        assert other.p == pytest.approx(2 * ndtr(-abs(column.sum()) / np.sqrt((column**2).sum())), rel=1e-12)
        assert test.p == pytest.approx(other.p, abs=4 * np.sqrt(other.p * (1 - other.p) / 9999) + 0.005)
        assert test[1:] == other[1:] == (1e-4, 400, False)
    monkeypatch.setattr(permutation, "NORMAL_ABOVE", 400)
    assert sign_flip_test(values) == drawn


def test_many_units_take_the_normal_limit_and_no_less_than_draws_could_show():
    ones = np.r_[np.ones(10_100), -np.ones(9_901)]
    (found,) = sign_flip_test(ones)
    assert found == (pytest.approx(2 * ndtr(-199 / np.sqrt(20_001))), 1e-4, 20_001, False)
    assert sign_flip_test(np.ones(20_001)) == [(1e-4, 1e-4, 20_001, False)]
    assert sign_flip_test(np.ones(20_001), draws=99)[0].p == 0.01


def test_a_p_that_no_draw_reaches_is_the_smallest():
    for draws, smallest in ((9999, 1e-4), (499, 0.002)):
        assert sign_flip_test(np.ones(100), draws=draws) == [(smallest, smallest, 100, False)]
    assert sign_flip_test(np.ones(100)) == sign_flip_test(-np.ones(100))


def test_totals_that_are_equal_but_for_rounding_are_ties():
    """Tenths do not add up the same in every order; all of the flips that give 0.2 count."""
    values = np.r_[np.full(9, 0.1), np.full(7, -0.1)]
    (found,) = sign_flip_test(values)
    share = 1 - comb(16, 8) / 2**16
    assert found.p == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 9999))
    assert sign_flip_test(1e9 * values) == sign_flip_test(1e-9 * values) == [found]
    # 7 against 3: all but those of 5 and of 4 or 6
    assert sign_flip_test(values[2:12])[0].p == 1 - (comb(10, 5) + 2 * comb(10, 4)) / 2**10


def test_the_same_seed_gives_the_same_and_another_another():
    values = np.random.default_rng(3).normal(0.05, 1, (300, 3))
    assert sign_flip_test(values) == sign_flip_test(values, seed=0)
    assert sign_flip_test(values, seed=7) == sign_flip_test(values, seed=7)
    assert [t.p for t in sign_flip_test(values, seed=7)] != [t.p for t in sign_flip_test(values)]
    assert sign_flip_test(values)[1].p == 0.0119


@pytest.mark.parametrize("at_once", [1, 1000, 64 * 5 * 9999, 10**8])
def test_how_many_are_drawn_at_once_does_not_matter(monkeypatch, at_once):
    values = np.random.default_rng(4).normal(0.05, 1, (300, 3))
    plain = sign_flip_test(values, draws=500)
    monkeypatch.setattr(permutation, "_AT_ONCE", at_once)
    assert sign_flip_test(values, draws=500) == plain


def test_a_column_has_the_same_p_beside_any_others():
    generator = np.random.default_rng(5)
    values, index = generator.normal(0.1, 1, (500, 4)), generator.integers(0, 70, 500)
    values[generator.random(values.shape) < 0.3] = NAN
    values[index > 8, 3] = NAN
    together = sign_flip_test(values, index)
    assert together == [sign_flip_test(column, index)[0] for column in values.T]
    assert [test.exact for test in together] == [False, False, False, True]
    assert [test.units for test in together] == [70, 70, 70, 9]


def test_names_and_order_within_clusters_do_not_matter():
    generator = np.random.default_rng(6)
    values, index = generator.normal(0.1, 1, 200), np.arange(200) // 5
    order = generator.permutation(200)
    names = np.array([f"capture {k:03d}" for k in range(40)])[index]
    assert sign_flip_test(values[order], names[order]) == sign_flip_test(values, index)
    assert sign_flip_test(values.reshape(40, 5).sum(1)) == sign_flip_test(values, index)


def test_shapes_must_fit():
    with pytest.raises(InvalidError, match=r"Cannot test differences \(2, 1, 1\)"):
        sign_flip_test(np.zeros((2, 1, 1)))
    for clusters in (["a"], [["a", "b"]]):
        with pytest.raises(InvalidError, match="Cannot tell the clusters"):
            sign_flip_test([1.0, 2.0], clusters)


def test_holm_by_hand():
    """Sorted 0.01 x 4, 0.03 x 3, 0.04 x 2 (no less than before), 0.5."""
    assert holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm([0.02]) == [0.02]
    assert holm([0.6, 0.4, 0.7]) == [1.0, 1.0, 1.0]
    assert holm([0.02, 0.02]) == [0.04, 0.04]


def test_holm_passes_over_what_is_no_test():
    adjusted = holm([NAN, 0.01, NAN, 0.04])
    assert np.isnan([adjusted[0], adjusted[2]]).all()
    assert adjusted[1::2] == [0.02, 0.04]
    assert holm([]) == []
    assert np.isnan(holm([NAN])).all()
    assert all(type(value) is float for value in adjusted)
