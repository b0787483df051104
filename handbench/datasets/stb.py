"""STB, the stereo hand pose benchmark (Zhang et al., ICIP 2017): a left hand, twelve sequences, three colour cameras.

    ROOT/images/B1Counting/SK_color_%d.png, SK_depth_%d.png, BB_left_%d.png, BB_right_%d.png   %d = 0..1499, 640x480
         labels/B1Counting_SK.mat, B1Counting_BB.mat     handPara (3, 21, 1500)

Millimetres, OpenCV axes, STB's own order with the centre of the palm first. `*_SK.mat` is in the frame of the depth
camera, moved here to that of its colour camera; `*_BB.mat` in that of the left stereo camera. Source: stb: README.md;
`layouts/stb_tree.py` has folders and splits, `layouts/stb_frames.py` the cameras.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handbench.datasets.card import Block, Card, Wanted, describe
from handbench.datasets.checks import PALM_CENTRE
from handbench.errors import InvalidError, UsageError
from handbench.hands.camera import joint_box, project
from handbench.hands.record import Hands
from handbench.layouts.context_crop import AS_JPEG, AS_PNG, crop_fields, cut, encode_crop, windows
from handbench.layouts.folder import Folder, require_split
from handbench.layouts.images import decode_bgr, fingerprint, read_image
from handbench.layouts.stb_tree import LENGTH, SEQUENCES, VIEWS, find_frames, image_file, label_file, read_joints

IMAGE_SIZE = (640, 480)
# sequences whose joints are kept: a block has seldom frames of more
HELD = 2

CARD = Card(
    name="stb",
    title="STB",
    splits={f"{view}{part}": LENGTH * len(SEQUENCES[part]) for view in VIEWS for part in SEQUENCES},
    has=("joints", "frame_camera", "side", "capture", "track", "frame"),
    conventions="millimetres; OpenCV axes; little finger first, thumb last; joint 0 is the centre of the palm",
    fingertips=None,
    licence="not stated",
    url="https://github.com/zhjwustc/icip17_stereo_hand_pose_dataset",
    citation="Zhang et al., A Hand Pose Tracking Benchmark from Stereo Matching, ICIP 2017",
    validation="hash",
    sides="left",
    captures="a sequence with its three colour cameras",
    stored="context crop",
    notes=(
        "train and test are of the SK colour camera; bb- of the left stereo camera, bb-right- of the right one.",
        "Joint 0 stays the palm's centre; how a wrist is made of it is for the protocol to say.",
        "The frame rate was not published.",
    ),
)


class StbSplit:
    """One camera's frames of a split. Frame n of the split's k-th sequence is sample 1500 k + n."""

    def __init__(self, folder: Folder, split: str, wanted: Wanted):
        require_split(split, list(CARD.splits), CARD.name)
        _require_extras(wanted)
        prefix, _, part = split.rpartition("-")
        self.view = VIEWS[f"{prefix}-" if prefix else ""]
        self.folder, self.split, self.lossless = folder, split, wanted.lossless
        self.frames = frames = find_frames(folder, part, self.view, wanted.partial)
        self._held: dict[int, NDArray] = {}
        self.meta: dict[str, Any] = describe(
            CARD,
            split,
            folder,
            fingerprint({"sequence": frames.sequence, "number": frames.number}, folder, self._files()),
            partial=len(frames) != CARD.splits[split],
            joint_0=PALM_CENTRE,
            image_coding=AS_PNG if wanted.lossless else AS_JPEG,
        )

    def __len__(self) -> int:
        return len(self.frames)

    def name(self, i: int) -> str:
        return f"stb/{self.split}/{LENGTH * int(self.frames.sequence[i]) + int(self.frames.number[i]):08d}"

    def _files(self) -> Iterator[str]:
        for k in np.unique(self.frames.sequence).tolist():
            yield label_file(self.frames.names[k], self.view)
        for k, number in zip(self.frames.sequence.tolist(), self.frames.number.tolist(), strict=True):
            yield image_file(self.frames.names[k], self.view, number)

    def read(self, start: int, stop: int) -> Block:
        frames, view = self.frames, self.view
        which = range(start, min(stop, len(self)))
        sequence, number = frames.sequence[start:stop], frames.number[start:stop]
        n = len(which)
        joints: NDArray = np.empty((n, 21, 3))
        for k in np.unique(sequence).tolist():
            of_it = sequence == k
            joints[of_it] = self._joints(k)[number[of_it]]
        camera = np.tile(view.camera, (n, 1, 1))
        with np.errstate(divide="ignore", invalid="ignore"):
            boxes = joint_box(project(joints, camera))
        window = windows(boxes, IMAGE_SIZE)
        names = np.array(frames.names)
        hands = Hands(
            id=np.array([self.name(i) for i in which]),
            capture=names[sequence],
            track=np.array([f"{name}/{view.prefix}" for name in frames.names])[sequence],
            frame=number.astype(np.int64),
            side=np.full(n, "left"),
            joints=joints,
            joints_valid=np.isfinite(joints).all(axis=-1),
            **crop_fields(window, boxes, camera, IMAGE_SIZE),
            meta=self.meta,
        )
        rows = zip(sequence.tolist(), number.tolist(), window, strict=True)
        return Block(hands, [self._image(image_file(frames.names[k], view, t), where) for k, t, where in rows])

    def _joints(self, k: int) -> NDArray:
        """Joints (T, 21, 3) of the k-th sequence, read when first needed."""
        if k not in self._held:
            inside = label_file(self.frames.names[k], self.view)
            joints = read_joints(self.folder, inside, self.view)
            last = int(self.frames.number[self.frames.sequence == k].max())
            if len(joints) <= last:
                raise InvalidError(f"{self.folder}/{inside} has no frame {last:,} any more.", "Start again.")
            if len(self._held) >= HELD:
                self._held.pop(next(iter(self._held)))
            self._held[k] = joints
        return self._held[k]

    def _image(self, inside: str, window: NDArray) -> bytes:
        data, _ = read_image(self.folder, inside, IMAGE_SIZE)
        return encode_crop(cut(decode_bgr(data, f"{self.folder}/{inside}"), window), self.lossless)


def _require_extras(wanted: Wanted) -> None:
    if wanted.masks:
        raise UsageError("STB has no masks.", "Leave --masks out.")
    if wanted.depth:
        raise UsageError(
            "STB's depth was seen by another camera than its colour images: it is not registered to them.",
            "Leave --depth out.",
        )


def open_split(folder: Folder, split: str, wanted: Wanted) -> StbSplit:
    return StbSplit(folder, split, wanted)
