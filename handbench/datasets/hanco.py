"""HanCo (Zimmermann et al., GCPR 2021): right hands in 1,518 short sequences, seen by eight cameras at once.

    ROOT/meta.json                           is_train, subject_id, is_valid, object_id, has_fit: [sequence][frame]
         rgb/%04d/cam%d/%08d.jpg             224x224 (and rgb_merged, rgb_homo, ...: other backgrounds, not read)
         mask_hand/%04d/cam%d/%08d.jpg
         calib/%04d/%08d.json                {'K': (8, 3, 3), 'M': (8, 4, 4) world -> camera}
         xyz/%04d/%08d.json                  (21, 3) m in the world, FH21
         shape/%04d/cam%d/%08d.json          (61,) as FreiHAND's `mano`, in the camera's frame; where has_fit

Metres, OpenCV axes. Every time step whose MANO fit was validated (`is_valid`) is a sample of
each camera: others have joints as well, but nobody looked at them. Source: contra-hand: show_dataset.py, mano_utils.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handbench.console import say
from handbench.datasets.card import Block, Card, Wanted, describe
from handbench.errors import InvalidError, MissingError, UsageError
from handbench.hands.camera import joint_box, project, unproject
from handbench.hands.joints import MIDDLE_MCP
from handbench.hands.mano import HandModel
from handbench.hands.record import Hands
from handbench.layouts.context_crop import ORIGINAL, encode_mask
from handbench.layouts.folder import Folder, require_split
from handbench.layouts.hanco_tree import find_frames, read_calibration, read_numbers
from handbench.layouts.images import decode_as_is, fingerprint, read_image

IMAGE_SIZE = (224, 224)

CARD = Card(
    name="hanco",
    title="HanCo",
    splits={"all": None},
    has=(
        "joints",
        "vertices",
        "mano_pose",
        "mano_shape",
        "mano_translation",
        "camera",
        "side",
        "capture",
        "track",
        "frame",
    ),
    conventions="metres; world frame, moved to each camera's; OpenCV axes; FH21 order; MANO poses relative to the mean",
    fingertips="freihand",
    licence="research only",
    url="https://lmb.informatik.uni-freiburg.de/resources/datasets/HanCo.en.html",
    citation="Zimmermann et al., Contrastive Representation Learning for Hand Shape Estimation, GCPR 2021",
    validation="hash",
    captures="a sequence with its eight cameras",
    stored="original bytes",
    extras=("masks",),
    notes=(
        "There is no official division and no evaluation: is_train says that the background was green.",
        "About 107,000 time steps of eight cameras; the number of validated ones is not checked.",
        "is_valid means that the MANO fit was validated (contra-hand: show_dataset.py). Taking those alone is "
        "handbench's choice: the others have joints, too. How many they are is said, and is in the record.",
        "Joints are the output of a network on eight views; the fitted mesh differs a little from them.",
        "Its frames overlap with FreiHAND's training frames.",
    ),
)
FOLDERS = {"rgb": "images", "xyz": "joints", "calib": "cameras", "mask_hand": "masks", "shape": "MANO shapes"}


class HancoSplit:
    """All of it. Sample i is `frames.frame[i]` of `frames.sequence[i]` by `frames.camera[i]`."""

    def __init__(self, folder: Folder, split: str, wanted: Wanted):
        require_split(split, list(CARD.splits), CARD.name)
        if wanted.depth:
            raise UsageError("HanCo has no depth.", "Leave --depth out.")
        if wanted.lossless:
            raise UsageError("HanCo's images are kept as they are.", "Leave --lossless out.")
        self.folder, self.split, self.masks = folder, split, wanted.masks
        kinds = ["rgb", "xyz", "calib", *(["mask_hand"] if wanted.masks else [])]
        for kind in kinds:
            _require_kind(folder, kind)
        self.hand = _hand(folder, wanted.right)
        if self.hand is not None:
            kinds.append("shape")
        frames = self.frames = find_frames(folder, tuple(kinds), wanted.partial)
        index = {"sequence": frames.sequence, "camera": frames.camera, "frame": frames.frame, "fit": frames.fit}
        self.meta: dict[str, Any] = describe(
            CARD,
            split,
            folder,
            fingerprint(index, folder, self._files()),
            partial=not frames.whole,
            unvalidated=frames.unvalidated,
            hand_model=self.hand.digest() if self.hand else None,
            image_coding=ORIGINAL,
        )
        # what the eight cameras of one sequence share: by frame, joints (21, 3), K (8, 3, 3), M (8, 4, 4)
        self._sequence = -1
        self._shared: dict[int, tuple[NDArray, NDArray, NDArray]] = {}

    def __len__(self) -> int:
        return len(self.frames)

    def name(self, i: int) -> str:
        return f"hanco/{self.split}/{self._place(i)}"

    def _place(self, i: int) -> str:
        frames = self.frames
        return f"{frames.sequence[i]:04d}/cam{frames.camera[i]}/{frames.frame[i]:08d}"

    def _files(self) -> Iterator[str]:
        frames = self.frames
        for i in range(len(frames)):
            place = self._place(i)
            yield f"rgb/{place}.jpg"
            if self.masks:
                yield f"mask_hand/{place}.jpg"
            if self.hand is not None and frames.fit[i]:
                yield f"shape/{place}.json"
            if frames.camera[i] == 0:
                moment = f"{frames.sequence[i]:04d}/{frames.frame[i]:08d}"
                yield f"xyz/{moment}.json"
                yield f"calib/{moment}.json"

    def read(self, start: int, stop: int) -> Block:
        frames = self.frames
        sequence, camera, frame = (
            column[start:stop].tolist() for column in (frames.sequence, frames.camera, frames.frame)
        )
        places = [f"{s:04d}/cam{c}/{f:08d}" for s, c, f in zip(sequence, camera, frame, strict=True)]
        images = [read_image(self.folder, f"rgb/{place}.jpg", IMAGE_SIZE)[0] for place in places]
        n = len(places)
        world, intrinsics, pose = np.empty((n, 21, 3)), np.empty((n, 3, 3)), np.empty((n, 4, 4))
        for k, (s, c, f) in enumerate(zip(sequence, camera, frame, strict=True)):
            world[k], of_all, poses = self._moment(s, f)
            intrinsics[k], pose[k] = of_all[c], poses[c]
        joints = world @ pose[:, :3, :3].swapaxes(1, 2) + pose[:, None, :3, 3]
        hands = Hands(
            id=np.array([f"hanco/{self.split}/{place}" for place in places]),
            capture=np.array([f"hanco/{s:04d}" for s in sequence]),
            track=np.array([f"hanco/{place[:-9]}" for place in places]),
            frame=np.array(frame, np.int64),
            side=np.full(n, "right"),
            joints=joints,
            joints_valid=np.ones((n, 21), bool),
            **self._fitted(places, frames.fit[start:stop], intrinsics),
            image_size=np.full((n, 2), IMAGE_SIZE),
            camera=intrinsics,
            box=joint_box(project(joints, intrinsics)),
            meta=self.meta,
        )
        return Block(hands, images, [self._mask(place) for place in places] if self.masks else None)

    def _moment(self, sequence: int, frame: int) -> tuple[NDArray, NDArray, NDArray]:
        """Joints (21, 3) m in the world, K (8, 3, 3) and M (8, 4, 4) of one time step."""
        if sequence != self._sequence:
            self._sequence, self._shared = sequence, {}
        if frame not in self._shared:
            moment = f"{sequence:04d}/{frame:08d}.json"
            joints = read_numbers(self.folder, f"xyz/{moment}", (21, 3))
            self._shared[frame] = (joints, *read_calibration(self.folder, f"calib/{moment}"))
        return self._shared[frame]

    def _fitted(self, places: list[str], fit: NDArray, camera: NDArray) -> dict[str, NDArray]:
        """The fields of the fitted mesh, NaN where there is no fit; none without a hand model."""
        if self.hand is None:
            return {}
        n = len(places)
        fields = {
            "vertices": np.full((n, 778, 3), np.nan),
            "mano_pose": np.full((n, 48), np.nan),
            "mano_shape": np.full((n, 10), np.nan),
            "mano_translation": np.full((n, 3), np.nan),
        }
        rows = np.flatnonzero(fit)
        if len(rows):
            vectors = np.array([self._vector(places[k]) for k in rows])
            pose, shape = vectors[:, :48].copy(), vectors[:, 48:58]
            pose[:, 3:] += self.hand.hands_mean
            vertices, joints16 = self.hand.forward(pose, shape)
            middle = self.hand.joints21(vertices, joints16, "freihand")[:, MIDDLE_MCP]
            moved = root_of(vectors, camera[rows]) - middle
            vertices += moved[:, None]
            for name, value in zip(fields, (vertices, pose, shape, moved), strict=True):
                fields[name][rows] = value
        return fields

    def _vector(self, place: str) -> NDArray:
        inside = f"shape/{place}.json"
        vector = read_numbers(self.folder, inside, (61,))
        if vector[60] <= 0:
            raise InvalidError(f"{self.folder}/{inside} has a scale of {vector[60]:g}, not above 0.", "Fetch it again.")
        return vector

    def _mask(self, place: str) -> bytes:
        """JPEG, so that its edges are neither 0 nor 255."""
        inside = f"mask_hand/{place}.jpg"
        data, _ = read_image(self.folder, inside, IMAGE_SIZE)
        mask = decode_as_is(data, f"{self.folder}/{inside}")
        return encode_mask((mask if mask.ndim == 2 else mask[..., 0]) >= 128)


def root_of(vectors: NDArray, camera: NDArray) -> NDArray:
    """Position (N, 3) m of joint 9: its pixel at the depth f / scale, f the mean focal length.

    contra-hand: mano_utils.py, `calc_global_translation`; FreiHAND's `recover_root` where both focal lengths are one.
    """
    depth = (camera[:, 0, 0] + camera[:, 1, 1])[:, None] / 2 / vectors[:, 60:61]
    return unproject(vectors[:, None, 58:60], depth, camera)[:, 0]


def _hand(folder: Folder, hand: HandModel | None) -> HandModel | None:
    """The model of the fitted shapes, where both are there; what is left out is said."""
    if hand is None:
        say("No MANO file: poses, shapes and vertices are left out (`handbench prep mano MANO_RIGHT.pkl` brings them).")
        return None
    if not folder.has("shape"):
        say(f"{folder} has no folder shape: poses, shapes and vertices are left out.")
        return None
    return hand


def _require_kind(folder: Folder, kind: str) -> None:
    if not folder.has(kind):
        raise MissingError(
            f"{folder} has no folder {kind}, with HanCo's {FOLDERS[kind]}.",
            f"HanCo comes in several archives, one for each such folder: {CARD.url}",
        )


def open_split(folder: Folder, split: str, wanted: Wanted) -> HancoSplit:
    return HancoSplit(folder, split, wanted)
