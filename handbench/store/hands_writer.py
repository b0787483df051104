"""Writing files of hands: a block at once, or finished blocks joined into one. The layout: `hands_file`."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from handbench.errors import InvalidError
from handbench.hands.record import TEXT_FIELDS, Hands
from handbench.store.atomic import replacing, room_for
from handbench.store.hands_file import (
    DIGEST,
    FORMAT,
    LEFT_OUT,
    STREAMS,
    HandsFile,
    Place,
    checksum,
    picture_digest,
    to_stored,
    wider,
)

Pictures = Sequence[bytes] | None
FAULT = "This is a fault of the reader."


def write_hands(
    path: Path, hands: Hands, images: Pictures = None, masks: Pictures = None, depth: Pictures = None
) -> None:
    """Write a whole file at once, atomically: `path` appears when it is complete, or stays as it was."""
    arrays, sums = _arrays(hands, (images, masks, depth))
    sums |= {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in arrays.items() if name not in sums}
    sums = {name: check for name, check in sums.items() if not name.endswith("/digests")}
    with replacing(path) as part:
        _write_file(part, arrays, hands.meta, sums)


def write_block(path: Path, hands: Hands, images: Pictures, masks: Pictures, depth: Pictures) -> None:
    """The same without the checksums of the arrays: a block that is joined with others, which finds theirs."""
    arrays, sums = _arrays(hands, (images, masks, depth))
    with replacing(path) as part:
        _write_file(part, arrays, hands.meta, sums)


def _arrays(hands: Hands, streams: tuple[Pictures, ...]) -> tuple[dict[str, NDArray], dict[str, str]]:
    """Everything that a file holds, by name; and the checksums of the pictures."""
    arrays = {f"hands/{name}": to_stored(name, array) for name, array in hands.arrays()}
    sums = {}
    for stream, pictures in zip(STREAMS, streams, strict=True):
        if pictures is None:
            continue
        if len(pictures) != len(hands):
            raise InvalidError(f"{len(pictures)} {stream} for {len(hands)} hands.", FAULT)
        digests = b"".join(map(picture_digest, pictures))
        arrays[f"{stream}/bytes"] = np.frombuffer(b"".join(pictures), np.uint8)
        arrays[f"{stream}/offsets"] = np.cumsum([0, *map(len, pictures)], dtype=np.int64)
        arrays[f"{stream}/digests"] = np.frombuffer(digests, np.uint8).reshape(-1, DIGEST)
        sums[f"{stream}/bytes"] = hashlib.sha256(digests).hexdigest()
    return arrays, sums


def _write_file(path: Path, arrays: dict[str, NDArray], meta: Any, sums: dict[str, str]) -> None:
    with h5py.File(path, "w") as file:
        # first of all: a reader of a broken file finds the format near its beginning
        file.attrs["format"] = FORMAT
        for name, array in arrays.items():
            file.create_dataset(name, data=array)
        _close(file, meta, sums)


def join_files(
    path: Path, parts: Sequence[Path], meta: dict[str, Any], left_out: Sequence[tuple[str, str]] = ()
) -> None:
    """Join finished files of the same fields into one, in the order given.

    HDF5 lays the arrays out; their bytes are then copied from file to file by the kernel, and the checksums are of what
    is read back. A file without samples adds nothing.
    """
    opened = [HandsFile(part) for part in parts]
    files = [file for file in opened if len(file)] or opened[:1]
    first = files[0]
    if any(f.fields != first.fields or f.streams != first.streams for f in files):
        raise InvalidError(f"The blocks of {path.name} have different fields.", "Delete its .part folder, run again.")
    room_for(sum(f.path.stat().st_size for f in files), path)
    layout = {name: _joined(name, [f.places[name] for f in files]) for name in first.places if name != LEFT_OUT}
    with h5py.File(path, "w") as file:
        file.attrs["format"] = FORMAT
        file.attrs["complete"] = 0
        for name, place in layout.items():
            _lay_out(file, name, place)
        if left_out:
            file.create_dataset(LEFT_OUT, data=np.frombuffer(json.dumps(list(left_out)).encode(), np.uint8))
        layout = {name: Place(file[name].id.get_offset() or 0, p.dtype, p.shape) for name, p in layout.items()}
    starts = _starts(layout, files)
    with open(path, "r+b", buffering=0) as out, ThreadPoolExecutor(2) as pool:
        target = out.fileno()

        def copy(i: int) -> None:
            # a file is open only while it is copied: there may be more of them than a process may have open
            with files[i] as file:
                for name, place in layout.items():
                    if name.endswith("/offsets"):
                        pictures = name.replace("/offsets", "/bytes")
                        before = starts[pictures][i] - layout[pictures].offset
                        _copy_offsets(target, starts[name][i], name, file, before, first=i == 0)
                    else:
                        _copy_rows(target, starts[name][i], name, place, file)

        list(pool.map(copy, range(len(files))))
        # the largest first
        order = [name for name in layout if not name.endswith("/bytes")]
        order.sort(key=lambda name: -layout[name].row * layout[name].shape[0])
        sums = dict(zip(order, pool.map(lambda name: checksum(target, layout[name], path), order), strict=True))
    for stream in first.streams:
        sums[f"{stream}/bytes"] = sums.pop(f"{stream}/digests")
    with h5py.File(path, "r+") as file:
        if LEFT_OUT in file:
            sums[LEFT_OUT] = hashlib.sha256(file[LEFT_OUT][:].tobytes()).hexdigest()
        _close(file, meta, sums)


def _close(file: h5py.File, meta: Any, sums: dict[str, str]) -> None:
    file.attrs["meta"] = json.dumps(dict(meta), sort_keys=True, default=_plain)
    file.attrs["checksums"] = json.dumps(sums, sort_keys=True)
    file.attrs["complete"] = 1


def _joined(name: str, places: list[Place]) -> Place:
    """Type and shape of arrays that are joined along their first axis."""
    dtypes, inner = [p.dtype for p in places], {p.shape[1:] for p in places}
    field = name.removeprefix("hands/")
    dtype = reduce(wider, dtypes) if field in TEXT_FIELDS else dtypes[0]
    if len(inner) > 1 or (field not in TEXT_FIELDS and len(set(dtypes)) > 1):
        raise InvalidError(f"{name} changes its shape or type within one file.", FAULT)
    # N samples have N + 1 offsets
    shared = len(places) - 1 if name.endswith("/offsets") else 0
    return Place(0, dtype, (sum(p.shape[0] for p in places) - shared, *inner.pop()))


def _lay_out(file: h5py.File, name: str, place: Place) -> None:
    """An array with its place in the file and no content yet."""
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    settings.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    kind, space = h5py.h5t.py_create(place.dtype, logical=True), h5py.h5s.create_simple(place.shape)
    group, _, leaf = name.rpartition("/")
    h5py.h5d.create(file.require_group(group).id, leaf.encode(), kind, space, settings)


def _starts(layout: dict[str, Place], files: Sequence[HandsFile]) -> dict[str, list[int]]:
    """The byte at which each file's part of each array begins."""
    starts = {}
    for name, place in layout.items():
        # N samples have N + 1 offsets, and the leading 0 is the first file's
        counts = [f.places[name].shape[0] - (name.endswith("/offsets") and i > 0) for i, f in enumerate(files)]
        ends = np.cumsum([0, *counts]) * place.row + place.offset
        starts[name] = ends[:-1].tolist()
    return starts


