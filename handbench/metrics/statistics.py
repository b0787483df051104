"""How sure a mean is: bootstrap intervals over samples or clusters of samples, and paired differences.

What is resampled is the cluster (samples recorded together are not independent); without clusters, the sample.
All columns of a table share the same resamples. A result depends on its seed and on nothing else.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from handbench.errors import InvalidError

LEVEL = 0.95
RESAMPLES = 2000


class Interval(NamedTuple):
    """A mean over samples with its interval; low and high are NaN with fewer than two clusters."""

    value: float
    low: float
    high: float
    n: int


class Difference(NamedTuple):
    """Mean of a - b over the samples that both have, with its interval; `certain` if that leaves 0 out."""

    value: float
    low: float
    high: float
    n: int

    @property
    def certain(self) -> bool:
        return self.low > 0 or self.high < 0


def mean_intervals(
    values: ArrayLike, clusters: ArrayLike | None = None, seed: int = 0, resamples: int = RESAMPLES
) -> list[Interval]:
    """Values (N, M), one column a metric, NaN where a sample has none -> the mean of each column, BCa interval.

    BCa: Efron, JASA 1987, eq. 6.2-6.8; the acceleration from the leave-one-cluster-out means.
    """
    values = np.asarray(values, np.float64)
    totals, counts = _by_cluster(values, clusters)
    means = _ratio(totals.sum(0), counts.sum(0))
    drawn = _resampled_means(totals, counts, seed, resamples) if len(totals) > 1 else np.empty((0, len(means)))
    left_out = _ratio(totals.sum(0) - totals, counts.sum(0) - counts)
    found = []
    for m, mean in enumerate(means):
        low, high = _bca(mean, drawn[:, m], left_out[counts[:, m] > 0, m])
        found.append(Interval(float(mean), low, high, int(counts[:, m].sum())))
    return found


def mean_interval(
    values: ArrayLike, clusters: ArrayLike | None = None, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """`mean_intervals` of one column (N,)."""
    return mean_intervals(np.asarray(values, np.float64)[:, None], clusters, seed, resamples)[0]


def paired_difference(
    a: ArrayLike, b: ArrayLike, seed: int = 0, clusters: ArrayLike | None = None, resamples: int = RESAMPLES
) -> Difference:
    """Mean of a - b, (N,) each, same samples in the same order, with its 95 % interval. Raises InvalidError."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise InvalidError(f"Cannot pair {a.shape} values with {b.shape}.", "Both must have one value per sample.")
    return Difference(*mean_interval(a - b, clusters, seed, resamples))


def _by_cluster(values: NDArray, clusters: ArrayLike | None) -> tuple[NDArray, NDArray]:
    """Sums and counts (C, M) of the values that are there, per cluster."""
    present = ~np.isnan(values)
    filled = np.where(present, values, 0.0)
    if clusters is None:
        return filled, present.astype(np.float64)
    names, index = np.unique(np.asarray(clusters), return_inverse=True)
    totals, counts = np.zeros((len(names), values.shape[1])), np.zeros((len(names), values.shape[1]))
    np.add.at(totals, index, filled)
    np.add.at(counts, index, present)
    return totals, counts


def _resampled_means(totals: NDArray, counts: NDArray, seed: int, resamples: int) -> NDArray:
    """Means (B, M) of `resamples` draws of as many clusters as there are, with replacement."""
    generator = np.random.default_rng(seed)
    size = len(totals)
    table = np.concatenate([totals, counts], 1)
    sums = np.empty((resamples, table.shape[1]))
    for start in range(0, resamples, 64):
        stop = min(start + 64, resamples)
        # One draw at a time, so that the numbers do not depend on how they are grouped.
        weights = np.stack([np.bincount(generator.integers(0, size, size), minlength=size) for _ in range(start, stop)])
        sums[start:stop] = weights.astype(np.float64) @ table
    return _ratio(sums[:, : totals.shape[1]], sums[:, totals.shape[1] :])


def _bca(mean: float, drawn: NDArray, left_out: NDArray) -> tuple[float, float]:
    drawn, left_out = drawn[~np.isnan(drawn)], left_out[~np.isnan(left_out)]
    if np.isnan(mean) or len(drawn) < 2 or len(left_out) < 2:
        return float("nan"), float("nan")
    if drawn.min() == drawn.max():
        return float(drawn[0]), float(drawn[0])
    # Ties (a score that takes few values) are split evenly, else the bias of a constant would be infinite.
    below = ((drawn < mean).sum() + 0.5 * (drawn == mean).sum()) / len(drawn)
    edge = 0.5 / len(drawn)
    bias = ndtri(np.clip(below, edge, 1 - edge))
    skew = left_out.mean() - left_out
    spread = (skew**2).sum() ** 1.5
    acceleration = (skew**3).sum() / (6 * spread) if spread > 0 else 0.0
    tail = ndtri(np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    shifted = bias + (bias + tail) / (1 - acceleration * (bias + tail))
    low, high = np.quantile(drawn, ndtr(shifted))
    return float(low), float(high)


def _ratio(total: NDArray, count: NDArray) -> NDArray:
    return np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)
