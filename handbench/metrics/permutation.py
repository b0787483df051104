"""Is a paired difference more than chance: sign flips of whole clusters, and what many tests at once leave of it.

If two methods were the same, a - b could as well be b - a in every cluster of samples, independently: the share of
such flips whose total is as far from 0 as the one seen is the p (Fisher 1935; Pitman 1937). A total that is divided
by its own standard error was tried and rejects as often, for unequal clusters too; see tests/proof/test_coverage.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ldexp
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from handbench.errors import InvalidError

DRAWS = 9999
ALL_UP_TO = 14
"""Up to so many units (2^14 flips) all flips are gone through; with more, some are drawn."""
NORMAL_ABOVE = 20_000
"""With more units than this the flips' normal limit replaces the draws."""
TIE = 1e-12
"""Totals that differ by less than this share of the largest possible total are the same: sums round."""
_AT_ONCE = 4_000_000


class Permutation(NamedTuple):
    """Two-sided p of one column; NaN without a value.

    smallest: the least p that so many units (whose difference is not 0) and draws could have shown.
    units: clusters, or samples where there are none, that have a value. exact: all flips were gone through.
    """

    p: float
    smallest: float
    units: int
    exact: bool


def sign_flip_test(
    differences: ArrayLike, clusters: ArrayLike | None = None, seed: int = 0, draws: int = DRAWS
) -> list[Permutation]:
    """Differences (N, M) or (N,), NaN where a sample has none; clusters (N,) labels -> the test of each column.

    The statistic is |sum|. All flips are gone through for up to 14 units, which makes `smallest` 2/2^units; otherwise
    p = (1 + flips as far)/(1 + draws) (Phipson & Smyth, SAGMB 2010). All columns share the draws, which depend on the
    seed and on the number of clusters only, so that a column has the same p beside any others. Above 20,000 units: the
    normal limit of the same distribution, sum/sqrt(sum of squares), never under 1/(1 + draws). Raises InvalidError.
    """
    values = np.asarray(differences, np.float64)
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2:
        raise InvalidError(f"Cannot test differences {values.shape}.", "They must be (samples, columns).")
    unit = np.arange(len(values)) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    if unit.shape != (len(values),):
        raise InvalidError("Cannot tell the clusters of the samples.", "Give one label per sample.")
    units = int(unit.max()) + 1 if len(unit) else 0
    present = ~np.isnan(values)
    sums = np.zeros((units, values.shape[1]))
    has = np.zeros((units, values.shape[1]), bool)
    np.add.at(sums, unit, np.where(present, values, 0.0))
    np.logical_or.at(has, unit, present)
    moving = (sums != 0).sum(0)
    drawn = np.flatnonzero((moving > ALL_UP_TO) & (moving <= NORMAL_ABOVE))
    shares = dict(zip(drawn.tolist(), _drawn(sums[:, drawn], seed, draws), strict=True))
    found = []
    for column, count in enumerate(has.sum(0).tolist()):
        one = sums[sums[:, column] != 0, column]
        # A flip and its mirror image are as far, so that 2 of all are.
        smallest = min(1.0, ldexp(1.0, 1 - len(one)))
        if count == 0:
            found.append(Permutation(float("nan"), float("nan"), 0, False))
        elif len(one) <= ALL_UP_TO:
            found.append(Permutation(_all_flips(one), smallest, count, True))
        else:
            smallest = max(smallest, 1 / (1 + draws))
            normal = float(2 * ndtr(-abs(one.sum()) / np.sqrt((one**2).sum())))
            found.append(Permutation(shares.get(column, max(normal, smallest)), smallest, count, False))
    return found


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p in the given order: the chance of any false one among them stays below the level (Holm, SJS 1979).

    NaN stays NaN and does not count as a test.
    """
    given = np.asarray(p, np.float64)
    order = np.argsort(given, kind="stable")[: int((~np.isnan(given)).sum())]
    adjusted = np.full(len(given), np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(given[order] * np.arange(len(order), 0, -1)), 1.0)
    return [float(value) for value in adjusted]


def _as_far(totals: NDArray, sums: NDArray) -> NDArray:
    """Whether each of the flips' totals (B, M) is as far from 0 as that of the sums (U, M)."""
    return np.abs(totals) >= np.abs(sums.sum(0)) - TIE * np.abs(sums).sum(0)


def _all_flips(sums: NDArray) -> float:
    """Share of the 2^U flips of the sums (U,) whose total is as far."""
    signs = 1.0 - 2.0 * (np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums)) & 1)
    return float(_as_far(signs @ sums[:, None], sums[:, None]).mean())


def _drawn(sums: NDArray, seed: int, draws: int) -> list[float]:
    """p of each column of the sums (U, M) from random flips; memory does not grow with the draws."""
    if not sums.shape[1]:
        return []
    generator = np.random.default_rng(seed)
    units, words = len(sums), -(-len(sums) // 64)
    rows = max(1, _AT_ONCE // (64 * words))
    count = np.zeros(sums.shape[1])
    for start in range(0, draws, rows):
        # Whole words a draw, so that the bits do not depend on how many draws are made at once.
        bits = generator.integers(0, 2**64, (min(rows, draws - start), words), np.uint64).astype("<u8")
        minus = np.unpackbits(bits.view(np.uint8), axis=1, count=units)
        count += _as_far(sums.sum(0) - 2 * (minus.astype(np.float64) @ sums), sums).sum(0)
    return ((1 + count) / (1 + draws)).tolist()
