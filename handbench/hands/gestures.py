"""Nineteen classes of gestures, and a rule that tells them from 21 joints.

The names are those of HaGRID's first version (18 gestures and `no_gesture`). The rule stands in for a detector: it asks
which fingers are stretched, whether thumb and index finger touch, whether fingers are spread, where the palm looks and
where the thumb points. `mute` looks to it as `one` does, so that it never says `mute`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handbench.errors import UsageError
from handbench.hands.joints import MIDDLE_MCP, WRIST

GESTURES = (
    *("call", "dislike", "fist", "four", "like", "mute", "ok", "one", "palm", "peace", "rock", "stop", "stop_inverted"),
    *("three", "two_up", "two_up_inverted", "three2", "peace_inverted", "no_gesture"),
)
UNKNOWN = -1

# Degrees that a finger's three joints are bent by, together; between the two a finger is neither stretched nor bent.
STRETCHED, BENT = 65.0, 140.0
# Degrees at the thumb's two outer joints, under which it is stretched.
THUMB_STRETCHED = 45.0
# Tips of thumb and index finger that are nearer than this touch; in lengths of wrist to middle MCP.
TOUCH = 0.3
# Degrees between neighbouring stretched fingers, on average, over which they are spread.
SPREAD = 8.0
# The cosine of the angle between thumb and vertical, over which it points up or down.
VERTICAL = 0.6

INDEX_MCP, LITTLE_MCP, THUMB_TIP, INDEX_TIP = 5, 17, 4, 8
# Stretched fingers, thumb to little -> gesture, or (closed, spread).
PATTERNS: dict[str, str | tuple[str, str]] = {
    "00000": "fist",
    "01000": "one",
    "01100": ("two_up", "peace"),
    "01110": "three",
    "11100": "three2",
    "01111": "four",
    "11111": ("stop", "palm"),
    "01001": "rock",
    "10001": "call",
}
# What the first is called where the back of the hand is seen.
INVERTED = {"stop": "stop_inverted", "two_up": "two_up_inverted", "peace": "peace_inverted"}


def gestures(joints: NDArray, side: ArrayLike) -> NDArray:
    """Joints (N, 21, 3) of any unit in the camera frame, FH21; side (N,) or one `right` or `left` -> indices (N,) into
    `GESTURES`, -1 where a joint is not known. Raises UsageError for another side.
    """
    joints = np.asarray(joints, np.float64).reshape(-1, 21, 3)
    with np.errstate(all="ignore"):
        bend = _bends(joints)
        palm = np.linalg.norm(joints[:, MIDDLE_MCP] - joints[:, WRIST], axis=-1)
        touch = np.linalg.norm(joints[:, THUMB_TIP] - joints[:, INDEX_TIP], axis=-1) < TOUCH * palm
        thumb = _unit(joints[:, THUMB_TIP] - joints[:, 2])[:, 1]
        away = palm_normal(joints, side)[:, 2] > 0
    stretched = bend < STRETCHED
    stretched[:, 0] = bend[:, 0] < THUMB_STRETCHED
    bent = bend > BENT
    bent[:, 0] = ~stretched[:, 0]
    spread = _spread(joints, stretched)

    found = np.full(len(joints), "no_gesture", dtype="U16")
    clear = (stretched | bent).all(1)

    def seen(pattern: str) -> NDArray:
        return clear & (stretched == [digit == "1" for digit in pattern]).all(1)

    for pattern, name in PATTERNS.items():
        closed, open_ = (name, name) if isinstance(name, str) else name
        found[seen(pattern)] = closed
        found[seen(pattern) & (spread > SPREAD)] = open_
    found[seen("10000") & (thumb < -VERTICAL)] = "like"
    found[seen("10000") & (thumb > VERTICAL)] = "dislike"
    found[touch & stretched[:, 2:].all(1)] = "ok"
    for name, inverted in INVERTED.items():
        found[(found == name) & away] = inverted
    known = np.isfinite(joints).all((1, 2)) & np.isfinite(bend).all(1)
    place = {name: i for i, name in enumerate(GESTURES)}
    return np.where(known, [place[name] for name in found.tolist()], UNKNOWN).astype(np.int64)


def palm_normal(joints: NDArray, side: ArrayLike) -> NDArray:
    """Unit vectors (N, 3) out of the palm, of joints (N, 21, 3) in FH21; NaN where the palm is a line."""
    wrist = joints[:, WRIST]
    across = np.cross(joints[:, INDEX_MCP] - wrist, joints[:, LITTLE_MCP] - wrist)
    return _unit(across) * np.where(_is_left(joints, side), -1.0, 1.0)[:, None]


def to_palm_frame(joints: NDArray, side: ArrayLike) -> NDArray:
    """Joints (N, 21, 3) -> the same hands (N, 21, 3) in one frame, all of them right ones: the wrist at the origin, the
    middle MCP at distance 1 straight up (0, -1, 0), the palm towards the camera (-z). NaN where that is not defined.
    """
    joints = np.asarray(joints, np.float64)
    mirror = np.where(_is_left(joints, side), -1.0, 1.0)
    right = joints.copy()
    right[..., 0] *= mirror[:, None]
    relative = right - right[:, WRIST : WRIST + 1]
    with np.errstate(all="ignore"):
        length = np.linalg.norm(relative[:, MIDDLE_MCP], axis=-1)
        down = -relative[:, MIDDLE_MCP] / length[:, None]
        into = -palm_normal(right, "right")
        into = _unit(into - (into * down).sum(-1, keepdims=True) * down)
        frame = np.stack([np.cross(down, into), down, into], 1)
        return np.einsum("nij,nkj->nki", frame, relative) / length[:, None, None]


def view_of(name: str) -> NDArray:
    """The rotation (3, 3) from `to_palm_frame`'s frame to the view that a gesture has its name in: the inverted ones
    half a turn about the vertical, `like` and `dislike` a quarter turn within the image, so that the thumb points up or
    down; the others as they are.
    """
    if name in INVERTED.values():
        return np.diag([-1.0, 1.0, -1.0])
    if name in ("like", "dislike"):
        up = 1.0 if name == "like" else -1.0
        return np.array([[0.0, up, 0.0], [-up, 0.0, 0.0], [0.0, 0.0, 1.0]])
    return np.eye(3)


def _is_left(joints: NDArray, side: ArrayLike) -> NDArray:
    sides = np.broadcast_to(np.asarray(side, dtype=np.str_), len(joints))
    other = sides[(sides != "right") & (sides != "left")]
    if len(other):
        raise UsageError(f"There is no side {str(other[0])!r} of a hand.", "Sides are right and left.")
    return sides == "left"


def _bends(joints: NDArray) -> NDArray:
    """Degrees (N, 5) that each finger is bent by: at its three joints together, the thumb at its two outer ones."""
    chains = joints[:, 1:].reshape(-1, 5, 4, 3)
    wrist = np.broadcast_to(joints[:, None, :1], (len(joints), 5, 1, 3))
    bones = _unit(np.diff(np.concatenate([wrist, chains], 2), axis=2))
    angles = np.degrees(np.arccos(np.clip((bones[:, :, 1:] * bones[:, :, :-1]).sum(-1), -1, 1)))
    return np.concatenate([angles[:, :1, 1:].sum(-1), angles[:, 1:].sum(-1)], 1)


def _spread(joints: NDArray, stretched: NDArray) -> NDArray:
    """Degrees (N,) between neighbours of the four fingers, the mean over those of which both are stretched; else 0."""
    with np.errstate(all="ignore"):
        along = _unit(joints[:, [7, 11, 15, 19]] - joints[:, [5, 9, 13, 17]])
        angles = np.degrees(np.arccos(np.clip((along[:, 1:] * along[:, :-1]).sum(-1), -1, 1)))
    both = stretched[:, 1:-1] & stretched[:, 2:]
    return np.where(both, angles, 0.0).sum(1) / np.maximum(both.sum(1), 1)


def _unit(vectors: NDArray) -> NDArray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
