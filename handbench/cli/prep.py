"""handbench prep"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from handbench.errors import UsageError


def prep(
    dataset: Annotated[str, typer.Argument(help="freihand, ge-realworld, synthetic; or mano, clip, verify")],
    source: Annotated[
        list[Path] | None, typer.Argument(help="the official folder (default HANDBENCH_DATA/DATASET), or the files")
    ] = None,
    split: Annotated[str | None, typer.Option(help="only this split: train or test")] = None,
    out: Annotated[Path | None, typer.Option(help="the HDF5 file (needs --split)")] = None,
    partial: Annotated[bool, typer.Option("--partial", help="take a tree that is not whole; it is marked so")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="synthetic: how many training samples")] = None,
    seed: Annotated[int, typer.Option(help="synthetic: which samples")] = 0,
) -> None:
    """Turn official files into one HDF5 a split.

    Model files (MANO's pickles, CLIP's archive) are turned into ones that are safe to read. Resumes where an earlier
    run was stopped.

    Example: handbench prep freihand ~/datasets/FreiHAND_pub_v2

    Example: handbench prep verify runs/data/freihand-test.h5

    Example: handbench prep mano MANO_RIGHT.pkl MANO_LEFT.pkl
    """
    sources = source or []
    if dataset == "mano":
        _mano(sources)
        return
    if dataset == "verify":
        _verify(sources)
        return
    if dataset == "clip":
        _clip(sources)
        return
    if out and not split:
        raise UsageError("--out names one file, so it needs --split.", "For example --split test.")
    if len(sources) > 1:
        raise UsageError("Give one folder.", f"handbench prep {dataset} FOLDER")

    from handbench import places
    from handbench.console import say
    from handbench.datasets.prepare import prepare
    from handbench.synth import source as made

    folder = sources[0] if sources else places.data_home() / dataset
    for name, opened in made.open_splits(dataset, folder, split, partial=partial, limit=limit, seed=seed):
        file = prepare(opened, out or places.prepared(dataset, name))
        kind = ", partial" if file.meta["partial"] else ""
        say(f"{len(file):,} samples{kind}; fields: {', '.join(file.fields)}")
        print(file.path)


def _verify(sources: list[Path]) -> None:
    from handbench.datasets.checks import refuse_contradiction
    from handbench.store.hands_file import HandsFile

    if not sources:
        raise UsageError("Name the files to verify.", "handbench prep verify runs/data/freihand-test.h5")
    for source in sources:
        with HandsFile(source) as file:
            file.verify()
            for block in file.blocks():
                refuse_contradiction(block, str(source))
            print(f"{source}: {len(file):,} samples, every checksum holds")


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
