"""DexYCB: a hand, right or left, that grasps an object; ten subjects, a hundred takes each, seen by eight cameras.

    ROOT/SUBJECT/SEQUENCE/meta.yml, pose.npz
                          SERIAL/color_%06d.jpg, aligned_depth_to_color_%06d.png, labels_%06d.npz
         calibration/intrinsics, calibration/mano_...

Metres, OpenCV axes of the camera that a label is of, FH21, 640x480, 30 frames/s; left hands are left, unflipped. Poses
are PCA coefficients about MANO's mean pose, of the left model as it was published: its shape directions were not
mended when hands were fitted (dex-ycb-toolkit#28). Source: NVlabs/dex-ycb-toolkit: dex_ycb_toolkit/dex_ycb.py;
`layouts/dexycb_tree.py` has splits and order, `layouts/dexycb_labels.py` the fields of a label.
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
from handbench.hands.record import Hands
from handbench.layouts.context_crop import (
    AS_JPEG,
    DEPTH_UNIT,
    crop_fields,
    cut,
    encode_crop,
    encode_depth,
    encode_mask,
    windows,
)  # fmt: skip
from handbench.layouts.dexycb_calibration import read_intrinsics, read_shapes
from handbench.layouts.dexycb_labels import Label, annotated, mano_of, read_depth
from handbench.layouts.dexycb_tree import (
    ANNOTATED,
    FPS,
    FRAMES,
    IMAGE_SIZE,
    SPLITS,
    TITLE,
    URL,
    Frames,
    list_sequences,
    read_sequence_names,
    split_frames,
)  # fmt: skip
from handbench.layouts.folder import Folder, require_split
from handbench.layouts.images import decode_bgr, fingerprint, read_image
from handbench.layouts.occlusion import DEFINITION, visible_fraction

CARD = Card(
    name="dexycb",
    title=TITLE,
    splits={split: ANNOTATED.get(split) for split in SPLITS},
    has=(
        "joints", "vertices", "visible_fraction", "mano_pose", "mano_shape", "mano_translation", "frame_camera", "side",
    ),
    conventions="metres; OpenCV axes; FH21 order; MANO poses as 45 PCA coefficients about the mean pose",
    fingertips="manopth",
    licence="CC BY-NC 4.0",
    url=URL,
    citation="Chao et al., DexYCB: A Benchmark for Capturing Hand Grasping of Objects, CVPR 2021",
    sides="right and left",
    rate=FPS,
    captures="a take of a subject with all eight cameras",
    stored="context crop",
    extras=("masks", "depth"),
    notes=(
        "Of the 465,504 frames of s0-train 406,888 have a hand, of those of s0-test 78,768; the others are no samples.",
        "Other counts in papers are of other lists: right hands only, or validation and test together.",
        "Left hands are of MANO's left model as it was published, without the mended first shape direction; their "
        "middle fingertip is vertex 445, not 444.",
        "Hands are annotated outside the image too, and some that are seen are not annotated.",
        "Of a part of the tree, ids have sequence, camera and frame instead of the place in the official list.",
    ),
)  # fmt: skip
AS_IT_IS = "With --partial it is taken as it is; its results are then not comparable."
# of hand models, poses are turned into meshes so many at a time
AT_ONCE = 64


class DexYcbSplit:
    """One split. Frame i is entry i of `frames`, a sample where its label has joints."""

    def __init__(self, folder: Folder, split: str, wanted: Wanted):
        require_split(split, SPLITS, CARD.name)
        if wanted.lossless:
            raise UsageError("DexYCB's images are JPEG: nothing is lossless.", "Leave --lossless out.")
        self.folder, self.split, self.wanted = folder, split, wanted
        self.frames = frames = _frames(folder, split, wanted)
        self.cameras = read_intrinsics(folder)
        # a field is there for both sides, or for none
        self.posed = wanted.right is not None and wanted.left is not None
        self.shapes = read_shapes(frames) if self.posed else np.zeros((len(frames.calibrations), 10))
        if not self.posed:
            say(
                "No MANO files of both sides: no poses, shapes, vertices and visible fractions "
                "(`handbench prep mano MANO_RIGHT.pkl MANO_LEFT.pkl` brings them)."
            )
        index = {
            "names": np.array([name for subject in frames.sequences for name in subject]),
            "subject": frames.subject,
            "sequence": frames.sequence,
            "serial": frames.serial,
            "frame": frames.frame,
            "left": frames.left,
            "cameras": self.cameras,
            "shapes": self.shapes,
        }
        more: dict[str, Any] = {"depth_unit": DEPTH_UNIT} if wanted.depth else {}
        if wanted.right is not None and wanted.left is not None:
            more["hand_model"] = f"right {wanted.right.digest()}, left {wanted.left.digest()}"
            more["visible_fraction"] = DEFINITION
        self.meta: dict[str, Any] = describe(
            CARD,
            split,
            folder,
            fingerprint(index, folder, self._files()),
            partial=not frames.whole or _too_few(frames),
            joint_source="model",
            image_coding=AS_JPEG,
            **more,
        )

    def __len__(self) -> int:
        return len(self.frames)

    def name(self, i: int) -> str:
        return self.frames.name(i)

    def _files(self) -> Iterator[str]:
        frames = self.frames
        for i in range(len(frames)):
            yield frames.color(i)
            yield frames.label(i)
            if self.wanted.depth:
                yield frames.depth(i)

    def read(self, start: int, stop: int) -> Block:
        frames, masks, depth = self.frames, self.wanted.masks, self.wanted.depth
        looked = range(start, min(stop, len(frames)))
        labels = [Label(self.folder, frames.label(i)) for i in looked]
        joints = np.array([label.joints for label in labels]).reshape(-1, 21, 3)
        counted = np.flatnonzero(annotated(joints)).tolist()
        if not counted:
            return Block(None, [], [] if masks else None, [] if depth else None)
        which, labels, joints = [looked[k] for k in counted], [labels[k] for k in counted], joints[counted]
        n, camera = len(which), self.cameras[frames.serial[which]]
        boxes = _boxes(joints.astype(np.float64), camera)
        window = windows(boxes, IMAGE_SIZE)
        images = [self._image(i, window[k]) for k, i in enumerate(which)]
        of_hand = self._posed(which, labels) if self.posed else {}
        seen: list[bytes] = []
        for k in range(n) if masks or self.posed else ():
            hand = labels[k].hand_mask
            if masks:
                seen.append(encode_mask(cut(hand, window[k])))
            if self.posed:
                of_hand["visible_fraction"][k] = self._visible(which[k], of_hand["vertices"][k], camera[k], hand)
        hands = Hands(
            id=np.array([frames.name(i) for i in which]),
            capture=np.array([frames.capture(i) for i in which]),
            track=np.array([frames.track(i) for i in which]),
            frame=frames.frame[which].astype(np.int64),
            fps=np.full(n, FPS),
            side=frames.side(which),
            joints=joints,
            joints_valid=np.isfinite(joints).all(-1),
            **of_hand,
            **crop_fields(window, boxes, camera, IMAGE_SIZE),
            meta=self.meta,
        )
        far = [self._depth(i, window[k]) for k, i in enumerate(which)] if depth else None
        return Block(hands, images, seen if masks else None, far)

    def _posed(self, which: list[int], labels: list[Label]) -> dict[str, NDArray]:
        """The parameters of each hand and the mesh that its side's model makes of them; visible fractions to come."""
        n, pose = len(which), np.array([label.pose for label in labels])
        left, shape = self.frames.left[which], self.shapes[self.frames.calibration[which]]
        full, moved, vertices = np.empty((n, 48)), np.empty((n, 3), np.float32), np.full((n, 778, 3), np.nan)
        for side in ("right", "left"):
            hand, of_side = self.wanted.hand(side), np.flatnonzero(left == (side == "left"))
            if hand is None:
                continue
            full[of_side], moved[of_side] = mano_of(pose[of_side], hand)
            known = of_side[np.isfinite(full[of_side, 0])]
            for at in range(0, len(known), AT_ONCE):
                part = known[at : at + AT_ONCE]
                vertices[part], _ = hand.forward(full[part], shape[part], moved[part])
        unknown = np.isnan(full[:, :1])
        return {
            "mano_pose": full,
            "mano_shape": np.where(unknown, np.nan, shape),
            "mano_translation": moved,
            "vertices": vertices,
            "visible_fraction": np.full(n, np.nan),
        }

    def _visible(self, i: int, vertices: NDArray, camera: NDArray, hand: NDArray) -> float:
        model = self.wanted.hand("left" if self.frames.left[i] else "right")
        if model is None or np.isnan(vertices[0, 0]):
            return np.nan
        return visible_fraction(vertices, model.f, camera, hand)

    def _image(self, i: int, window: NDArray) -> bytes:
        inside = self.frames.color(i)
        data, _ = read_image(self.folder, inside, IMAGE_SIZE)
        return encode_crop(cut(decode_bgr(data, f"{self.folder}/{inside}"), window), lossless=False)

    def _depth(self, i: int, window: NDArray) -> bytes:
        return encode_depth(cut(read_depth(self.folder, self.frames.depth(i)), window))


