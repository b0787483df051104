"""Speed in pictures: how latencies are distributed, and accuracy against speed (CLIP-Hand3D, figure 1)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from handbench.errors import MissingError
from handbench.report.figure import COLOURS, DASHES, save
from handbench.report.measured_speed import SAME
from handbench.report.published import published_table
from handbench.report.speeds import called, headline

TABLE = "clip-hand3d.1"


class Point(NamedTuple):
    """A row's name, its rate and its Procrustes-aligned joint error, mm."""

    name: str
    fps: float
    error: float


def alike(speeds: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    """T1's headline records that share machine and effort with the newest, one a row, and how many others there are.

    Raises MissingError where there is none.
    """
    heads = list(filter(headline, speeds))
    if not heads:
        raise MissingError("There are no timings to draw.", "`handbench speed` makes them.")
    newest = max(heads, key=lambda speed: str(speed["made"]["time"]))
    same = [speed for speed in heads if _condition(speed) == _condition(newest)]
    return same, len(heads) - len(same)


def draw_latency(speeds: Sequence[dict[str, Any]], path: Path) -> None:
    """One line a record of `alike`: the share of calls that are done by then, p50 and p99 marked -> PNG, PDF or SVG."""
    figure = Figure(figsize=(7.0, 4.6), layout="constrained")
    axes = figure.add_subplot()
    for i, speed in enumerate(speeds):
        ms = np.sort(np.asarray(speed["samples_wall_ms"], float))
        share = np.arange(1, len(ms) + 1) / len(ms)
        colour = COLOURS[i % len(COLOURS)]
        label = f"{called(speed)}: p50 {speed['p50_ms']:.2f}, p99 {speed['p99_ms']:.2f} ms, n = {speed['n']:,}"
        axes.step(ms, share, where="post", color=colour, linestyle=DASHES[i % len(DASHES)], label=label)
        axes.plot([speed["p50_ms"], speed["p99_ms"]], [0.5, 0.99], "o", color=colour, markersize=4)
    _logarithmic(axes)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("milliseconds a call (logarithmic)")
    axes.set_ylabel("share of calls done")
    axes.set_title(condition_in_words(speeds[0]), fontsize=9)
    axes.grid(alpha=0.3, which="both")
    axes.legend(loc="best", fontsize=7)
    save(figure, path)


def published_points() -> list[Point]:
    """Figure 1's rows, from the table that prints both figures."""
    rows = published_table(TABLE)
    found = []
    for method, group in rows.groupby("method", sort=False):
        values = dict(zip(group["canonical"], group["value"], strict=True))
        if "fps" in values and "pa-mpjpe" in values:
            found.append(Point(str(method), float(values["fps"]), float(values["pa-mpjpe"])))
    return found


def measured_points(results: Sequence[dict[str, Any]], speeds: Sequence[dict[str, Any]]) -> list[Point]:
    """Result rows (name, row, error in mm) that were timed, by method, variant, size and recipe."""
    found = []
    for result in results:
        own = [s for s in speeds if all(s.get(key) == result["row"].get(key) for key in SAME)]
        if own:
            found.append(Point(result["name"], float(own[-1]["fps"]), result["error"]))
    return found


def draw_accuracy(
    published: Sequence[Point], measured: Sequence[Point], speeds: Sequence[dict[str, Any]], protocol: str, path: Path
) -> None:
    """Published and measured rows in panels of their own: their devices, and what FPS means, are not the same."""
    figure = Figure(figsize=(10.0, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    _scatter(left, published, "published (CLIP-Hand3D, table 1): devices and definitions differ", COLOURS[0])
    where = f"measured, {protocol}" + (f"; {condition_in_words(speeds[0])}" if speeds else "")
    _scatter(right, measured, where, COLOURS[1])
    save(figure, path)


def _scatter(axes: Axes, points: Sequence[Point], title: str, colour: str) -> None:
    axes.set_title(title, fontsize=8)
    if not points:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no row is both scored and timed", transform=axes.transAxes, ha="center")
        return
    axes.set_xlabel("frames a second (logarithmic)")
    axes.set_ylabel("PA-MPJPE (mm), lower is better")
    axes.grid(alpha=0.3, which="both")
    _logarithmic(axes)
    axes.plot([p.fps for p in points], [p.error for p in points], "o", color=colour)
    axes.margins(0.2, 0.1)
    for point in points:
        # a dollar sign would begin a formula; slanted, neighbours' names do not cross
        name, place = point.name.replace("$", r"\$"), (point.fps, point.error)
        axes.annotate(name, place, xytext=(3, 3), textcoords="offset points", fontsize=7, rotation=30)


def _logarithmic(axes: Axes) -> None:
    """With ticks as plain numbers."""
    axes.set_xscale("log")
    for which in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
        which(LogFormatter(minor_thresholds=(2, 0.5)))


def _condition(speed: dict[str, Any]) -> tuple[Any, ...]:
    machine = speed["machine"]
    return (machine["device"], machine["threads"], machine["torch"], speed["effort"])


def condition_in_words(speed: dict[str, Any]) -> str:
    """What the timings of `alike` share."""
    machine = speed["machine"]
    return (
        f"T1, batch 1, eager fp32, {speed['effort']} run\n{machine['device']}, threads: {machine['threads']}, "
        f"torch {machine['torch']}"
    )
