"""STB's folders and label files, and which of them a split is made of (stb: README.md).

    ROOT/images/B1Counting/{BB_left,BB_right,SK_color,SK_depth}_%d.png   %d = 0..1499, no zeros before it
         labels/B1Counting_BB.mat, B1Counting_SK.mat                    handPara (3, 21, 1500) mm

Testing is B1Counting and B1Random, training B2 to B6 (Zimmermann and Brox, ICCV 2017; hand3d: BinaryDbReaderSTB.py).
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.io
from numpy.typing import ArrayLike, NDArray

from handbench.console import say
from handbench.errors import InvalidError, MissingError
from handbench.layouts.folder import Folder
from handbench.layouts.stb_frames import (
    BB_CAMERA,
    SK_COLOUR_CAMERA,
    depth_to_colour,
    joints_of,
    left_to_right,
)  # fmt: skip

LENGTH = 1500
SEQUENCES = {
    "train": tuple(f"B{k}{kind}" for k in range(2, 7) for kind in ("Counting", "Random")),
    "test": ("B1Counting", "B1Random"),
}
NAME = "handPara"
NUMBERS = ("double", "single", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
AS_IT_IS = "With --partial it is taken as it is; its results are then not comparable."


@dataclass(frozen=True, eq=False)
class View:
    """A camera: prefix of its images, suffix of its labels, intrinsics (3, 3), and its frame from theirs, mm."""

    prefix: str
    labels: str
    camera: NDArray
    from_labels: Callable[[ArrayLike], NDArray]


def _as_labelled(points_mm: ArrayLike) -> NDArray:
    return np.asarray(points_mm, np.float64)


# what stands before `train` and `test` in the name of a split
VIEWS = {
    "": View("SK_color", "SK", SK_COLOUR_CAMERA, depth_to_colour),
    "bb-": View("BB_left", "BB", BB_CAMERA, _as_labelled),
    "bb-right-": View("BB_right", "BB", BB_CAMERA, left_to_right),
}


@dataclass(frozen=True, eq=False)
class Frames:
    """N frames of a split: `sequence` (N,) int32 counts in `SEQUENCES`, `number` (N,) int32 is the frame's."""

    names: tuple[str, ...]
    sequence: NDArray
    number: NDArray

    def __len__(self) -> int:
        return len(self.number)


def image_file(name: str, view: View, number: int) -> str:
    return f"images/{name}/{view.prefix}_{number}.png"


def label_file(name: str, view: View) -> str:
    return f"labels/{name}_{view.labels}.mat"


def find_frames(folder: Folder, part: str, view: View, partial: bool) -> Frames:
    """The frames of `train` or `test` that a camera has images and labels of: all 1,500 of each sequence, or with
    `partial` what is there. Raises MissingError, InvalidError."""
    names = SEQUENCES[part]
    if not folder.has("images") or not folder.has("labels"):
        lacking = "labels" if folder.has("images") else "images"
        raise MissingError(f"{folder} has no folder {lacking}.", "STB's folder has images/ and labels/ side by side.")
    sequence, number, absent = [], [], []
    for k, name in enumerate(names):
        try:
            numbers = _numbers(folder, name, view)
            labelled = label_length(folder, label_file(name, view))
        except MissingError:
            if not partial:
                raise
            absent.append(name)
            continue
        if not partial:
            _require_whole(folder, name, view, numbers, labelled)
        numbers = numbers[numbers < labelled]
        sequence.append(np.full(len(numbers), k, np.int32))
        number.append(numbers)
    if not sum(map(len, number)):
        raise MissingError(
            f"{folder} has no {view.prefix} image with a label of {', '.join(names)}.", "Is the download complete?"
        )
    if absent:
        say(f"STB's {', '.join(absent)} are not in {folder} and left out (--partial).")
    return Frames(names, np.concatenate(sequence), np.concatenate(number))


def _numbers(folder: Folder, name: str, view: View) -> NDArray:
    files = folder.names(f"images/{name}", rf"{view.prefix}_(?:0|[1-9][0-9]{{0,3}})\.png")
    return np.sort(np.array([int(file[len(view.prefix) + 1 : -4]) for file in files], np.int32))


def _require_whole(folder: Folder, name: str, view: View, numbers: NDArray, labelled: int) -> None:
    if labelled != LENGTH:
        raise InvalidError(f"{folder}/{label_file(name, view)} has {labelled:,} frames, not {LENGTH:,}.", AS_IT_IS)
    missing = np.setdiff1d(np.arange(LENGTH), numbers)
    if len(missing):
        raise MissingError(
            f"{folder}/images/{name} lacks {len(missing):,} of {LENGTH:,} {view.prefix} images, the first is "
            f"{view.prefix}_{missing[0]}.png.",
            AS_IT_IS,
        )


def label_length(folder: Folder, inside: str) -> int:
    """For how many frames a label file has joints, from its header. Raises MissingError, InvalidError naming it."""
    data = folder.read(inside)
    path = f"{folder}/{inside}"
    try:
        entries = {name: (shape, kind) for name, shape, kind in scipy.io.whosmat(io.BytesIO(data))}
    except Exception as error:  # scipy raises many kinds for a damaged file
        raise _damaged(path) from error
    if NAME not in entries:
        raise InvalidError(f"{path} has no {NAME!r}.", "Fetch it again.")
    shape, kind = entries[NAME]
    if len(shape) != 3 or shape[:2] != (3, 21) or not 0 < shape[2] <= LENGTH or kind not in NUMBERS:
        raise InvalidError(f"{NAME!r} in {path} is {kind} {shape}, not (3, 21, {LENGTH}) numbers.", "Fetch it again.")
    return int(shape[2])


def read_joints(folder: Folder, inside: str, view: View) -> NDArray:
    """Joints (T, 21, 3) m of a sequence in the camera's frame, FH21, joint 0 the palm's centre. Raises as above."""
    label_length(folder, inside)
    path = f"{folder}/{inside}"
    try:
        labels = scipy.io.loadmat(io.BytesIO(folder.read(inside)), variable_names=[NAME])[NAME]
    except (MissingError, InvalidError):
        raise
    except Exception as error:
        raise _damaged(path) from error
    if np.iscomplexobj(labels) or not np.isfinite(labels).all():
        raise InvalidError(f"{NAME!r} in {path} has something other than finite numbers.", "Fetch it again.")
    return view.from_labels(joints_of(labels)) / 1000.0


def _damaged(path: str) -> InvalidError:
    return InvalidError(f"{path} cannot be read as a MAT file: it is damaged or cut short.", "Fetch it again.")
