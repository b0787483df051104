"""handbench predict"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def predict(
    method: Annotated[str, typer.Argument(help="the method, as trained")],
    variant: Annotated[str, typer.Option(help="as trained")] = "full",
    size: Annotated[str, typer.Option(help="as trained")] = "full",
    seed: Annotated[int, typer.Option(help="as trained")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="so many trained runs, from --seed upwards")] = 1,
    protocol: Annotated[str, typer.Option(help="whose test set to predict")] = "freihand",
    data: Annotated[Path | None, typer.Option(help="a prepared file, instead of the protocol's")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="instead of the trained method's best.pt")] = None,
    out: Annotated[Path | None, typer.Option(help="the predictions' file")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
    batch: Annotated[int, typer.Option(min=1, help="images at once")] = 32,
    workers: Annotated[int, typer.Option(min=0, help="loader processes")] = 0,
    hold: Annotated[
        float | None,
        typer.Option(min=-1, max=1, help="also: where the confidence is lower, repeat the last trusted pose"),
    ] = None,
) -> None:
    """Run a trained method over a test set.

    Goes on from an interrupted run.

    Example: handbench predict clip-hand3d --size tiny --protocol freihand

    Example: handbench predict dahyf --protocol ho3d-v3 --hold 0.5
    """
    from handbench import places
    from handbench.console import say
    from handbench.errors import UsageError
    from handbench.evaluation.protocol import load
    from handbench.inference.checkpoint import build, read_checkpoint
    from handbench.inference.device import choose_device
    from handbench.inference.hold import hold as hold_poses
    from handbench.inference.hold import require_holdable
    from handbench.inference.predict import predict as run_over
    from handbench.inference.predict import row_of
    from handbench.store.hands_file import HandsFile

    if seeds > 1 and (out or checkpoint):
        option = "--out" if out else "--checkpoint"
        raise UsageError(f"{option} is of one run, and --seeds {seeds} asks for several.", f"Leave {option} out.")
    where = choose_device(device)
    chosen = load(protocol)
    dataset = chosen.dataset or chosen.name
    runs = [places.run_folder(method, places.row_label(variant, size), one) for one in range(seed, seed + seeds)]
    truth = HandsFile(data or places.prepared(dataset, chosen.split or "test"), f"`handbench prep {dataset}` makes it.")
    for weights in [checkpoint] if checkpoint else [run / "best.pt" for run in runs]:
        target = out or places.predictions_file(chosen.name, row_of(weights, method))
        settings: dict[str, Any] = {"method": method, "device": where, "batch": batch, "workers": workers}
        if hold is None:
            print(run_over(weights, truth, target, **settings).path)
            continue
        record = read_checkpoint(weights, method=method)
        require_holdable(build(record), record["about"]["variant"], truth)
        # the predictions as they are stand beside the held ones: another --hold costs nothing
        plain = target if out is None else target.with_name(f"{target.stem}-unheld.h5")
        kept = target.with_name(f"{target.stem}-hold{hold:g}.h5") if out is None else target
        predictions = run_over(weights, truth, plain, **settings)
        file = hold_poses(predictions, truth, hold, kept)
        say(f"{file.meta['frames_held']:,} of {len(file):,} frames repeat an earlier pose.")
        print(file.path)
