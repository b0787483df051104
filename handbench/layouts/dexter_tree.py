"""Dexter+Object's folders, its text annotations, and its two cameras.

    ROOT/data/Grasp1/color/*.png   depth/*.png
                    /annotations/Grasp13D.txt, Grasp12D.txt, perhaps my_Grasp13D.txt

A line is a frame, in the order of the image names. Its fields are separated by `;`: the tips of thumb to little finger,
then points of the object; `x, y, z` in mm, z = 32001 where a tip is not annotated. Source: Minimal-Hand-pytorch:
datasets/dexter_object.py, README.md; `my_*` are that project's revised annotations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handbench.console import say
from handbench.errors import InvalidError, MissingError
from handbench.hands.joints import FINGERS
from handbench.layouts.folder import Folder
from handbench.layouts.text import read_lines

SEQUENCES = ("Grasp1", "Grasp2", "Occlusion", "Rigid", "Pinch", "Rotate")
NOT_ANNOTATED = 32001.0
AS_IT_IS = "With --partial it is taken as it is; its results are then not comparable."
MOST_ROWS = 100_000


def _matrix(rows: list[list[float]]) -> NDArray:
    matrix = np.array(rows)
    matrix.flags.writeable = False
    return matrix


# pixels of the 640x480 colour images
COLOUR_CAMERA = _matrix([[587.45209, 0.0, 325.0], [0.0, 600.67456, 249.0], [0.0, 0.0, 1.0]])
# from the depth camera to the colour camera, mm; the rotation has four decimals and is taken as it is
ROTATION = _matrix([[0.9999, 0.0034, 0.0161], [-0.0033, 1.0, -0.0079], [-0.0162, 0.0079, 0.9998]])
TRANSLATION = (19.0473, -1.8514, -4.7501)


@dataclass(frozen=True, eq=False)
class Sequence:
    """One sequence: tips (T, 5, 3) m, thumb to little finger, in the colour camera's frame, NaN where not annotated;
    `images` (T,) the names of its colour images, None where there are none; whether the annotations are the revised."""

    name: str
    tips: NDArray
    images: NDArray | None
    revised: bool
    annotations: str

    def __len__(self) -> int:
        return len(self.tips)


def to_colour_camera(annotated_mm: NDArray) -> NDArray:
    """Points (..., 3) mm as annotated -> m in the frame of the colour camera, OpenCV axes.

    Annotated x and y point left and up: they are negated, then R X + t (Minimal-Hand-pytorch: dexter_object.py).
    """
    depth_camera = annotated_mm * np.array([-1.0, -1.0, 1.0])
    return (depth_camera @ ROTATION.T + TRANSLATION) / 1000.0


def read_sequence(folder: Folder, name: str, partial: bool) -> Sequence | None:
    """A sequence; None where it is not annotated and `partial`. Raises MissingError; InvalidError naming the file where
    it cannot be read, or where there is not one image a line."""
    inside, revised = _annotation_file(folder, name)
    if inside is None:
        if partial:
            return None
        raise MissingError(
            f"{folder}/data/{name}/annotations/{name}3D.txt does not exist.",
            "The folder of Dexter+Object has data/Grasp1 and five others in it.",
        )
    tips = read_tips(folder, inside)
    try:
        images = folder.names(f"data/{name}/color", r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,80}\.png")
    except MissingError:
        if not partial:
            raise
        images = []
    if not images:
        if not partial:
            raise MissingError(f"{folder}/data/{name}/color has no PNG images.", "Is the download complete?")
        say(f"{folder}/data/{name}/color has no images: {name} is left out (--partial).")
    elif len(images) != len(tips):
        raise InvalidError(
            f"{folder}/data/{name}/color has {len(images):,} images and {folder}/{inside} {len(tips):,} lines: which "
            "belong together is not known.",
            "Fetch both again.",
        )
    return Sequence(name, to_colour_camera(tips), np.array(images, "S") if images else None, revised, inside)


def _annotation_file(folder: Folder, name: str) -> tuple[str | None, bool]:
    """The revised file where there is one, else the original."""
    for file, revised in ((f"my_{name}3D.txt", True), (f"{name}3D.txt", False)):
        for place in (f"data/{name}/annotations", "annotations"):
            if folder.has(f"{place}/{file}"):
                return f"{place}/{file}", revised
    return None, False


def read_tips(folder: Folder, inside: str) -> NDArray:
    """Tips (T, 5, 3) as annotated, mm, NaN where not. Raises MissingError, InvalidError naming file and line."""
    path = f"{folder}/{inside}"
    lines = read_lines(folder, inside)
    if not 0 < len(lines) <= MOST_ROWS:
        raise InvalidError(f"{path} has {len(lines):,} lines.", "Fetch it again.")
    tips = np.empty((len(lines), len(FINGERS), 3))
    for i, line in enumerate(lines):
        fields = line.split(";")[: len(FINGERS)]
        try:
            row = np.array([[float(value) for value in field.split(",")] for field in fields])
        except ValueError:
            row = np.zeros(0)
        # a tip that is all NaN is not annotated
        if row.shape != tips.shape[1:] or not (np.isfinite(row).all(1) | np.isnan(row).all(1)).all():
            raise InvalidError(
                f"Line {i + 1:,} of {path} is {line[:40]!r}, not five tips `x, y, z;`.", "Fetch it again."
            )
        tips[i] = row
    known = np.isfinite(tips).all(-1) & (tips[..., 2] != NOT_ANNOTATED)
    return np.where(known[..., None], tips, np.nan)
