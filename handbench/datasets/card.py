"""What is known of a dataset before a file of it is opened, and what a reader gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from handbench.hands.mano import HandModel
from handbench.hands.record import Hands
from handbench.layouts.folder import Folder
from handbench.layouts.mark import source_of


@dataclass(frozen=True)
class Card:
    """A dataset: what it has, where it is had from, its expected counts, its conventions.

    splits        handbench's split name -> official number of samples (hands with an annotation); None: nowhere stated
    has           fields of `Hands` that the official files fill
    conventions   what the official files use and prep converts, in words
    fingertips    the vertex set its joints were made with (`hands.joints.FINGERTIPS`), None where there is no mesh
    validation    how frames are held out of the training split for validation: `hash`, a tenth of its captures chosen
                  by the SHA-256 of their names; `last`, the last tenth of its frames
    sides         which hands are in it; rate: frames a second, None where frames are not of a sequence
    captures      what counts as recorded together
    stored        what prep keeps of an image: its original bytes, or a context crop
    extras        what `--masks` and `--depth` can bring
    """

    name: str
    title: str
    splits: Mapping[str, int | None]
    has: tuple[str, ...]
    conventions: str
    fingertips: str | None
    licence: str
    url: str
    citation: str
    validation: Literal["hash", "last"] = "hash"
    notes: tuple[str, ...] = field(default=())
    sides: str = "right"
    rate: float | None = None
    captures: str = "not published"
    stored: Literal["original bytes", "context crop"] = "original bytes"
    extras: tuple[Literal["masks", "depth"], ...] = ()
    # an image may show a hand that is not the sample's
    other_hands: bool = False


@dataclass(frozen=True)
class Wanted:
    """What is asked of a reader. `right` and `left` are the hand models that are there; without one, fields that need
    it are None."""

    partial: bool = False
    masks: bool = False
    depth: bool = False
    lossless: bool = False
    sequence_names: Path | None = None
    right: HandModel | None = None
    left: HandModel | None = None

    def hand(self, side: str) -> HandModel | None:
        return self.right if side == "right" else self.left


class Block(NamedTuple):
    """The samples of a range of frames, fewer than frames where some have no annotation: their hands (None: no sample),
    encoded images, and masks and depth where they were asked for.
    """

    hands: Hands | None
    images: list[bytes]
    masks: list[bytes] | None = None
    depth: list[bytes] | None = None


class Split(Protocol):
    """One split of a dataset, as it lies on the disk, ready to be read in blocks.

    `len` counts the frames that are looked at. Each is a sample, unless the official files give it no annotation.
    """

    meta: dict[str, Any]

    def __len__(self) -> int: ...

    def name(self, i: int) -> str:
        """The id of frame i."""
        ...

    def read(self, start: int, stop: int) -> Block:
        """Frames start..stop as samples: metres, OpenCV, FH21. Raises MissingError or InvalidError naming the file."""
        ...


def describe(card: Card, split: str, folder: Folder, read: str, *, partial: bool, **more: Any) -> dict[str, Any]:
    """The meta of a split that is read from `folder`; `read` is the fingerprint of what it is read from.

    `partial`: what is there is not the whole official split. `more`: what the dataset adds, or says otherwise.
    """
    return {
        "dataset": card.name,
        "split": split,
        "count": card.splits[split],
        "partial": partial,
        "source": source_of(folder.root),
        "read_from": str(folder.root),
        "joint_source": "annotated",
        "fingertips": card.fingertips,
        "validation": card.validation,
        "read": read,
        **more,
    }
