"""What is known of a dataset before a file of it is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from numpy.typing import NDArray

from handbench.hands.record import Hands


@dataclass(frozen=True)
class Card:
    """A dataset: what it has, where it is had from, its expected counts, its conventions.

    splits        handbench's split name -> official number of samples
    has           fields of `Hands` that the official files fill
    conventions   what the official files use and prep converts, in words
    fingertips    the vertex set its joints were made with (`hands.joints.FINGERTIPS`), None where there is no mesh
    validation    how frames are held out of the training split for validation: `hash`, a tenth of its captures chosen
                  by the SHA-256 of their names; `last`, the last tenth of its frames
    """

    name: str
    title: str
    splits: Mapping[str, int]
    has: tuple[str, ...]
    conventions: str
    fingertips: str | None
    licence: str
    url: str
    citation: str
    validation: Literal["hash", "last"] = "hash"
    notes: tuple[str, ...] = field(default=())


class Split(Protocol):
    """One split of a dataset, as it lies on the disk, ready to be read in blocks."""

    ids: NDArray
    meta: dict[str, Any]

    def read(self, start: int, stop: int) -> tuple[Hands, list[bytes]]:
        """Samples start..stop: their hands (metres, OpenCV, FH21) and their encoded images."""
        ...
