"""What occlusion does to scored rows: error against the covered share, errors joint by joint, confidence against the
covered share (Deformer, figures 5, 3 and 6); of any predictions.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from handbench.errors import InvalidError
from handbench.evaluation.buckets import FOOTNOTE
from handbench.evaluation.result import Result, plain
from handbench.hands.joints import JOINT_NAMES
from handbench.metrics.errors import sample_mean
from handbench.report.bands import Band, band
from handbench.report.figure import COLOURS, DASHES, save
from handbench.report.scored_rows import called
from handbench.store.hands_file import HandsFile

# bounds of the bins of the covered share, each with its lower bound; the last with both
BINS = np.linspace(0.0, 1.0, 11)


@dataclass(frozen=True)
class Line:
    """A row's name in words, the covered share in the middle of each bin (or a joint's number), and its means."""

    name: str
    at: NDArray
    band: Band


def by_occlusion(row: str, result: Result, values: NDArray) -> Line:
    """The mean of values (N,), NaN absent, in each bin of the covered share.

    Raises InvalidError where the result does not know how much is covered.
    """
    if result.covered is None or not np.isfinite(result.covered).any():
        raise InvalidError(
            f"{row} does not know how much of each hand is covered: there is nothing to draw against.",
            "The truth needs visible_fraction (`handbench prep` of a dataset with masks), and the protocol buckets.",
        )
    covered = result.covered
    which = np.clip(np.searchsorted(BINS, covered, side="right") - 1, 0, len(BINS) - 2)
    inside = (which[:, None] == np.arange(len(BINS) - 1)) & np.isfinite(covered)[:, None]
    return Line(
        called(row, result),
        (BINS[1:] + BINS[:-1]) / 2,
        band(np.where(inside, values[:, None], np.nan), result.clusters),
    )


def error_by_occlusion(row: str, result: Result, alignment: str) -> Line:
    """Mean joint error of each hand, mm."""
    return by_occlusion(row, result, sample_mean(np.asarray(result.joint_errors[alignment], np.float64)))


def error_by_joint(row: str, result: Result, alignment: str) -> Line:
    """Mean error of each joint, mm."""
    found = band(np.asarray(result.joint_errors[alignment], np.float64), result.clusters)
    return Line(called(row, result), np.arange(21.0), found)


def confidence_by_occlusion(row: str, result: Result, predictions: HandsFile) -> Line:
    """What the predictions say of themselves.

    Raises InvalidError where they have no confidence, or are not what was scored.
    """
    if "confidence" not in predictions.fields:
        raise InvalidError(
            f"{predictions.path} has no confidence: its method does not say how far it trusts a hand.",
            "Take a method that does, such as deformer, or dahyf with its 2D branch.",
        )
    scored = result.provenance.get("predictions_digest")
    if scored is not None and scored != predictions.digest():
        raise InvalidError(
            f"{predictions.path} is not what {row} was scored on.",
            f"`handbench eval --protocol {result.protocol['name']}` scores it again.",
        )
    place = {str(name): i for i, name in enumerate(predictions.ids)}
    try:
        order = np.array([place[str(name)] for name in result.ids])
    except KeyError as missing:
        raise InvalidError(
            f"{predictions.path} has no {missing.args[0]}, which {row} was scored on.",
            "Give the predictions of the row.",
        ) from None
    return by_occlusion(row, result, predictions.column("confidence").astype(np.float64)[order])


def lines_record(lines: Sequence[Line], protocol: str, alignment: str | None, kind: str) -> dict[str, Any]:
    """As plain JSON: means and bands, null where there is nothing."""
    at = "joint" if kind == "joints" else "covered"
    rows = [
        {
            "row": line.name,
            at: list(JOINT_NAMES) if kind == "joints" else line.at,
            "mean": line.band.mean,
            "low": line.band.low,
            "high": line.band.high,
            "n": line.band.n,
            "band": line.band.words,
        }
        for line in lines
    ]
    unit = "the method's own" if kind == "confidence" else "mm"
    about: dict[str, Any] = {"protocol": protocol, "alignment": alignment, "unit": unit}
    if kind != "joints":
        about["bins"] = BINS
    return plain({**about, "rows": rows})


def draw_by_occlusion(lines: Sequence[Line], what: str, title: str, path: Path) -> None:
    """One line a row with its band, over the covered share, and below it how many hands each bin has."""
    figure = Figure(figsize=(7.0, 5.6), layout="constrained")
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    for i, line in enumerate(lines):
        colour, dash = COLOURS[i % len(COLOURS)], DASHES[i % len(DASHES)]
        axes.plot(100 * line.at, line.band.mean, dash, color=colour, marker="o", markersize=3.5, label=line.name)
        axes.fill_between(100 * line.at, line.band.low, line.band.high, color=colour, alpha=0.18, linewidth=0)
    axes.set_ylabel(what)
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.set_title(f"{title}\n{lines[0].band.words}", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(loc="best", fontsize=8)
    counts.bar(100 * lines[0].at, lines[0].band.n, width=8.5, color="0.6")
    for x, n in zip(100 * lines[0].at, lines[0].band.n, strict=True):
        counts.text(x, n, f"{n:,}" if n else "empty", ha="center", va="bottom", fontsize=7)
    counts.margins(y=0.35)
    counts.set_ylabel("hands")
    counts.set_xlabel("share of the hand that something else covers (%)")
    counts.set_xlim(0, 100)
    figure.supxlabel(textwrap.fill(FOOTNOTE, 150), fontsize=6)
    save(figure, path)


def draw_joints(lines: Sequence[Line], title: str, path: Path) -> None:
    """A group of bars a joint, one a row, with their bands."""
    figure = Figure(figsize=(9.0, 4.6), layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / len(lines)
    for i, line in enumerate(lines):
        at = line.at + (i - (len(lines) - 1) / 2) * width
        axes.bar(at, line.band.mean, width, color=COLOURS[i % len(COLOURS)], label=line.name)
        reach = np.maximum(np.stack([line.band.mean - line.band.low, line.band.high - line.band.mean]), 0)
        axes.errorbar(at, line.band.mean, np.nan_to_num(reach), fmt="none", ecolor="0.2", elinewidth=0.8)
    axes.set_xticks(np.arange(21), JOINT_NAMES, rotation=60, ha="right", fontsize=8)
    axes.set_ylabel("mean error (mm)")
    axes.set_title(f"{title}\n{lines[0].band.words}", fontsize=10)
    axes.grid(alpha=0.3, axis="y")
    axes.legend(loc="best", fontsize=8)
    save(figure, path)
