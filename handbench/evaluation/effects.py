"""Differences of two results over the samples that they share: of each figure, of each joint, of each sample."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handbench.evaluation.metric import MEDIANS
from handbench.evaluation.pairing import Pairs, key_of, weighed
from handbench.hands.joints import JOINT_NAMES
from handbench.metrics.errors import mean_of_point_means, mean_of_point_medians
from handbench.metrics.intervals import mean_interval
from handbench.metrics.permutation import DRAWS, sign_flip_test

LEVEL = 0.05
# values that are tested at once
AT_ONCE = 1 << 24
# too long and too short are both wrong: less is not better
SIGNED = ("bone-bias",)
NAN = float("nan")


@dataclass(frozen=True)
class Compared:
    """One figure over the samples that both have: `a`, `b`, and the mean of a - b with its 95 % interval.

    n, clusters     samples that have it in both; units of the interval (captures, or samples)
    p, smallest     of the paired sign-flip test, and the least that it can find with so few units; NaN: not tested
    p_adjusted      after Holm, over the whole family
    better          `a` or `b` where p_adjusted <= 0.05, otherwise ``
    verdict, note   the same in words, and why there is none
    """

    metric: str
    alignment: str
    unit: str
    a: float
    b: float
    difference: float
    low: float
    high: float
    n: int
    clusters: int
    p: float = NAN
    smallest: float = NAN
    p_adjusted: float = NAN
    better: str = ""
    verdict: str = "not tested"
    note: str = ""

    @property
    def tested(self) -> bool:
        return not np.isnan(self.p)

    def judged(self, p_adjusted: float, least: float, together: str) -> Compared:
        """With its adjusted p and what follows. No adjusted p of the family can be below `least`; `together` names the
        units: captures, or samples."""
        if p_adjusted <= LEVEL and self.difference != 0:
            better = "a" if (self.difference < 0) == less_is_better(self.unit) else "b"
            return replace(self, p_adjusted=p_adjusted, better=better, verdict=f"{better.upper()} is better")
        verdict = "cannot be distinguished" if max(self.smallest, least) > LEVEL else "not distinguishable"
        note = self._too_few(together) if self.smallest > LEVEL else ""
        return replace(self, p_adjusted=p_adjusted, verdict=verdict, note=note)

    def _too_few(self, together: str) -> str:
        # 2 of the flips of k units are the furthest from 0; what does not differ at all is not flipped
        differ = round(1 - np.log2(self.smallest))
        if self.difference == self.low == self.high == 0:
            return "the same in every sample"
        if differ == self.clusters or self.clusters <= 1:
            return f"cannot be distinguished with {self.clusters} {together}: the smallest p is {self.smallest:.4g}"
        which = f"{differ} of {self.clusters:,} {together} differ"
        return f"cannot be distinguished where only {which}: the smallest p is {self.smallest:.4g}"


def less_is_better(unit: str) -> bool:
    """Of lengths less is better, of ratios (which have no unit) more."""
    return unit != ""


def measured(pairs: Pairs, figures: list[dict[str, Any]], seed: int, inside: NDArray | None = None) -> list[Compared]:
    """Every figure over the samples `inside` (N,) bool, or all; not yet judged. Medians only over all."""
    with_column = [figure for figure in figures if pairs.has_column(figure)]
    size = len(pairs.ids) if inside is None else int(inside.sum())
    many = max(1, AT_ONCE // max(size, 1))
    found: dict[str, Compared] = {}
    for start in range(0, len(with_column), many):
        block = with_column[start : start + many]
        found |= zip(map(key_of, block), _tested(pairs, block, seed, inside), strict=True)
    if inside is None:
        for figure in figures:
            if figure["name"] in MEDIANS and pairs.has_joints(figure["alignment"]):
                found[key_of(figure)] = _median(pairs, figure)
    return [found[key_of(figure)] for figure in figures if key_of(figure) in found]


def _tested(pairs: Pairs, figures: list[dict[str, Any]], seed: int, inside: NDArray | None) -> list[Compared]:
    where: Any = slice(None) if inside is None else inside
    clusters = None if pairs.clusters is None else pairs.clusters[where]
    rows, differences = [], []
    for figure in figures:
        a, b = (points[where] for points in pairs.points(figure))
        interval = mean_interval(a - b, clusters)
        first, second = (mean_of_point_means(points.reshape(len(points), -1)) for points in (a, b))
        row = Compared(
            figure["metric"], figure["alignment"], figure["unit"], first, second, interval.value, interval.low,
            interval.high, interval.n, interval.clusters,
        )  # fmt: skip
        if figure["name"] in SIGNED:
            row = replace(row, note="signed: too long and too short are both wrong, so less is not better")
        elif not row.n:
            row = replace(row, note="no sample has it in both")
        rows.append(row)
        differences.append(weighed(a - b))
    to_test = [i for i, row in enumerate(rows) if not row.note]
    if to_test:
        tests = sign_flip_test(np.stack([differences[i] for i in to_test], 1), clusters, seed, DRAWS)
        for i, test in zip(to_test, tests, strict=True):
            rows[i] = replace(rows[i], p=test.p, smallest=test.smallest)
    return rows


def _median(pairs: Pairs, figure: dict[str, Any]) -> Compared:
    """Over the joint errors that both have. The median of a difference is no difference of medians: not tested."""
    errors = pairs.joints(figure["alignment"])
    there = ~np.isnan(errors[0])
    by_point = figure["name"] == "median-pjpe"
    a, b = (mean_of_point_medians(one if by_point else one[there][:, None]) for one in errors)
    note = "a median is not a mean over samples: it has no paired differences"
    return Compared(
        figure["metric"], figure["alignment"], figure["unit"], a, b, a - b, NAN, NAN, int(there.any(1).sum()), 0,
        note=note,
    )  # fmt: skip


def by_joint(pairs: Pairs, alignment: str) -> list[dict[str, Any]]:
    """Mean error of each joint, mm: a, b, and a - b with its 95 % interval; nothing of a joint without annotations."""
    a, b = pairs.joints(alignment)
    found = []
    for j, joint in enumerate(JOINT_NAMES):
        there = ~np.isnan(a[:, j])
        if there.any():
            interval = mean_interval(a[:, j] - b[:, j], pairs.clusters)
            found.append(
                {"joint": joint, "a": float(a[there, j].mean()), "b": float(b[there, j].mean())}
                | {"difference": interval.value, "low": interval.low, "high": interval.high, "n": interval.n}
            )
    return found


def most_different(pairs: Pairs, figure: dict[str, Any], top: int) -> dict[str, Any]:
    """The samples whose a - b is furthest below 0, and furthest above: id, a, b, difference; ties in order of id."""
    a, b = pairs.column(figure)
    difference = a - b
    found: dict[str, Any] = {"figure": key_of(figure), "unit": figure["unit"]}
    for side, sign in (("below", 1), ("above", -1)):
        # NaN is sorted last
        order = np.argsort(sign * difference, kind="stable")[:top]
        found[side] = [
            {"id": str(pairs.ids[i]), "a": float(a[i]), "b": float(b[i]), "difference": float(difference[i])}
            for i in order
            if sign * difference[i] < 0
        ]
    return found
