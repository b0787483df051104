"""How sure a mean or a median over samples is: t intervals that keep their promise with few clusters.

Samples recorded together (a cluster) are not independent: what is independent is the cluster or, without clusters, the
sample; below, the unit. An estimate is linearised into one contribution per unit; their squares, each corrected
for the share that the unit has in the estimate, give the variance, and its own uncertainty the degrees of freedom.
metrics/spread.py has the arithmetic; tests/proof/test_coverage.py measures how often such intervals hold the truth.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handbench.errors import InvalidError
from handbench.metrics.errors import sample_mean
from handbench.metrics.spread import ROUNDING, UNKNOWN, Spread, spread, spread_of_samples

LEVEL = 0.95
WARN_BELOW = 10
"""An interval over fewer clusters than this carries a warning: it covers, but is wide and leans on a model."""


class Interval(NamedTuple):
    """An estimate with its interval; low and high are NaN where fewer than two units tell about it.

    n: samples that have a value. clusters: units taken as independent (clusters, or samples where there are none).
    df: degrees of freedom of the t quantile.
    """

    value: float
    low: float
    high: float
    n: int
    clusters: int
    df: float


NAN = float("nan")
NOTHING = Interval(NAN, NAN, NAN, 0, 0, NAN)


class Moments:
    """What the mean of (N, columns) values and its interval need, gathered in one pass, block by block.

    The mean is the official one: over the columns, of each column's own mean over the samples that have it; columns
    that nobody has are left out (errors.mean_of_point_means). Memory: columns^2, or clusters x columns.
    """

    def __init__(self, columns: int = 1, clustered: bool = False) -> None:
        self.columns, self.clustered, self.samples = columns, clustered, 0
        # Sums are of differences from a pivot, a column's first median: large equal parts would cancel badly.
        self._pivot, self._level = np.full(columns, np.nan), 0.0
        rows = 0 if clustered else columns
        # Per cluster: sums and counts. Without clusters: products of columns (v v', v x', x x'), x = 1 where v is.
        self._sums, self._counts, self._squares = (np.zeros((rows, columns)) for _ in range(3))
        # Powers 1 to 3 of the samples' own means: products of three columns would be too many.
        self._powers = np.zeros(3)

    def add(self, values: ArrayLike, clusters: ArrayLike | None = None) -> None:
        """Values (n, columns), or (n,) for one column; NaN where a sample has none. Clusters (n,): index >= 0.

        Raises InvalidError where shapes or clusters are not what was announced.
        """
        block = np.asarray(values, np.float64)
        block = block[:, None] if block.ndim == 1 else block
        if block.ndim != 2 or block.shape[1] != self.columns:
            raise InvalidError(f"Cannot average values {block.shape}.", f"They must be (samples, {self.columns}).")
        if (clusters is not None) != self.clustered:
            raise InvalidError("Clusters must come with every block or with none.", "See Moments(clustered=...).")
        present = ~np.isnan(block)
        if not self.samples and present.any():
            self._level = float(block[present][0])
        for j in np.flatnonzero(np.isnan(self._pivot) & present.any(0)):
            self._pivot[j] = np.median(block[present[:, j], j])
        self.samples += int(present.any(1).sum())
        shifted = np.where(present, block - self._pivot, 0.0)
        if clusters is None:
            here = present.astype(np.float64)
            self._squares += shifted.T @ shifted
            self._sums += shifted.T @ here
            self._counts += here.T @ here
            own = sample_mean(block) - self._level
            self._powers += [np.nansum(own**power) for power in (1, 2, 3)]
        else:
            self._add_clusters(shifted, present, np.asarray(clusters))

    def _add_clusters(self, shifted: NDArray, present: NDArray, clusters: NDArray) -> None:
        if clusters.shape != (len(shifted),) or (len(clusters) and clusters.min() < 0):
            raise InvalidError("Cannot tell the clusters of the samples.", "Give one index from 0 on per sample.")
        if not len(clusters):
            return
        missing = int(clusters.max()) + 1 - len(self._sums)
        if missing > 0:
            self._sums, self._counts = (np.pad(a, ((0, missing), (0, 0))) for a in (self._sums, self._counts))
        order = np.argsort(clusters, kind="stable")
        which, starts = np.unique(clusters[order], return_index=True)
        self._sums[which] += np.add.reduceat(shifted[order], starts)
        self._counts[which] += np.add.reduceat(present[order].astype(np.float64), starts)

    def interval(self, level: float = LEVEL) -> Interval:
        """The mean so far with its t interval of this level."""
        seen = ~np.isnan(self._pivot)
        if not seen.any():
            return NOTHING
        rows = slice(None) if self.clustered else seen
        sums, counts = self._sums[rows][:, seen], self._counts[rows][:, seen]
        if self.clustered:
            total, units = counts.sum(0), int(counts.any(1).sum())
            means = sums.sum(0) / total
            found = spread(((sums - means * counts) / total).mean(1), counts / total, level)
        else:
            total, units = np.diag(counts), self.samples
            means = np.diag(sums) / total
            found = self._spread_of_samples(self._squares[seen][:, seen], sums, counts, means, level)
        value = float(np.mean(self._pivot[seen] + means))
        below, above = found.sides()
        return Interval(value, value - below, value + above, self.samples, units, found.df)

    def _spread_of_samples(
        self, squares: NDArray, sums: NDArray, counts: NDArray, means: NDArray, level: float
    ) -> Spread:
        """`spread` where each sample is a unit, from the products of columns (J, J); one scale for all samples."""
        total = np.diag(counts)
        lean, columns, share = sums * means, len(total), counts / np.outer(total, total)
        products = squares - lean - lean.T + np.outer(means, means) * counts
        weight2 = share.sum() / columns**2
        expected = weight2 - 2 * (share / total).sum() / columns**2 + (share**2).sum() / columns**2
        if expected <= ROUNDING * weight2:
            return UNKNOWN
        variance = (products / np.outer(total, total)).sum() / columns**2 * weight2 / expected
        first, second, third = self._powers / self.samples
        second, third = second - first**2, third - 3 * first * second + 2 * first**3
        skew = third / second * np.sqrt(weight2 / second) if variance > 0 and second > 0 else 0.0
        return spread_of_samples(float(np.sqrt(max(variance, 0.0))), float(skew), float(1 / weight2), level)


def mean_interval(values: ArrayLike, clusters: ArrayLike | None = None, level: float = LEVEL) -> Interval:
    """`Moments` of values (N,) or (N, K) at once; clusters (N,) are labels of any kind."""
    values = np.asarray(values, np.float64)
    moments = Moments(1 if values.ndim == 1 else values.shape[1], clusters is not None)
    moments.add(values, None if clusters is None else _units(len(values), clusters))
    return moments.interval(level)


def median_interval(values: Any, clusters: ArrayLike | None = None, level: float = LEVEL) -> Interval:
    """The mean over columns of each column's own median (errors.mean_of_point_medians), with its interval.

    `values` (N, K): anything of which values[:, j] is a column, so also a dataset on disk; NaN where there is none.
    The share of samples below a median has a spread as any mean; the quantiles at its ends say how far the median moves
    with that share (Woodruff, JASA 1952; for one column, his interval). Columns add up per unit. Ends beyond a share of
    0 or 1 lie on the line through the smallest or the largest value.
    """
    unit, columns = _units(len(values), clusters), []
    has = np.zeros(len(unit), bool)
    for j in range(values.shape[1]):
        column = np.asarray(values[:, j], np.float64)
        present = ~np.isnan(column)
        if present.any():
            has |= present
            columns.append(_median(column[present], unit[present], int(unit.max()) + 1, level))
    return _mean_of_medians(columns, unit[has], level)


def median_of_all(values: Any, clusters: ArrayLike | None = None, level: float = LEVEL) -> Interval:
    """The median of all (sample, column) values of (N, K) together, with its interval as in `median_interval`.

    Not the official median. All values are held in memory.
    """
    table = np.stack([np.asarray(values[:, j], np.float64) for j in range(values.shape[1])], 1)
    unit, present = _units(len(table), clusters), ~np.isnan(table)
    everyone = np.broadcast_to(unit[:, None], table.shape)[present]
    columns = [_median(table[present], everyone, int(unit.max()) + 1, level)] if len(everyone) else []
    return _mean_of_medians(columns, unit[np.any(present, 1)], level)


def _units(count: int, clusters: ArrayLike | None) -> NDArray:
    unit = np.arange(count) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    if unit.shape != (count,):
        raise InvalidError("Cannot tell the clusters of the samples.", "Give one label per sample.")
    return unit


def _median(column: NDArray, unit: NDArray, units: int, level: float) -> tuple[float, NDArray, NDArray, NDArray]:
    """Median of a column, what each unit moves it by where that is downwards and upwards, and the units' shares."""
    ordered = np.sort(column)
    median = np.median(ordered)
    below = (column < median) + 0.5 * (column == median)
    count = np.bincount(unit, minlength=units)
    share = count / len(column)
    part = (below.mean() * count - np.bincount(unit, below, units)) / len(column)
    found = spread(part, share[:, None], level)
    if not found.error > 0:
        return float(median), part * found.error, part * found.error, share
    window = min(found.t * found.error, 0.5)
    low, high = np.quantile(ordered, [0.5 - window, 0.5 + window])
    return float(median), part * (median - low) / window, part * (high - median) / window, share


def _mean_of_medians(columns: list[tuple[float, NDArray, NDArray, NDArray]], unit: NDArray, level: float) -> Interval:
    if not columns:
        return NOTHING
    medians, down, up, share = (np.mean(part, 0) for part in zip(*columns, strict=True))
    below, above = (spread(part, share[:, None], level) for part in (down, up))
    value = float(medians)
    return Interval(
        value,
        value - below.t * below.error,
        value + above.t * above.error,
        len(unit),
        len(np.unique(unit)),
        below.df,
    )
