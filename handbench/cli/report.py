"""handbench report"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from handbench.cli.report_clip import Json, Out, nearest, say_picture, tsne
from handbench.cli.report_page import page
from handbench.cli.report_speed import speed

app = typer.Typer(
    help="Write the page of everything in HANDBENCH_HOME; or draw what is in a trained method, and how rows compare.",
    epilog="Example: handbench report pck mean-pose-full-0",
    rich_markup_mode=None,
)

app.callback(invoke_without_command=True)(page)

app.command()(tsne)
app.command()(nearest)
app.command()(speed)

Method = Annotated[str, typer.Argument(help="clip-hand3d")]
Variant = Annotated[str, typer.Option(help="as trained")]
Size = Annotated[str, typer.Option(help="as trained")]
Seed = Annotated[int, typer.Option(help="as trained")]
Checkpoint = Annotated[Path | None, typer.Option(help="instead of the trained method's best.pt")]
OfProtocol = Annotated[str, typer.Option(help="whose test set to draw")]
Data = Annotated[Path | None, typer.Option(help="a prepared file, instead of the protocol's")]
Rows = Annotated[list[str], typer.Argument(help="rows in HANDBENCH_HOME/results/PROTOCOL, or result files (.h5)")]
Scored = Annotated[str, typer.Option("--protocol", help="that they were scored under")]
Aligned = Annotated[
    str | None,
    typer.Option("--alignment", help="of the errors (default: procrustes-official, procrustes, or the first)"),
]


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
    say_picture(path, json, {"row": trained.row, "checkpoint": trained.digest, "truth": truth.digest(), **record})


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
    say_picture(path, json, curves_record(curves, space.value, aligned))


@app.command()
def occlusion(
    rows: Rows, protocol: Scored = "deformer-dexycb", alignment: Aligned = None, out: Out = None, json: Json = None
) -> None:
    """Draw the error of scored rows against the covered share of the hand, with a band: a bootstrap over captures.

    Example: handbench report occlusion mean-pose-full-0 --protocol handsynth-video
    """
    from handbench.report.occlusion_figures import draw_by_occlusion, error_by_occlusion

    scored, aligned, path = _scored(rows, protocol, alignment, out, json, "occlusion")
    lines = [error_by_occlusion(row, result, aligned) for row, result in scored]
    draw_by_occlusion(lines, "mean joint error (mm)", _title(scored, aligned), path)
    _say_lines(path, json, lines, scored, aligned, "occlusion")


@app.command()
def joints(
    rows: Rows, protocol: Scored = "deformer-dexycb", alignment: Aligned = None, out: Out = None, json: Json = None
) -> None:
    """Draw the errors of scored rows joint by joint.

    Example: handbench report joints mean-pose-full-0 --protocol handsynth-video
    """
    from handbench.report.occlusion_figures import draw_joints, error_by_joint

    scored, aligned, path = _scored(rows, protocol, alignment, out, json, "joints")
    lines = [error_by_joint(row, result, aligned) for row, result in scored]
    draw_joints(lines, _title(scored, aligned), path)
    _say_lines(path, json, lines, scored, aligned, "joints")


@app.command()
def confidence(
    rows: Rows,
    protocol: Scored = "deformer-dexycb",
    predictions: Annotated[
        Path | None, typer.Option(help="of the one row (default: those in HANDBENCH_HOME/predictions/PROTOCOL)")
    ] = None,
    out: Out = None,
    json: Json = None,
) -> None:
    """Draw how far predictions trust themselves against the covered share of the hand.

    Example: handbench report confidence deformer-full-0 --protocol handsynth-video
    """
    from handbench import places
    from handbench.errors import UsageError
    from handbench.report.occlusion_figures import confidence_by_occlusion, draw_by_occlusion
    from handbench.store.hands_file import HandsFile

    if predictions is not None and len(rows) > 1:
        raise UsageError("--predictions are those of one row.", "Give one row, or leave --predictions out.")
    scored, _, path = _scored(rows, protocol, None, out, json, "confidence")
    lines = []
    for row, result in scored:
        own = predictions or places.predictions_file(result.protocol["name"], Path(row.removesuffix(".h5")).name)
        with HandsFile(own, "Give the row's predictions: --predictions FILE.h5.") as file:
            lines.append(confidence_by_occlusion(row, result, file))
    draw_by_occlusion(lines, "mean confidence", _title(scored, None), path)
    _say_lines(path, json, lines, scored, None, "confidence")


def _scored(
    rows: list[str], protocol: str, alignment: str | None, out: Path | None, json: str | None, kind: str
) -> tuple[Any, str, Path]:
    """The results of the rows, the alignment of their errors, and where the picture goes."""
    from handbench import places
    from handbench.evaluation.protocol import load
    from handbench.report.scored_rows import alignment_of_errors, read_scored
    from handbench.store.atomic import spare

    chosen = load(protocol)
    for target in (out, json):
        spare(target, *(Path(row) for row in rows))
    scored = read_scored(rows, chosen)
    aligned = alignment_of_errors(scored, alignment)
    name = kind if kind == "confidence" else f"{kind}-{aligned}"
    return scored, aligned, out or places.home() / "pictures" / chosen.name / f"{name}.png"


def _title(scored: Any, alignment: str | None) -> str:
    first = scored[0][1]
    return ", ".join([str(first.protocol["id"]), *([alignment] if alignment else []), f"n = {first.n:,}"])


def _say_lines(path: Path, json: str | None, lines: Any, scored: Any, alignment: str | None, kind: str) -> None:
    from handbench.report.occlusion_figures import lines_record

    say_picture(path, json, lines_record(lines, str(scored[0][1].protocol["id"]), alignment, kind))


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
