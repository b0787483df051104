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
) -> None:
    """Look at a dataset as it lies on the disk.

    Counts, units, axes, joint order; and a sheet of overlays, drawn as PNG. Exit code 5 where something is odd.

    Example: handbench doctor freihand ~/datasets/FreiHAND_pub_v2
    """
    from handbench import places
    from handbench.datasets.doctor import examine
    from handbench.errors import CheckFailed
    from handbench.report.overlays import draw_truth
    from handbench.synth.source import open_splits

    odd = 0
    for name, opened in open_splits(dataset, path or places.data_home() / dataset, split, partial=True):
        findings, hands, encoded = examine(opened)
        print(f"{dataset} {name}")
        for finding in findings:
            print(f"  {'ok ' if finding.fine else 'ODD'} {finding.what:<8} {finding.seen}")
            if not finding.fine:
                print(f"      {'':<8} {finding.wrong}")
        odd += sum(not finding.fine for finding in findings)
        sheet = (out or places.home() / "doctor") / f"{dataset}-{name}.png"
        draw_truth(hands, encoded, sheet, f"{dataset} {name}", images)
        print(f"  sheet: {sheet}")
    if odd:
        raise CheckFailed(f"{odd} {'thing is' if odd == 1 else 'things are'} odd in this dataset.", "See above.")