def _copy_rows(target: int, at: int, name: str, place: Place, source: HandsFile) -> None:
    """Copy one file's array to byte `at`."""
    own = source.places[name]
    if own.dtype != place.dtype:
        _write(target, memoryview(source.rows(name).astype(place.dtype).tobytes()), at)
        return
    size = own.row * own.shape[0]
    done, kernel = 0, hasattr(os, "copy_file_range")
    while done < size:
        if kernel:
            try:
                copied = os.copy_file_range(source.raw.fileno(), target, size - done, own.offset + done, at + done)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
                    raise
                kernel = False  # not between these two places
                continue
        else:
            chunk = os.pread(source.raw.fileno(), min(size - done, 4 << 20), own.offset + done)
            _write(target, memoryview(chunk), at + done)
            copied = len(chunk)
        if not copied:
            raise InvalidError(f"{source.path} was cut short while it was read.", "Run again.")
        done += copied


def _copy_offsets(target: int, at: int, name: str, source: HandsFile, before: int, first: bool) -> None:
    """Offsets of pictures that come after `before` bytes of others."""
    offsets = source.rows(name)[0 if first else 1 :] + before
    _write(target, memoryview(offsets.tobytes()), at)


def _write(target: int, content: memoryview, at: int) -> None:
    while len(content):
        wrote = os.pwrite(target, content, at)
        content, at = content[wrote:], at + wrote


def _plain(value: Any) -> Any:
    """numpy scalars and arrays in meta as JSON."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"meta cannot hold a {type(value).__name__}")


def no_hands() -> Hands:
    """A block without samples."""
    ids: NDArray = np.zeros(0, "U1")
    return Hands(id=ids)
