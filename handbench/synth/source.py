"""Where samples come from: a dataset's official files, or the synthetic hand; and which hand model is present."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from handbench import datasets, places
from handbench.console import say
from handbench.datasets.card import Card, Split
from handbench.datasets.freihand import SYNTHETIC_MARK
from handbench.datasets.images import encode_jpeg
from handbench.errors import MissingError, UsageError
from handbench.hands.mano import HandModel, load_hand_model
from handbench.hands.record import Hands
from handbench.synth.dataset import SyntheticHands, to_hands
from handbench.synth.hand import synthetic_hand
from handbench.synth.picture import paint

SYNTHETIC = Card(
    name="synthetic",
    title="The synthetic hand",
    splits={"train": 2000, "test": 200},
    has=("joints", "vertices", "mano_pose", "mano_shape", "visible_fraction", "camera", "side"),
    conventions="made by handbench; nothing to convert",
    fingertips="freihand",
    licence="Apache-2.0",
    url="",
    citation="",
)


def present_hand(side: str = "right") -> HandModel:
    """MANO, where `handbench prep mano` has brought it; else the synthetic hand."""
    path = places.hand_model_file(side)
    return load_hand_model(path) if path.exists() else synthetic_hand(side)


class SyntheticSplit:
    """Samples of the synthetic hand, made while they are read."""

    def __init__(self, split: str, n: int, seed: int):
        hand = present_hand()
        self.scenes = SyntheticHands(n, seed=seed, split=split, model=hand)
        self.ids = np.array([f"synthetic/{split}/{i:08d}" for i in range(n)])
        self.meta: dict[str, Any] = {
            "dataset": "synthetic",
            "split": split,
            "count": SYNTHETIC.splits[split],
            "partial": n != SYNTHETIC.splits[split] or seed != 0,
            "source": "handbench synthetic hand",
            "read_from": f"seed {seed}",
            "joint_source": "model",
            "fingertips": SYNTHETIC.fingertips,
            "validation": SYNTHETIC.validation,
            "hand_model": hand.digest(),
        }

    def read(self, start: int, stop: int) -> tuple[Hands, list[bytes]]:
        scenes = [self.scenes.sample(i) for i in range(start, stop)]
        return to_hands(scenes, self.meta), [encode_jpeg(paint(scene)) for scene in scenes]


def open_splits(
    dataset: str, folder: Path, split: str | None, *, partial: bool, limit: int | None = None, seed: int = 0
) -> Iterator[tuple[str, Split]]:
    """The named split of a dataset, or all of them; with `partial`, those that are there.

    Raises UsageError for an unknown dataset or split, MissingError where the folder has none.
    """
    if dataset == "synthetic":
        if split and split not in SYNTHETIC.splits:
            raise UsageError(f"synthetic has no split {split!r}.", f"Splits: {', '.join(SYNTHETIC.splits)}.")
        for name, count in SYNTHETIC.splits.items():
            if split in (None, name):
                yield name, SyntheticSplit(name, limit if limit and name == "train" else count, seed)
        return
    if limit:
        raise UsageError("--limit is for the synthetic set.", "An official set is prepared whole.")
    module = datasets.find(dataset)
    if not folder.is_dir():
        raise MissingError(
            f"The folder {folder} does not exist.",
            f"{module.CARD.title} is had from {module.CARD.url}; unpack it there or name its folder.",
        )
    hand = _hand_for(folder)
    found = False
    problem: MissingError | None = None
    for name in [split] if split else list(module.CARD.splits):
        try:
            opened = module.open_split(folder, name, partial=partial, hand=hand)
        except MissingError as error:
            # a partial tree may lack a whole split; a named or a complete one may not
            if split or not partial:
                raise
            problem = error
            say(f"No {name} split: {error.message}")
            continue
        found = True
        yield name, opened
    if not found and problem:
        raise problem


def _hand_for(folder: Path) -> HandModel | None:
    """The hand model that a folder's poses are of, where we have it."""
    if (folder / SYNTHETIC_MARK).exists():
        return present_hand()
    path = places.hand_model_file("right")
    return load_hand_model(path) if path.exists() else None
