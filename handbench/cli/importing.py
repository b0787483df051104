"""handbench import"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def import_predictions(
    file: Annotated[Path, typer.Argument(help="pred.json, pred.zip, DexYCB text, .npz, .csv, or an HDF5 of hands")],
    name: Annotated[str, typer.Option(help="the row's name in tables")],
    protocol: Annotated[str, typer.Option(help="whose test set they are of")] = "freihand",
    truth: Annotated[Path | None, typer.Option(help="the test set, prepared or as published")] = None,
    order: Annotated[
        str | None, typer.Option(help="joint order of the file: fh21, ho3d, rhd, stb (default: by its format)")
    ] = None,
    axes: Annotated[str | None, typer.Option(help="opencv or opengl (default: by its format)")] = None,
    unit: Annotated[str | None, typer.Option(help="m, dm, cm or mm (default: by its format)")] = None,
    given: Annotated[
        list[str] | None,
        typer.Option(help="what it took from the truth: root, 'root depth', scale, box, side, camera; or nothing"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="the file to write")] = None,
) -> None:
    """Bring somebody's predictions in.

    They stand beside those of `handbench predict`. A pred.json, pred.zip or DexYCB text is read as the official
    script of the protocol reads it (HO-3D: its joint order, OpenGL axes; DexYCB: mm); .npz, .csv and .h5 are metres,
    OpenCV axes, FH21 order. --order, --axes, --unit say otherwise. What it was read as is printed.

    Example: handbench import pred.zip --name hamer --protocol freihand --given box

    Example: handbench import joints.npz --name mine --protocol dexycb-s0 --unit mm
    """
    from handbench import places
    from handbench.console import say, warn
    from handbench.evaluation.intake import stated, take_in
    from handbench.evaluation.protocol import load

    chosen = load(protocol)
    true = truth or places.prepared(chosen.dataset or chosen.name, chosen.split or "test")
    target = out or places.predictions_file(chosen.name, name)
    taken = take_in(file, target, chosen, true, name=name, order=order, axes=axes, unit=unit, given=stated(given))
    say(taken.read_as)
    for suspicion in taken.suspicions:
        warn(suspicion)
    say(f"{taken.samples:,} samples")
    print(target)
