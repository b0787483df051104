"""Where samples come from: a dataset's official files, or a generator; and which hand models are present."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from handbench import datasets, places
from handbench.console import say
from handbench.datasets.card import Split, Wanted
from handbench.errors import MissingError, UsageError
from handbench.hands.mano import HandModel, load_hand_model
from handbench.layouts.folder import Folder, require_split
from handbench.layouts.mark import is_synthetic
from handbench.preparation.generated import GENERATED, SyntheticSplit
from handbench.synth.hand import synthetic_hand


def present_hand(side: str = "right") -> HandModel:
    """MANO, where `handbench prep mano` has brought it; else the synthetic hand."""
    path = places.hand_model_file(side)
    return load_hand_model(path) if path.exists() else synthetic_hand(side)


@dataclass(frozen=True)
class Source:
    """One split to be prepared: small, so that it travels to other processes and machines, which open it themselves.

    hands: per side, the file of its model, or `synthetic`; n, seed: of a generated set; run: tells one run from
    another, so that a process which outlives both opens the split anew.
    """

    dataset: str
    folder: Path
    split: str
    wanted: Wanted
    hands: tuple[tuple[str, str], ...] = ()
    n: int = 0
    seed: int = 0
    run: str = field(default_factory=lambda: uuid.uuid4().hex)

    def open(self) -> Split:
        """Opened once in each process and run. Raises as the dataset's `open_split`."""
        return _opened(self)


@lru_cache(maxsize=1)
def _opened(source: Source) -> Split:
    models = {side: _model(side, where) for side, where in source.hands}
    if (made := GENERATED.get(source.dataset)) is not None:
        return SyntheticSplit(source.split, source.n, source.seed, models["right"], made)
    module = datasets.find(source.dataset)
    folder = Folder(source.folder, module.CARD.title, module.CARD.url)
    wanted = dataclasses.replace(source.wanted, right=models.get("right"), left=models.get("left"))
    return module.open_split(folder, source.split, wanted)


@lru_cache(maxsize=4)
def _model(side: str, where: str) -> HandModel:
    return synthetic_hand(side) if where == "synthetic" else load_hand_model(Path(where))


def find_sources(
    dataset: str, folder: Path, split: str | None, wanted: Wanted, limit: int | None = None, seed: int = 0
) -> list[Source]:
    """The named split of a dataset, or all of them. `limit`, `seed`: of a generated set that is not fixed.

    Raises UsageError for an unknown dataset or split, and for what this dataset does not take.
    """
    found = datasets.find(dataset).CARD
    if split:
        require_split(split, list(found.splits), dataset)
    if wanted.sequence_names is not None and dataset != "dexycb":
        raise UsageError(f"--sequence-names is for DexYCB, not for {dataset}.", "Leave it out.")
    made = GENERATED.get(dataset)
    if seed and (made is None or made.fixed):
        raise UsageError(f"--seed is for `synthetic`: the samples of {dataset} are fixed.", "Leave it out.")
    splits = [split] if split else list(found.splits)
    if made is not None:
        if wanted.masks or wanted.depth or wanted.lossless:
            raise UsageError(f"{found.title} has JPEG images only.", "Leave --masks, --depth and --lossless out.")
        hands = (("right", "synthetic"),) if made.fixed else _hand_files(("right",), synthetic=True)
        return [Source(dataset, Path(), name, wanted, hands, made.length(name, limit), seed) for name in splits]
    # the models of a synthetic set's poses are the synthetic hand's, or those that it was made with
    synthetic = folder.is_dir() and is_synthetic(folder)
    hands = _hand_files(("right", "left"), synthetic)
    return [Source(dataset, folder.absolute(), name, wanted, hands) for name in splits]


def open_sources(sources: list[Source], whole: bool) -> Iterator[tuple[Source, Split]]:
    """Open one after the other. Unless it must be `whole`, a partial tree may lack a split: said, and passed over.

    Raises MissingError where none of them is there.
    """
    problem: MissingError | None = None
    found = False
    for source in sources:
        try:
            opened = source.open()
        except MissingError as error:
            if whole:
                raise
            problem = error
            say(f"No {source.split} split: {error.message}")
            continue
        found = True
        yield source, opened
    if not found and problem:
        raise problem


def _hand_files(sides: tuple[str, ...], synthetic: bool) -> tuple[tuple[str, str], ...]:
    files = {side: places.hand_model_file(side) for side in sides}
    return tuple(
        (side, str(path.absolute()) if path.exists() else "synthetic")
        for side, path in files.items()
        if path.exists() or synthetic
    )