def _boxes(joints: NDArray, camera: NDArray) -> NDArray:
    """Boxes (N, 4) px around the joints (N, 21, 3) m; what is not before the camera has no place in the image."""
    ahead = joints[..., 2:] > 0
    return joint_box(project(np.where(ahead, joints, np.nan), camera))


def _frames(folder: Folder, split: str, wanted: Wanted) -> Frames:
    """The frames of a split. Without `partial` it must be the official whole, as far as that is known."""
    names = None
    if wanted.sequence_names is not None and not wanted.partial:
        raise UsageError("--sequence-names is for a tree that is not whole.", "Give --partial as well.")
    if wanted.partial and wanted.sequence_names is not None:
        names = read_sequence_names(wanted.sequence_names)
    elif wanted.partial:
        try:
            list_sequences(folder)
        except (MissingError, InvalidError) as error:
            raise UsageError(
                f"{error.message.rstrip('.')}, and splits count sequences by their position among all 1,000.",
                "--sequence-names FILE names them all: SUBJECT/SEQUENCE, one a line.",
            ) from None
    frames = split_frames(folder, split, names)
    if not wanted.partial and _too_few(frames):
        official = f"{FRAMES[split]:,}" if split in FRAMES else f"at least {ANNOTATED[split]:,}"
        raise InvalidError(f"{folder} has {len(frames):,} frames of {split}, DexYCB has {official}.", AS_IT_IS)
    return frames


def _too_few(frames: Frames) -> bool:
    """Whether a whole tree has another number of frames than DexYCB, where that is known."""
    split, n = frames.split, len(frames)
    return n != FRAMES[split] if split in FRAMES else n < ANNOTATED.get(split, 0)


def open_split(folder: Folder, split: str, wanted: Wanted) -> DexYcbSplit:
    return DexYcbSplit(folder, split, wanted)
