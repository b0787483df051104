"""A data set of synthetic hands: any sample at any time, each from its own seed."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from handbench.errors import UsageError
from handbench.hands.joints import FINGERTIPS
from handbench.hands.mano import HandModel
from handbench.hands.record import Hands
from handbench.synth.hand import VERSION, synthetic_hand
from handbench.synth.look import PLAIN, Look
from handbench.synth.picture import paint
from handbench.synth.scene import Scene, make_scene


@dataclass(frozen=True, eq=False)
class SyntheticHands:
    """`n` samples; sample i depends on (seed, split, i) and on nothing else, so that they can be made in any order, in
    parallel, and again.

    image_size in pixels (square); `model` the hand (the synthetic right one if not given); `fingertips` a name of
    `FINGERTIPS`; `occluders` False leaves only the hand and its forearm; `dataset` is the first word of the ids only;
    `look` is that of the pictures.
    """

    n: int
    seed: int = 0
    image_size: int = 224
    model: HandModel | None = None
    fingertips: str = "freihand"
    occluders: bool = True
    split: str = "train"
    dataset: str = "synthetic"
    look: Look = PLAIN
    hand: HandModel = field(init=False)

    def __post_init__(self) -> None:
        if self.n < 0 or self.seed < 0 or self.image_size < 16:
            raise UsageError(
                f"No data set of {self.n} samples with seed {self.seed} at {self.image_size} px can be made.",
                "Count and seed are not negative, images at least 16 pixels wide.",
            )
        if self.fingertips not in FINGERTIPS:
            raise UsageError(f"Unknown fingertip set {self.fingertips!r}.", f"Known sets: {', '.join(FINGERTIPS)}.")
        object.__setattr__(self, "hand", self.model or synthetic_hand("right"))

    def __len__(self) -> int:
        return self.n

    def name(self, i: int) -> str:
        return f"{self.dataset}/{self.split}/{i:08d}"

    def sample(self, i: int) -> Scene:
        """The geometry of sample i; its masks are drawn when they are asked for."""
        if not 0 <= i < self.n:
            raise UsageError(f"There is no sample {i} among {self.n}.", "Samples are counted from 0.")
        seed = (self.seed, zlib.crc32(self.split.encode()), i)
        return make_scene(self.name(i), self.hand, self.image_size, self.fingertips, self.occluders, seed, self.look)

    def image(self, i: int) -> NDArray:
        """The image (H, W, 3) uint8 RGB of sample i."""
        return paint(self.sample(i))

    def images(self, start: int = 0, stop: int | None = None) -> NDArray:
        """The images (N, H, W, 3) uint8 RGB of samples start..stop."""
        shape = (-1, self.image_size, self.image_size, 3)
        return np.array([self.image(i) for i in self._range(start, stop)], np.uint8).reshape(shape)

    def hands(self, start: int = 0, stop: int | None = None) -> Hands:
        """The annotations of samples start..stop as one block."""
        return to_hands([self.sample(i) for i in self._range(start, stop)], self.meta())

    def _range(self, start: int, stop: int | None) -> range:
        return range(start, self.n if stop is None else stop)

    def meta(self) -> dict[str, object]:
        return {
            "dataset": self.dataset,
            "split": self.split,
            "seed": self.seed,
            "n": self.n,
            "hand": self.hand.source,
            "hand_version": VERSION if self.hand.source == "synthetic" else None,
            "hand_digest": self.hand.digest(),
            "fingertips": self.fingertips,
            "joint_source": "model",
            "visible_fraction": "visible pixels / pixels of the amodal silhouette inside the image",
        }


def to_hands(scenes: list[Scene], meta: dict[str, object]) -> Hands:
    """Scenes as a block of `Hands`; no two are recorded together, so that each is its own capture."""
    if not scenes:
        raise UsageError("A block of no samples was asked for.", "Ask for at least one sample.")
    n = len(scenes)
    ids = np.array([s.id for s in scenes])

    def stack(name: str) -> NDArray:
        return np.stack([np.asarray(getattr(s, name)) for s in scenes])

    return Hands(
        id=ids,
        capture=ids.copy(),
        side=stack("side"),
        joints=stack("joints"),
        joints_valid=np.ones((n, 21), bool),
        joints_visible=stack("joints_visible"),
        vertices=stack("vertices"),
        visible_fraction=stack("visible_fraction"),
        mano_pose=stack("mano_pose"),
        mano_shape=stack("mano_shape"),
        mano_translation=stack("mano_translation"),
        image_size=stack("image_size"),
        camera=stack("camera"),
        box=stack("box"),
        meta=meta,
    )
