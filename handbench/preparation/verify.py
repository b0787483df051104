"""Whether a prepared file is still what was written, and what its dataset's card says."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from handbench import datasets
from handbench.console import progress
from handbench.datasets.checks import refuse_contradiction
from handbench.errors import HandbenchError, InvalidError
from handbench.layouts.images import image_size
from handbench.preparation.blocks import ENOUGH
from handbench.store.hands_file import HandsFile

AGAIN = "Prepare it again."


def verify(path: Path) -> HandsFile:
    """Re-check checksums, counts, ids, images, units, axes and order. Raises InvalidError for the first thing wrong."""
    with HandsFile(path) as file:
        file.verify()
        _counts(file)
        with progress(f"verify {path.stem}", len(file), "samples") as advance:
            for start in range(0, len(file), 1024):
                block = file.read(start, start + 1024)
                if len(block) >= ENOUGH or len(block) == len(file):
                    refuse_contradiction(block, str(path))
                for i in range(start, start + len(block)) if file.has_images else ():
                    found = image_size(file.image(i), f"The image of {block.id[i - start]} in {path}")
                    stored = None if block.image_size is None else tuple(block.image_size[i - start].tolist())
                    if stored is not None and stored != found:
                        raise InvalidError(
                            f"The image of {block.id[i - start]} in {path} is {found}, not {stored}.",
                            "Prepare it again.",
                        )
                advance(len(block))
    return file


def _counts(file: HandsFile) -> None:
    ids = file.rows("hands/id")
    if len(np.unique(ids)) != len(ids):
        raise InvalidError(f"{file.path} has an id twice.", AGAIN)
    if file.meta.get("partial", True):
        return
    try:
        official = datasets.find(file.meta["dataset"]).CARD.splits.get(file.meta["split"])
    except (HandbenchError, KeyError):
        return  # predictions, and sets that are not known here
    if official is not None and official != len(file):
        raise InvalidError(
            f"{file.path} has {len(file):,} samples, the official split {official:,}.", "Prepare it again."
        )
