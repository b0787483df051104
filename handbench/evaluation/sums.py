"""The figures of a whole evaluation, summed block by block: what is kept does not grow with the samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handbench.evaluation.buckets import BUCKETS, UNKNOWN, bucket_of
from handbench.evaluation.measuring import Measured
from handbench.evaluation.metric import IN_TIME, MEDIANS, Metric
from handbench.evaluation.plan import Plan, key
from handbench.evaluation.protocol import OFFICIAL_FILES
from handbench.metrics.curves import Tally, thresholds
from handbench.metrics.intervals import WARN_BELOW, Interval, Moments, median_interval, median_of_all
from handbench.metrics.temporal import to_m_per_s2

# reads joint errors (N, 21) of an alignment, as a dataset that gives `[:, j]`
Errors = Callable[[str], Any]
ACCELERATION_SI = "acceleration-si"


class Sums:
    """Feed `Measured` blocks with `add`, in order; then read `summary`, `per_bucket` and `curves`.

    `clusters` (N,) int is the capture of each sample, None where samples are taken as independent.
    """

    def __init__(self, plan: Plan, clusters: NDArray | None):
        self.plan, self.clusters = plan, clusters
        self.count = 0
        self.buckets: list[NDArray] = []
        self._moments: dict[tuple[str, int | None, bool], Moments] = {}
        self._tallies: dict[str, Tally] = {}

    def add(self, block: Measured, covered: NDArray | None, fps: NDArray | None) -> None:
        """One block: its errors, the covered share of each hand, and its frame rate, where the plan asks for them."""
        n = len(block.reflected)
        cluster = None if self.clusters is None else self.clusters[self.count : self.count + n]
        bucket = None
        if self.plan.buckets:
            bucket = bucket_of(np.full(n, np.nan) if covered is None else covered)
            self.buckets.append(bucket.astype(np.int8))
        for name, values in block.samples.items():
            self._add(name, block.points.get(name, values), cluster, bucket)
            if fps is not None and name.startswith("acceleration/"):
                self._add(name.replace("acceleration", ACCELERATION_SI), to_m_per_s2(values, fps), cluster, bucket)
        for name, tally in block.tallies.items():
            if name in self._tallies:
                self._tallies[name].merge(tally)
            else:
                self._tallies[name] = tally
        self.count += n

    def _add(self, name: str, values: NDArray, cluster: NDArray | None, bucket: NDArray | None) -> None:
        self._feed((name, None), values, cluster)
        if bucket is not None:
            for b in np.unique(bucket):
                inside = bucket == b
                self._feed((name, int(b)), values[inside], None if cluster is None else cluster[inside])

    def _feed(self, what: tuple[str, int | None], values: NDArray, cluster: NDArray | None) -> None:
        columns = 1 if values.ndim == 1 else values.shape[1]
        for clustered in (False, True) if cluster is not None else (False,):
            moments = self._moments.setdefault((*what, clustered), Moments(columns, clustered=clustered))
            moments.add(values, cluster if clustered else None)

    def summary(self, errors: Errors) -> list[dict[str, Any]]:
        """One dict a figure over all samples; see `Result`."""
        return self._rows(None, errors)

    def per_bucket(self, errors: Errors) -> dict[str, Any]:
        """Bucket -> {range, n, summary}; {} where there are none. Samples whose share is not known stand apart."""
        if not self.plan.buckets:
            return {}
        which = np.concatenate(self.buckets)
        found = {}
        for b, (name, low, high) in enumerate(BUCKETS):
            found[name] = {"range": [low, high], "n": int((which == b).sum()), "summary": self._rows(b, errors)}
        if (which == -1).any():
            found[UNKNOWN] = {"range": None, "n": int((which == -1).sum()), "summary": self._rows(-1, errors)}
        return found

    def curves(self) -> dict[str, NDArray]:
        """`METRIC/ALIGNMENT` -> (T, 2): threshold in mm, PCK (mean over points)."""
        return {name: np.stack([t.at * self.plan.to_mm, t.pck()], 1) for name, t in self._tallies.items()}

    def missing(self) -> list[str]:
        """In words, the figures that some samples do not have."""
        without: dict[int, list[str]] = {}
        for metric, alignment in self.plan.rows:
            moments = self._moments.get((key(metric, alignment), None, False))
            n = moments.interval().n if moments else self.count
            if n < self.count and metric.name not in IN_TIME:
                without.setdefault(self.count - n, []).append(key(metric, alignment))
        return [
            f"{missing:,} of {self.count:,} samples {'has' if missing == 1 else 'have'} no {', '.join(figures)}: what "
            f"that needs of them is not annotated, does not count, or has no image."
            for missing, figures in without.items()
        ]

    def _rows(self, bucket: int | None, errors: Errors) -> list[dict[str, Any]]:
        rows = []
        for metric, alignment in self.plan.rows:
            rows.append(self._row(metric, alignment, bucket, errors))
            if metric.name == "acceleration" and self.plan.fps:
                rows.append(self._si_row(metric, alignment, bucket))
        return rows

    def _row(self, metric: Metric, alignment: str, bucket: int | None, errors: Errors) -> dict[str, Any]:
        if metric.name in MEDIANS:
            over, samples = self._medians(metric, alignment, bucket, errors)
        else:
            over, samples = self._intervals(key(metric, alignment), bucket)
        return {"metric": metric.called, "alignment": alignment, "unit": metric.unit} | {
            **self._described(over, samples, *_possible(metric)),
            **_range(metric),
        }

    def _si_row(self, metric: Metric, alignment: str, bucket: int | None) -> dict[str, Any]:
        over, samples = self._intervals(f"{ACCELERATION_SI}/{alignment}", bucket)
        head = {"metric": ACCELERATION_SI, "alignment": alignment, "unit": "m/s^2"}
        return head | self._described(over, samples, 0.0, np.inf)

    def _described(self, over: Interval, samples: Interval, least: float, most: float) -> dict[str, Any]:
        """The entries of a row that an interval fills, cut where no such figure can be."""

        def cut(interval: Interval) -> list[float]:
            return [float(np.clip(end, least, most)) for end in (interval.low, interval.high)]

        row = {"value": over.value, "interval": cut(over), "n": samples.n}
        if self.clusters is None:
            # frames of a dataset come from recordings, said or not; samples that are made are independent
            recorded = self.plan.protocol.dataset and self.plan.protocol.truth == OFFICIAL_FILES
            narrow = ": too narrow" if recorded else ""
            return row | {"clusters": None, "method": f"95 % t, samples taken as independent{narrow}"}
        few = ": too few to be sure of" if over.clusters < WARN_BELOW else ""
        return row | {
            "clusters": over.clusters,
            "method": f"95 % t over {over.clusters:,} captures{few}",
            "interval_over_samples": cut(samples),
        }

    def _intervals(self, name: str, bucket: int | None) -> tuple[Interval, Interval]:
        """Over captures where there are any, and over samples."""
        samples = self._moments.get((name, bucket, False), Moments()).interval()
        if self.clusters is None:
            return samples, samples
        return self._moments.get((name, bucket, True), Moments(clustered=True)).interval(), samples

    def _medians(self, metric: Metric, alignment: str, bucket: int | None, errors: Errors) -> tuple[Interval, Interval]:
        values, clusters = errors(alignment), self.clusters
        if bucket is not None:
            inside = np.concatenate(self.buckets) == bucket
            values, clusters = _Inside(values, inside), None if clusters is None else clusters[inside]
        of = median_interval if metric.name == "median-pjpe" else median_of_all
        samples = of(values)
        return (samples if clusters is None else of(values, clusters)), samples


class _Inside:
    """Some rows of a table that is read a column at a time."""

    def __init__(self, table: Any, inside: NDArray):
        self.table, self.inside = table, inside
        self.shape = (int(inside.sum()), *table.shape[1:])

    def __getitem__(self, which: tuple[slice, int]) -> NDArray:
        return self.table[:, which[1]][self.inside]

    def __len__(self) -> int:
        return self.shape[0]


def _possible(metric: Metric) -> tuple[float, float]:
    """What a figure can be: a bias has a sign, lengths have none, ratios end at 1."""
    if metric.name == "bone-bias":
        return -np.inf, np.inf
    return 0.0, np.inf if metric.unit else 1.0


def _range(metric: Metric) -> dict[str, Any]:
    if metric.steps is not None:
        at = thresholds(float(metric.low or 0), float(metric.high or 0), metric.steps, metric.skip)
        return {"range": [float(at[0]), float(at[-1])], "steps": len(at)}
    return {} if metric.threshold is None else {"threshold": metric.threshold}
