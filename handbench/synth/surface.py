"""The rest surface: the mesh of `topology`, moved onto the flesh and evened out along it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from handbench.synth.flesh import Flesh, flesh
from handbench.synth.skeleton import Skeleton, skeleton
from handbench.synth.topology import Topology, layout, topology

# Evening out: rounds, and how far a vertex moves to the middle of its neighbours in each, in the palm and on a finger
# (whose rings are to stay at the joints).
FIRST_ROUNDS, ROUNDS = 30, 4
PALM_STEP, FINGER_STEP = 0.45, 0.06


@lru_cache(maxsize=1)
def rest_surface() -> NDArray:
    """Vertices (778, 3) m of the average hand at rest."""
    bones = skeleton(np.zeros(10))
    points = _settle(layout(bones)[0], bones, FIRST_ROUNDS)
    points.flags.writeable = False
    return points


def surface(betas: NDArray) -> NDArray:
    """Vertices (778, 3) m of the rest hand with these betas (10,): the average hand's, moved with the construction and
    settled again, so that the same vertex stays at the same place of the skin.
    """
    bones = skeleton(betas)
    moved = layout(bones)[0] - layout(skeleton(np.zeros(10)))[0]
    return _settle(rest_surface() + moved, bones, ROUNDS)


def _settle(points: NDArray, bones: Skeleton, rounds: int) -> NDArray:
    labels = topology()
    skin = flesh(bones)
    active = _active(skin, labels)
    neighbours = neighbour_average(labels.faces)
    step = np.where(labels.part == "palm", PALM_STEP, FINGER_STEP)
    # The first thumb rings grow out of the palm: let them even out with it.
    step = np.where((labels.part == "thumb") & (labels.along < 1.0), 0.35, step)
    step = np.where((labels.part != "thumb") & (labels.along < 0.75), 0.15, step)
    wrist = labels.boundary
    plane = points[wrist, 0].copy()
    step[wrist] = 0.0
    points = skin.project(points, active, 2)
    for _ in range(rounds):
        towards = (neighbours @ points - points) * step[:, None]
        _, gradient = skin.distance(points, active)
        normal = gradient / np.maximum(np.linalg.norm(gradient, axis=1, keepdims=True), 1e-9)
        points = points + towards - (towards * normal).sum(1, keepdims=True) * normal
        points = skin.project(points, active, 1)
        points[wrist] = _even(points[wrist])
        points[wrist, 0] = plane
    return points


def neighbour_average(faces: NDArray) -> NDArray:
    """The (V, V) matrix that takes each vertex to the mean of its neighbours."""
    count = int(faces.max()) + 1
    adjacency = np.zeros((count, count))
    for i, j in ((0, 1), (1, 2), (2, 0)):
        adjacency[faces[:, i], faces[:, j]] = adjacency[faces[:, j], faces[:, i]] = 1.0
    return adjacency / adjacency.sum(1, keepdims=True)


def _active(skin: Flesh, labels: Topology) -> NDArray:
    """Which capsules (778, C) each vertex feels: the palm's all, a finger's the palm's and its own."""
    return (labels.part == "palm")[:, None] | (skin.part == "palm") | (labels.part[:, None] == skin.part)


def _even(loop: NDArray) -> NDArray:
    """A closed loop (N, 3) with its points moved along it to equal spacing, the first one kept."""
    closed = np.concatenate([loop, loop[:1]])
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    at = np.arange(len(loop)) / len(loop) * length[-1]
    return np.stack([np.interp(at, length, closed[:, k]) for k in range(3)], 1)
