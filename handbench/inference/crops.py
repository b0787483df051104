"""From a prepared file to what a method sees: one warp from the stored image to a square crop, and its camera."""

from __future__ import annotations

import copy
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, default_collate

from handbench.errors import InvalidError
from handbench.hands.camera import crop_camera, square_crop
from handbench.hands.joints import MIDDLE_MCP, WRIST
from handbench.hands.record import Hands
from handbench.store.hands_file import HandsFile

# what `Method.given` names -> the key in the batch
GIVEN_KEYS = {"root": "root", "root depth": "root_depth", "scale": "scale"}


class Crops(Dataset[dict[str, Any]]):
    """Samples of a prepared file as a method sees them at inference: see `methods.base.Batch` for the keys.

    size      S, pixels
    margin    side of the crop as a multiple of the 2D joint box; 0 takes the whole stored image
    given     which quantities of the truth come along; any other stays in the file
    mirror_left   left hands are shown mirrored
    """

    def __init__(
        self,
        file: HandsFile,
        size: int,
        margin: float,
        given: tuple[str, ...],
        index: NDArray | None = None,
        mirror_left: bool = False,
    ):
        self.file = file
        self.size = size
        self.margin = margin if "box" in given else 0.0
        self.given = given
        self.mirror_left = mirror_left
        self.index = np.arange(len(file)) if index is None else index

    def __len__(self) -> int:
        return len(self.index)

    def only(self, index: NDArray) -> Crops:
        """The same of these samples of the file alone."""
        part = copy.copy(self)
        part.index = index
        return part

    def collate(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        """Items -> a batch."""
        return default_collate(items)

    def answers(self, batch: dict[str, Any]) -> tuple[NDArray, NDArray]:
        """Which rows of a batch's prediction to keep, and which samples of the file they are of."""
        at = batch["index"].cpu().numpy()
        return np.arange(len(at)), at

    def __getitem__(self, item: int) -> dict[str, Any]:
        at = int(self.index[item])
        hands = self.file.read(at, at + 1)
        return self.crop(at, hands, self.affine(hands))

    def affine(
        self,
        hands: Hands,
        rotation: float = 0.0,
        scale: float = 1.0,
        shift: NDArray | float = 0.0,
        least: float = 0.0,
    ) -> NDArray:
        """The affine (2,3) from the stored image to the crop, varied by what augmentation draws; where the hand has a
        box, its side counts for `least` px at least.
        """
        if self.margin and hands.box is None:
            raise InvalidError(f"{self.file.path} has no hand boxes, and the method is given the box.")
        width, height = np.asarray(hands.image_size)[0]
        # the box of joints; or the image's outer edge, half a pixel beyond its first and last centres
        whole = np.array([-0.5, -0.5, width - 0.5, height - 0.5])
        box = np.asarray(hands.box)[0].astype(np.float64) if self.margin else whole
        if not np.isfinite(box).all():
            # no joint of this hand is annotated
            box = whole
        elif (more := least - (box[2:] - box[:2]).max()) > 0 and self.margin:
            box = box + more / 2 * np.array([-1, -1, 1, 1])
        side = (box[2:] - box[:2]).max()
        box = box + np.tile(shift * side * np.ones(2), 2)
        affine = square_crop(box, self.size, (self.margin or 1.0) * scale, rotation)
        return mirrored(affine, self.size) if self._mirrors(hands) else affine

    def _mirrors(self, hands: Hands) -> bool:
        return self.mirror_left and hands.side is not None and str(hands.side[0]) == "left"

    def crop(self, at: int, hands: Hands, affine: NDArray, rotation: float = 0.0) -> dict[str, Any]:
        """The sample's image, camera and given quantities under one affine."""
        image = self.picture(at)
        sample = {
            "image": np.ascontiguousarray(warp(image, affine, self.size)[:, :, ::-1].transpose(2, 0, 1)),
            "affine": affine.astype(np.float32),
            "rotation": np.float32(rotation),
            "index": at,
            **self._in_frame(hands, affine),
        }
        if "camera" in self.given:
            sample["camera"] = crop_camera(affine, np.asarray(hands.camera)[0]).astype(np.float32)
        for name in self.given:
            if name in GIVEN_KEYS:
                sample[GIVEN_KEYS[name]] = self.quantity(hands, name)
        return sample

    def picture(self, at: int) -> NDArray:
        """The stored image (H,W,3) uint8 BGR of a sample."""
        return self.decode(at)

    def decode(self, at: int) -> NDArray:
        """The stored image of a sample, from its bytes; raises InvalidError where they are no image."""
        image = cv2.imdecode(np.frombuffer(self.file.image(at), np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            name = self.file.column("id", at, at + 1)[0]
            raise InvalidError(f"The image of {name} in {self.file.path} cannot be decoded.", "Prepare it again.")
        return image

    def _in_frame(self, hands: Hands, affine: NDArray) -> dict[str, Any]:
        """Where the crop lies in the full frame; the stored image is the frame where it is no crop itself."""
        whole = affine
        if hands.crop is not None:
            whole = affine @ np.concatenate([np.asarray(hands.crop)[0], [[0.0, 0.0, 1.0]]])
        size = hands.image_size if hands.frame_size is None else hands.frame_size
        return {
            "frame_affine": whole.astype(np.float32),
            "frame_size": np.asarray(size)[0].astype(np.float32),
            "mirrored": np.bool_(self._mirrors(hands)),
        }

    def quantity(self, hands: Hands, name: str) -> NDArray:
        """A given quantity of one sample; raises InvalidError where its truth does not have it."""
        value = given_quantity(hands, name)
        if not np.isfinite(value).all():
            raise InvalidError(
                f"{hands.id[0]} in {self.file.path} has no {name}, which the method is given.",
                "A split without published truth cannot be predicted by a method that is given root or scale.",
            )
        return value


def mirrored(affine: NDArray, size: int) -> NDArray:
    """The affine (2,3) into a crop of `size` pixels, and then left for right."""
    return np.array([[-1.0], [1.0]]) * affine + np.array([[0.0, 0.0, size - 1.0], [0.0, 0.0, 0.0]])


def warp(image: NDArray, affine: NDArray, size: int) -> NDArray:
    """The image (H,W,3) under the affine (2,3), `size` pixels square; not aliased where it shrinks by 2 or more."""
    shrink = int(1 / max(float(np.linalg.norm(affine[:, 0])), 1e-6))
    if shrink >= 2:
        height, width = (max(1, side // shrink) for side in image.shape[:2])
        factor = np.array([image.shape[1] / width, image.shape[0] / height])
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        # a pixel centre p of the small image lies at (p + 0.5) * factor - 0.5 of the large one
        affine = np.concatenate([affine[:, :2] * factor, affine[:, 2:] + affine[:, :2] @ (factor - 1)[:, None] / 2], 1)
    return cv2.warpAffine(image, affine, (size, size), flags=cv2.INTER_LINEAR)


def given_quantity(hands: Hands, name: str) -> NDArray:
    """`root` (3,) m, `root depth` m or `scale` m of one sample, float32; NaN where its truth does not have it."""
    joints = np.full((21, 3), np.nan) if hands.joints is None else np.asarray(hands.joints[0], np.float64)
    if hands.joints_valid is not None:
        joints = np.where(hands.joints_valid[0][:, None], joints, np.nan)
    root = joints[WRIST]
    values = {"root": root, "root depth": root[2], "scale": np.linalg.norm(joints[MIDDLE_MCP] - root)}
    return np.asarray(values[name], np.float32)


def to_device(batch: dict[str, Any], device: torch.device | str) -> dict[str, Any]:
    return {key: value.to(device, non_blocking=True) for key, value in batch.items()}
