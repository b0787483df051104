"""Two results on the same samples: what differs, and whether the difference is real."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handbench.errors import InvalidError
from handbench.evaluation.protocol import Protocol, describe_difference
from handbench.evaluation.result import Result, plain
from handbench.metrics.statistics import paired_difference

# metrics of which less is better; of all others, more
LESS_IS_BETTER = ("mm",)


@dataclass(frozen=True)
class Compared:
    """One figure: `a`, `b`, and the mean paired difference a - b with its 95 % interval.

    `better` is `a` or `b` where the interval leaves out 0, and `` where the difference may be chance.
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
    better: str


@dataclass(frozen=True)
class Comparison:
    protocol_id: str
    rows: list[Compared]
    # why the two should not be compared; empty unless that was overruled
    unlike: list[str]

    def to_record(self) -> dict[str, Any]:
        return plain({"protocol": self.protocol_id, "unlike": self.unlike, "rows": [asdict(row) for row in self.rows]})


def compare(a: Result, b: Result, *, seed: int = 0, anyway: bool = False) -> Comparison:
    """Paired differences of every figure that both have.

    Raises InvalidError saying in words what is unlike: the protocol, the samples, what the rows were given. `anyway`
    compares over the samples that both have, and says so in `unlike`.
    """
    unlike = differences(a, b)
    if unlike and not anyway:
        raise InvalidError(
            f"These results are not comparable: {'; '.join(unlike)}.", "Score both under one protocol and one truth."
        )
    common, in_a, in_b = np.intersect1d(a.ids, b.ids, return_indices=True)
    if not len(common):
        raise InvalidError("These results have no sample in common.", "Score both on one truth.")
    clusters = None if a.clusters is None else a.clusters[in_a]
    rows = []
    for row in a.summary:
        key = f"{row['metric']}/{row['alignment']}"
        if key in a.samples and key in b.samples:
            rows.append(_compared(row, a.samples[key][in_a], b.samples[key][in_b], clusters, seed))
    return Comparison(str(a.protocol["id"]), rows, unlike)


def differences(a: Result, b: Result) -> list[str]:
    """In words, why two results should not be compared; empty where they may."""
    said = []
    if a.protocol["id"] != b.protocol["id"]:
        first, second = (Protocol(**result.protocol["definition"]) for result in (a, b))
        said += describe_difference(first, second)
        if len(a.ids) != len(b.ids) or set(a.ids) != set(b.ids):
            common = len(np.intersect1d(a.ids, b.ids))
            said.append(f"samples: {a.n:,} against {b.n:,}, {common:,} in common")
        sources = [_truth(result) for result in (a, b)]
        if sources[0] != sources[1]:
            said.append(f"truth: {sources[0]} against {sources[1]}")
        said = said or [f"protocol: {a.protocol['id']} against {b.protocol['id']}"]
    if _listed(a.given) != _listed(b.given):
        said.append(f"given: {_listed(a.given)} against {_listed(b.given)}")
    return said


def _truth(result: Result) -> str:
    truth = result.provenance.get("truth", {})
    return f"{truth.get('source')} ({truth.get('digest')})"


def _listed(given: list[str] | None) -> str:
    return "not stated" if given is None else " and ".join(sorted(given)) or "nothing"


def _compared(row: dict[str, Any], a: NDArray, b: NDArray, clusters: NDArray | None, seed: int) -> Compared:
    found = paired_difference(a, b, seed, clusters)
    better = ""
    if found.certain:
        better = "a" if (found.value < 0) == (row["unit"] in LESS_IS_BETTER) else "b"
    both = ~np.isnan(a) & ~np.isnan(b)
    first, second = (float(values[both].mean()) if both.any() else float("nan") for values in (a, b))
    return Compared(
        row["metric"], row["alignment"], row["unit"], first, second, found.value, found.low, found.high, found.n, better
    )
