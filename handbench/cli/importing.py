"""handbench import"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def import_predictions(
    file: Annotated[Path, typer.Argument(help="pred.json, pred.zip, or an HDF5 of hands")],
    name: Annotated[str, typer.Option(help="the row's name in tables")],
    protocol: Annotated[str, typer.Option(help="whose test set they are of")] = "freihand",
    truth: Annotated[Path | None, typer.Option(help="the prepared test set (default: the protocol's)")] = None,
    order: Annotated[str, typer.Option(help="joint order of the file: fh21, ho3d, rhd, stb")] = "fh21",
    axes: Annotated[str, typer.Option(help="opencv or opengl")] = "opencv",
    unit: Annotated[str, typer.Option(help="m, dm, cm or mm")] = "m",
    given: Annotated[
        list[str] | None,
        typer.Option(help="what it took from the truth: root, 'root depth', scale, box, side, camera; or nothing"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="the file to write")] = None,
) -> None:
    """Bring somebody's predictions in.

    They stand beside those of `handbench predict`. Nothing is converted unless told.

    Example: handbench import pred.zip --name hamer --protocol freihand --given box
    """
    from handbench import places
    from handbench.console import say, warn
    from handbench.evaluation.intake import stated, take_in
    from handbench.evaluation.protocol import load

    chosen = load(protocol)
    true = truth or places.prepared(chosen.dataset or chosen.name, chosen.split or "test")
    target = out or places.predictions_file(chosen.name, name)
    count, suspicions = take_in(
        file, target, chosen, true, name=name, order=order, axes=axes, unit=unit, given=stated(given)
    )
    for suspicion in suspicions:
        warn(suspicion)
    say(f"{count:,} samples")
    print(target)
