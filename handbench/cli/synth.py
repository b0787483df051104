"""handbench synth"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from handbench.errors import UsageError


def synth(
    dataset: Annotated[str, typer.Argument(help="whose layout: freihand")],
    out: Annotated[Path, typer.Option(help="the folder to write")],
    n: Annotated[int, typer.Option("--n", min=1, help="training annotations; each has four images")] = 64,
    n_eval: Annotated[int | None, typer.Option(min=1, help="evaluation samples (default: half of N)")] = None,
    seed: Annotated[int, typer.Option(help="which samples")] = 0,
) -> None:
    """Write an official layout from the synthetic hand.

    File names, JSON and images as FreiHAND ships them, and a file that says that it is not FreiHAND.

    Example: handbench synth freihand --out data/freihand --n 64
    """
    if dataset != "freihand":
        raise UsageError(f"There is no writer for {dataset!r}.", "Writers: freihand.")
    from handbench.console import progress
    from handbench.store.atomic import saying_why
    from handbench.synth.freihand import write_freihand
    from handbench.synth.source import present_hand

    held = n_eval or max(1, n // 2)
    with saying_why(out), progress(f"synth {dataset}", n + held, "samples") as advance:
        write_freihand(out, n, held, seed=seed, progress=lambda done, total: advance(), model=present_hand())
    print(out)
