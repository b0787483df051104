"""One HDF5 file of hands: a split of a dataset, or a set of predictions.

Layout (format 1): the group `hands` has one contiguous array a field of `Hands`; `images/bytes` is every encoded image
one after the other and `images/offsets` (N+1) int64 where each begins: 118,000 random reads/s against 18,500 for
variable-length entries. Attributes of the root: `format`, `complete`, `meta` (JSON), `checksums` (JSON, SHA-256 of each
array's bytes). Text is stored as fixed-width UTF-8.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from handbench.errors import InvalidError, MissingError
from handbench.hands.record import TEXT_FIELDS, Hands
from handbench.store.atomic import replacing, room_for

FORMAT = "handbench-hands-1"
BYTES, OFFSETS = "images/bytes", "images/offsets"


class HandsFile:
    """A finished file, opened lazily and read by slice.

    The HDF5 handle opens at the first read of each process: every loader worker, forked or spawned, has its own.
    Raises MissingError or InvalidError at construction, in one sentence.
    """

    def __init__(self, path: Path | str, made_by: str = ""):
        self.path = Path(path)
        if not self.path.is_file():
            waiting = self.path.with_name(self.path.name + ".part").exists()
            made_by = made_by or ("Run the command that writes it again: it resumes." if waiting else "")
            state = "is not finished yet" if waiting else "does not exist"
            raise MissingError(f"{self.path} {state}.", made_by)
        self._file: h5py.File | None = None
        self._opened_by = 0
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
                self.has_images = BYTES in file
                self.dtypes = {name: file["hands"][name].dtype for name in self.fields}
        except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
            # the format stands near the beginning; where it does not, who wrote the file is not known
            hint = hint if FORMAT.encode() in head else "Fetch or write it again."
            raise InvalidError(f"{self.path} cannot be read as HDF5: it is damaged or cut short.", hint) from error

    @property
    def file(self) -> h5py.File:
        # a forked worker inherits the handle and must not use it: two processes would move one file position
        if self._file is None or self._opened_by != os.getpid():
            self._file = h5py.File(self.path, "r")
            self._opened_by = os.getpid()
        return self._file

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None}

    def __enter__(self) -> HandsFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __len__(self) -> int:
        return self.count

    @cached_property
    def ids(self) -> NDArray:
        """All ids (N,) str."""
        return _from_stored("id", self.file["hands/id"][:])

    def column(self, name: str, start: int = 0, stop: int | None = None) -> NDArray:
        """One field, all of it or start..stop; raises InvalidError where the file does not have it."""
        if name not in self.fields:
            raise InvalidError(f"{self.path} has no {name!r}.", f"It has: {', '.join(self.fields)}.")
        return _from_stored(name, self.file["hands"][name][start:stop])

    def read(self, start: int = 0, stop: int | None = None) -> Hands:
        """The samples start..stop as one block."""
        part = slice(start, stop)
        group = self.file["hands"]
        return Hands(**{name: _from_stored(name, group[name][part]) for name in self.fields}, meta=self.meta)

    def blocks(self, size: int = 1024) -> Iterator[Hands]:
        """All samples in order, `size` at a time."""
        for start in range(0, self.count, size):
            yield self.read(start, start + size)

    @cached_property
    def _offsets(self) -> NDArray:
        if not self.has_images:
            raise InvalidError(f"{self.path} holds no images.", "Give a prepared split of a dataset.")
        return self.file[OFFSETS][:]

    def image(self, index: int) -> bytes:
        """The encoded image (JPEG or PNG) of one sample, as it was stored."""
        start, stop = self._offsets[index], self._offsets[index + 1]
        return self.file[BYTES][start:stop].tobytes()

    def digest(self) -> str:
        """Twelve hex digits of the content (arrays and images, not meta)."""
        return hashlib.sha256(json.dumps(self.checksums, sort_keys=True).encode()).hexdigest()[:12]

    def verify(self) -> None:
        """Compare every array with its checksum; raises InvalidError naming the first that differs."""
        names = [*(f"hands/{name}" for name in self.fields), *((BYTES, OFFSETS) if self.has_images else ())]
        for name in names:
            check = hashlib.sha256()
            data = self.file[name]
            for start in range(0, len(data), step := _rows_per_read(data)):
                check.update(np.ascontiguousarray(data[start : start + step]).tobytes())
            if check.hexdigest() != self.checksums.get(name):
                raise InvalidError(
                    f"{name} in {self.path} does not have the checksum it was written with.",
                    "The file was changed or the disk is failing: make it again.",
                )


def _rows_per_read(data: h5py.Dataset) -> int:
    """About 16 MiB."""
    row = max(1, data.dtype.itemsize * int(np.prod(data.shape[1:], dtype=np.int64)))
    return max(1, (16 << 20) // row)


def _from_stored(name: str, array: NDArray) -> NDArray:
    return np.char.decode(array, "utf-8") if name in TEXT_FIELDS else array


def _to_stored(name: str, array: NDArray, width: int = 1) -> NDArray:
    if name not in TEXT_FIELDS:
        return array
    encoded = np.char.encode(np.asarray(array, dtype=np.str_), "utf-8")
    return encoded.astype(f"S{max(width, encoded.dtype.itemsize, 1)}")


def write_hands(path: Path, hands: Hands, images: Sequence[bytes] | None = None) -> None:
    """Write a whole file at once, atomically: `path` appears when it is complete, or stays as it was."""
    with replacing(path) as part:
        part.write_bytes(encode_hands(hands, images))


def encode_hands(hands: Hands, images: Sequence[bytes] | None = None) -> bytes:
    """The HDF5 file of a block that fits in memory, as bytes."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        _fill(file, [(hands, images)], len(hands), sum(map(len, images or ())), hands.meta)
    return buffer.getvalue()


