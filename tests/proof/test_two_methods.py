"""How often `compare` names a winner: of two methods that are equally good, and of two that are not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from handbench.evaluation.compare import compare
from tests.evaluation.two_results import captures, made

pytestmark = pytest.mark.proof

TRIALS = 400
TAKES, FRAMES = 24, 25


def two(trial: int, better_by: float) -> tuple:
    """Two methods on 24 recordings of 25 frames. What they differ by goes with the recording as well as the frame."""
    rng = np.random.default_rng([trial, int(1000 * better_by)])
    n = TAKES * FRAMES
    hard = rng.gamma(6.0, 1.0, (n, 1)) + np.repeat(rng.normal(0, 1, (TAKES, 1)), FRAMES, 0)
    covered = np.repeat(rng.uniform(0, 1, TAKES), FRAMES)
    results = []
    for less in (better_by, 0.0):
        taste = np.repeat(rng.normal(0, 0.3, (TAKES, 1)), FRAMES, 0)
        errors = np.abs(hard + taste + rng.normal(0, 0.5, (n, 1)) + rng.normal(0, 2, (n, 21)) + 3 - less)
        samples = {"mpjpe/root": errors.mean(1), "auc/root": np.clip(1 - errors / 50, 0, 1).mean(1)}
        results.append(dataclasses.replace(made(samples), clusters=captures(n, FRAMES), covered=covered))
    return tuple(results)


def rates(better_by: float) -> dict[str, float]:
    """Shares of trials in which a winner is named, and in which taking the frames as independent would name one."""
    any_winner, found, small, naive = [], [], [], []
    for trial in range(TRIALS):
        a, b = two(trial, better_by)
        whole = compare(a, b, seed=trial)
        rows = [*whole.rows, *(row for bucket in whole.per_bucket for row in bucket["rows"])]
        any_winner.append(any(row.better for row in rows))
        found.append(whole.rows[0].better == "a")
        small.append(whole.rows[0].p <= 0.05)
        alone = [dataclasses.replace(result, clusters=None, covered=None) for result in (a, b)]
        naive.append(bool(compare(*alone, seed=trial).rows[0].better))
    said = {
        "a winner anywhere": any_winner,
        "the first, overall": found,
        "p <= 0.05 overall, not corrected": small,
        "a winner overall, frames taken as independent": naive,
    }
    return {key: float(np.mean(values)) for key, values in said.items()}


def test_two_equal_methods_seldom_have_a_winner(keep):
    equal, better = rates(0.0), rates(0.5)
    keep(
        "two-methods",
        {
            "what": f"share of {TRIALS} pairs of methods in which `compare` names a winner; {TAKES} recordings of "
            f"{FRAMES} frames, 2 figures in all and in 4 occlusion buckets, Holm over all, level 0.05",
            "equally good": equal,
            "the first better by 0.5 mm": better,
        },
    )
    # 0.05, and three standard errors of so many trials
    slack = 3 * np.sqrt(0.05 * 0.95 / TRIALS)
    assert equal["a winner anywhere"] <= 0.05 + slack
    assert abs(equal["p <= 0.05 overall, not corrected"] - 0.05) <= slack
    assert equal["a winner overall, frames taken as independent"] > 0.2
    assert better["the first, overall"] > 0.8
