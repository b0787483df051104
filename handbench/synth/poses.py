"""Poses of the synthetic hand: the axes and limits of its joints, named gestures, random poses, smooth motion.

A pose is described by angles (15, 3) in degrees, MANO's order of joints: flexion (positive bends to the palm),
abduction (positive swings to the thumb's side of the hand), twist; `to_pose` makes MANO's axis-angle of them.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from handbench.errors import UsageError
from handbench.hands.mano import axis_angle_to_matrix
from handbench.synth.skeleton import MANO_FINGERS, skeleton

# Degrees, low and high, for flexion, abduction, twist: active ranges of healthy adults, rounded inwards.
_KNUCKLE = ((-15, 88), (-16, 16), (-5, 5))
_MIDDLE = ((-4, 105), (-2, 2), (-2, 2))
_END = ((-6, 75), (-2, 2), (-2, 2))
_THUMB = (((-15, 42), (-32, 24), (-24, 36)), ((-8, 58), (-10, 10), (-6, 6)), ((-16, 78), (-3, 3), (-3, 3)))
LIMITS: NDArray = np.array([*(_KNUCKLE, _MIDDLE, _END) * 4, *_THUMB], np.float64).reshape(15, 3, 2)

# Bending of each finger that gestures are made of: flexion at knuckle, middle and end joint, and abduction.
_OUT, _HALF, _IN = (0, 2, 2), (38, 45, 28), (82, 98, 62)
# thumb: CMC flexion, abduction, twist; MCP flexion; IP flexion
_BESIDE = (0, 0, 0, 0, 0)
_ACROSS = (28, -22, 26, 34, 36)
_OVER = (4, -26, 26, 34, 36)  # over the bent fingers, not into them
_UP = (-12, 4, 0, -4, -10)

# gesture -> thumb, then (flexions, abduction) of index, middle, ring, little
GESTURES: dict[str, tuple] = {
    "palm": (_BESIDE, (_OUT, 8), (_OUT, 1), (_OUT, -6), (_OUT, -12)),
    "stop": ((16, 16, 8, 10, 6), (_OUT, -4), (_OUT, 0), (_OUT, 3), (_OUT, 8)),
    "fist": (_OVER, (_IN, 0), (_IN, 0), (_IN, 0), (_IN, -4)),
    "one": (_ACROSS, (_OUT, 0), (_IN, 0), (_IN, 0), (_IN, -4)),
    "mute": ((26, -20, 20, 26, 30), ((8, 8, 6), 0), (_IN, 0), (_IN, 0), (_IN, -4)),
    "peace": (_ACROSS, (_OUT, 9), (_OUT, -7), (_IN, 0), (_IN, -4)),
    "two_up": (_ACROSS, (_OUT, -3), (_OUT, 1), (_IN, 0), (_IN, -4)),
    "three": ((34, -26, 28, 36, 44), (_OUT, 8), (_OUT, 0), (_OUT, -8), (_IN, -4)),
    "three2": (_BESIDE, (_OUT, 6), (_OUT, -4), (_IN, 0), (_IN, -4)),
    "four": ((36, -20, 28, 38, 40), (_OUT, 7), (_OUT, 1), (_OUT, -5), (_OUT, -10)),
    "ok": ((14, -7, -2, 23, 23), ((38, 55, 32), 0), ((16, 16, 10), 0), ((8, 12, 8), -5), (_OUT, -12)),
    "pinch": ((17, -15, 20, 12, 43), ((41, 54, 32), 0), ((50, 60, 36), 0), ((58, 66, 40), -2), ((62, 68, 40), -4)),
    "like": (_UP, (_IN, 0), (_IN, 0), (_IN, 0), (_IN, -4)),
    "dislike": ((-8, -4, -6, -2, 0), ((74, 95, 58), 0), ((76, 96, 60), 0), (_IN, 0), (_IN, -4)),
    "call": (_UP, (_IN, 0), (_IN, 0), (_IN, 0), (_OUT, -12)),
    "rock": (_ACROSS, (_OUT, 4), (_IN, 0), (_IN, 0), (_OUT, -8)),
    "point": ((-6, -6, 4, 10, 14), ((4, 6, 4), 0), ((70, 90, 56), 0), ((74, 94, 58), 0), ((76, 90, 58), -4)),
    "grip": ((14, -18, 16, 14, 16), (_HALF, 3), (_HALF, 0), (_HALF, -3), (_HALF, -6)),
    "relax": ((8, -8, 8, 8, 10), ((16, 24, 12), 2), ((20, 28, 15), 0), ((24, 30, 16), -2), ((28, 30, 16), -5)),
}


@lru_cache(maxsize=1)
def joint_frames() -> NDArray:
    """Frames (15, 3, 3) of the right hand's joints at rest; columns: flexion, abduction and twist axis."""
    fingers = skeleton(np.zeros(10)).fingers
    frames = []
    for name in MANO_FINGERS:
        f = fingers[name]
        frames += [np.stack([f.side[k], f.dorsal[k], f.axis[k]], 1) for k in range(3)]
    return np.array(frames)


