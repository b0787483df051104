"""The page's charts: what the figures of `handbench report` show, as plotly's JSON, to hover over."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import numpy as np

from handbench.evaluation.result import plain
from handbench.report.figure import COLOURS
from handbench.report.occlusion_figures import Line
from handbench.report.pck_curves import Curve
from handbench.report.speed_figures import Point, condition_in_words, published_points
from handbench.report.speeds import called

DASHES = ("solid", "dash", "dashdot", "dot")
# as many calls as a line of a chart can show
CALLS = 400

Chart = dict[str, Any]


def pck_chart(curves: Sequence[Curve], alignment: str) -> Chart:
    """A line a row: the share of joints within the threshold."""
    traces = [_line(i, f"{c.name}: AUC {c.auc:.3f}{_given(curves, c)}", c.at, c.share) for i, c in enumerate(curves)]
    at = curves[0].at
    title = f"PCK of joints, {alignment}, {at[0]:g} to {at[-1]:g} mm"
    return _chart(title, "threshold (mm)", "share within the threshold", traces, yaxis={"range": [0, 1.02]})


def occlusion_chart(lines: Sequence[Line], alignment: str) -> Chart:
    """A line a row with its band, over the covered share of the hand."""
    traces = []
    for i, line in enumerate(lines):
        there = np.isfinite(line.band.mean)
        at, words = 100 * line.at[there], [f"n = {n:,}" for n in line.band.n[there]]
        one = _line(i, line.name, at, line.band.mean[there]) | {"mode": "lines+markers", "text": words}
        reach = (line.band.high - line.band.mean)[there], (line.band.mean - line.band.low)[there]
        one["error_y"] = {"type": "data", "symmetric": False, "array": reach[0], "arrayminus": reach[1]}
        traces.append(one)
    title = f"Mean joint error by occlusion, {alignment}; {lines[0].band.words}"
    x = "share of the hand that something else covers (%)"
    return _chart(title, x, "mean joint error (mm)", traces, xaxis={"range": [0, 100]})


def accuracy_chart(points: Sequence[Point], speeds: Sequence[dict[str, Any]], alignment: str) -> Chart:
    """Rows that were both scored and timed."""
    title = f"Error against speed, measured; {condition_in_words(speeds[0])}"
    return _scatter(title, points, f"MPJPE, {alignment} (mm)", COLOURS[1])


def published_chart() -> Chart:
    """The published rows; their devices and definitions differ."""
    title = "Published (CLIP-Hand3D, table 1): devices and definitions of FPS differ"
    return _scatter(title, published_points(), "PA-MPJPE (mm)", COLOURS[0])


def latency_chart(speeds: Sequence[dict[str, Any]]) -> Chart | None:
    """A line a record of `alike`: the share of calls done by then. None: no timing."""
    if not speeds:
        return None
    traces = []
    for i, speed in enumerate(speeds):
        ms = np.sort(np.asarray(speed["samples_wall_ms"], float))
        share = np.arange(1, len(ms) + 1) / len(ms)
        shown = np.unique(np.linspace(0, len(ms) - 1, min(CALLS, len(ms))).round().astype(int))
        name = f"{called(speed)}: p50 {speed['p50_ms']:.2f}, p99 {speed['p99_ms']:.2f} ms"
        traces.append(_line(i, name, ms[shown], share[shown]))
        traces[-1]["line"]["shape"] = "hv"
    title = f"Latency; {condition_in_words(speeds[0])}"
    ends = [end for trace in traces for end in (trace["x"][0], trace["x"][-1])]
    return _chart(title, "milliseconds a call", "share of calls done", traces, xaxis=_logarithmic(ends, 0.05))


def _given(curves: Sequence[Curve], curve: Curve) -> str:
    """What a row was given, where rows were given different things."""
    if all(other.given == curve.given for other in curves):
        return ""
    return f"; given {'not stated' if curve.given is None else ', '.join(curve.given) or 'nothing'}"


def _scatter(title: str, points: Sequence[Point], y: str, colour: str) -> Chart:
    trace = {
        "x": [point.fps for point in points],
        "y": [point.error for point in points],
        "text": [_escaped(point.name) for point in points],
        "mode": "markers+text",
        "textposition": "top center",
        "textfont": {"size": 10},
        "marker": {"size": 9, "color": colour},
        "hovertemplate": "%{text}<br>%{x:.4g} frames/s, %{y:.2f} mm<extra></extra>",
        "cliponaxis": False,
    }
    fps = [point.fps for point in points]
    # room for the names at both ends
    return _chart(title, "frames a second", f"{y}, lower is better", [trace], xaxis=_logarithmic(fps, 0.25))


def _logarithmic(values: Sequence[float], room: float) -> Chart:
    """An axis with ticks as plain numbers; `room` is left at both ends, in decades."""
    low, high = np.log10(min(values)) - room, np.log10(max(values)) + room
    steps = (1, 2, 5) if high - low > 1 else (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9)
    ticks = [step * 10.0**k for k in range(int(np.floor(low)), int(np.ceil(high))) for step in steps]
    return {"type": "log", "range": [low, high], "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}


def _line(i: int, name: str, x: Any, y: Any) -> Chart:
    """A name can come from a file, and plotly reads tags in names."""
    style = {"color": COLOURS[i % len(COLOURS)], "dash": DASHES[i % len(DASHES)], "width": 2}
    return {"name": _escaped(name), "x": x, "y": y, "mode": "lines", "line": style}


def _chart(title: str, x: str, y: str, traces: list[Chart], **axes: Chart) -> Chart:
    named = {
        key: {"title": {"text": text}, "gridcolor": "#ddd", "zeroline": False} | axes.get(key, {})
        for key, text in (("xaxis", x), ("yaxis", y))
    }
    lines = [(html.unescape(t["name"]), t["line"]["color"], t["line"]["dash"]) for t in traces if "name" in t]
    return plain({"title": title, "data": traces, "layout": named, "legend": lines})


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)
