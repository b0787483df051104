"""Means with a band: a percentile bootstrap over captures, which are drawn whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handbench.metrics.intervals import WARN_BELOW

RESAMPLES = 1000
LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class Band:
    """K means: mean, low, high (K,), NaN where nothing is; n (K,) how many values each is of; over how many clusters,
    and whether these are captures or single samples.
    """

    mean: NDArray
    low: NDArray
    high: NDArray
    n: NDArray
    clusters: int
    captures: bool

    @property
    def words(self) -> str:
        few = ", too few to be sure of" if self.clusters < WARN_BELOW else ""
        return f"95 % bootstrap over {self.clusters:,} {'captures' if self.captures else 'samples'}{few}"


def band(values: NDArray, clusters: NDArray | None, seed: int = 0) -> Band:
    """The mean of each column of values (N, K), NaN absent; `clusters` (N,): what was recorded together, None: every
    sample stands alone. A band where fewer than 2 clusters have a value is NaN.
    """
    if clusters is None:
        names, which = np.arange(len(values)), np.arange(len(values))
    else:
        names, which = np.unique(clusters, return_inverse=True)
    there = np.isfinite(values)
    sums, counts = np.zeros((len(names), values.shape[1])), np.zeros((len(names), values.shape[1]))
    np.add.at(sums, which, np.where(there, values, 0.0))
    np.add.at(counts, which, there)
    draw = np.random.default_rng(seed)
    drawn = np.full((RESAMPLES, values.shape[1]), np.nan)
    for row in drawn:
        times = np.bincount(draw.integers(len(names), size=len(names)), minlength=len(names))
        row[:] = _ratio(times @ sums, times @ counts)
    low, high = _percentiles(drawn)
    few = (counts > 0).sum(0) < 2
    return Band(
        _ratio(sums.sum(0), counts.sum(0)),
        np.where(few, np.nan, low),
        np.where(few, np.nan, high),
        counts.sum(0).astype(int),
        len(names),
        clusters is not None,
    )


def _ratio(sums: NDArray, counts: NDArray) -> NDArray:
    return np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)


def _percentiles(drawn: NDArray) -> NDArray:
    """(2, K): the middle `LEVEL` of each column's resamples; a resample without a value does not count."""
    found = np.full((2, drawn.shape[1]), np.nan)
    for k, column in enumerate(drawn.T):
        if np.isfinite(column).any():
            found[:, k] = np.nanquantile(column, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return found
