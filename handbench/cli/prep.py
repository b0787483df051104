"""handbench prep"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from handbench.errors import UsageError

# samples that were left out and are named on the terminal
SHOWN = 5


def prep(
    dataset: Annotated[
        str, typer.Argument(help="a dataset that `handbench ls` names; or mano, clip, verify, labels, templates")
    ],
    source: Annotated[
        list[Path] | None, typer.Argument(help="the official folder (default HANDBENCH_DATA/DATASET), or the files")
    ] = None,
    split: Annotated[str | None, typer.Option(help="only this split, such as train or test")] = None,
    out: Annotated[Path | None, typer.Option(help="the HDF5 file (needs --split); templates: the JSON file")] = None,
    partial: Annotated[bool, typer.Option("--partial", help="take a tree that is not whole; it is marked so")] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="leave out samples that cannot be read, and list them")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="only the first N frames of a split")] = None,
    masks: Annotated[bool, typer.Option("--masks", help="with the hand's masks")] = False,
    depth: Annotated[bool, typer.Option("--depth", help="with depth")] = False,
    lossless: Annotated[bool, typer.Option("--lossless", help="crops of PNG images as PNG instead of JPEG 95")] = False,
    sequence_names: Annotated[
        Path | None, typer.Option(help="DexYCB, not whole: a file with the names of all 1,000 sequences")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be read, how big, how long")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="processes (default: one a core)")] = None,
    scheduler: Annotated[str | None, typer.Option(help="address of a dask scheduler whose workers do it")] = None,
    seed: Annotated[int, typer.Option(help="synthetic: which samples")] = 0,
    force: Annotated[bool, typer.Option("--force", help="labels: write them in place of those that are there")] = False,
) -> None:
    """Turn official files into one HDF5 a split.

    Model files (MANO's pickles, CLIP's archive) are turned into ones that are safe to read. Resumes where an earlier
    run was stopped. `verify` checks prepared files again. `labels` writes each sample's background colour and gesture,
    by rule, into a CSV beside the file: training reads it where a method wants labels. `templates` writes the most
    typical hand of each gesture in a training set, as JSON.

    Example: handbench prep freihand ~/datasets/FreiHAND_pub_v2

    Example: handbench prep dexycb ~/datasets/dexycb --split s0-test --dry-run

    Example: handbench prep verify runs/data/freihand-test.h5

    Example: handbench prep labels runs/data/freihand-train.h5

    Example: handbench prep templates runs/data/freihand-train.h5 --out templates.json

    Example: handbench prep mano MANO_RIGHT.pkl MANO_LEFT.pkl
    """
    sources = source or []
    if dataset in ("mano", "clip", "verify"):
        {"mano": _mano, "clip": _clip, "verify": _verify}[dataset](sources)
        return
    if dataset == "labels":
        _labels(sources, force)
        return
    if dataset == "templates":
        _templates(sources, out)
        return
    if force:
        raise UsageError("--force is for labels.", "A file that is prepared already is left as it is: delete it.")
    if out and not split:
        raise UsageError("--out names one file, so it needs --split.", "For example --split test.")
    if scheduler and workers:
        raise UsageError("--workers are processes here, --scheduler has workers of its own.", "Give one of the two.")
    if len(sources) > 1:
        raise UsageError("Give one folder.", f"handbench prep {dataset} FOLDER")

    from handbench import places
    from handbench.console import say, warn
    from handbench.datasets.card import Wanted
    from handbench.preparation.prepare import prepare
    from handbench.preparation.source import find_sources, open_sources
    from handbench.store.atomic import spare

    folder = sources[0] if sources else places.data_home() / dataset
    wanted = Wanted(partial=partial, masks=masks, depth=depth, lossless=lossless, sequence_names=sequence_names)
    found = find_sources(dataset, folder, split, wanted, limit, seed)
    for one, _ in open_sources(found, whole=split is not None or not partial):
        path = out or places.prepared(dataset, one.split)
        spare(path, sequence_names)
        if dry_run:
            _say_estimate(one, path, workers, limit)
            continue
        file = prepare(one, path, workers=workers, scheduler=scheduler, skip_bad=skip_bad, limit=limit)
        about = file.meta
        without = about.get("frames_without_annotation")
        say(
            f"{len(file):,} samples{', partial' if about['partial'] else ''}"
            + (f"; {without:,} of {about['frames']:,} frames have no annotation" if without else "")
            + f"; fields: {', '.join((*file.fields, *file.streams))}"
        )
        left_out = file.left_out
        for name, why in left_out[:SHOWN]:
            warn(f"{name} was left out: {why}")
        if len(left_out) > SHOWN:
            warn(f"{len(left_out):,} samples were left out in all; the file lists them.")
        print(file.path)


def _say_estimate(source: Any, path: Path, workers: int | None, limit: int | None) -> None:
    from handbench.preparation.prepare import estimate

    seen = estimate(source, workers, limit)
    minutes = f"{seen.seconds / 60:.1f} minutes" if seen.seconds >= 60 else f"{seen.seconds:.0f} seconds"
    print(
        f"{source.dataset} {source.split}: {seen.frames:,} frames of {source.folder} would become {path}, about "
        f"{seen.size / 1e9:.3f} GB, in about {minutes} at {seen.rate:,.0f} frames/s"
    )


def _verify(sources: list[Path]) -> None:
    from handbench.preparation.verify import verify

    if not sources:
        raise UsageError("Name the files to verify.", "handbench prep verify runs/data/freihand-test.h5")
    for source in sources:
        file = verify(source)
        print(f"{source}: {len(file):,} samples, every checksum holds")


def _labels(sources: list[Path], force: bool) -> None:
    from handbench.preparation.labels import labels_file, write_labels
    from handbench.store.hands_file import HandsFile

    if not sources:
        raise UsageError("Name the files to label.", "handbench prep labels runs/data/freihand-train.h5")
    for source in sources:
        path = labels_file(source)
        if path.exists() and not force:
            raise UsageError(f"{path} is there already, perhaps from a detector.", "Use --force to replace it.")
        with HandsFile(source) as file:
            print(write_labels(file))


def _templates(sources: list[Path], out: Path | None) -> None:
    from handbench.console import say
    from handbench.hands.gestures import GESTURES
    from handbench.preparation.templates import SYNTHETIC, set_templates
    from handbench.store.atomic import spare
    from handbench.store.hands_file import HandsFile
    from handbench.store.templates import write_templates

    if len(sources) != 1:
        raise UsageError("Name one training split.", "handbench prep templates runs/data/freihand-train.h5")
    path = out or sources[0].with_name(f"{sources[0].stem}.templates.json")
    spare(path, sources[0])
    with HandsFile(sources[0]) as file:
        joints, made_from = set_templates(file)
    write_templates(path, joints, made_from)
    absent = [name for name, of in zip(GESTURES, made_from, strict=True) if of == SYNTHETIC]
    if absent:
        say(f"No hand of {', '.join(absent)} in {sources[0]}: of the synthetic hand instead.")
    print(path)


def _mano(sources: list[Path]) -> None:
    from handbench import places
    from handbench.hands.mano import hand_model_bytes
    from handbench.hands.mano_pickle import read_mano_pickle
    from handbench.store.atomic import replacing

    if not 1 <= len(sources) <= 2:
        raise UsageError("Give one or two MANO files.", "handbench prep mano MANO_RIGHT.pkl [MANO_LEFT.pkl]")
    models = [read_mano_pickle(source) for source in sources]
    if len({model.side for model in models}) < len(models):
        raise UsageError(f"Both files are {models[0].side} hands.", "Give the right and the left one.")
    for model in models:
        path = places.hand_model_file(model.side)
        with replacing(path) as part:
            part.write_bytes(hand_model_bytes(model))
        print(path)


def _clip(sources: list[Path]) -> None:
    from handbench import places
    from handbench.methods.blocks.clip_archive import convert_archive

    if len(sources) != 1:
        raise UsageError("Give one CLIP file.", "handbench prep clip ViT-B-32.pt")
    print(convert_archive(sources[0], places.home() / "data" / "clip-vit-b-32.safetensors"))
