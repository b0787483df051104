"""handbench report"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from handbench.cli.report_clip import nearest, tsne

app = typer.Typer(
    help="Draw what is in a trained method, and how rows compare.",
    epilog="Example: handbench report pck mean-pose-full-0",
    no_args_is_help=True,
    rich_markup_mode=None,
)

app.command()(tsne)
app.command()(nearest)

Method = Annotated[str, typer.Argument(help="clip-hand3d")]
Variant = Annotated[str, typer.Option(help="as trained")]
Size = Annotated[str, typer.Option(help="as trained")]
Seed = Annotated[int, typer.Option(help="as trained")]
Checkpoint = Annotated[Path | None, typer.Option(help="instead of the trained method's best.pt")]
OfProtocol = Annotated[str, typer.Option(help="whose test set to draw")]
Data = Annotated[Path | None, typer.Option(help="a prepared file, instead of the protocol's")]
Out = Annotated[Path | None, typer.Option(help="the PNG (default: in HANDBENCH_HOME/pictures)")]
Json = Annotated[str | None, typer.Option(metavar="FILE", help="write the numbers there too; - is stdout")]


class Space(StrEnum):
    joints = "joints"
    vertices = "vertices"


@app.command()
def logits(
    method: Method,
    variant: Variant = "full",
    size: Size = "full",
    seed: Seed = 0,
    checkpoint: Checkpoint = None,
    protocol: OfProtocol = "freihand",
    data: Data = None,
    samples: Annotated[int, typer.Option(help="of the batch, 2 or more")] = 8,
    out: Out = None,
    json: Json = None,
) -> None:
    """Draw the logits of poses against the prompts of one batch, along x, y and z.

    Rows are pose features, columns text features; the text branch of the checkpoint makes them.

    Example: handbench report logits clip-hand3d --size tiny --samples 8
    """
    from handbench.evaluation.result import row_name
    from handbench.inference.latent import logits as run
    from handbench.report.logit_matrices import draw_matrices, matrices_record

    trained, truth, path = _trained(method, variant, size, seed, checkpoint, protocol, data, out, json, "logits", True)
    with truth:
        found = run(trained, truth, samples)
    draw_matrices(
        found.logits, found.prompts, found.images, found.ids, path, f"{row_name(trained.row)}{_caveat(trained.row)}"
    )
    record = matrices_record(found.logits, found.ids, found.prompts, found.scales)
    _say(path, json, {"row": trained.row, "checkpoint": trained.digest, "truth": truth.digest(), **record})


@app.command()
def heatmaps(
    method: Method,
    variant: Variant = "full",
    size: Size = "full",
    seed: Seed = 0,
    checkpoint: Checkpoint = None,
    protocol: OfProtocol = "freihand",
    data: Data = None,
    sample: Annotated[list[str] | None, typer.Option(help="its id, or its place in the file; may be repeated")] = None,
    samples: Annotated[int, typer.Option(min=1, help="how many, where none is named")] = 4,
    out: Out = None,
) -> None:
    """Draw the heat-maps that the method lifts, in the planes xy, xz and yz, beside the crop with its joints.

    Example: handbench report heatmaps clip-hand3d --size tiny --samples 4
    """
    from handbench.evaluation.result import row_name
    from handbench.inference.latent import heatmap_planes
    from handbench.methods.clip_hand3d.space import DEPTH
    from handbench.report.heatmap_planes import draw_planes

    trained, truth, path = _trained(
        method, variant, size, seed, checkpoint, protocol, data, out, None, "heatmaps", False
    )
    with truth:
        found = heatmap_planes(trained, truth, sample or [], samples)
    title = f"{row_name(trained.row)}   predicted joints, and their heat-maps as the mesh head sees them"
    draw_planes(found.maps, found.joints, found.images, found.ids, DEPTH, path, title)
    print(path)


@app.command()
def pck(
    rows: Annotated[list[str], typer.Argument(help="rows in HANDBENCH_HOME/results/PROTOCOL, or result files (.h5)")],
    protocol: Annotated[str, typer.Option(help="that they were scored under")] = "freihand",
    space: Annotated[Space, typer.Option(help="what is within the threshold")] = Space.joints,
    alignment: Annotated[
        str | None, typer.Option(help="before errors are measured (default: procrustes-official, or the first)")
    ] = None,
    out: Out = None,
    json: Json = None,
) -> None:
    """Draw the PCK curves of scored rows, over the protocol's range, with their AUC.

    Example: handbench report pck clip-hand3d-full.tiny-0 mean-pose-full-0 --protocol freihand
    """
    from handbench import places
    from handbench.evaluation.protocol import load
    from handbench.report.pck_curves import curves_record, draw_curves, read_curves
    from handbench.store.atomic import spare

    chosen = load(protocol)
    for target in (out, json):
        spare(target, *(Path(row) for row in rows))
    curves, aligned = read_curves(rows, chosen, space.value, alignment)
    path = out or places.home() / "pictures" / chosen.name / f"pck-{space.value}-{aligned}.png"
    draw_curves(curves, space.value, aligned, path)
    _say(path, json, curves_record(curves, space.value, aligned))


def _trained(
    method: str,
    variant: str,
    size: str,
    seed: int,
    checkpoint: Path | None,
    protocol: str,
    data: Path | None,
    out: Path | None,
    json: str | None,
    kind: str,
    text: bool,
) -> tuple[Any, Any, Path]:
    """The model, the opened test set, and where the picture goes."""
    from handbench import places
    from handbench.evaluation.protocol import load
    from handbench.inference.latent import Trained
    from handbench.store.atomic import spare
    from handbench.store.hands_file import HandsFile

    weights = checkpoint or places.run_folder(method, places.row_label(variant, size), seed) / "best.pt"
    chosen = load(protocol)
    dataset = chosen.dataset or chosen.name
    split = data or places.prepared(dataset, chosen.split or "test")
    for target in (out, json):
        spare(target, weights, split)
    trained = Trained(weights, method, text=text)
    truth = HandsFile(split, f"`handbench prep {dataset}` makes it.")
    return trained, truth, out or places.home() / "pictures" / chosen.name / f"{trained.name}-{kind}.png"


def _caveat(row: dict[str, Any]) -> str:
    return ": random weights say nothing about CLIP" if row["weights"].get("clip") == "random" else ""


def _say(path: Path, json: str | None, record: dict[str, Any]) -> None:
    from handbench.store.records import hand_over

    if not hand_over(record, json):
        print(path)
