"""HO-3D v2: a right hand that handles an object, sequences of one to five cameras; and what version 3 shares with it.

    ROOT/train.txt, evaluation.txt   `SEQUENCE/0000` a line: the annotated frames, numbered by their line from 0
         train/SEQUENCE/             55 sequences: rgb/%04d.png, depth/%04d.png, meta/%04d.pkl
         evaluation/SEQUENCE/        13 sequences, the same; their pickles have the wrist, the box and the camera
         evaluation_xyz.json, evaluation_verts.json   the evaluation's truth, published in November 2024

Metres, OpenGL axes (y up, z backward), HO-3D's joint order (MANO's, then the tips): turned here into OpenCV axes and
FH21. 640x480. Source: ho3d: README.md, eval.py, vis_HO3D.py; `layouts/ho3d_labels.py` has the fields of a frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handbench.console import say
from handbench.datasets.card import Block, Card, Wanted, describe
from handbench.errors import InvalidError, MissingError, UsageError
from handbench.hands.camera import joint_box, project
from handbench.hands.joints import WRIST, to_fh21
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
from handbench.layouts.ho3d_labels import (
    EVALUATION,
    IMAGE_SIZE,
    OPENCV_FROM_OPENGL,
    TRAIN,
    mano_in_opencv,
    read_depth,
    read_hand_mask,
    read_label,
)  # fmt: skip
from handbench.layouts.ho3d_tree import PARTS, VERSIONS, VERTS, XYZ, find_frames, segmentations, take_of
from handbench.layouts.images import decode_bgr, fingerprint, read_image
from handbench.layouts.occlusion import DEFINITION, visible_fraction
from handbench.store.json_arrays import read_array

FPS = 30.0
# the wrist of the published truth is the pickle's
SAME_WRIST = 0.05
SEGMENTATIONS = "HO3D_v3_segmentations_rendered.zip"

CARD = Card(
    name="ho3d-v2",
    title="HO-3D v2",
    splits={"train": None, "test": VERSIONS["ho3d-v2"].evaluation},
    has=("joints", "vertices", "mano_pose", "mano_shape", "mano_translation", "frame_camera", "box", "side"),
    conventions="metres; OpenGL axes; MANO's joint order, then the tips; absolute MANO poses (no mean pose)",
    fingertips="ho3d",
    licence="academic, non-commercial research",
    url="https://github.com/shreyashampali/ho3d",
    citation="Hampali et al., HOnnotate: A Method for 3D Annotation of Hand and Object Poses, CVPR 2020",
    rate=FPS,
    captures="a take with all its cameras: AP10 to AP14 are one",
    stored="context crop",
    extras=("depth",),
    notes=(
        "train.txt is said to have 66,034 frames; its length is not checked.",
        "Joints are those of the MANO model fitted to all cameras.",
        f"Evaluation frames have the wrist only, unless {XYZ} and {VERTS} lie at the root.",
        "Test boxes are the official ones.",
    ),
)


class Ho3dSplit:
    """One split of either version. Sample i is frame i of `frames`; its number is its line in the list.

    `published`: the evaluation's truth as it stands in its files, by line.
    """

    def __init__(self, card: Card, folder: Folder, split: str, wanted: Wanted):
        require_split(split, list(card.splits), card.name)
        self.version = VERSIONS[card.name]
        _require_extras(card, split, wanted, lossless=self.version.suffix == ".png")
        self.dataset, self.folder, self.split, self.wanted = card.name, folder, split, wanted
        self.part, self.train, self.hand = PARTS[split], split == "train", wanted.right
        self.frames, listed = find_frames(folder, self.version, split, wanted.partial)
        self.published = {} if self.train else self._published(listed)
        self.segmented = self._segmented("masks" in card.extras and self.train)
        # a field is there for all frames of a split, or for none
        self.seen = bool(self.segmented) and self.hand is not None
        if self.train and self.hand is None:
            say("No MANO file: no poses, shapes and vertices (`handbench prep mano MANO_RIGHT.pkl` brings them).")
        frames, official = self.frames, card.splits[split]
        index = {
            "names": np.array(frames.names),
            "sequence": frames.sequence,
            "number": frames.number,
            "line": frames.line,
        }
        more: dict[str, Any] = {"depth_unit": DEPTH_UNIT} if wanted.depth else {}
        if self.seen:
            more["visible_fraction"] = f"{DEFINITION}; segmentation rendered at a quarter of the resolution"
        self.meta: dict[str, Any] = describe(
            card,
            split,
            folder,
            fingerprint(index | self.published, folder, self._files()),
            partial=len(frames) != (official or listed) or (self.train and listed not in self.version.trains),
            joint_source="model",
            hand_model=self.hand.digest() if self.hand and self.train else None,
            image_coding=AS_PNG if wanted.lossless else AS_JPEG,
            **more,
        )

    def __len__(self) -> int:
        return len(self.frames)

    def name(self, i: int) -> str:
        return f"{self.dataset}/{self.split}/{self.frames.line[i]:08d}"

    def _file(self, i: int, kind: str, suffix: str) -> str:
        frames = self.frames
        return f"{self.part}/{frames.names[frames.sequence[i]]}/{kind}/{frames.number[i]:04d}{suffix}"

    def _segmentation(self, i: int) -> str:
        return f"{self.segmented[self.frames.sequence[i]]}/{self.frames.number[i]:04d}.png"

    def _files(self) -> Iterator[str]:
        for i in range(len(self)):
            yield self._file(i, "rgb", self.version.suffix)
            yield self._file(i, "meta", ".pkl")
            if self.wanted.depth:
                yield self._file(i, "depth", ".png")
            if self.wanted.masks or self.seen:
                yield self._segmentation(i)

    def _published(self, listed: int) -> dict[str, NDArray]:
        """What there is of the published truth: a file each of joints and vertices, an entry a line of the list."""
        if not self.folder.has(XYZ):
            say(f"{self.folder} has no {XYZ}: of an evaluation frame only the wrist is known.")
            return {}
        found = {}
        for name, shape in ((XYZ, (21, 3)), (VERTS, (778, 3))):
            if not self.folder.has(name):
                say(f"{self.folder} has no {name}: no vertices.")
                continue
            found[name] = read_array(self.folder.path(name), shape)
            if len(found[name]) != listed:
                raise InvalidError(
                    f"{self.folder}/{name} has {len(found[name]):,} entries and {self.part}.txt {listed:,} lines: "
                    "they do not belong together.",
                    f"Both must be of {self.version.title}.",
                )
        return found

    def _segmented(self, offered: bool) -> list[str]:
        """The folder of segmentations of each sequence; empty where not all have one, or where nobody asks."""
        if not offered or not (self.wanted.masks or self.hand):
            return []
        found, lacking = segmentations(self.folder, self.frames)
        if lacking and self.wanted.masks:
            raise MissingError(
                f"{self.folder}/train/{lacking} has no folder seg.",
                f"{SEGMENTATIONS} brings it: unpack it over the same folder, or leave --masks out.",
            )
        return [] if lacking else found

    def read(self, start: int, stop: int) -> Block:
        which = range(start, min(stop, len(self)))
        frames, n = self.frames.take(np.arange(start, start + len(which))), len(which)
        fields = TRAIN if self.train else EVALUATION
        labels = [read_label(self.folder, self._file(i, "meta", ".pkl"), fields) for i in which]
        label = {name: np.stack([one[name] for one in labels]) for name in fields}
        camera = label["camMat"]
        if self.train:
            of_hand = self._trained(label)
            boxes = joint_box(project(of_hand["joints"], camera))
        else:
            of_hand = self._evaluated(label, frames.line)
            boxes = label["handBoundingBox"]
        window = windows(boxes, IMAGE_SIZE)
        images = [self._image(i, window[k]) for k, i in enumerate(which)]
        masks = depth = None
        if self.wanted.masks or self.seen:
            visible = [self._hand_mask(i) for i in which]
            if self.wanted.masks:
                masks = [encode_mask(cut(mask, window[k])) for k, mask in enumerate(visible) if mask is not None]
            if self.seen and self.hand is not None:
                faces, vertices = self.hand.f, of_hand["vertices"]
                of_hand["visible_fraction"] = np.array(
                    [
                        np.nan if mask is None else visible_fraction(vertices[k], faces, camera[k], mask)
                        for k, mask in enumerate(visible)
                    ]
                )
        if self.wanted.depth:
            depth = [
                encode_depth(cut(read_depth(self.folder, self._file(i, "depth", ".png")), window[k]))
                for k, i in enumerate(which)
            ]
        tracks = np.array(frames.names)[frames.sequence]
        hands = Hands(
            id=np.array([self.name(i) for i in which]),
            capture=np.array([take_of(name) for name in frames.names])[frames.sequence],
            track=tracks,
            frame=frames.number.astype(np.int64),
            fps=np.full(n, FPS),
            side=np.full(n, "right"),
            joints_valid=np.isfinite(of_hand["joints"]).all(-1),
            **of_hand,
            **crop_fields(window, boxes, camera, IMAGE_SIZE),
            meta=self.meta,
        )
        return Block(hands, images, masks, depth)

    def _trained(self, label: dict[str, NDArray]) -> dict[str, NDArray]:
        """Joints, and with a hand model its parameters and vertices, of training pickles."""
        of_hand = {"joints": to_fh21(label["handJoints3D"], "ho3d") * OPENCV_FROM_OPENGL}
        if self.hand is not None:
            mano = mano_in_opencv(label["handPose"], label["handBeta"], label["handTrans"], self.hand)
            of_hand["mano_pose"], of_hand["mano_shape"], of_hand["mano_translation"] = mano
            of_hand["vertices"], _ = self.hand.forward(*mano)
        return of_hand

    def _evaluated(self, label: dict[str, NDArray], line: NDArray) -> dict[str, NDArray]:
        """Joints and vertices of the published truth, or the wrist alone."""
        wrist = label["handJoints3D"]
        if XYZ not in self.published:
            joints = np.full((len(wrist), 21, 3), np.nan)
            joints[:, WRIST] = wrist * OPENCV_FROM_OPENGL
            return {"joints": joints}
        joints = self.published[XYZ][line]
        apart = np.linalg.norm(joints[:, WRIST] - wrist, axis=-1)
        if apart.max() > SAME_WRIST:
            k = int(apart.argmax())
            raise InvalidError(
                f"Entry {line[k]} of {self.folder}/{XYZ} has its wrist {apart[k]:.2f} m from the one in its frame's "
                "pickle: they do not belong together.",
                f"Both must be of {self.version.title}, the list in its own order and axes.",
            )
        of_hand = {"joints": to_fh21(joints, "ho3d") * OPENCV_FROM_OPENGL}
        if VERTS in self.published:
            of_hand["vertices"] = self.published[VERTS][line] * OPENCV_FROM_OPENGL
        return of_hand

    def _hand_mask(self, i: int) -> NDArray | None:
        """None where there is no segmentation of a frame, and nobody asked for it."""
        inside = self._segmentation(i)
        if not self.wanted.masks and not self.folder.has(inside):
            return None
        return read_hand_mask(self.folder, inside)

    def _image(self, i: int, window: NDArray) -> bytes:
        inside = self._file(i, "rgb", self.version.suffix)
        data, _ = read_image(self.folder, inside, IMAGE_SIZE)
        return encode_crop(cut(decode_bgr(data, f"{self.folder}/{inside}"), window), self.wanted.lossless)


def _require_extras(card: Card, split: str, wanted: Wanted, lossless: bool) -> None:
    if wanted.masks and ("masks" not in card.extras or split != "train"):
        raise UsageError(
            f"{card.title} has no segmentation of its {PARTS[split]} frames.",
            "Leave --masks out, or give --split train." if "masks" in card.extras else "Leave --masks out.",
        )
    if wanted.lossless and not lossless:
        raise UsageError(f"{card.title}'s images are JPEG: nothing is lossless.", "Leave --lossless out.")


def open_split(folder: Folder, split: str, wanted: Wanted) -> Ho3dSplit:
    return Ho3dSplit(CARD, folder, split, wanted)