def to_pose(angles: NDArray, side: str = "right") -> NDArray:
    """Angles (N, 15, 3) degrees -> full MANO pose (N, 48) axis-angle, root unturned, mean pose already in it."""
    n = len(angles)
    # The finger swings and twists about its own axes, then bends: unique as long as it swings less than 90 degrees.
    turns = Rotation.from_euler("XYZ", np.asarray(angles, np.float64).reshape(-1, 3), degrees=True)
    local = turns.as_matrix().reshape(n, 15, 3, 3)
    frames = joint_frames()
    turned = frames @ local @ np.swapaxes(frames, -1, -2)
    vectors = Rotation.from_matrix(turned.reshape(-1, 3, 3)).as_rotvec().reshape(n, 45)
    pose = np.concatenate([np.zeros((n, 3)), vectors], 1)
    return pose if side == "right" else mirror_pose(pose)


def to_angles(pose: NDArray, side: str = "right") -> NDArray:
    """The inverse: full pose (N, 48) -> angles (N, 15, 3) degrees."""
    pose = np.asarray(pose, np.float64) if side == "right" else mirror_pose(pose)
    frames = joint_frames()
    turned = axis_angle_to_matrix(pose[:, 3:].reshape(-1, 15, 3))
    local = np.swapaxes(frames, -1, -2) @ turned @ frames
    return Rotation.from_matrix(local.reshape(-1, 3, 3)).as_euler("XYZ", degrees=True).reshape(-1, 15, 3)


def mirror_pose(pose: NDArray) -> NDArray:
    """The same pose of the other hand: rotations (N, 48) seen in the mirror x -> -x."""
    return (np.asarray(pose, np.float64).reshape(-1, 16, 3) * np.array([1.0, -1.0, -1.0])).reshape(-1, 48)


def gesture_angles(name: str) -> NDArray:
    """Angles (15, 3) degrees of a named gesture; UsageError for an unknown one."""
    try:
        thumb, *fingers = GESTURES[name]
    except KeyError:
        raise UsageError(f"Unknown gesture {name!r}.", f"Known gestures: {', '.join(GESTURES)}.") from None
    angles = np.zeros((15, 3))
    for finger, (flexion, abduction) in zip(("index", "middle", "ring", "little"), fingers, strict=True):
        first = 3 * MANO_FINGERS.index(finger)
        angles[first : first + 3, 0] = flexion
        angles[first, 1] = abduction
    angles[12], angles[13, 0], angles[14, 0] = thumb[:3], thumb[3], thumb[4]
    return angles


def gesture(name: str, side: str = "right") -> NDArray:
    """The full pose (48,) of a named gesture, root unturned."""
    return to_pose(gesture_angles(name)[None], side)[0]


def sample_angles(n: int, rng: np.random.Generator) -> NDArray:
    """Angles (N, 15, 3) degrees within the limits: half around mixed gestures, half with each finger bent at will.

    Of a few tries for each pose the one whose fingers run least into each other is kept.
    """
    best, worst = np.zeros((n, 15, 3)), np.full(n, np.inf)
    for _ in range(4):
        again = np.flatnonzero(worst > 0.002)
        if not len(again):
            break
        tried = _draw(len(again), rng)
        depth = penetration(tried)
        better = depth < worst[again]
        best[again[better]], worst[again[better]] = tried[better], depth[better]
    return best


def sample_poses(n: int, rng: np.random.Generator, side: str = "right") -> NDArray:
    """Full poses (N, 48) within the joint limits, root unturned."""
    return to_pose(sample_angles(n, rng), side)


