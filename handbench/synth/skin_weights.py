"""Skinning weights of the synthetic hand: how much each of the 16 joints carries each vertex."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handbench.synth.skeleton import MANO_FINGERS, Skeleton
from handbench.synth.surface import neighbour_average
from handbench.synth.topology import Topology

# Half-width (in the finger's half-widths) of the blend across the three joints of a finger, and of the thumb.
BLEND = {"finger": (1.25, 0.85, 0.75), "thumb": (1.25, 0.95, 0.85)}
SMOOTHING = 2


def skin_weights(points: NDArray, labels: Topology, bones: Skeleton) -> NDArray:
    """Weights (778, 16), nonnegative, rows summing to 1, in MANO's order of joints, for rest vertices (778, 3)."""
    weights = np.zeros((len(points), 16))
    for f, name in enumerate(MANO_FINGERS):
        finger = bones.fingers[name]
        widths = BLEND["thumb" if name == "thumb" else "finger"]
        beyond = []
        for k in range(3):
            before = finger.axis[max(k - 1, 0)] + finger.axis[k]
            along = (points - finger.points[k]) @ (before / np.linalg.norm(before))
            beyond.append(_step(along / (2 * widths[k] * finger.radii[k]) + 0.5))
        own = (labels.part == name).astype(float)
        palm = labels.part == "palm"
        own[palm] = _thumb_share(points[palm], bones) if name == "thumb" else _column_share(points[palm], bones, name)
        first = own * beyond[0]
        if name == "thumb":
            # The thenar moves as one: rings on the metacarpal follow it even behind the joint's plane.
            first = np.where(labels.part == "thumb", np.maximum(first, 0.6), first)
        weights[:, 1 + 3 * f] = first * (1 - beyond[1])
        weights[:, 2 + 3 * f] = first * beyond[1] * (1 - beyond[2])
        weights[:, 3 + 3 * f] = first * beyond[1] * beyond[2]
    weights[:, 0] = np.maximum(1 - weights.sum(1), 0.0)
    average = neighbour_average(labels.faces)
    for _ in range(SMOOTHING):
        weights = 0.5 * weights + 0.5 * average @ weights
        weights[labels.boundary] = np.eye(16)[0]  # the wrist's edge is the forearm's
    weights[weights < 2e-3] = 0.0
    return weights / weights.sum(1, keepdims=True)


def _step(t: NDArray) -> NDArray:
    t = np.clip(t, 0.0, 1.0)
    return t * t * (3 - 2 * t)


def _column_share(points: NDArray, bones: Skeleton, name: str) -> NDArray:
    """How much of a palm vertex's motion with a knuckle belongs to this finger: by nearness to its line."""
    shares = []
    for other in ("index", "middle", "ring", "little"):
        finger = bones.fingers[other]
        across = (points - finger.points[0]) @ finger.side[0]
        shares.append(np.exp(-((across / (0.85 * finger.radii[0])) ** 2)) + 1e-9)
    total = np.sum(shares, 0)
    return shares[("index", "middle", "ring", "little").index(name)] / total


def _thumb_share(points: NDArray, bones: Skeleton) -> NDArray:
    """How much of a palm vertex goes with the thumb's metacarpal: all near it, none half a palm away."""
    thumb = bones.fingers["thumb"]
    bone = thumb.points[1] - thumb.points[0]
    offset = points - thumb.points[0]
    t = np.clip(offset @ bone / (bone @ bone), 0.0, 1.0)
    away = np.linalg.norm(offset - t[:, None] * bone, axis=1)
    near, far = 1.0 * thumb.radii[0], 2.7 * thumb.radii[0]
    return _step((far - away) / (far - near))
