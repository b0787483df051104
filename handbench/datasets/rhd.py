"""RHD, the Rendered Hand pose Dataset (Zimmermann and Brox, ICCV 2017), as its archive RHD_published_v2 has it.

    ROOT/training/color/%05d.png, mask/%05d.png, depth/%05d.png     41,258 images, 320x320
         training/anno_training.pickle
         evaluation/...   anno_evaluation.pickle                    2,728

Metres, OpenCV axes; both hands of a person, of which the one with more mask pixels is the sample, as in hand3d's
evaluation; rows from tip to base, turned here into FH21. Source: hand3d: create_binary_db.py, data/BinaryDbReader.py;
mmpose: rhd2d dataset for the order. `layouts/rhd_labels.py` has the fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from handbench.console import say
from handbench.datasets.card import Block, Card, Wanted, describe
from handbench.errors import InvalidError, MissingError
from handbench.hands.camera import joint_box, project
from handbench.hands.record import Hands
from handbench.layouts.context_crop import (
    AS_JPEG,
    AS_PNG,
    DEPTH_UNIT,
    crop_fields,
    cut,
    encode_crop,
    encode_depth,
    encode_mask,
    windows,
)  # fmt: skip
from handbench.layouts.folder import Folder, require_split
from handbench.layouts.images import decode_bgr, fingerprint, read_image
from handbench.layouts.rhd_labels import (
    IMAGE_SIZE,
    SIDES,
    Annotations,
    dominant,
    hand_of,
    read_annotations,
    read_depth,
    read_parts,
)  # fmt: skip

COUNTS = {"train": 41258, "test": 2728}

CARD = Card(
    name="rhd",
    title="RHD",
    splits=COUNTS,
    has=("joints", "joints_visible", "frame_camera", "side"),
    conventions="metres; OpenCV axes; both hands, each wrist first and then its fingers from tip to base",
    fingertips=None,
    licence="research only",
    url="https://lmb.informatik.uni-freiburg.de/resources/datasets/RenderedHandposeDataset.en.html",
    citation="Zimmermann and Brox, Learning to Estimate 3D Hand Pose from Single RGB Images, ICCV 2017",
    validation="hash",
    sides="right and left",
    captures="single images",
    stored="context crop",
    extras=("masks", "depth"),
    other_hands=True,
    notes=(
        "Both hands of a person are annotated. The sample is the one with more mask pixels, the right one in a tie.",
        "Rendered; visibility of joints is the renderer's estimate.",
    ),
)
PARTS = {"train": "training", "test": "evaluation"}
AS_IT_IS = "With --partial it is taken as it is; its results are then not comparable."


class RhdSplit:
    """One split. Sample i is image `annotations.number[i]`; which hand it has is read from its mask."""

    def __init__(self, folder: Folder, split: str, wanted: Wanted):
        require_split(split, list(CARD.splits), CARD.name)
        self.folder, self.split, self.wanted, self.part = folder, split, wanted, PARTS[split]
        self.annotations = _annotated(folder, split, wanted.partial)
        found = self.annotations
        arrays = {
            "number": found.number,
            "joints": found.joints,
            "visible": found.visible,
            "camera": found.camera,
        }
        more: dict[str, Any] = {"depth_unit": DEPTH_UNIT} if wanted.depth else {}
        self.meta: dict[str, Any] = describe(
            CARD,
            split,
            folder,
            fingerprint(arrays, folder, self._files()),
            partial=len(found) != CARD.splits[split],
            image_coding=AS_PNG if wanted.lossless else AS_JPEG,
            **more,
        )

    def __len__(self) -> int:
        return len(self.annotations)

    def name(self, i: int) -> str:
        return f"rhd/{self.split}/{self.annotations.number[i]:08d}"

    def _files(self) -> Iterator[str]:
        kinds = ("color", "mask", "depth") if self.wanted.depth else ("color", "mask")
        for number in self.annotations.number.tolist():
            for kind in kinds:
                yield self._file(kind, number)

    def _file(self, kind: str, number: int) -> str:
        return f"{self.part}/{kind}/{number:05d}.png"

    def read(self, start: int, stop: int) -> Block:
        found = self.annotations.take(slice(start, stop))
        n = len(found)
        with np.errstate(divide="ignore", invalid="ignore"):
            boxes = joint_box(project(found.joints, found.camera[:, None]))
        of_hand = windows(boxes.reshape(-1, 4), IMAGE_SIZE).reshape(n, 2, 4)
        which = np.zeros(n, np.int64)
        images: list[bytes] = []
        masks: list[bytes] | None = [] if self.wanted.masks else None
        depth: list[bytes] | None = [] if self.wanted.depth else None
        for k, number in enumerate(found.number.tolist()):
            parts = read_parts(self.folder, self._file("mask", number))
            side = dominant(parts)
            which[k] = SIDES.index(side)
            window = of_hand[k, which[k]]
            images.append(self._image(number, window))
            if masks is not None:
                masks.append(encode_mask(hand_of(cut(parts, window), side)))
            if depth is not None:
                depth.append(encode_depth(cut(read_depth(self.folder, self._file("depth", number)), window)))
        rows = np.arange(n), which
        joints = found.joints[rows]
        hands = Hands(
            id=np.array([f"rhd/{self.split}/{number:08d}" for number in found.number.tolist()]),
            side=np.array(SIDES)[which],
            joints=joints,
            joints_valid=np.isfinite(joints).all(-1),
            joints_visible=found.visible[rows],
            **crop_fields(of_hand[rows], boxes[rows], found.camera, IMAGE_SIZE),
            meta=self.meta,
        )
        return Block(hands, images, masks, depth)

    def _image(self, number: int, window: Any) -> bytes:
        inside = self._file("color", number)
        data, _ = read_image(self.folder, inside, IMAGE_SIZE)
        return encode_crop(cut(decode_bgr(data, f"{self.folder}/{inside}"), window), self.wanted.lossless)


def _annotated(folder: Folder, split: str, partial: bool) -> Annotations:
    """The annotations of the images that are there. Raises MissingError, and InvalidError unless all are there."""
    part, official = PARTS[split], COUNTS[split]
    inside = f"{part}/anno_{part}.pickle"
    if not folder.has(inside):
        deeper = folder.has(f"RHD_published_v2/{inside}")
        raise MissingError(
            f"{folder}/{inside} does not exist.",
            "Give the folder RHD_published_v2 inside it." if deeper else f"It is part of RHD_v1-1.zip, from {CARD.url}",
        )
    numbers = [int(name[:5]) for name in folder.names(f"{part}/color", r"[0-9]{5}\.png")]
    if not numbers:
        raise MissingError(f"{folder}/{part}/color has no %05d.png images.", "Is the download complete?")
    if len(numbers) > 5000:
        say(f"Reading {folder}/{inside}, which takes some seconds.")
    found = read_annotations(folder, inside)
    if not partial and not np.array_equal(found.number, np.arange(official)):
        other = next((name for name, count in COUNTS.items() if count == len(found) != official), None)
        raise InvalidError(
            f"{folder}/{inside} has {len(found):,} entries, RHD's {split} split has {official:,}.",
            f"It looks like the one of the {other} split." if other else AS_IT_IS,
        )
    there = np.isin(found.number, numbers)
    if there.all():
        return found
    first = found.number[~there][0]
    if not partial:
        raise MissingError(
            f"{folder}/{part}/color has {len(numbers):,} images, RHD's {split} split {official:,}; {first:05d}.png is "
            "not there.",
            AS_IT_IS,
        )
    if not there.any():
        raise InvalidError(f"No image in {folder}/{part}/color has an annotation.", "Do the files belong together?")
    say(f"{np.count_nonzero(~there):,} of {len(found):,} annotated images are not there and left out (--partial).")
    return found.take(there)


def open_split(folder: Folder, split: str, wanted: Wanted) -> RhdSplit:
    return RhdSplit(folder, split, wanted)
