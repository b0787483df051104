"""Training samples: augmented crops with their truth. What is drawn depends on (seed, epoch, sample, view) only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import default_collate

from handbench.hands.record import Hands
from handbench.inference.crops import Crops, given_quantity
from handbench.recipe import Data
from handbench.store.hands_file import HandsFile


class AugmentedCrops(Crops):
    """As `Crops`, with the truth of a `Batch` and `views` differently augmented views of each image."""

    def __init__(self, file: HandsFile, size: int, data: Data, index: NDArray, *, views: int, seed: int, box: bool):
        super().__init__(
            file, size, data.margin, ("root", "root depth", "scale", "camera", *(("box",) if box else ())), index
        )
        self.data = data
        self.views = views
        self.seed = seed
        self.epoch = 0

    def __getitem__(self, item: int) -> dict[str, Any]:
        at = int(self.index[item])
        hands = self.file.read(at, at + 1)
        views = [self._view(at, hands, view) for view in range(self.views)]
        return {key: np.stack([view[key] for view in views]) for key in views[0]}

    def quantity(self, hands: Hands, name: str) -> NDArray:
        """NaN where it is not known: the losses mask what needs it."""
        return given_quantity(hands, name)

    def _view(self, at: int, hands: Hands, view: int) -> dict[str, Any]:
        draw = np.random.default_rng([self.seed, self.epoch, at, view])
        data = self.data
        # drawn in a fixed order, wanted or not, so that one setting does not change the draws of another
        turn, turned, grow = draw.uniform(-1, 1), draw.uniform(), draw.uniform(-1, 1)
        shift, gain, brightness = draw.uniform(-1, 1, 2), draw.uniform(-1, 1, 3), draw.uniform(-1, 1)
        rotation = np.deg2rad(data.rotation) * turn if turned < data.rotation_probability else 0.0
        affine = self.affine(hands, rotation, 1 + data.scale * grow, data.shift * shift)
        sample = self.crop(at, hands, affine, rotation)
        if data.colour:
            factor = (1 + data.colour * gain[:, None, None]) * (1 + data.colour * brightness)
            sample["image"] = np.clip(sample["image"] * factor, 0, 255).astype(np.uint8)
        return {**sample, **truth(hands)}


def truth(hands: Hands) -> dict[str, Any]:
    """The supervision of one sample: absent entries are 0 with their mask False."""
    joints = np.asarray(hands.joints[0], np.float32)  # type: ignore[index]
    valid = np.asarray(np.isfinite(joints).all(-1))
    if hands.joints_valid is not None:
        valid &= hands.joints_valid[0]
    has_mesh = hands.vertices is not None and bool(np.isfinite(hands.vertices[0]).all())
    vertices = hands.vertices[0] if has_mesh else np.zeros((778, 3))  # type: ignore[index]
    return {
        "joints": np.where(valid[:, None], joints, 0.0).astype(np.float32),
        "joints_valid": valid,
        "vertices": np.asarray(vertices, np.float32),
        "vertices_valid": np.bool_(has_mesh),
    }


def collate_views(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """B samples of V views -> a batch of V*B: first one view of each, then the next."""
    batch = default_collate(samples)
    return {key: value.transpose(0, 1).flatten(0, 1) for key, value in batch.items()}
