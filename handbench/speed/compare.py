"""Which of two methods is faster, and whether that can be said."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handbench.errors import InvalidError
from handbench.report.speeds import called, headline
from handbench.speed.percentiles import ratio_interval

# of each method, before "faster" may be said
PROCESSES = 5
# what two records must share
CONDITIONS = ("tier", "batch", "passes")


def by_process(record: dict[str, Any]) -> list[NDArray]:
    """The samples of each process, ms."""
    samples = np.asarray(record["samples_wall_ms"], float)
    return np.split(samples, np.cumsum(record.get("process_n", [len(samples)]))[:-1])


def compare(a: dict[str, Any], b: dict[str, Any], seed: int = 0) -> dict[str, Any]:
    """p50(a) / p50(b) with its 95 % interval, and a verdict in words. Below 1, a is the faster.

    The verdict names a faster one only where the interval excludes 1 and both ran in at least 5 processes. Raises
    InvalidError for records of unlike conditions, or of different machines.
    """
    for key in CONDITIONS:
        if a[key] != b[key]:
            raise InvalidError(f"{a['method']} was timed with {key} {a[key]}, {b['method']} with {b[key]}.")
    for key in ("device", "threads", "torch"):
        if a["machine"][key] != b["machine"][key]:
            raise InvalidError(f"The two were timed on different machines: {key} differs.", "Time both on one.")
    one, two = by_process(a), by_process(b)
    low, high = ratio_interval(one, two, seed)
    ratio = float(np.median(np.concatenate(one)) / np.median(np.concatenate(two)))
    excludes = high < 1 or low > 1
    fewest = min(len(one), len(two))
    names = called(a), called(b)
    return {
        "a": names[0],
        "b": names[1],
        "ratio": ratio,
        "interval": [low, high],
        "range": _range(one, two),
        "processes": [len(one), len(two)],
        "faster": (names[0] if ratio < 1 else names[1]) if excludes and fewest >= PROCESSES else None,
        "verdict": _verdict(names, ratio, excludes, fewest),
    }


def compare_all(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every pair, by T1's headline."""
    return [compare(a, b) for a, b in combinations([r for r in records if headline(r)], 2)]


def _range(one: list[NDArray], two: list[NDArray]) -> list[float]:
    """The least and the largest ratio of two processes' medians."""
    a, b = ([float(np.median(ms)) for ms in many] for many in (one, two))
    return [min(a) / max(b), max(a) / min(b)]


def _verdict(names: tuple[str, str], ratio: float, excludes: bool, fewest: int) -> str:
    if not excludes:
        return "not distinguishable"
    if fewest < PROCESSES:
        return f"no claim: {fewest} process{'es' if fewest > 1 else ''} each, and it takes {PROCESSES}"
    return f"{names[0] if ratio < 1 else names[1]} is faster"
