"""The colour of skin: tones, what differs over a hand, and the fine structure that is drawn per pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handbench.hands.mano import HandModel
from handbench.synth.bodies import vertex_normals
from handbench.synth.hand import vertex_labels

# sRGB of lit skin, from light to dark; spread over the Monk scale's range.
TONES = np.array(
    [[244, 204, 176], [234, 184, 150], [219, 162, 126], [196, 138, 102], [160, 106, 76], [120, 78, 56], [86, 56, 42]]
) / 255.0  # fmt: skip
NOISE_TILE = 256


@dataclass(frozen=True, eq=False)
class Skin:
    """What does not change with the pose, per vertex of the hand: palm (V,) 0..1 how much it is palm side; along (V,)
    and up (V,) the place on the finger and the cosine of the angle from its nail side (0 in the palm, and where the
    hand is not the synthetic one); place (V, 2) texture coordinates in pixels of the noise tile.
    """

    palm: NDArray
    along: NDArray
    up: NDArray
    place: NDArray


def skin_of(model: HandModel) -> Skin:
    """The skin of this hand model, from its rest pose."""
    rest = model.v_template
    down = -vertex_normals(rest, model.f)[:, 1]
    along, up = np.zeros(len(rest)), np.zeros(len(rest))
    palm = 0.5 + 0.5 * np.tanh(2.5 * down)
    if model.source == "synthetic":
        part, on_finger, turn = vertex_labels()
        finger = part != "palm"
        along[finger] = on_finger[finger]
        up[finger] = np.cos(turn[finger])
        # The thumb's palm side is its own: it does not look where the palm looks.
        thumb = part == "thumb"
        palm[thumb] = 0.5 - 0.5 * np.tanh(2.5 * up[thumb])
    place = np.stack([rest[:, 0] + 0.6 * rest[:, 1], rest[:, 2] - 0.8 * rest[:, 1]], 1) * 2600.0
    return Skin(palm, along, up, place)


def skin_colours(skin: Skin, rng: np.random.Generator, tones: tuple[float, float]) -> tuple[NDArray, NDArray]:
    """Albedo (V, 3) of each vertex and the person's tone (3,), RGB in 0..1; it is drawn between two of `TONES`, which
    are counted from 0."""
    at = rng.uniform(*tones)
    low = min(int(at), len(TONES) - 2)
    tone = TONES[low] + (at - low) * (TONES[low + 1] - TONES[low])
    tone = np.clip(tone * rng.uniform(0.94, 1.06, 3), 0, 1)
    # Palms are lighter, the more so on dark skin, and redder.
    palm = tone + (np.array([0.93, 0.74, 0.65]) - tone) * (0.22 + 0.25 * (1 - tone.mean()))
    colours = tone + (palm - tone) * skin.palm[:, None]
    flush = np.clip(skin.along - 2.2, 0, 0.7)[:, None] * np.array([0.03, -0.07, -0.06]) * tone.mean()
    knuckle = (_bump(skin.along, 1.0, 0.13) + _bump(skin.along, 2.0, 0.10)) * np.clip(skin.up, 0, 1)
    return colours + flush - knuckle[:, None] * np.array([0.05, 0.08, 0.07]) * tone.mean(), tone


def skin_detail(colour: NDArray, along: NDArray, up: NDArray, palm: NDArray, noise: NDArray) -> NDArray:
    """Lit colour (P, 3) of pixels with nails, creases and grain added; along, up, palm and noise (P,) there."""
    crease = _bump(along, 1.0, 0.022) + _bump(along, 2.0, 0.022) + 0.6 * _bump(along, 1.06, 0.02)
    crease = crease * np.clip(-up + 0.2, 0, 1)
    wrinkle = (_bump(along, 1.0, 0.10) + _bump(along, 2.0, 0.07)) * np.clip(up, 0, 1) * np.sin(along * 160.0)
    shade = 1.0 + 0.035 * noise - 0.28 * crease + 0.05 * wrinkle
    nail = _rise(along, 2.40, 0.03) * _rise(-along, -2.93, 0.03) * _rise(up, 0.72, 0.06)
    nail = (nail * (1 - palm))[:, None]
    # A nail lets the pink below it through: paler than the skin around it, and a little glossier.
    pink = 0.55 * colour + 0.45 * colour.mean(1, keepdims=True) * np.array([1.25, 1.08, 1.08], colour.dtype) + 0.07
    return colour * shade[:, None] * (1 - nail) + nail * pink


def _bump(x: NDArray, middle: float, width: float) -> NDArray:
    return np.exp(-(((x - middle) / width) ** 2))


def _rise(x: NDArray, at: float, width: float) -> NDArray:
    return np.clip((x - at) / width + 0.5, 0, 1)
