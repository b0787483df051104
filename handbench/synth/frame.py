"""A scene in a large camera image: drawn only where there is something, so that a frame costs what its hand costs."""

from __future__ import annotations

import dataclasses
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from handbench.hands.camera import project
from handbench.synth.background import background
from handbench.synth.picture import foreground
from handbench.synth.scene import Scene, join

MARGIN = 3
# where nothing is measured nearer: the wall behind, m
WALL = 1.6


class Frame:
    """The pictures of one scene, each (H, W) of the scene's image size. Pixels are as the whole image would have them.

    `window` left, top, right, bottom: outside of it there is only background.
    """

    def __init__(self, scene: Scene):
        self.scene = scene
        width, height = scene.image_size
        points, _ = join([(scene.vertices, scene.model.f), scene.arm, *scene.occluders])
        pixels = project(points[points[:, 2] > 0.02], scene.camera)
        low = np.clip(np.floor(pixels.min(0)) - MARGIN, 0, [width - 1, height - 1]).astype(int)
        high = np.clip(np.ceil(pixels.max(0)) + MARGIN + 1, low + 1, [width, height]).astype(int)
        self.window = (int(low[0]), int(low[1]), int(high[0]), int(high[1]))
        moved = np.array([[1, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1.0]])
        size = (int(high[0] - low[0]), int(high[1] - low[1]))
        self.inner = dataclasses.replace(scene, camera=moved @ scene.camera, image_size=size)

    def _placed(self, part: NDArray, outside: float) -> NDArray:
        width, height = self.scene.image_size
        whole = np.full((height, width, *part.shape[2:]), outside, part.dtype)
        left, top, right, bottom = self.window
        whole[top:bottom, left:right] = part
        return whole

    @cached_property
    def hand_mask(self) -> NDArray:
        """(H, W) bool: the pixels that see the hand."""
        return self._placed(self.inner.hand_mask, False)

    @cached_property
    def others_mask(self) -> NDArray:
        """(H, W) bool: the pixels that see the forearm or what the hand holds."""
        return self._placed(np.isfinite(self.inner.depth) & ~self.inner.hand_mask, False)

    @property
    def depth(self) -> NDArray:
        """Depth (H, W) m along z; the wall behind where there is nothing."""
        return np.minimum(self._placed(self.inner.depth, np.inf), WALL)

    @property
    def visible_fraction(self) -> float:
        """Visible pixels over the amodal silhouette inside the image; NaN where the image has none of it."""
        whole = int(self.inner.amodal_mask.sum())
        return float(self.inner.hand_mask.sum()) / whole if whole else float("nan")

    def image(self, behind: NDArray, noise: tuple[int, ...]) -> NDArray:
        """The image (H, W, 3) uint8 RGB before the background `behind` (H, W, 3) float in 0..1; `noise` is a seed."""
        front = foreground(self.inner)
        left, top, right, bottom = self.window
        image = behind.astype(np.float32)
        image[top:bottom, left:right] = front.colour + image[top:bottom, left:right] * (1 - front.alpha)
        image += _noise(self.scene.image_size, int(np.random.default_rng(noise).integers(8)))
        return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


@lru_cache(maxsize=16)
def _noise(size: tuple[int, int], which: int) -> NDArray:
    """A camera's noise (H, W, 1); eight of them are enough for pictures that are not alike."""
    rng = np.random.default_rng((9, which))
    return rng.standard_normal((size[1], size[0], 1), dtype=np.float32) * 0.006


@lru_cache(maxsize=16)
def room(size: tuple[int, int], seed: tuple[int, ...], kind: str | None = "gradient") -> NDArray:
    """The background (H, W, 3) that a camera sees throughout a take."""
    return background(size, np.random.default_rng(seed), kind)
