"""handbench doctor"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def doctor(
    dataset: Annotated[str, typer.Argument(help="which dataset the files claim to be")],
    path: Annotated[Path | None, typer.Argument(help="its folder (default HANDBENCH_DATA/DATASET)")] = None,
    split: Annotated[str | None, typer.Option(help="only this split")] = None,
    out: Annotated[Path | None, typer.Option(help="folder of the pictures (default HANDBENCH_HOME/doctor)")] = None,
    images: Annotated[int, typer.Option(min=1, help="how many to draw")] = 24,
    sequence_names: Annotated[
        Path | None, typer.Option(help="DexYCB, not whole: a file with the names of all 1,000 sequences")
    ] = None,
) -> None:
    """Look at a dataset as it lies on the disk.

    Counts, files that cannot be read, units, axes, joint order; and a sheet of overlays, drawn as PNG: joints in
    colour, the mesh's outline in cyan, the visible fraction below. Exit code 5 where something is odd.

    Example: handbench doctor freihand ~/datasets/FreiHAND_pub_v2
    """
    from handbench import places
    from handbench.datasets.card import Wanted
    from handbench.errors import CheckFailed
    from handbench.preparation.doctor import examine
    from handbench.preparation.source import find_sources, open_sources
    from handbench.report.overlays import draw_truth

    odd = 0
    wanted = Wanted(partial=True, sequence_names=sequence_names)
    sources = find_sources(dataset, path or places.data_home() / dataset, split, wanted)
    for source, opened in open_sources(sources, whole=split is not None):
        findings, block = examine(opened)
        print(f"{dataset} {source.split}")
        for finding in findings:
            print(f"  {'ok ' if finding.fine else 'ODD'} {finding.what:<8} {finding.seen}")
            if not finding.fine:
                print(f"      {'':<8} {finding.wrong}")
        odd += sum(not finding.fine for finding in findings)
        if block.hands is None:
            continue
        sheet = (out or places.home() / "doctor") / f"{dataset}-{source.split}.png"
        draw_truth(block.hands, block.images, sheet, f"{dataset} {source.split}", images)
        print(f"  sheet: {sheet}")
    if odd:
        raise CheckFailed(f"{odd} {'thing is' if odd == 1 else 'things are'} odd in this dataset.", "See above.")
