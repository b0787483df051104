"""Results made of columns, for tests of comparisons."""

from __future__ import annotations

import numpy as np

from handbench.evaluation.protocol import Protocol
from handbench.evaluation.result import Result

METRICS = (
    {"name": "mpjpe", "alignments": ["root", "procrustes"]},
    {"name": "auc", "alignments": ["root"], "low": 0.0, "high": 50.0, "steps": 100},
)


def made(samples, joints=None, *, metrics=METRICS, row=None, **more) -> Result:
    """A result with these columns, under a protocol with these metrics."""
    protocol = Protocol(name="trial", version=1, metrics=metrics)
    samples = {key: np.asarray(values, np.float64) for key, values in samples.items()}
    n = len(next(iter(samples.values()))) if samples else len(next(iter(joints.values())))
    summary = [
        {"metric": metric.called, "alignment": alignment, "unit": metric.unit, "interval": [0.0, 0.0], "n": n}
        | {"value": np.nanmean(samples[key]) if key in samples else 0.0}
        | ({"range": [metric.low, metric.high], "steps": metric.steps} if metric.steps else {})
        for metric in protocol.metrics
        for alignment in metric.alignments
        if (key := f"{metric.called}/{alignment}") in samples or metric.name.startswith("median")
    ]
    given = {
        "protocol": {"name": "trial", "version": 1, "id": "trial@1-00000000", "definition": protocol.definition()},
        "ids": np.array([f"trial/{i:06d}" for i in range(n)]),
        "joint_errors": {k: np.asarray(v, np.float64) for k, v in (joints or {}).items()},
        "reflected": np.zeros(n, bool),
        "official": {},
        "given": None,
        "warnings": [],
        "provenance": {"truth": {"source": "official files", "digest": "0"}},
        "row": row or {},
    }
    return Result(**{**given, "samples": samples, "summary": summary, **more})


def only(found, metric="mpjpe", alignment="root"):
    return next(row for row in found.rows if (row.metric, row.alignment) == (metric, alignment))


def captures(n: int, each: int) -> np.ndarray:
    return np.array([f"take {i // each}" for i in range(n)])


def methods(n: int = 3960, better_by: float = 0.1, seed: int = 0) -> tuple[Result, Result]:
    """Two methods of some 6 mm on the same hands, hard for both or easy for both; the first truly is better by that."""
    rng = np.random.default_rng(seed)
    hard = rng.gamma(6.0, 1.0, (n, 1))
    results = []
    for name, less in (("first", better_by), ("second", 0.0)):
        rooted = np.abs(hard + rng.normal(0, 0.5, (n, 1)) + rng.normal(0, 2, (n, 21)) + 3 - less)
        aligned = np.abs(hard + rng.normal(0, 0.4, (n, 1)) + rng.normal(0, 1, (n, 21)) - less)
        samples = {"mpjpe/root": rooted.mean(1), "mpjpe/procrustes": aligned.mean(1)}
        samples["auc/root"] = np.clip(1 - rooted / 50, 0, 1).mean(1)
        row = {"method": name, "variant": "full", "seed": 0}
        results.append(made(samples, {"root": rooted, "procrustes": aligned}, row=row))
    return results[0], results[1]
