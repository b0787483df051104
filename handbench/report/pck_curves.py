"""PCK curves of scored rows in one picture (CLIP-Hand3D, figure 7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from matplotlib.figure import Figure
from numpy.typing import NDArray

from handbench.errors import InvalidError, UsageError
from handbench.evaluation.metric import CURVES, Metric
from handbench.evaluation.plan import key
from handbench.evaluation.protocol import Protocol
from handbench.evaluation.result import Result, plain
from handbench.metrics.curves import auc, pck, thresholds
from handbench.report.figure import COLOURS, DASHES, save
from handbench.report.scored_rows import called, read_scored
from handbench.sections import did_you_mean

Space = Literal["joints", "vertices"]
DEFAULT = "procrustes-official"


@dataclass(frozen=True)
class Curve:
    """A row's name in words, its protocol's id, n, what it was given; at (T,) mm, share (T,) and the AUC over `at`."""

    name: str
    protocol: str
    n: int
    given: list[str] | None
    at: NDArray
    share: NDArray

    @property
    def auc(self) -> float:
        return float(auc(self.share, self.at))


def read_curves(
    rows: Sequence[str], protocol: Protocol, space: Space = "joints", alignment: str | None = None
) -> tuple[list[Curve], str]:
    """The curve of each row: a result file, or a row's name in `results/PROTOCOL` of HANDBENCH_HOME; and the alignment,
    procrustes-official or the protocol's first where none is named.

    Raises MissingError for a row that is not there, InvalidError where the rows are of different protocols, or one has
    no such curve, UsageError for an alignment that the protocol does not have.
    """
    alignment = _alignment(protocol, space, alignment)
    found = [curve_of(result, protocol, space, alignment, row) for row, result in read_scored(rows, protocol)]
    return found, alignment


def curve_of(result: Result, protocol: Protocol, space: Space, alignment: str, row: str = "the result") -> Curve:
    """The stored curve where the protocol has an AUC of it, the widest range where there are several; else, of joints,
    made of their errors. Errors of single vertices are kept nowhere: their curves are those that were stored.
    """
    ranged = _ranged(protocol, space)
    own = next((metric for metric in ranged if key(metric, alignment) in result.curves), None)
    if own is not None:
        at, share = result.curves[key(own, alignment)].T
    elif space == "joints" and alignment in result.joint_errors:
        at = _thresholds(ranged[0] if ranged else None)
        _, share = pck(result.joint_errors[alignment], at)
    else:
        raise InvalidError(
            f"{row} has no errors of {space} under {alignment}.",
            "Its predictions or its truth have none, or it was scored before the protocol had them.",
        )
    return Curve(called(row, result), str(result.protocol["id"]), result.n, result.given, at, share)


def curves_record(curves: Sequence[Curve], space: Space, alignment: str) -> dict[str, Any]:
    """As plain JSON."""
    lines = [
        {"row": c.name, "n": c.n, "given": c.given, "auc": c.auc, "threshold_mm": c.at, "pck": c.share} for c in curves
    ]
    return plain({"protocol": curves[0].protocol, "space": space, "alignment": alignment, "rows": lines})


def draw_curves(curves: Sequence[Curve], space: Space, alignment: str, path: Path) -> None:
    """One line a row -> PNG, written atomically."""
    figure = Figure(figsize=(7.0, 5.0), layout="constrained")
    axes = figure.add_subplot()
    alike = all(curve.given == curves[0].given for curve in curves)
    for i, curve in enumerate(curves):
        # rows that were given different things stand here side by side: said, as the tables do
        given = (
            ""
            if alike
            else f"\n    given: {'not stated' if curve.given is None else ', '.join(curve.given) or 'nothing'}"
        )
        label = f"{curve.name}: AUC {curve.auc:.3f}{given}"
        colour, dash = COLOURS[i % len(COLOURS)], DASHES[i % len(DASHES)]
        axes.plot(curve.at, curve.share, color=colour, linestyle=dash, linewidth=1.8, label=label)
    at = curves[0].at
    axes.set_xlim(at[0], at[-1])
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("threshold (mm)")
    axes.set_ylabel(f"PCK (share of {space} within the threshold)")
    axes.set_title(f"{curves[0].protocol}, {space}, {alignment}, n = {curves[0].n:,}", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(loc="best", fontsize=8)
    save(figure, path)


def _alignment(protocol: Protocol, space: Space, alignment: str | None) -> str:
    of_mesh = space == "vertices"
    # a curve of joints can be made wherever there are their errors; one of vertices only where it was asked for
    metrics = _ranged(protocol, space) if of_mesh else [m for m in protocol.metrics if m.name in ("auc", "mpjpe")]
    known = list(dict.fromkeys(name for metric in metrics for name in metric.alignments))
    if not known:
        raise UsageError(f"{protocol.name} has no curve of {space}.", "--space joints, or another protocol.")
    if alignment is None:
        return DEFAULT if DEFAULT in known else known[0]
    if alignment not in known:
        suggestion = did_you_mean(alignment, known) or "."
        raise UsageError(
            f"{protocol.name} has no {space} under alignment {alignment!r}{suggestion}", f"It has {', '.join(known)}."
        )
    return alignment


def _ranged(protocol: Protocol, space: Space) -> list[Metric]:
    """The protocol's AUCs of joints or of vertices, the widest range first."""
    name = CURVES[space == "vertices"]
    ranges = [metric for metric in protocol.metrics if metric.name == name]
    return sorted(ranges, key=lambda m: (float(m.high or 0) - float(m.low or 0), (m.steps or 0) - m.skip), reverse=True)


def _thresholds(metric: Metric | None) -> NDArray:
    """In mm; FreiHAND's range where the protocol has none."""
    if metric is None:
        return thresholds(0.0, 50.0, 100)
    return thresholds(float(metric.low or 0.0), float(metric.high or 0.0), int(metric.steps or 2), metric.skip)
