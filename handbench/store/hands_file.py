"""One HDF5 file of hands: a split of a dataset, or a set of predictions.

Layout (format 2): the group `hands` has one contiguous array a field of `Hands`; each of the streams `images`, `masks`
and `depth` that is there has `bytes`, every encoded picture one after the other, `offsets` (N+1) int64 where each
begins, and `digests` (N, 16) uint8, the first half of each one's SHA-256. Attributes of the root: `format`, `complete`,
`meta` (JSON), `checksums` (JSON, SHA-256 of each array's bytes; of `bytes`, of its digests). Text is stored as
fixed-width UTF-8. `left_out` (JSON, bytes) names the samples that could not be read.

HDF5 is asked once where each array lies; everything is then read by `pread` from there: a picture costs microseconds,
and processes and threads may share one open file.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

from handbench.errors import InvalidError, MissingError
from handbench.hands.record import TEXT_FIELDS, Hands

FORMAT = "handbench-hands-2"
STREAMS = ("images", "masks", "depth")
LEFT_OUT = "left_out"
DIGEST = 16


class Place(NamedTuple):
    """Where an array lies in the file: byte offset, type, shape."""

    offset: int
    dtype: np.dtype
    shape: tuple[int, ...]

    @property
    def row(self) -> int:
        """Bytes of one entry."""
        return self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))


def picture_digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:DIGEST]


class HandsFile:
    """A finished file, opened lazily and read by slice, from any number of processes.

    Raises MissingError or InvalidError at construction, in one sentence.
    """

    def __init__(self, path: Path | str, made_by: str = ""):
        self.path = Path(path)
        if not self.path.is_file():
            waiting = self.path.with_name(self.path.name + ".part").exists()
            made_by = made_by or ("Run the command that writes it again: it resumes." if waiting else "")
            state = "is not finished yet" if waiting else "does not exist"
            raise MissingError(f"{self.path} {state}.", made_by)
        self._raw: io.FileIO | None = None
        self._check_header()

    def _check_header(self) -> None:
        hint = "Delete it and run the command that made it again."
        with self.path.open("rb") as start:
            head = start.read(4096).lstrip(b"\xef\xbb\xbf").lstrip()
        if head[:1] in (b"[", b"{"):
            raise InvalidError(
                f"{self.path} is JSON, not an HDF5 of hands.",
                "Predictions: name it .json. A truth: give the folder that holds the official files.",
            )
        if not head.startswith(b"\x89HDF"):
            raise InvalidError(
                f"{self.path} cannot be read: it is no HDF5 file, or cut short.",
                "Give one that handbench wrote, or the official files.",
            )
        try:
            with h5py.File(self.path, "r") as file:
                kind = str(file.attrs.get("format", ""))
                if kind.startswith("handbench-result"):
                    raise InvalidError(f"{self.path} is a result, not hands.", "`handbench compare` takes results.")
                if kind == "handbench-hands-1":
                    raise InvalidError(f"{self.path} was written by an earlier handbench.", hint)
                if kind != FORMAT:
                    raise InvalidError(
                        f"{self.path} is an HDF5 file, but not one of handbench's hands.",
                        "`handbench prep`, `predict` and `import` write them.",
                    )
                if file.attrs.get("complete") != 1:
                    raise InvalidError(f"{self.path} is only half written.", hint)
                self.meta: dict[str, Any] = json.loads(file.attrs["meta"])
                self.checksums: dict[str, str] = json.loads(file.attrs["checksums"])
                self.fields: tuple[str, ...] = tuple(file["hands"])
                self.count = len(file["hands/id"])
                self.streams = tuple(name for name in STREAMS if name in file)
                self.places = {name: _place(file, name) for name in self._names(file)}
        except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
            # the format stands near the beginning; where it does not, who wrote the file is not known
            hint = hint if FORMAT.encode() in head else "Fetch or write it again."
            raise InvalidError(f"{self.path} cannot be read as HDF5: it is damaged or cut short.", hint) from error
        end = max((p.offset + p.row * p.shape[0] for p in self.places.values() if p.shape[0]), default=0)
        if end > self.path.stat().st_size:
            raise InvalidError(f"{self.path} cannot be read as HDF5: it is damaged or cut short.", hint)

    def _names(self, file: h5py.File) -> list[str]:
        names = [f"hands/{name}" for name in self.fields]
        names += [f"{stream}/{part}" for stream in self.streams for part in ("bytes", "offsets", "digests")]
        return names + [LEFT_OUT] * (LEFT_OUT in file)

    @property
    def has_images(self) -> bool:
        return "images" in self.streams

    @property
    def raw(self) -> io.FileIO:
        """The open file; `pread` from it moves no position, so that forks may share it."""
        if self._raw is None:
            self._raw = open(self.path, "rb", buffering=0)  # noqa: SIM115 - closed by `close`
        return self._raw

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_raw": None}

    def __enter__(self) -> HandsFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        if self._raw is not None:
            self._raw.close()
            self._raw = None

    def __len__(self) -> int:
        return self.count

    def rows(self, name: str, start: int = 0, stop: int | None = None) -> NDArray:
        """The entries start..stop of an array as stored, `hands/joints` or `images/bytes`."""
        place = self.places[name]
        start, stop, _ = slice(start, stop).indices(place.shape[0])
        array = np.empty((max(stop - start, 0), *place.shape[1:]), place.dtype)
        if array.nbytes:
            read_into(self.raw.fileno(), array, place.offset + start * place.row, self.path)
        return array

    @cached_property
    def ids(self) -> NDArray:
        """All ids (N,) str."""
        return self.column("id")

    def column(self, name: str, start: int = 0, stop: int | None = None) -> NDArray:
        """One field, all of it or start..stop; raises InvalidError where the file does not have it."""
        if name not in self.fields:
            raise InvalidError(f"{self.path} has no {name!r}.", f"It has: {', '.join(self.fields)}.")
        return from_stored(name, self.rows(f"hands/{name}", start, stop))

    def read(self, start: int = 0, stop: int | None = None) -> Hands:
        """The samples start..stop as one block."""
        return Hands(**{name: self.column(name, start, stop) for name in self.fields}, meta=self.meta)

    def blocks(self, size: int = 1024) -> Iterator[Hands]:
        """All samples in order, `size` at a time."""
        for start in range(0, self.count, size):
            yield self.read(start, start + size)

    def image(self, index: int, stream: str = "images") -> bytes:
        """The encoded image of one sample (JPEG or PNG), its mask or its depth, as it was stored."""
        if stream not in self.streams:
            raise InvalidError(f"{self.path} holds no {stream}.", "Give a prepared split of a dataset.")
        if not -self.count <= index < self.count:
            raise IndexError(index)
        index %= self.count
        start, stop = self.rows(f"{stream}/offsets", index, index + 2).tolist()
        return self.rows(f"{stream}/bytes", start, stop).tobytes()

    @property
    def left_out(self) -> list[tuple[str, str]]:
        """The samples that could not be read when the file was prepared: id and why."""
        if LEFT_OUT not in self.places:
            return []
        return [(name, why) for name, why in json.loads(self.rows(LEFT_OUT).tobytes())]

    def digest(self) -> str:
        """Twelve hex digits of the content (arrays and images, not meta)."""
        return hashlib.sha256(json.dumps(self.checksums, sort_keys=True).encode()).hexdigest()[:12]

    def verify(self) -> None:
        """Compare every array with its checksum; raises InvalidError naming the first that differs."""
        hint = "The file was changed or the disk is failing: make it again."
        for name in self.places:
            if name.endswith(("/bytes", "/digests")):
                continue
            if checksum(self.raw.fileno(), self.places[name], self.path) != self.checksums.get(name):
                raise InvalidError(f"{name} in {self.path} does not have the checksum it was written with.", hint)
        for stream in self.streams:
            digests = self.rows(f"{stream}/digests")
            offsets = self.rows(f"{stream}/offsets")
            whole = hashlib.sha256(digests.tobytes()).hexdigest() == self.checksums.get(f"{stream}/bytes")
            if not whole or offsets[0] != 0 or offsets[-1] != self.places[f"{stream}/bytes"].shape[0]:
                raise InvalidError(f"{stream} in {self.path} do not have the checksum they were written with.", hint)
            for i, digest in enumerate(digests):
                if picture_digest(self.image(i, stream)) != digest.tobytes():
                    raise InvalidError(
                        f"The {stream.removesuffix('s')} of {self.column('id', i, i + 1)[0]} in {self.path} does not "
                        "have the checksum it was written with.",
                        hint,
                    )


def _place(file: h5py.File, name: str) -> Place:
    data = file[name]
    offset = data.id.get_offset()
    if offset is None and data.size:
        raise ValueError(f"{name} is stored in chunks")
    return Place(offset or 0, data.dtype, data.shape)


def read_into(file: int, array: NDArray, at: int, path: Path) -> None:
    """Fill a contiguous array from byte `at` of an open file; raises InvalidError where that ends before."""
    view = array.reshape(-1).view(np.uint8).data
    while len(view):
        got = os.preadv(file, [view[: 1 << 30]], at)
        if not got:
            raise InvalidError(f"{path} was cut short while it was read.", "Make it again.")
        view, at = view[got:], at + got


def checksum(file: int, place: Place, path: Path) -> str:
    """SHA-256 of an array's bytes as they lie in the file, read some megabytes at a time."""
    check = hashlib.sha256()
    at, end = place.offset, place.offset + place.row * place.shape[0]
    buffer = np.empty(min(4 << 20, max(end - at, 1)), np.uint8)
    while at < end:
        part = buffer[: min(len(buffer), end - at)]
        read_into(file, part, at, path)
        check.update(part.data)
        at += len(part)
    return check.hexdigest()


def from_stored(name: str, array: NDArray) -> NDArray:
    return np.char.decode(array, "utf-8") if name in TEXT_FIELDS else array


def to_stored(name: str, array: NDArray) -> NDArray:
    if name not in TEXT_FIELDS:
        return np.ascontiguousarray(array)
    encoded = np.char.encode(np.asarray(array, dtype=np.str_), "utf-8")
    return encoded.astype(f"S{max(encoded.dtype.itemsize, 1)}")


def wider(one: np.dtype, other: np.dtype) -> np.dtype:
    """The type of two columns of text joined."""
    dtype: DTypeLike = f"S{max(one.itemsize, other.itemsize)}"
    return np.dtype(dtype)
