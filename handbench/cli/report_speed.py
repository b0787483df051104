"""handbench report speed"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

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
    from handbench.errors import InvalidError
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
        scored: dict[str, list[dict[str, Any]]] = {}
        for file in sorted((places.home() / "results" / chosen.name).glob("*.h5")):
            try:
                result = read_result(file)
                error = result.value("mpjpe", "procrustes-official")
            except (InvalidError, KeyError):
                warn(f"{file} has no Procrustes-aligned error of this handbench's, and is not in the picture.")
                continue
            row = {"name": row_name(result.row), "row": result.row, "error": error}
            scored.setdefault(str(result.protocol["id"]), []).append(row)
        # rows of other samples or another truth do not belong into one panel
        protocol = max(scored, key=lambda name: len(scored[name]), default=chosen.name)
        for name in set(scored) - {protocol}:
            warn(f"{len(scored[name])} rows under {name} are not in the picture, which is of {protocol}.")
        points = figures.measured_points(scored.get(protocol, []), speeds)
        figures.draw_accuracy(figures.published_points(), points, speeds, protocol, path)
    print(path)
