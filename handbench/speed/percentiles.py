"""What is said of many timings: percentiles, and intervals from blocks of neighbours, which are not independent.

The p50 of several processes is the median of their medians, so that one which did more calls counts no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handbench.speed.clock import WINDOW

RESAMPLES = 1000
# in all: of fewer an interval says nothing
BLOCKS = 10


def summary(processes: Sequence[NDArray], seed: int = 0) -> dict[str, Any]:
    """Of the calls of each process, ms: n, min, p50 with its 95 % block-bootstrap interval (None where there are too
    few calls), p90, p95, p99, max, mean; all but p50 over the calls of all processes together.
    """
    ms = np.concatenate(processes)
    p90, p95, p99 = (float(v) for v in np.percentile(ms, (90, 95, 99)))
    return {
        "n": len(ms),
        "min_ms": float(ms.min()),
        "p50_ms": centre(processes),
        "p50_interval_ms": median_interval(processes, seed),
        "p90_ms": p90,
        "p95_ms": p95,
        "p99_ms": p99,
        "max_ms": float(ms.max()),
        "mean_ms": float(ms.mean()),
    }


def centre(processes: Sequence[NDArray]) -> float:
    """The median of the processes' medians."""
    return float(np.median([np.median(ms) for ms in processes]))


def median_interval(
    processes: Sequence[NDArray], seed: int = 0, block: int = WINDOW, resamples: int = RESAMPLES
) -> list[float] | None:
    """95 % interval of `centre`: whole processes are drawn, and in each whole blocks; None below 10 blocks in all."""
    if _blocks(processes, block) < BLOCKS:
        return None
    return _interval(_centres(processes, np.random.default_rng(seed), block, resamples))


def ratio_interval(
    a: Sequence[NDArray], b: Sequence[NDArray], seed: int = 0, block: int = WINDOW, resamples: int = RESAMPLES
) -> list[float] | None:
    """95 % interval of centre(a) / centre(b) under the same two-level draw; None where either has too few blocks."""
    if min(_blocks(a, block), _blocks(b, block)) < BLOCKS:
        return None
    draw = np.random.default_rng(seed)
    return _interval(_centres(a, draw, block, resamples) / _centres(b, draw, block, resamples))


def _blocks(processes: Sequence[NDArray], block: int) -> int:
    return sum(len(ms) // block for ms in processes)


def _centres(processes: Sequence[NDArray], draw: np.random.Generator, block: int, resamples: int) -> NDArray:
    cut = [np.array_split(ms, max(1, len(ms) // block)) for ms in processes]
    found = np.empty(resamples)
    for i in range(resamples):
        drawn = draw.integers(0, len(cut), len(cut))
        found[i] = centre(
            [np.concatenate([cut[p][k] for k in draw.integers(0, len(cut[p]), len(cut[p]))]) for p in drawn]
        )
    return found


def _interval(values: NDArray) -> list[float]:
    low, high = np.percentile(values, (2.5, 97.5))
    return [float(low), float(high)]
