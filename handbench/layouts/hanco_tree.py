"""HanCo's index of frames and its small JSON files (contra-hand: show_dataset.py).

`meta.json` has, under `is_valid` and `has_fit` as under its other keys, a list of sequences, each a list of frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from handbench.console import say
from handbench.errors import InvalidError, MissingError
from handbench.layouts.folder import FETCH, Folder

SEQUENCES, CAMERAS = 1518, 8
META = "meta.json"
# five values of each of some 107,000 time steps; four digits name a sequence, eight a frame
MOST_META = 256 << 20
MOST_SEQUENCES, MOST_FRAMES = 10_000, 1_000_000
# a frame's file has some hundred numbers
MOST_SMALL = 1 << 20
AS_IT_IS = "With --partial it is taken as it is; its results are then not comparable."


@dataclass(frozen=True, eq=False)
class Frames:
    """Samples in the order sequence, camera, frame: sequence (N,) int16, camera (N,) int8, frame (N,) int32, and `fit`
    (N,) bool, whether a MANO shape was fitted. `whole`: these are all official sequences. `unvalidated`: time steps
    whose MANO fit was not validated (`is_valid` False), which are no samples."""

    sequence: NDArray
    camera: NDArray
    frame: NDArray
    fit: NDArray
    whole: bool
    unvalidated: int

    def __len__(self) -> int:
        return len(self.sequence)


def find_frames(folder: Folder, kinds: tuple[str, ...], partial: bool) -> Frames:
    """The valid frames of the sequences that have a folder in each of `kinds`, by eight cameras; in `shape` only where
    a frame has a fit.

    Raises MissingError where the index, a kind, or (unless `partial`) a sequence is not there, InvalidError for an
    index that is damaged or of another length.
    """
    valid, fit = _read_meta(folder)
    if len(valid) != SEQUENCES and not partial:
        raise InvalidError(f"{folder}/{META} has {len(valid):,} sequences, HanCo has {SEQUENCES:,}.", AS_IT_IS)
    used = np.array([row.any() for row in valid], bool)
    there = used.copy()
    fitted = np.array([(v & f).any() for v, f in zip(valid, fit, strict=True)], bool)
    for kind in kinds:
        needed = fitted if kind == "shape" else used
        found = np.array([int(name) for name in folder.names(kind, "[0-9]{4}")], np.int64)
        lacking = np.flatnonzero(needed & ~np.isin(np.arange(len(needed)), found))
        if len(lacking) and not partial:
            raise MissingError(
                f"The folder {folder}/{kind}/{lacking[0]:04d} does not exist; {len(lacking):,} of "
                f"{needed.sum():,} such folders are not there.",
                AS_IT_IS,
            )
        there[lacking] = False
    if not there.any():
        raise MissingError(f"{folder} has no valid frame of a sequence that is in each of {', '.join(kinds)}.", FETCH)
    if there.sum() < used.sum():
        say(f"{used.sum() - there.sum():,} of {used.sum():,} sequences are not there and left out (--partial).")
    parts: list[tuple[NDArray, ...]] = []
    for s in np.flatnonzero(there).tolist():
        frame = np.flatnonzero(valid[s]).astype(np.int32)
        n = len(frame)
        parts.append(
            (
                np.full(CAMERAS * n, s, np.int16),
                np.repeat(np.arange(CAMERAS, dtype=np.int8), n),
                np.tile(frame, CAMERAS),
                np.tile(fit[s][frame], CAMERAS),
            )
        )
    sequence, camera, frame, with_fit = (np.concatenate(column) for column in zip(*parts, strict=True))
    whole = len(valid) == SEQUENCES and bool((there == used).all())
    unvalidated = sum(int((~row).sum()) for row in valid)
    if unvalidated:
        say(
            f"{unvalidated:,} of {sum(map(len, valid)):,} time steps of {folder}/{META} have no validated MANO fit "
            "(is_valid) and are no samples."
        )
    return Frames(sequence, camera, frame, with_fit, whole, unvalidated)


def _read_meta(folder: Folder) -> tuple[list[NDArray], list[NDArray]]:
    """`is_valid` and `has_fit`: for each sequence an array (frames,) bool."""
    path = f"{folder}/{META}"
    if not folder.has(META):
        raise MissingError(f"{path} does not exist.", "HanCo comes in several archives: it is in the one of meta data.")
    read = _parsed(folder.read(META, MOST_META), path)
    columns = []
    for key in ("is_valid", "has_fit"):
        lists = read.get(key) if isinstance(read, dict) else None
        if not isinstance(lists, list) or not 0 < len(lists) <= MOST_SEQUENCES:
            raise InvalidError(f"{path} has no {key!r} with a list for each sequence.", "Fetch it again.")
        columns.append([_flags(row, f"{key!r} of sequence {s} in {path}") for s, row in enumerate(lists)])
    valid, fit = columns
    lengths = [[len(row) for row in column] for column in columns]
    if lengths[0] != lengths[1]:
        raise InvalidError(f"'is_valid' and 'has_fit' in {path} have different lengths.", "Fetch it again.")
    return valid, fit


def _flags(row: Any, what: str) -> NDArray:
    if isinstance(row, list) and len(row) <= MOST_FRAMES and all(type(v) in (bool, int) and v in (0, 1) for v in row):
        return np.array(row, bool)
    raise InvalidError(f"{what} is no list of true and false.", "Fetch it again.")


def read_calibration(folder: Folder, inside: str) -> tuple[NDArray, NDArray]:
    """K (8, 3, 3), and M (8, 4, 4) from the world to each camera. Raises MissingError, InvalidError naming the file."""
    path = f"{folder}/{inside}"
    read = _parsed(folder.read(inside, MOST_SMALL), path)
    read = read if isinstance(read, dict) else {}
    camera = _numbers(read.get("K"), (CAMERAS, 3, 3), f"'K' in {path}")
    pose = _numbers(read.get("M"), (CAMERAS, 4, 4), f"'M' in {path}")
    if not ((camera[:, 2] == [0, 0, 1]).all() and np.allclose(pose[:, 3], [0, 0, 0, 1], rtol=0, atol=1e-9)):
        raise InvalidError(f"{path} has a matrix whose last row is not that of a camera.", "Fetch it again.")
    if not (camera[:, [0, 1], [0, 1]] > 0).all():
        raise InvalidError(f"{path} has a focal length that is not above 0.", "Fetch it again.")
    return camera, pose


def read_numbers(folder: Folder, inside: str, shape: tuple[int, ...]) -> NDArray:
    """A file of nested numbers (shape) float64; a leading 1 may be left out or be there. Raises MissingError,
    InvalidError naming the file."""
    path = f"{folder}/{inside}"
    read = _parsed(folder.read(inside, MOST_SMALL), path)
    while isinstance(read, list) and len(read) == 1:
        read = read[0]
    return _numbers(read, shape, path)


def _parsed(data: bytes, path: str) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        raise InvalidError(f"{path} is not valid JSON: it is damaged or cut short.", "Fetch it again.") from None


def _numbers(value: Any, shape: tuple[int, ...], what: str) -> NDArray:
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):
        array = np.empty(0, object)
    if array.dtype.kind not in "fiu" or array.shape != shape:
        raise InvalidError(f"{what} is not {'x'.join(map(str, shape))} numbers.", "Fetch it again.")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise InvalidError(f"{what} has a number beyond all bounds.", "Fetch it again.")
    return array
