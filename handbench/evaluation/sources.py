"""Hands to score, from wherever they are: a file read by slice, a block in memory, or some samples of either."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from handbench.errors import MissingError, UsageError
from handbench.hands.record import Hands
from handbench.store.hands_file import HandsFile

# samples of which one column is read at once
COLUMN_BLOCK = 1 << 14
# samples that are read in passing rather than jumped over
NEAR = 8


class Source(Protocol):
    """What a `HandsFile`, a `Memory` and a `Chosen` are."""

    @property
    def meta(self) -> Mapping[str, Any]: ...
    @property
    def fields(self) -> tuple[str, ...]: ...
    def __len__(self) -> int: ...
    def read(self, start: int, stop: int) -> Hands: ...
    def column(self, name: str, start: int = 0, stop: int | None = None) -> NDArray: ...
    def digest(self) -> str: ...


class Memory:
    """A block of hands with the face of a file."""

    def __init__(self, hands: Hands):
        self.hands = hands
        self.meta = hands.meta
        self.fields = tuple(name for name, _ in hands.arrays())

    def __len__(self) -> int:
        return len(self.hands)

    def read(self, start: int, stop: int) -> Hands:
        return self.hands.take(slice(start, stop))

    def column(self, name: str, start: int = 0, stop: int | None = None) -> NDArray:
        array = getattr(self.hands, name)
        return np.asarray(array, np.str_)[start:stop] if name == "id" else array[start:stop]

    def digest(self) -> str:
        check = hashlib.sha256("\n".join(map(str, self.hands.id)).encode())
        for name in ("joints", "vertices"):
            array = getattr(self.hands, name)
            if array is not None:
                check.update(np.ascontiguousarray(array).tobytes())
        return check.hexdigest()[:12]


class Chosen:
    """Some samples of a source, by index, in the order given."""

    def __init__(self, source: Source, index: NDArray):
        self.source, self.index = source, index
        self.meta, self.fields = source.meta, source.fields
        self._columns: dict[str, NDArray] = {}

    def __len__(self) -> int:
        return len(self.index)

    def read(self, start: int, stop: int) -> Hands:
        wanted = self.index[start:stop]
        low, high = int(wanted.min()), int(wanted.max()) + 1
        if high - low <= NEAR * len(wanted):
            return self.source.read(low, high).take(wanted - low)
        # scattered: runs of neighbours, each read at once, then put in order
        ordered = np.sort(wanted)
        cuts = np.flatnonzero(np.diff(ordered) > NEAR) + 1
        runs = [(int(run[0]), run) for run in np.split(ordered, cuts)]
        blocks = [self.source.read(first, int(run[-1]) + 1).take(run - first) for first, run in runs]
        return _joined(blocks).take(np.searchsorted(ordered, wanted))

    def column(self, name: str, start: int = 0, stop: int | None = None) -> NDArray:
        if name not in self._columns:
            # the last one only: an id may be asked for slice by slice, all columns would be the file in memory
            self._columns = {name: self.source.column(name)}
        return self._columns[name][self.index[start:stop]]

    def digest(self) -> str:
        return self.source.digest()


def columns(source: Source, name: str) -> Iterator[NDArray]:
    """One field, some ten thousand samples at a time."""
    for start in range(0, len(source), COLUMN_BLOCK):
        yield source.column(name, start, min(start + COLUMN_BLOCK, len(source)))


def _joined(blocks: list[Hands]) -> Hands:
    names = [name for name, _ in blocks[0].arrays()]
    return blocks[0].replace(**{name: np.concatenate([getattr(block, name) for block in blocks]) for name in names})


@contextmanager
def opened(hands: Source | Hands | Path | str, what: str, made_by: str) -> Iterator[Source]:
    """The source of `hands`: in memory, or a Hands file. Raises MissingError naming the command that makes it."""
    if isinstance(hands, Hands):
        yield Memory(hands)
    elif hasattr(hands, "read") and hasattr(hands, "column"):
        yield hands  # type: ignore[misc]
    elif not isinstance(hands, Path | str):
        raise UsageError(f"The {what} are a {type(hands).__name__}.", "Give Hands, or the path of a file of them.")
    else:
        path = Path(hands)
        if not path.exists():
            raise MissingError(f"There are no {what} at {path}.", made_by)
        with HandsFile(path) as file:
            yield file
