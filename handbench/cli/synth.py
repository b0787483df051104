"""handbench synth"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from handbench.errors import UsageError


def synth(
    dataset: Annotated[str, typer.Argument(help="whose layout: freihand, ho3d-v2, ho3d-v3, dexycb, rhd, stb, ...")],
    out: Annotated[Path, typer.Option(help="the folder to write")],
    n: Annotated[int | None, typer.Option("--n", min=1, help="sets of single images: training samples")] = None,
    n_eval: Annotated[int | None, typer.Option(min=1, help="evaluation samples (default: half of N)")] = None,
    sequences: Annotated[int | None, typer.Option(min=1, help="sets of sequences: how many")] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="and of how many frames, at most")] = None,
    cameras: Annotated[int | None, typer.Option(min=1, help="dexycb: by how many of its eight")] = None,
    seed: Annotated[int, typer.Option(min=0, help="which samples")] = 0,
) -> None:
    """Write an official layout from the synthetic hand.

    Folders, file names, annotations and images as the dataset ships them, and a file that says that it is not the
    official set. What is written already is kept: an interrupted run goes on.

    Example: handbench synth freihand --out data/freihand --n 64

    Example: handbench synth ho3d-v3 --out data/ho3d-v3 --sequences 4 --frames 20
    """
    from handbench.console import progress
    from handbench.preparation.source import present_hand
    from handbench.store.atomic import saying_why
    from handbench.synth.layout import Size, writer

    module = writer(dataset)
    usual: Size = module.SIZE
    if cameras is not None and dataset != "dexycb":
        raise UsageError(f"--cameras is for dexycb, not for {dataset}.", "Leave it out.")
    if usual.sequences:
        if n is not None or n_eval is not None:
            raise UsageError(f"{dataset} is a set of sequences.", "Give --sequences and --frames.")
        size = Size(sequences=sequences or usual.sequences, frames=frames or usual.frames, cameras=cameras or 0)
    else:
        if sequences is not None or frames is not None:
            raise UsageError(f"{dataset} is a set of single images.", "Give --n, and --n-eval.")
        held = n_eval or (max(1, n // 2) if n else usual.held)
        size = Size(samples=n or usual.samples, held=held)
    extra = {"dataset": dataset} if dataset.startswith("ho3d") else {}
    with saying_why(out), progress(f"synth {dataset}", module.images(size, **extra), "images") as advance:
        module.write(out, size, seed, present_hand, advance, **extra)
    print(out)
