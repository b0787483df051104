"""The synthetic hand in MANO's form: same counts, same arrays, same numbering of fingertips, and no licence.

Rest pose and frame: as MANO's. The right hand points its fingers along -x, its back along +y, its thumb towards +z;
the left hand is its mirror image in x.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from handbench.errors import UsageError
from handbench.hands.joints import FINGERS, FINGERTIPS
from handbench.hands.mano import HandModel
from handbench.synth.correctives import pose_directions
from handbench.synth.poses import gesture_angles, joint_frames, mirror_pose, sample_angles, to_pose
from handbench.synth.skeleton import skeleton
from handbench.synth.skin_weights import skin_weights
from handbench.synth.surface import rest_surface, surface
from handbench.synth.topology import Topology, topology

# Raised whenever a vertex, a weight or a number of the hand changes.
VERSION = "1"
MIRROR = np.array([-1.0, 1.0, 1.0])
# As MANO's kintree_table; smplx replaces the wrist's parent by -1.
PARENTS = np.array([2**32 - 1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14])


def synthetic_hand(side: str = "right") -> HandModel:
    """The synthetic hand of this side, `source` = `synthetic`; built once (about two seconds), always the same.

    Betas ~ N(0, 1) give plausible adults; `skeleton.BETAS` names what each changes. Raises UsageError for an unknown
    side.
    """
    if side not in ("right", "left"):
        raise UsageError(f"Unknown side {side!r}.", "Known sides: right, left.")
    return _right() if side == "right" else _left()


@lru_cache(maxsize=1)
def _left() -> HandModel:
    return _mirrored(_right())


@lru_cache(maxsize=1)
def _right() -> HandModel:
    labels = topology()
    order = _numbering(labels)
    rank = np.argsort(order)
    rest, bones = rest_surface(), skeleton(np.zeros(10))
    shapes = [(surface(b), skeleton(b).joints) for k in range(10) for b in (_one(k, 1.0), _one(k, -1.0))]
    directions = np.stack([(plus[0] - minus[0]) / 2 for plus, minus in zip(shapes[::2], shapes[1::2], strict=True)], -1)
    changes = np.stack([(plus[1] - minus[1]) / 2 for plus, minus in zip(shapes[::2], shapes[1::2], strict=True)], -1)
    mean, components = _pose_space()
    return HandModel(
        side="right",
        source="synthetic",
        v_template=rest[order],
        f=rank[labels.faces],
        shapedirs=directions[order],
        posedirs=pose_directions(rest, labels, bones, joint_frames())[order],
        J_regressor=_regressor(rest, directions, bones.joints, changes)[:, order],
        weights=skin_weights(rest, labels, bones)[order],
        kintree_table=np.stack([PARENTS, np.arange(16)]),
        hands_components=components,
        hands_mean=mean,
    )


@lru_cache(maxsize=1)
def vertex_labels() -> tuple[NDArray, NDArray, NDArray]:
    """For the hand's 778 vertices as numbered: part (`palm` or a finger), place along the finger, turn around it."""
    labels = topology()
    order = _numbering(labels)
    return labels.part[order], labels.along[order], labels.turn[order]


def _one(k: int, value: float) -> NDArray:
    betas = np.zeros(10)
    betas[k] = value
    return betas


def _numbering(labels: Topology) -> NDArray:
    """The order (778,) of construction's vertices such that every fingertip id in circulation lies on its tip."""
    places = dict.fromkeys(range(len(labels.part)))
    for f, name in enumerate(FINGERS):
        # FreiHAND's vertex is the tip itself; the others lie around it, palm side first.
        wanted = list(dict.fromkeys(ids[f] for ids in FINGERTIPS.values()))
        tip, *around = labels.tips[name]
        around = sorted(around, key=lambda v: np.cos(labels.turn[v]))
        for place, vertex in zip(wanted, (tip, *around), strict=False):
            places[place] = int(vertex)
    taken = {v for v in places.values() if v is not None}
    rest = (v for v in range(len(labels.part)) if v not in taken)
    return np.array([next(rest) if v is None else v for v in places.values()])


def _regressor(rest: NDArray, directions: NDArray, joints: NDArray, changes: NDArray) -> NDArray:
    """Sparse rows (16, 778), nonnegative and summing to 1, that find the joints for every shape.

    Each joint is fitted on the vertices around it, to where it lies at rest and to where each shape direction moves
    it (16, 3, 10): a mean of skin alone would slide when fingers grow thicker or longer.
    """
    # a fifth of a second to import, and seldom needed
    from scipy.optimize import nnls

    rows = np.zeros((16, len(rest)))
    for j, joint in enumerate(joints):
        away = np.linalg.norm(rest - joint, axis=1)
        near = np.argsort(away, kind="stable")[: 60 if j == 0 else 36]
        local = (rest[near] - joint).T  # (3, n): the mean of the offsets is to be zero
        moves = (directions[near] - changes[j]).reshape(len(near), 30).T
        system = np.concatenate([1e3 * local, 2e2 * moves, 1e1 * np.ones((1, len(near)))])
        target = np.zeros(len(system))
        target[-1] = 1e1
        # A little evenness: spread over the ring rather than hang on three vertices.
        even = 0.3 * np.eye(len(near))
        share = np.full(len(near), 0.3 / len(near))
        solution, _ = nnls(np.concatenate([system, even]), np.concatenate([target, share]))
        rows[j, near] = solution / solution.sum()
    return rows


def _pose_space() -> tuple[NDArray, NDArray]:
    """The mean pose (45,) - a relaxed hand - and principal components (45, 45) of random poses about it."""
    mean = to_pose(gesture_angles("relax")[None])[0, 3:]
    poses = to_pose(sample_angles(1500, np.random.default_rng(0)))[:, 3:]
    _, _, components = np.linalg.svd(poses - mean, full_matrices=False)
    # The sign of a component is arbitrary: the largest entry is positive.
    largest = np.abs(components).argmax(1)
    return mean, components * np.sign(components[np.arange(45), largest])[:, None]


def _mirrored(right: HandModel) -> HandModel:
    turn = np.tile(np.array([1.0, -1.0, -1.0]), 15)
    entries = np.tile(np.outer(MIRROR, MIRROR).ravel(), 15)  # R -> M R M, entry by entry
    return HandModel(
        side="left",
        source=right.source,
        v_template=right.v_template * MIRROR,
        f=right.f[:, ::-1].copy(),
        shapedirs=right.shapedirs * MIRROR[:, None],
        posedirs=right.posedirs * MIRROR[:, None] * entries,
        J_regressor=right.J_regressor,
        weights=right.weights,
        kintree_table=right.kintree_table,
        hands_components=right.hands_components * turn,
        hands_mean=mirror_pose(np.concatenate([np.zeros(3), right.hands_mean])[None])[0, 3:],
    )
