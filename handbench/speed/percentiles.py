"""What is said of many timings: percentiles, and intervals from blocks of neighbours, which are not independent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handbench.speed.clock import WINDOW

RESAMPLES = 1000


def summary(ms: NDArray, seed: int = 0) -> dict[str, Any]:
    """n, min, p50 with its 95 % block-bootstrap interval, p90, p95, p99, max, mean; milliseconds."""
    p50, p90, p95, p99 = (float(v) for v in np.percentile(ms, (50, 90, 95, 99)))
    return {
        "n": len(ms),
        "min_ms": float(ms.min()),
        "p50_ms": p50,
        "p50_interval_ms": list(median_interval([ms], seed)),
        "p90_ms": p90,
        "p95_ms": p95,
        "p99_ms": p99,
        "max_ms": float(ms.max()),
        "mean_ms": float(ms.mean()),
    }


def median_interval(
    processes: Sequence[NDArray], seed: int = 0, block: int = WINDOW, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """95 % interval of the median over processes: whole processes are drawn, and in each whole blocks."""
    return _interval(_medians(processes, np.random.default_rng(seed), block, resamples))


def ratio_interval(
    a: Sequence[NDArray], b: Sequence[NDArray], seed: int = 0, block: int = WINDOW, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """95 % interval of median(a) / median(b) under the same two-level draw."""
    draw = np.random.default_rng(seed)
    return _interval(_medians(a, draw, block, resamples) / _medians(b, draw, block, resamples))


def _medians(processes: Sequence[NDArray], draw: np.random.Generator, block: int, resamples: int) -> NDArray:
    cut = [np.array_split(ms, max(1, len(ms) // block)) for ms in processes]
    found = np.empty(resamples)
    for i in range(resamples):
        parts = []
        for p in draw.integers(0, len(cut), len(cut)):
            parts += [cut[p][k] for k in draw.integers(0, len(cut[p]), len(cut[p]))]
        found[i] = np.median(np.concatenate(parts))
    return found


def _interval(values: NDArray) -> tuple[float, float]:
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)
