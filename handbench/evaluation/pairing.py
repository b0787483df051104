"""The samples that two results share, and the figures of both over them, sample by sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from handbench.errors import InvalidError
from handbench.evaluation.metric import MEDIANS
from handbench.evaluation.protocol import Protocol
from handbench.evaluation.result import Result
from handbench.evaluation.sums import ACCELERATION_SI
from handbench.metrics.curves import point_areas, thresholds

Index = NDArray | slice


@dataclass(frozen=True, eq=False)
class Pairs:
    """Two results over the samples that both have, in the order of their ids.

    in_a, in_b         where these samples are in each result
    clusters (N,) int  what was recorded together; None where nobody said
    covered (N,)       0..1; None unless both results say it, and the same
    warnings           in words
    """

    a: Result
    b: Result
    ids: NDArray
    in_a: Index
    in_b: Index
    clusters: NDArray | None
    covered: NDArray | None
    warnings: list[str]

    def column(self, figure: dict[str, Any]) -> tuple[NDArray, NDArray]:
        """A figure of each sample (N,) in `a` and `b`, NaN where either has none."""
        key = key_of(figure)
        return _common(self._of_a(self.a.samples[key]), self._of_b(self.b.samples[key]))

    def points(self, figure: dict[str, Any]) -> tuple[NDArray, NDArray]:
        """What a figure is the mean of: the column (N,), or where joints are missing one column a joint (N, 21).

        With joints missing, an mpjpe and an AUC are means over joints of the joints' means over samples.
        """
        if figure["name"] in ("mpjpe", "auc") and self.has_joints(figure["alignment"]):
            a, b = self.joints(figure["alignment"])
            if np.isnan(a).any():
                if figure["name"] == "mpjpe":
                    return a, b
                at = thresholds(figure["range"][0], figure["range"][1], figure["steps"])
                return point_areas(a, at), point_areas(b, at)
        return self.column(figure)

    def has_column(self, figure: dict[str, Any]) -> bool:
        key = key_of(figure)
        return key in self.a.samples and key in self.b.samples

    def has_joints(self, alignment: str) -> bool:
        return alignment in self.a.joint_errors and alignment in self.b.joint_errors

    def joints(self, alignment: str) -> tuple[NDArray, NDArray]:
        """Joint errors (N, 21) mm of both, NaN where either has none."""
        return _common(self._of_a(self.a.joint_errors[alignment]), self._of_b(self.b.joint_errors[alignment]))

    def _of_a(self, values: NDArray) -> NDArray:
        return np.asarray(values[self.in_a], np.float64)

    def _of_b(self, values: NDArray) -> NDArray:
        return np.asarray(values[self.in_b], np.float64)


def pair(a: Result, b: Result) -> Pairs:
    """Raises InvalidError where the results have no sample in common."""
    in_a: Index
    in_b: Index
    if len(a.ids) == len(b.ids) and np.array_equal(a.ids, b.ids):
        ids = a.ids
        in_a = slice(None) if np.all(ids[:-1] <= ids[1:]) else np.argsort(ids, kind="stable")
        ids, in_b = ids[in_a], in_a
    else:
        ids, in_a, in_b = np.intersect1d(a.ids, b.ids, assume_unique=True, return_indices=True)
    if not len(ids):
        raise InvalidError("These results have no sample in common.", "Score both on one truth.")
    warnings: list[str] = []
    labels = [_numbered(r.clusters[i]) for r, i in ((a, in_a), (b, in_b)) if r.clusters is not None]
    covers = [r.covered[i] for r, i in ((a, in_a), (b, in_b)) if r.covered is not None]
    if len(covers) == 2 and not np.array_equal(covers[0], covers[1], equal_nan=True):
        warnings.append("The results do not agree how much of each hand is covered: there are no occlusion buckets.")
        covers = []
    clusters = None
    if labels:
        clusters = labels[0] if np.array_equal(labels[0], labels[-1]) else _joined(labels[0], labels[1])
    return Pairs(a, b, ids, in_a, in_b, clusters, covers[0] if len(covers) == 2 else None, warnings)


def key_of(figure: dict[str, Any]) -> str:
    """`METRIC/ALIGNMENT`, as a result's columns are called."""
    return f"{figure['metric']}/{figure['alignment']}"


def same_figures(a: Result, b: Result) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows of `a`'s summary that `b` has too and measures alike, and with them the `name` of the metric, which a label
    may hide; and in words those that are left out."""
    metrics = [{m.called: m for m in Protocol(**result.protocol["definition"]).metrics} for result in (a, b)]
    keys = [{(key_of(row), row["unit"]): row for row in result.summary} for result in (a, b)]
    rows, otherwise, unkept = [], [], []
    for (key, unit), row in keys[0].items():
        one, other = (found.get(row["metric"]) for found in metrics)
        name = one.name if one else row["metric"]
        if (key, unit) not in keys[1] or row["metric"] == ACCELERATION_SI:
            # the last is the acceleration once more, in another unit
            continue
        if one and other and one.model_copy(update={"alignments": other.alignments}) != other:
            otherwise.append(key)
        elif name not in MEDIANS and (key not in a.samples or key not in b.samples):
            unkept.append(key)
        else:
            rows.append({**row, "name": name})
    single = sorted({key for key, _ in keys[0].keys() ^ keys[1].keys()})
    why = {
        "only one of the results has it": single,
        "it is measured otherwise": otherwise,
        "results do not keep it sample by sample": unkept,
    }
    return rows, [f"Left out, because {reason}: {', '.join(left)}." for reason, left in why.items() if left]


def _common(a: NDArray, b: NDArray) -> tuple[NDArray, NDArray]:
    missing = np.isnan(a) | np.isnan(b)
    return (np.where(missing, np.nan, a), np.where(missing, np.nan, b)) if missing.any() else (a, b)


def weighed(points: NDArray) -> NDArray:
    """Points (N,) or (N, K) -> (N,) with the mean that the figure has: a sample weighs as much as its points do."""
    if points.ndim == 1:
        return points
    there = ~np.isnan(points)
    counts = there.sum(0)
    some = there.any(1)
    weight = np.divide(1.0, counts, out=np.zeros(len(counts)), where=counts > 0)
    values = (np.where(there, points, 0.0) @ weight) * some.sum() / max(int((counts > 0).sum()), 1)
    return np.where(some, values, np.nan)


def _joined(a: NDArray, b: NDArray) -> NDArray:
    """Two partitions of the same samples -> the finest that is coarser than both."""
    size = int(a.max()) + 1
    nodes = size + int(b.max()) + 1
    links = coo_array((np.ones(len(a), np.int8), (a, size + b)), shape=(nodes, nodes))
    return connected_components(links, directed=False)[1][a]


def _numbered(labels: NDArray) -> NDArray:
    """Labels -> 0.., in the order in which they first occur: names do not matter."""
    _, first, which = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[which]
