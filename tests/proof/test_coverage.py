"""How often the intervals hold the truth, and how often the paired test rejects where there is no difference.

Simulated data sets for which the truth is known: errors of about 6 mm with a long tail, or scores between 0 and 1, in
unequal clusters whose samples resemble each other. A cell that falls short is listed with `claimed: false` and why.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from handbench.metrics.intervals import Interval, mean_interval, median_interval, median_of_all
from handbench.metrics.permutation import sign_flip_test

pytestmark = pytest.mark.proof
SETS, RESAMPLES, DRAWS, TOGETHER = 2000, 999, 1999, 50
CLUSTERS, SAMPLES, ALIKE, PROFILES = (5, 13, 40, 160), (60, 500, 3960), (0.1, 0.5), ("even steps", "few large")
USUAL, LONG, SCORE = "error, log-normal, log sd 0.5", "error, log-normal, log sd 0.8", "score in [0, 1]"
# Values are functions of a standard normal: there the share of variance between clusters (`alike`) is set.
KINDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    USUAL: lambda z: 6 * np.exp(0.5 * z),
    LONG: lambda z: 6 * np.exp(0.8 * z),
    SCORE: lambda z: ndtr(z + 1),
}
SHORT = "the rare extreme clusters that the mean owes much to are mostly not among those seen"
SKEWED = "flips take differences for symmetric; with so few units one long tail matters"
SEVERAL, AVERAGE, MEDIAN, POOLED = (
    "mean, 5 points, a fifth missing",
    "mean",
    "median, 3 points",
    "median of all, 3 points",
)
ESTIMATES: dict[str, Callable[..., Interval]] = {
    AVERAGE: mean_interval,
    SEVERAL: mean_interval,
    MEDIAN: median_interval,
    POOLED: median_of_all,
}
COLUMNS = {AVERAGE: 1, SEVERAL: 5, MEDIAN: 3, POOLED: 3}


def sizes(clusters: int, profile: str) -> np.ndarray:
    """Samples per cluster: `even steps` from 6 to 120 in equal ratios; `few large`, quantiles of a log-normal."""
    if profile == "even steps":
        return np.round(6 * 20 ** (np.arange(clusters) / (clusters - 1))).astype(int)
    return np.round(20 * np.exp(0.9 * ndtri((np.arange(clusters) + 0.5) / clusters))).astype(int)


def truth(estimate: str, kind: str) -> float:
    if estimate in (MEDIAN, POOLED):
        return float(KINDS[kind](np.zeros(1))[0])
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    return float(KINDS[kind](nodes) @ weights / weights.sum())


def drawn(name: str, kind: str, size: np.ndarray, alike: float, columns: int = 1) -> Iterator[np.ndarray]:
    """Blocks (sets, samples, columns) of values; the points of a sample share half of what is the sample's own."""
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    index = np.repeat(np.arange(len(size)), size)
    block = max(1, min(100, 2_000_000 // (len(index) * columns)))
    for start in range(0, SETS, block):
        shape = (min(block, SETS - start), len(index))
        normal = generator.standard_normal((*shape, columns), np.float32)
        if columns > 1:
            normal = np.sqrt(0.5) * (normal + generator.standard_normal((*shape, 1), np.float32))
        if alike:
            effect = generator.standard_normal((shape[0], len(size), 1), np.float32)[:, index]
            normal = np.sqrt(alike) * effect + np.sqrt(1 - alike) * normal
        yield KINDS[kind](normal.astype(np.float64))


def resampled(totals: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Ends (2, sets) of the percentile bootstrap over units, for the contrast: totals (sets, C), counts (C,)."""
    generator, units = np.random.default_rng(0), len(counts)
    weights = generator.multinomial(units, np.full(units, 1 / units), RESAMPLES).astype(np.float64)
    return np.quantile(weights @ totals.T / (weights @ counts)[:, None], [0.025, 0.975], axis=0)


def coverage_cell(estimate: str, kind: str, size: np.ndarray, profile: str, alike: float) -> dict:
    """`size` (C,) samples per cluster; one sample each and `alike` 0 are independent samples."""
    independent, name = not alike, f"{estimate}/{kind}/{len(size)}/{profile}/{alike}"
    index = np.repeat(np.arange(len(size)), size)
    missing = np.random.default_rng(zlib.crc32(name.encode()) + 1)
    found, ends = [], []
    for block in drawn(name, kind, size, alike, COLUMNS[estimate]):
        if estimate == SEVERAL:
            block[missing.random(block.shape) < 0.2] = np.nan
        found += [ESTIMATES[estimate](values, None if independent else index) for values in block]
        if estimate == AVERAGE:
            ends.append(resampled(np.add.reduceat(block[:, :, 0], np.r_[0, size.cumsum()[:-1]], axis=1), size))
    value, low, high = np.array([interval[:3] for interval in found]).T
    goal = truth(estimate, kind)
    share = float(((low <= goal) & (goal <= high)).mean())
    cell = {
        "estimate": estimate,
        "values": kind,
        "units": f"{len(size)} independent samples" if independent else f"{len(size)} clusters",
        "samples": int(size.sum()),
        **({} if independent else {"sizes": profile, "alike": alike}),
        "coverage": share,
        "mc_error": float(np.sqrt(share * (1 - share) / SETS)),
        "truth_below_interval": float((goal < low).mean()),
        "truth_above_interval": float((goal > high).mean()),
        "mean_width": float((high - low).mean()),
        "spread_of_values": float(value.std()),
    }
    if ends:
        low, high = np.concatenate(ends, 1)
        cell["percentile_bootstrap"] = float(((low <= goal) & (goal <= high)).mean())
        cell["percentile_bootstrap_width"] = float((high - low).mean())
    short = kind == LONG and alike == 0.5 and len(size) < 160
    cell["verdict"] = "within 93-97 %" if 0.93 <= share <= 0.97 else f"{'below 93' if share < 0.95 else 'above 97'} %"
    cell["claimed"] = not short
    return cell | ({"why_not": SHORT} if short else {})


def coverage_cells() -> Iterator[dict]:
    for kind, clusters, profile, alike in product(KINDS, CLUSTERS, PROFILES, ALIKE):
        yield coverage_cell(AVERAGE, kind, sizes(clusters, profile), profile, alike)
    for kind, samples in product(KINDS, SAMPLES):
        yield coverage_cell(AVERAGE, kind, np.ones(samples, int), "", 0.0)
    for clusters in CLUSTERS[:3]:
        yield coverage_cell(SEVERAL, USUAL, sizes(clusters, PROFILES[0]), PROFILES[0], 0.3)
    for samples in SAMPLES[:2]:
        yield coverage_cell(SEVERAL, USUAL, np.ones(samples, int), "", 0.0)
    for clusters, alike in product(CLUSTERS, ALIKE):
        yield coverage_cell(MEDIAN, USUAL, sizes(clusters, PROFILES[1]), PROFILES[1], alike)
    for samples in SAMPLES[:2]:
        yield coverage_cell(MEDIAN, USUAL, np.ones(samples, int), "", 0.0)
    yield coverage_cell(MEDIAN, SCORE, sizes(13, PROFILES[1]), PROFILES[1], 0.5)
    yield coverage_cell(POOLED, USUAL, sizes(13, PROFILES[1]), PROFILES[1], 0.5)
    yield coverage_cell(POOLED, USUAL, np.ones(SAMPLES[0], int), "", 0.0)


def rejection_cell(null: str, kind: str, size: np.ndarray, profile: str, alike: float) -> dict:
    """`same`: two draws of one kind; `skewed`: one draw less its expectation, so that the long tail is on one side."""
    name = f"{null}/{kind}/{len(size)}/{profile}/{alike}"
    index = np.repeat(np.arange(len(size)), size)
    differences = []
    for first, second in zip(drawn(name, kind, size, alike), drawn(f"{name}/b", kind, size, alike), strict=True):
        block = first - (second if null == "same" else truth(AVERAGE, kind))
        differences.append(np.add.reduceat(block[:, :, 0], np.r_[0, size.cumsum()[:-1]], axis=1))
    sums = np.concatenate(differences)
    # The test of the clusters' sums is the test of their samples; data sets that share flips are few.
    tests = [t for k in range(0, SETS, TOGETHER) for t in sign_flip_test(sums[k : k + TOGETHER].T, seed=k, draws=DRAWS)]
    share = float((np.array([test.p for test in tests]) <= 0.05).mean())
    claimed = null == "same" or len(size) >= (40 if alike else 500)
    return {
        "null": {"same": "two methods of one kind", "skewed": "equal means, differences with one long tail"}[null],
        "values": kind,
        "units": f"{len(size)} clusters" if alike else f"{len(size)} independent samples",
        "samples": len(index),
        **({"sizes": profile, "alike": alike} if alike else {}),
        "rejected_at_0.05": share,
        "mc_error": float(np.sqrt(share * (1 - share) / SETS)),
        "smallest_p": tests[0].smallest,
        "verdict": "at most 6 %" if share <= 0.06 else "above 6 %",
        "claimed": claimed,
    } | ({} if claimed else {"why_not": SKEWED})


def rejection_cells() -> Iterator[dict]:
    for (null, kind), clusters, alike in product((("same", LONG), ("skewed", USUAL)), CLUSTERS, ALIKE):
        yield rejection_cell(null, kind, sizes(clusters, PROFILES[1]), PROFILES[1], alike)
    for (null, kind), samples in product((("same", LONG), ("skewed", USUAL)), SAMPLES):
        yield rejection_cell(null, kind, np.ones(samples, int), "", 0.0)


def rounded(cells: list[dict]) -> list[dict]:
    return [{key: round(v, 6) if isinstance(v, float) else v for key, v in cell.items()} for cell in cells]


def test_intervals_hold_the_truth_and_tests_reject_by_chance_only(keep):
    covered, rejected = list(coverage_cells()), list(rejection_cells())
    what = f"coverage of 95 % intervals and rejections at 0.05 without a difference; {SETS} data sets a cell"
    keep("coverage", {"what": what, "intervals": rounded(covered), "paired_tests": rounded(rejected)})
    for cell in covered:
        if cell["claimed"]:
            slack = 2 * cell["mc_error"]
            assert 0.93 - slack <= cell["coverage"] <= 0.97 + slack, cell
    for cell in rejected:
        if cell["claimed"]:
            assert cell["rejected_at_0.05"] <= 0.06 + 2 * cell["mc_error"], cell
