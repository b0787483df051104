"""Which of two methods is faster, and whether that can be said."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handbench.errors import InvalidError
from handbench.report.speeds import called, headline
from handbench.speed.percentiles import centre, ratio_interval

# of each method, before "faster" may be said
PROCESSES = 5
# what two records must share, in words
CONDITIONS = {
    "tier": "tier",
    "batch": "batch",
    "passes": "passes",
    "effort": "effort",
    "precision": "precision",
    "mode": "mode",
    "pool_from": "inputs from",
    "inputs": "inputs from",
    "frames": "frames a call",
    "frames_per_call": "predicted frames a call",
}
# what leaves it open whether the method was slow or the machine
DOUBTS = {"throttled": "throttled", "shared GPU": "on a shared GPU"}


def by_process(record: dict[str, Any]) -> list[NDArray]:
    """The samples of each process, ms."""
    samples = np.asarray(record["samples_wall_ms"], float)
    return np.split(samples, np.cumsum(record.get("process_n", [len(samples)]))[:-1])


def compare(a: dict[str, Any], b: dict[str, Any], seed: int = 0) -> dict[str, Any]:
    """p50(a) / p50(b) with its 95 % interval, and a verdict in words. Below 1, a is the faster.

    The verdict names a faster one only where the interval excludes 1, both ran in at least 5 processes, and neither
    was throttled, shared its GPU or was still moving after the warm-up. Raises InvalidError for records of unlike
    conditions, or of different machines.
    """
    names = called(a), called(b)
    for key, words in CONDITIONS.items():
        if a.get(key) != b.get(key):
            raise InvalidError(f"{names[0]} was timed with {words} {a.get(key)}, {names[1]} with {words} {b.get(key)}.")
    for key in ("device", "threads", "torch"):
        if a["machine"][key] != b["machine"][key]:
            raise InvalidError(f"The two were timed on different machines: {key} differs.", "Time both on one.")
    one, two = by_process(a), by_process(b)
    interval = ratio_interval(one, two, seed)
    ratio = centre(one) / centre(two)
    why_not = _why_not(interval, min(len(one), len(two)), a, b)
    faster = None if why_not else names[0] if ratio < 1 else names[1]
    return {
        "a": names[0],
        "b": names[1],
        "ratio": ratio,
        "interval": interval,
        "range": _range(one, two),
        "processes": [len(one), len(two)],
        "faster": faster,
        "verdict": why_not or f"{faster} is faster",
    }


def compare_all(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every pair of methods, by T1's headline; or of networks of somebody's own, by T0. A pair of unlike conditions
    has no ratio, and the verdict says why. Raises InvalidError where there are both.
    """
    methods = [record for record in records if headline(record)]
    own = [record for record in records if "variant" not in record]
    if methods and own:
        raise InvalidError(
            f"{called(own[0])} was timed to its output (T0), {called(methods[0])} to its joints (T1).",
            "Compare networks of your own with each other, or methods with methods.",
        )
    return [_compared(a, b) for a, b in combinations(methods or own, 2)]


def _compared(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    try:
        return compare(a, b)
    except InvalidError as error:
        none = dict.fromkeys(("ratio", "interval", "range", "processes", "faster"))
        return {"a": called(a), "b": called(b), **none, "verdict": f"not compared: {error.message.rstrip('.')}"}


def _range(one: list[NDArray], two: list[NDArray]) -> list[float]:
    """The least and the largest ratio of two processes' medians."""
    a, b = ([float(np.median(ms)) for ms in many] for many in (one, two))
    return [min(a) / max(b), max(a) / min(b)]


def _why_not(interval: list[float] | None, fewest: int, a: dict[str, Any], b: dict[str, Any]) -> str:
    """Why neither is called the faster; empty where one is."""
    if interval is None:
        return "no claim: too few calls for an interval"
    if interval[0] <= 1 <= interval[1]:
        return "not distinguishable"
    for record in (a, b):
        if doubt := _doubt(record):
            return f"no claim: {called(record)} was {doubt}"
    if fewest < PROCESSES:
        return f"no claim: {fewest} process{'es' if fewest > 1 else ''} each, and it takes {PROCESSES}"
    return ""


def _doubt(record: dict[str, Any]) -> str:
    if not record["stationary"]:
        return "not stationary"
    said = record["warnings"]
    return next((words for flag, words in DOUBTS.items() if any(text.startswith(flag) for text in said)), "")
