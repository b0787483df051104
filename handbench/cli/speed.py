"""handbench speed"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def speed(
    method: Annotated[str | None, typer.Argument(help="default: every trained method, or else clip-hand3d")] = None,
    variant: Annotated[str, typer.Option(help="as trained")] = "full",
    size: Annotated[str, typer.Option(help="as trained")] = "full",
    seed: Annotated[int, typer.Option(help="as trained")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
    data: Annotated[Path | None, typer.Option(help="a prepared file to take inputs from (default: synthetic)")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="fewer iterations; marked so everywhere")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads (default: torch's)")] = None,
    json: Annotated[str | None, typer.Option(metavar="FILE", help="write the records there too; - is stdout")] = None,
) -> None:
    """Time inference under one protocol.

    Tier T1 at batch 1: percentiles, parameters, MACs; JSON with every raw sample. A method that is not trained is timed
    with random weights: time does not depend on them.

    Example: handbench speed clip-hand3d --device cuda
    """
    from handbench.speed.run import time_all

    time_all(method, variant, size, seed, device=device, data=data, quick=quick, threads=threads, json=json)