def sequence(frames: int, rng: np.random.Generator, hold: int = 24, side: str = "right") -> NDArray:
    """A smooth motion (frames, 48), root unturned: random poses every `hold` frames, joined with rest at each."""
    keys = sample_angles(frames // hold + 2, rng)
    at = np.arange(frames) / hold
    k = at.astype(int)
    t = (at - k)[:, None, None]
    t = t**3 * (10 - 15 * t + 6 * t**2)  # no velocity or acceleration at the poses
    # Between two angles within the limits lie angles within the limits.
    return to_pose(keys[k] * (1 - t) + keys[k + 1] * t, side)


def penetration(angles: NDArray) -> NDArray:
    """How deep (N,) m the bones' capsules of different fingers run into each other, at worst; 0 if they do not."""
    bones = skeleton(np.zeros(10))
    joints = bones.joints
    local = axis_angle_to_matrix(to_pose(angles).reshape(-1, 16, 3))
    n = len(angles)
    steps = np.array([0.1, 0.5, 0.9])
    points, radii = np.zeros((n, 15, 3, 3)), np.zeros((15, 3))
    for f, name in enumerate(MANO_FINGERS):
        finger = bones.fingers[name]
        turn, place = np.broadcast_to(np.eye(3), (n, 3, 3)), np.broadcast_to(joints[1 + 3 * f], (n, 3))
        for k in range(3):
            turn = turn @ local[:, 1 + 3 * f + k]
            bone = (finger.points[k + 1] - finger.points[k]) * (1.0 if k < 2 else 0.8)
            moved = turn @ bone
            points[:, 3 * f + k] = place[:, None] + steps[:, None] * moved[:, None]
            radii[3 * f + k] = np.interp(k + steps, np.arange(4), finger.radii)
            place = place + moved
    # The palm as well: fingertips stop on it.
    spots = np.array([bones.place(d, -1.0, r) for d in (30, 50, 70) for r in (-18, 0, 16)])
    cloud = np.concatenate([points.reshape(n, 45, 3), np.broadcast_to(spots, (n, 9, 3))], 1)
    radius = np.concatenate([radii.ravel(), np.full(9, 0.010)])
    owner = np.concatenate([np.repeat(np.arange(5), 9), np.full(9, 5)])
    one, two = np.triu_indices(54, 1)
    # Neighbours' proximal phalanges touch in life as well; the thumb's metacarpal belongs to the palm.
    fixed = np.isin(np.arange(54), [0, 1, 9, 10, 18, 19, 27, 28, 36, 37, 38, *range(45, 54)])
    counted = (owner[one] != owner[two]) & ~(fixed[one] & fixed[two])
    one, two = one[counted], two[counted]
    gap = np.linalg.norm(cloud[:, one] - cloud[:, two], axis=-1)
    return np.maximum(0.85 * (radius[one] + radius[two]) - gap, 0.0).max(1)


def _draw(n: int, rng: np.random.Generator) -> NDArray:
    """Angles (N, 15, 3), unchecked but within the limits."""
    named = np.array([gesture_angles(name) for name in GESTURES])
    one, two = rng.integers(len(named), size=(2, n))
    t = rng.beta(0.5, 0.5, size=(n, 1, 1))
    mixed = named[one] * (1 - t) + named[two] * t
    # Free: each finger has a bend, its joints follow it, the end joint two thirds of the middle one.
    free = np.zeros((n, 15, 3))
    bend = np.clip(rng.beta(0.8, 1.1, size=(n, 1)) + rng.normal(0, 0.25, size=(n, 4)), 0, 1)
    for f in range(4):
        free[:, 3 * f, 0] = bend[:, f] * 70 + rng.normal(0, 12, n)
        free[:, 3 * f + 1, 0] = bend[:, f] * 85 + rng.normal(0, 12, n)
        free[:, 3 * f + 2, 0] = 0.62 * free[:, 3 * f + 1, 0] + rng.normal(0, 6, n)
        free[:, 3 * f, 1] = rng.normal((4, 0, -6, -3)[f], 5, n) * (1 - 0.8 * bend[:, f])
    free[:, 12] = rng.uniform(LIMITS[12, :, 0], LIMITS[12, :, 1], (n, 3))
    free[:, 13, 0], free[:, 14, 0] = rng.uniform(-5, 45, n), rng.uniform(-10, 60, n)
    angles = np.where(rng.random((n, 1, 1)) < 0.5, mixed, free)
    angles = angles + rng.normal(0, 1, angles.shape) * (LIMITS[..., 1] - LIMITS[..., 0]) * 0.035
    return np.clip(angles, LIMITS[..., 0], LIMITS[..., 1])
