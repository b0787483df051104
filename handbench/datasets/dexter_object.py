"""Dexter+Object (Sridhar et al., ECCV 2016): a left hand with a cuboid, six sequences, finger tips only, testing only.

    ROOT/data/Grasp1/color/*.png            640x480, one a line of the annotations, in the order of their names
         data/Grasp1/annotations/Grasp13D.txt, perhaps my_Grasp13D.txt (revised, preferred)
         data/{Grasp2,Occlusion,Rigid,Pinch,Rotate}/...

Millimetres of the depth camera, x left and y up; moved here to the colour camera, metres and OpenCV axes. Source:
Minimal-Hand-pytorch: datasets/dexter_object.py; `layouts/dexter_tree.py` has files and cameras.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from handbench.console import say
from handbench.datasets.card import Block, Card, Wanted, describe
from handbench.errors import InvalidError, MissingError, UsageError
from handbench.hands.camera import joint_box, project
from handbench.hands.record import Hands
from handbench.layouts.context_crop import AS_JPEG, AS_PNG, crop_fields, cut, encode_crop, windows
from handbench.layouts.dexter_tree import AS_IT_IS, COLOUR_CAMERA, SEQUENCES, Sequence, read_sequence
from handbench.layouts.folder import Folder, require_split
from handbench.layouts.images import decode_bgr, fingerprint, read_image

IMAGE_SIZE = (640, 480)
TIPS = [4, 8, 12, 16, 20]
# tips are a part of the hand: their box is no smaller than this at their depth, m, and the window is wider
LEAST_BOX = 0.15
CONTEXT = 3.0
ORIGINAL = "original (known errors: CalciferZh/minimal-hand#77)"

CARD = Card(
    name="dexter-object",
    title="Dexter+Object",
    splits={"test": 3014},
    has=("joints", "frame_camera", "side", "capture", "track", "frame"),
    conventions="millimetres of the depth camera; x left, y up; finger tips only, thumb to little finger",
    fingertips=None,
    licence="research only",
    url="https://handtracker.mpi-inf.mpg.de/projects/RealtimeHO/dexter+object.htm",
    citation="Sridhar et al., Real-time Joint Tracking of a Hand Manipulating an Object from RGB-D Input, ECCV 2016",
    validation="hash",
    sides="left",
    captures="a sequence",
    stored="context crop",
    notes=(
        "Only finger tips are annotated, and not all of them in every frame; some frames have none.",
        "The original annotations have errors; where revised ones (my_*3D.txt) are there, they are used.",
        f"Boxes are those of the annotated tips, made at least {LEAST_BOX * 100:.0f} cm wide and high at their depth.",
    ),
)


class DexterObjectSplit:
    """The test split. Sample k is the k-th line of the annotations, sequence after sequence."""

    def __init__(self, folder: Folder, split: str, wanted: Wanted):
        require_split(split, list(CARD.splits), CARD.name)
        _require_extras(wanted)
        self.folder, self.split, self.lossless = folder, split, wanted.lossless
        self.sequences, self.sequence, self.row, self.line = _frames(folder, wanted.partial)
        self.tips = np.concatenate([one.tips for one in self.sequences if one.images is not None])
        without = int((~np.isfinite(self.tips).all(-1).any(1)).sum())
        self.meta: dict[str, Any] = describe(
            CARD,
            split,
            folder,
            fingerprint(
                {"tips": self.tips, "sequence": self.sequence, "line": self.line},
                folder,
                (self._image(i) for i in range(len(self))),
            ),
            partial=len(self.row) != CARD.splits[split],
            annotations=_which_annotations(self.sequences),
            without_tips=without,
            image_coding=AS_PNG if wanted.lossless else AS_JPEG,
        )
        say(f"Annotations of Dexter+Object: {self.meta['annotations']}; {without:,} of {len(self):,} frames have none.")

    def __len__(self) -> int:
        return len(self.row)

    def name(self, i: int) -> str:
        return f"dexter-object/{self.split}/{self.line[i]:08d}"

    def _image(self, i: int) -> str:
        sequence = self.sequences[self.sequence[i]]
        assert sequence.images is not None
        return f"data/{sequence.name}/color/{sequence.images[self.row[i]].decode()}"

    def read(self, start: int, stop: int) -> Block:
        which = range(start, min(stop, len(self)))
        n = len(which)
        joints = np.full((n, 21, 3), np.nan)
        joints[:, TIPS] = self.tips[start:stop]
        camera = np.tile(COLOUR_CAMERA, (n, 1, 1))
        boxes = tip_boxes(joints[:, TIPS], camera)
        window = windows(boxes, IMAGE_SIZE, CONTEXT)
        names = np.array([sequence.name for sequence in self.sequences])[self.sequence[start:stop]]
        hands = Hands(
            id=np.array([self.name(i) for i in which]),
            capture=names,
            track=names.copy(),
            frame=self.row[start:stop].astype(np.int64),
            side=np.full(n, "left"),
            joints=joints,
            joints_valid=np.isfinite(joints).all(-1),
            **crop_fields(window, boxes, camera, IMAGE_SIZE),
            meta=self.meta,
        )
        return Block(hands, [self._cropped(self._image(i), window[k]) for k, i in enumerate(which)])

    def _cropped(self, inside: str, window: NDArray) -> bytes:
        data, _ = read_image(self.folder, inside, IMAGE_SIZE)
        return encode_crop(cut(decode_bgr(data, f"{self.folder}/{inside}"), window), self.lossless)


def tip_boxes(tips: NDArray, camera: NDArray) -> NDArray:
    """Boxes xyxy (N, 4) px of tips (N, 5, 3) m, some NaN, in images of camera (N, 3, 3): around the tips that are
    known, no side shorter than `LEAST_BOX` has at their mean depth. NaN where no tip is known."""
    boxes = joint_box(project(tips, camera))
    known = np.isfinite(tips[..., 2])
    depth = np.where(known, tips[..., 2], 0.0).sum(1) / np.maximum(known.sum(1), 1)
    least = LEAST_BOX * camera[:, [0, 1], [0, 1]] / np.where(depth > 0, depth, np.nan)[:, None]
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = np.fmax(boxes[:, 2:] - boxes[:, :2], least) / 2
    return np.concatenate([middle - half, middle + half], 1)


def _frames(folder: Folder, partial: bool) -> tuple[list[Sequence], NDArray, NDArray, NDArray]:
    """The sequences, and for each frame that has an image: its sequence among them, its row in it, and its line among
    all annotations, int32. Raises MissingError, InvalidError."""
    if not folder.has("data"):
        raise MissingError(f"{folder} has no folder data.", "The folder of Dexter+Object has data/ and calibration/.")
    sequences = [found for name in SEQUENCES if (found := read_sequence(folder, name, partial)) is not None]
    total = sum(map(len, sequences))
    if not any(sequence.images is not None for sequence in sequences):
        raise MissingError(f"{folder}/data has no annotated sequence with images.", "Is the download complete?")
    if not partial and total != CARD.splits["test"]:
        raise InvalidError(
            f"{folder}/data has {total:,} annotated frames, Dexter+Object has {CARD.splits['test']:,}.", AS_IT_IS
        )
    absent = [name for name in SEQUENCES if name not in [sequence.name for sequence in sequences]]
    if absent:
        say(f"Dexter+Object's {', '.join(absent)} are not there; frames are numbered without them (--partial).")
    sequence, row, line, begins = [], [], [], 0
    for k, one in enumerate(sequences):
        if one.images is not None:
            sequence.append(np.full(len(one), k, np.int32))
            row.append(np.arange(len(one), dtype=np.int32))
            line.append(begins + row[-1])
        begins += len(one)
    return sequences, np.concatenate(sequence), np.concatenate(row), np.concatenate(line).astype(np.int32)


def _which_annotations(sequences: list[Sequence]) -> str:
    revised = [one.name for one in sequences if one.revised]
    if len(revised) == len(sequences):
        return "revised"
    return f"revised for {', '.join(revised)}, else {ORIGINAL}" if revised else ORIGINAL


def _require_extras(wanted: Wanted) -> None:
    if wanted.masks:
        raise UsageError("Dexter+Object has no masks.", "Leave --masks out.")
    if wanted.depth:
        raise UsageError(
            "Dexter+Object's depth was seen by another camera than its colour images: it is not registered to them.",
            "Leave --depth out.",
        )


def open_split(folder: Folder, split: str, wanted: Wanted) -> DexterObjectSplit:
    return DexterObjectSplit(folder, split, wanted)
