"""What an evaluation found: errors sample by sample, and the figures made of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

# between the sets of `pretrained`, in their order
THEN = ", then "
NOT_TRAINED = ("random", "none", "scratch")
# what a table needs to know of a row, from the meta of its predictions
ROW = (
    *("method", "variant", "size", "seed", "weights", "recipe", "checkpoint"),
    *("trained_on", "samples", "pretrained", "changed", "hold", "frames_held", "hand_model", "labels"),
)


@dataclass(frozen=True, eq=False)
class Result:
    """A scored set of predictions.

    protocol           {name, version, id, n_official, complete, definition}
    ids (N,) str       the samples
    samples            `METRIC/ALIGNMENT` -> (N,): mm, 0..1 or the metric's unit; NaN where a sample has none
    joint_errors       alignment -> (N, 21) mm; NaN where a joint is not annotated
    curves             `METRIC/ALIGNMENT` -> (T, 2): threshold in mm, PCK
    reflected (N,)     bool: mirrored by the official alignment of the joints
    summary            one dict a figure: metric, alignment, unit, value, interval [low, high], its method in words, n,
                       clusters; the interval is over captures where there are any, and then interval_over_samples is
                       what it would be were samples independent; an AUC also has range, mm, steps and skip; an F-score
                       threshold, mm
    per_bucket         occlusion bucket -> {range in %, n, summary}
    official           the official script's keys and units; empty where the protocol follows none
    given              what the predictions took from the truth; None where nobody said
    warnings           in words; `suspicions` are those among them that doubt unit, axes, order or side
    provenance         truth, predictions, versions, time
    row                method, variant, size, seed, weights
    clusters (N,) str  what was recorded together; None where every sample stands alone
    covered (N,)       0..1, the share of the hand that something else covers; None where it is not known
    """

    protocol: dict[str, Any]
    ids: NDArray
    samples: dict[str, NDArray]
    joint_errors: dict[str, NDArray]
    reflected: NDArray
    summary: list[dict[str, Any]]
    official: dict[str, float]
    given: list[str] | None
    warnings: list[str]
    provenance: dict[str, Any]
    row: dict[str, Any]
    curves: dict[str, NDArray] = field(default_factory=dict)
    clusters: NDArray | None = None
    covered: NDArray | None = None
    per_bucket: dict[str, Any] = field(default_factory=dict)
    suspicions: list[str] = field(default_factory=list)

    @property
    def n(self) -> int:
        return len(self.ids)

    def value(self, metric: str, alignment: str) -> float:
        """One figure; KeyError where the result does not have it."""
        for row in self.summary:
            if row["metric"] == metric and row["alignment"] == alignment:
                return float(row["value"])
        raise KeyError(f"{metric}/{alignment}")

    def to_record(self) -> dict[str, Any]:
        """Everything but the per-sample arrays, ready for JSON: a figure that does not exist is None."""
        names = (
            "protocol",
            "official",
            "summary",
            "per_bucket",
            "given",
            "warnings",
            "suspicions",
            "provenance",
            "row",
        )
        counts = {"n": self.n, "reflected": int(np.sum(self.reflected))}
        return plain(counts | {name: getattr(self, name) for name in names})


def row_name(row: dict[str, Any], *, seed: bool = True) -> str:
    """`clip-hand3d tiny (random CLIP, scratch)`: the method, what differs from the paper's, and its weights; a seed
    other than 0 where `seed`. Empty for a row of no method.
    """
    if row.get("name"):
        words = [str(row["name"])]
    elif row.get("method"):
        words = [str(row["method"])]
        words += [str(row[key]) for key in ("variant", "size") if row.get(key) not in (None, "", "full", "default")]
        words += [f"seed {row['seed']}"] if seed and row.get("seed") else []
        words += [f"held {row['hold']}"] if row.get("hold") is not None else []
    else:
        return ""
    weights = row.get("weights") or {}
    said = [f"random {name.upper() if name == 'clip' else name}" for name in weights if absent(weights[name])]
    said = ["scratch" if word == "random imagenet" else word for word in said]
    return " ".join(words) + (f" ({', '.join(said)})" if said else "")


def absent(weights: Any) -> bool:
    """Whether pre-trained weights that a method starts from were left out."""
    return weights is None or str(weights).lower() in NOT_TRAINED


def plain(value: Any) -> Any:
    """JSON's own types; NaN and infinity become None."""
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)
