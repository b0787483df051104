"""handbench report speed"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Kind(StrEnum):
    latency = "latency"
    accuracy = "accuracy"


def speed(
    kind: Annotated[Kind, typer.Argument(help="how calls are distributed, or error against speed")] = Kind.latency,
    protocol: Annotated[str, typer.Option(help="of the errors")] = "freihand",
    out: Annotated[
        Path | None, typer.Option(help=".png, .pdf or .svg (default: a PNG in HANDBENCH_HOME/pictures)")
    ] = None,
) -> None:
    """Draw the timings in HANDBENCH_HOME/speed: those that share machine and effort with the newest.

    Published and measured rows stand in panels of their own.

    Example: handbench report speed accuracy --protocol freihand --out figure1.pdf
    """
    from handbench import places
    from handbench.console import warn
    from handbench.evaluation.protocol import load
    from handbench.evaluation.result import row_name
    from handbench.evaluation.result_file import read_result
    from handbench.report import speed_figures as figures
    from handbench.report.speeds import read_speeds

    chosen = load(protocol)
    speeds, others = figures.alike(read_speeds(places.home() / "speed"))
    if others:
        warn(f"{others} timings of another machine, thread count, torch or effort are not in the picture.")
    path = out or places.home() / "pictures" / "speed" / f"{kind.value}.png"
    if kind is Kind.latency:
        figures.draw_latency(speeds, path)
    else:
        scored = []
        for file in sorted((places.home() / "results" / chosen.name).glob("*.h5")):
            result = read_result(file)
            try:
                error = result.value("mpjpe", "procrustes-official")
            except KeyError:
                continue
            scored.append({"name": row_name(result.row), "row": result.row, "error": error})
        points = figures.measured_points(scored, speeds)
        figures.draw_accuracy(figures.published_points(), points, speeds, protocol, path)
    print(path)
