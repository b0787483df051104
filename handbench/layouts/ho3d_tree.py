"""HO-3D's folders and its two lists of frames (ho3d: README.md, vis_HO3D.py, vis_pcl_all_cameras.py).

    ROOT/train.txt, evaluation.txt              `SEQUENCE/0000` a line: the frames that are annotated
         {train,evaluation}/SEQUENCE/rgb/%04d   .png in version 2, .jpg in version 3
                                     meta/%04d.pkl   depth/%04d.png
         train/SEQUENCE/seg/%04d.png            version 3, where its second archive is unpacked

A frame that is in no list has a pickle whose every field is None.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handbench.console import say
from handbench.errors import InvalidError, MissingError
from handbench.layouts.folder import Folder
from handbench.layouts.text import read_lines

PARTS = {"train": "train", "test": "evaluation"}
XYZ, VERTS = "evaluation_xyz.json", "evaluation_verts.json"
AS_IT_IS = "With --partial it is taken as it is; its results are then not comparable."
# SEQUENCE/0000, the number as %04d writes it
_LINE = re.compile(r"([A-Za-z][A-Za-z0-9_-]{0,30})/([0-9]{4}|[1-9][0-9]{4,7})")
_NUMBERED = r"(?:[0-9]{4}|[1-9][0-9]{4,7})"


@dataclass(frozen=True)
class Version:
    """What tells the versions apart: the kind of their images, and how many frames their lists have."""

    dataset: str
    title: str
    suffix: str
    train: int
    evaluation: int
    archives: str

    @property
    def trains(self) -> tuple[int, ...]:
        """The lengths that a whole training list is said to have: README's, and for version 3 `db_size`'s."""
        return (self.train, 78297) if self.dataset == "ho3d-v3" else (self.train,)


VERSIONS = {
    "ho3d-v2": Version("ho3d-v2", "HO-3D v2", ".png", 66034, 11524, "HO3D_v2.zip"),
    "ho3d-v3": Version("ho3d-v3", "HO-3D v3", ".jpg", 83325, 20137, "HO3D_v3.zip"),
}


@dataclass(frozen=True, eq=False)
class Frames:
    """Frames of a list: `sequence` (N,) int32 counts in `names`, `number` (N,) int32 is the frame's, `line` (N,) int32
    its place in the list, from 0."""

    names: tuple[str, ...]
    sequence: NDArray
    number: NDArray
    line: NDArray

    def __len__(self) -> int:
        return len(self.line)

    def take(self, index: NDArray) -> Frames:
        return Frames(self.names, self.sequence[index], self.number[index], self.line[index])

    def path(self, i: int) -> str:
        """`SEQUENCE/0000`"""
        return f"{self.names[self.sequence[i]]}/{self.number[i]:04d}"


def parse_frames(path: Path, lines: Sequence[str]) -> Frames:
    """The lines of a list, in its order. Raises InvalidError for what is no frame, and for a frame that comes twice."""
    known: dict[str, int] = {}
    sequence, number = np.empty(len(lines), np.int32), np.empty(len(lines), np.int32)
    for i, line in enumerate(lines):
        parts = _LINE.fullmatch(line)
        if parts is None:
            raise InvalidError(f"Line {i + 1:,} of {path} is {line[:40]!r}.", "A line is written as SM1/0000.")
        sequence[i] = known.setdefault(parts[1], len(known))
        number[i] = int(parts[2])
    frames = Frames(tuple(known), sequence, number, np.arange(len(lines), dtype=np.int32))
    order = np.lexsort((number, sequence))
    same = (np.diff(sequence[order]) == 0) & (np.diff(number[order]) == 0)
    if same.any():
        raise InvalidError(f"{path} names the frame {frames.path(order[np.argmax(same)])} twice.", "Fetch it again.")
    return frames


def take_of(sequence: str) -> str:
    """What was recorded together: AP10 to AP14 are five cameras of one take (ho3d: vis_pcl_all_cameras.py)."""
    return re.sub(r"(?<=\d)\d$", "", sequence)


def find_frames(folder: Folder, version: Version, split: str, partial: bool) -> tuple[Frames, int]:
    """The frames of a split, sequence by sequence in the order of its list, and how many the list has: with `partial`
    those that are not there are left out.

    Raises MissingError where the list or a sequence is not there, InvalidError for another version's folder and, in the
    evaluation split, for another count.
    """
    part = PARTS[split]
    path = folder.root / f"{part}.txt"
    if not folder.has(f"{part}.txt"):
        raise MissingError(
            f"{path} does not exist.", f"It lists the frames, and is in {version.archives} of {version.title}."
        )
    frames = parse_frames(path, read_lines(folder, f"{part}.txt"))
    if not len(frames):
        raise InvalidError(f"{path} lists no frame.", "Fetch it again.")
    listed = len(frames)
    # as listed, but for lists that go from sequence to sequence: a track's frames are neighbours
    frames = frames.take(np.lexsort((frames.number, frames.sequence)))
    images = _present(folder, part, frames.names, "rgb", version, partial)
    _require_count(path, listed, version, split, partial)
    if not partial:
        return frames, listed
    labels = _present(folder, part, frames.names, "meta", version, partial)
    there = np.zeros(listed, bool)
    for k in range(len(frames.names)):
        of_it = frames.sequence == k
        numbers = frames.number[of_it]
        there[of_it] = np.isin(numbers, images(k)) & np.isin(numbers, labels(k))
    if not there.any():
        raise MissingError(f"No frame of {path} is in {folder}/{part}.", "Is the download complete?")
    if not there.all():
        say(f"{np.count_nonzero(~there):,} of the {listed:,} frames of {path} are not there and left out (--partial).")
    return frames.take(np.flatnonzero(there)), listed


def _require_count(path: Path, listed: int, version: Version, split: str, partial: bool) -> None:
    """Only evaluation is checked: for training lists there is more than one official count (README, `db_size`)."""
    if split == "train":
        if listed != version.train:
            say(f"{path} lists {listed:,} frames; {version.title} is said to have {version.train:,}.")
        return
    for other in VERSIONS.values():
        if other is not version and listed == other.evaluation:
            raise InvalidError(
                f"{path} lists {listed:,} frames: those of {other.title}; {version.title} has {version.evaluation:,}.",
                f"Prepare it as {other.dataset}.",
            )
    if listed != version.evaluation and not partial:
        raise InvalidError(f"{path} lists {listed:,} frames, {version.title} has {version.evaluation:,}.", AS_IT_IS)


def _present(
    folder: Folder, part: str, names: tuple[str, ...], kind: str, version: Version, partial: bool
) -> Callable[[int], NDArray]:
    """For the k-th sequence, the numbers of its files in `rgb` or `meta`. Raises MissingError for a folder that is not
    there (unless `partial`), InvalidError where the images are another version's."""
    found: list[NDArray] = []
    suffix = version.suffix if kind == "rgb" else ".pkl"
    for name in names:
        inside = f"{part}/{name}/{kind}"
        try:
            files = folder.names(inside, rf"{_NUMBERED}\.(?:png|jpg|pkl)")
        except MissingError:
            if not partial:
                raise
            files = []
        numbers = [int(file[:-4]) for file in files if file.endswith(suffix)]
        if kind == "rgb" and files and not numbers:
            for other in VERSIONS.values():
                if files[0].endswith(other.suffix):
                    raise InvalidError(
                        f"{folder} is {other.title}, not {version.title}: {inside} has {other.suffix} images.",
                        f"Prepare it as {other.dataset}.",
                    )
        found.append(np.array(numbers, np.int32))
    return found.__getitem__


def segmentations(folder: Folder, frames: Frames) -> tuple[list[str], str]:
    """The folder of segmentations of each of `frames.names`, "" where a sequence has none, and the first sequence that
    is in use and has none ("": all have)."""
    inside, lacking = [], ""
    used = np.bincount(frames.sequence, minlength=len(frames.names)) > 0
    for name, in_use in zip(frames.names, used.tolist(), strict=True):
        found = folder.names(f"train/{name}", r"seg[a-z]*") if in_use else []
        inside.append(f"train/{name}/{found[0]}" if found else "")
        if in_use and not found and not lacking:
            lacking = name
    return inside, lacking
