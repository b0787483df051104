"""Training windows: augmented crops of T frames with their truth, and one draw of augmentation for all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from handbench.errors import InvalidError
from handbench.inference.window_crops import collate_windows, largest_side, stacked, visible_fraction
from handbench.inference.windows import windows_of
from handbench.methods.base import Method
from handbench.recipe import Data
from handbench.store.hands_file import HandsFile
from handbench.training.augmented import AugmentedCrops
from handbench.training.plan import Plan


def training_crops(plan: Plan, method: Method, index: NDArray, data: Data) -> AugmentedCrops:
    """What this method is trained on: the samples `index` of the plan's file, or the windows about them."""
    kind = AugmentedCrops if method.frames == 1 else AugmentedWindows
    return kind(plan.file, data, index, method, plan.seed, plan.labels)


class AugmentedWindows(AugmentedCrops):
    """As `AugmentedCrops`, an item a window about each annotated sample of `index`, whatever the method's stride.

    A window's frames are of `index` and annotated: a frame that is held out, or has no annotated joint, is missing.
    What is drawn belongs to the window: its frames are turned, scaled, moved and coloured alike. One view a window,
    and no patches beside the hand.
    """

    def __init__(self, file: HandsFile, data: Data, index: NDArray, method: Method, *rest: Any):
        among = index[annotated(file)[index]]
        if not len(among):
            raise InvalidError(f"{file.path} has no annotated sample to train on.", "Prepare more samples.")
        super().__init__(file, data, among, method, *rest)
        self.windows = windows_of(file, method.frames, method.gap, 1, among, method.name)

    def entries(self, samples: int) -> int:
        return samples

    def __getitem__(self, item: int) -> dict[str, Any]:
        index = self.windows.index[item]
        frames = {int(at): self.file.read(int(at), int(at) + 1) for at in np.unique(index)}
        least = largest_side(frames.values()) if self.margin else 0.0
        drawn = self._draw(int(self.index[item]), 0)
        crops = {
            at: {**self._varied(at, hands, drawn, least), "visible_fraction": visible_fraction(hands)}
            for at, hands in frames.items()
        }
        return stacked([crops[int(at)] for at in index], self.windows.repeated[item])

    def collate(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        return collate_windows(items)


def annotated(file: HandsFile) -> NDArray:
    """(N,) bool: some joint of the sample is annotated."""
    joints = np.isfinite(file.column("joints")).all(-1)
    if "joints_valid" in file.fields:
        joints &= file.column("joints_valid")
    return joints.any(-1)
