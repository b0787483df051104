"""Hands to score, from wherever they are: a file read by slice, or a block in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from handbench.errors import MissingError
from handbench.hands.record import Hands
from handbench.store.hands_file import HandsFile


class Source(Protocol):
    """What both a `HandsFile` and a `Memory` are."""

    @property
    def ids(self) -> NDArray: ...
    @property
    def meta(self) -> Mapping[str, Any]: ...
    @property
    def fields(self) -> tuple[str, ...]: ...
    def read(self, start: int, stop: int) -> Hands: ...
    def digest(self) -> str: ...


class Memory:
    """A block of hands with the face of a file."""

    def __init__(self, hands: Hands):
        self.hands = hands
        self.ids = np.asarray(hands.id, dtype=np.str_)
        self.meta = hands.meta
        self.fields = tuple(name for name, _ in hands.arrays())

    def read(self, start: int, stop: int) -> Hands:
        return self.hands.take(slice(start, stop))

    def digest(self) -> str:
        check = hashlib.sha256("\n".join(self.ids).encode())
        for name in ("joints", "vertices"):
            array = getattr(self.hands, name)
            if array is not None:
                check.update(np.ascontiguousarray(array).tobytes())
        return check.hexdigest()[:12]


@contextmanager
def opened(hands: Hands | HandsFile | Path | str, what: str, made_by: str) -> Iterator[Source]:
    """The source of `hands`: in memory, or a Hands file. Raises MissingError naming the command that makes it."""
    if isinstance(hands, Hands):
        yield Memory(hands)
    elif isinstance(hands, HandsFile):
        yield hands
    else:
        path = Path(hands)
        if not path.exists():
            raise MissingError(f"There are no {what} at {path}.", made_by)
        with HandsFile(path) as file:
            yield file
