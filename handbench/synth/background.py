"""What is behind the hand: procedural textures, from plain studio cloth to clutter."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

KINDS = ("studio", "gradient", "noise", "checks", "clutter")


def background(size: tuple[int, int], rng: np.random.Generator, kind: str | None = None) -> NDArray:
    """A background (H, W, 3) float32 in 0..1 RGB for an image of size (width, height); `kind` is drawn if not given."""
    width, height = size
    kind = kind or KINDS[rng.integers(1, len(KINDS))]
    if kind == "studio":
        # The green cloth of FreiHAND's studio, unevenly lit.
        image = np.array([0.16, 0.52, 0.24]) * (0.85 + 0.3 * _clouds(size, rng, 3))
    elif kind == "gradient":
        one, two = rng.random((2, 3))
        angle = rng.uniform(0, 2 * np.pi)
        x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
        t = 0.5 + 0.35 * (np.cos(angle) * x + np.sin(angle) * y)
        image = one + (two - one) * t[..., None]
    elif kind == "noise":
        one, two = rng.random((2, 3))
        image = one + (two - one) * (0.6 * _clouds(size, rng, 4) + 0.4 * _clouds(size, rng, 24))
    elif kind == "checks":
        image = _checks(size, rng)
    else:
        image = _clutter(size, rng)
    image = image + 0.05 * (_clouds(size, rng, 60) - 0.5)
    return np.clip(image, 0, 1).astype(np.float32)


def _clouds(size: tuple[int, int], rng: np.random.Generator, cells: int) -> NDArray:
    """Smooth noise (H, W, 1) in 0..1 with about `cells` bumps across."""
    grid = rng.random((cells + 2, cells + 2)).astype(np.float32)
    return np.clip(cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC), 0, 1)[..., None]


def _checks(size: tuple[int, int], rng: np.random.Generator) -> NDArray:
    one, two = rng.random((2, 3))
    angle, period = rng.uniform(0, np.pi), rng.uniform(12, 60)
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    a, b = np.floor(u / period).astype(int) & 1, np.floor(v / period).astype(int) & 1
    t = (a ^ b if rng.random() < 0.6 else a)[..., None].astype(np.float64)
    return (one + (two - one) * t) * (0.7 + 0.3 * _clouds(size, rng, 3))


def _clutter(size: tuple[int, int], rng: np.random.Generator) -> NDArray:
    """Shapes of many colours, some of them skin-like, out of focus."""
    image = np.ascontiguousarray(np.broadcast_to(rng.random(3), (size[1], size[0], 3)), np.float32)
    for _ in range(int(rng.integers(8, 22))):
        colour = tuple(map(float, rng.random(3)))
        if rng.random() < 0.25:
            colour = (0.75, 0.55, 0.45)
        middle = rng.integers(0, size, 2).tolist()
        half = rng.integers(8, 70, 2).tolist()
        if rng.random() < 0.5:
            cv2.ellipse(image, middle, half, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
        else:
            corners = cv2.boxPoints((middle, half, float(rng.uniform(0, 180))))
            cv2.fillConvexPoly(image, corners.astype(np.int32), colour, cv2.LINE_AA)
    blur = float(rng.uniform(0.6, 2.5))
    return cv2.GaussianBlur(image, (0, 0), blur) * (0.75 + 0.25 * _clouds(size, rng, 5))