def join_files(path: Path, parts: Sequence[Path], meta: dict[str, Any]) -> None:
    """Join finished files of the same fields into one, in the order given, block by block."""
    files = [HandsFile(part) for part in parts]
    if any(f.fields != files[0].fields or f.has_images != files[0].has_images for f in files):
        raise InvalidError(f"The blocks of {path.name} have different fields.", "Delete its .part folder, run again.")
    total = sum(len(f) for f in files)
    image_bytes = sum(int(f._offsets[-1]) for f in files) if files[0].has_images else 0
    room_for(sum(part.stat().st_size for part in parts), path)

    def blocks() -> Iterator[tuple[Hands, Sequence[bytes] | None]]:
        for f in files:
            with f:
                yield f.read(), [f.image(i) for i in range(len(f))] if f.has_images else None

    with h5py.File(path, "w") as file:
        widths = {name: max(f.dtypes[name].itemsize for f in files) for name in files[0].fields if name in TEXT_FIELDS}
        _fill(file, blocks(), total, image_bytes, meta, widths)


def _fill(
    file: h5py.File,
    blocks: Iterable[tuple[Hands, Sequence[bytes] | None]],
    total: int,
    image_bytes: int,
    meta: Any,
    widths: dict[str, int] | None = None,
) -> None:
    file.attrs["format"] = FORMAT
    file.attrs["complete"] = 0
    checks: dict[str, Any] = {}
    done, image_end = 0, 0

    def put(name: str, array: NDArray, at: int, length: int) -> None:
        if name not in file:
            file.create_dataset(name, shape=(length, *array.shape[1:]), dtype=array.dtype)
            checks[name] = hashlib.sha256()
        data = file[name]
        if data.shape[1:] != array.shape[1:] or data.dtype != array.dtype:
            raise InvalidError(f"{name} changes its shape or type within one file.", "This is a fault of the reader.")
        if len(array):
            data[at : at + len(array)] = array
        checks[name].update(np.ascontiguousarray(array).tobytes())

    for hands, images in blocks:
        for name, array in hands.arrays():
            put(f"hands/{name}", _to_stored(name, array, (widths or {}).get(name, 1)), done, total)
        if images is not None:
            if len(images) != len(hands):
                raise InvalidError(f"{len(images)} images for {len(hands)} hands.", "This is a fault of the reader.")
            ends = image_end + np.cumsum([0, *map(len, images)], dtype=np.int64)
            put(BYTES, np.frombuffer(b"".join(images), np.uint8), image_end, image_bytes)
            # the first block also writes the leading 0
            first = 0 if done == 0 else 1
            put(OFFSETS, ends[first:], done + first, total + 1)
            image_end = int(ends[-1])
        done += len(hands)
    if done != total:
        raise InvalidError(f"{done} of {total} samples were given.", "This is a fault of the reader.")
    file.attrs["meta"] = json.dumps(dict(meta), sort_keys=True, default=_plain)
    file.attrs["checksums"] = json.dumps({name: check.hexdigest() for name, check in checks.items()}, sort_keys=True)
    file.attrs["complete"] = 1


def _plain(value: Any) -> Any:
    """numpy scalars and arrays in meta as JSON."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"meta cannot hold a {type(value).__name__}")
