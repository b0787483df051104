"""handbench speed"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def speed(
    method: Annotated[
        list[str] | None, typer.Argument(help="methods, or my_file.py:build (default: the five methods)")
    ] = None,
    variant: Annotated[str, typer.Option(help="as trained")] = "full",
    size: Annotated[str, typer.Option(help="as trained")] = "full",
    seed: Annotated[int, typer.Option(help="as trained")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
    data: Annotated[Path | None, typer.Option(help="a prepared file to take inputs from (default: synthetic)")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="fewer iterations; marked so everywhere")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="600 s of each")] = False,
    processes: Annotated[int, typer.Option(min=1, help="fresh processes for each method, in turn")] = 1,
    compare: Annotated[bool, typer.Option("--compare", help="which is faster, where that can be said")] = False,
    mode: Annotated[
        list[str] | None, typer.Option(help="also: tf32, bf16, channels_last, compile, cuda-graph; may be repeated")
    ] = None,
    throughput: Annotated[bool, typer.Option("--throughput", help="also images a second in batches up to 128")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads (default: torch's)")] = None,
    out: Annotated[Path | None, typer.Option(help="folder of the records (default: HANDBENCH_HOME/speed)")] = None,
    json: Annotated[str | None, typer.Option(metavar="FILE", help="write the records there too; - is stdout")] = None,
) -> None:
    """Time inference under one protocol, HB-Speed 1.

    At batch 1, eager, fp32: T0, the network; T1, to joints and vertices on the device; T2, from a picture on the host
    to hands on the host. Percentiles, time by stage, parameters, MACs, memory; JSON with every raw sample. A method
    that is not trained is timed with random weights: time does not depend on them.

    my_file.py:build is a network of your own: build() returns it and an example input.

    Example: handbench speed clip-hand3d dahyf --device cuda --processes 5 --compare
    """
    from handbench.speed.run import Asked, time_all

    time_all(
        Asked(
            methods=method or [],
            variant=variant,
            size=size,
            seed=seed,
            device=device,
            data=data,
            quick=quick,
            strict=strict,
            threads=threads,
            processes=processes,
            compare=compare,
            modes=list(dict.fromkeys(mode or [])),
            throughput=throughput,
            out=out,
            json=json,
        )
    )
