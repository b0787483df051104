"""The synthetic hand's mesh by construction: rings of vertices around wrist, palm, four fingers and a thumb.

A ring of 16 at the wrist widens to palm rings of 28; at the webs the palm ring splits into four finger loops of ten,
and the thumb grows out of a hole of ten edges in the palm's side. The result is a disk: one boundary, the wrist.
Rows of quads follow the joints, so that they bend cleanly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from handbench.synth.skeleton import DORSAL, Finger, Skeleton, skeleton

WRIST_RINGS = (16, 20, 24)  # they widen to the palm's 28
PALM_RING = 28
# Where the rings lie, mm distal of the wrist, with half-width, half-thickness and radial offset of the ellipse.
WRIST_PLACES = ((-13, 28, 16, 0), (-3, 28, 15, 0), (7, 29, 15, 0))
PALM_PLACES = (
    (17, 32, 15, 0.5), (28, 36, 16, 0.5), (41, 37, 15.5, 0), (55, 39, 14.5, -1), (69, 40, 14, -3), (83, 41, 12, -4),
)  # fmt: skip
THUMB_ROWS = (0, 3)  # the thumb's hole reaches from the first to the fourth palm ring
ROOT, ROOT_PULL = 0.28, 0.6  # where around the thumb the hole's edge is drawn to, and how far
RING = 10
TIP_RING = 5
KNUCKLE_ORDER = ("index", "middle", "ring", "little")  # radial to ulnar, as the palm's columns
# Rings along a finger: 1.5 is the middle of the second phalanx.
BASE = 0.40
ALONG = {
    **dict.fromkeys(KNUCKLE_ORDER, (0.61, 0.74, 0.87, 1.01, 1.19, 1.5, 1.82, 2.02, 2.36, 2.68)),
    "little": (0.64, 0.76, 0.88, 1.01, 1.19, 1.5, 1.82, 2.02, 2.36, 2.68),
    "thumb": (0.60, 0.82, 1.0, 1.22, 1.58, 1.86, 2.04, 2.38, 2.70),
}
# Turn of each of a ring's ten vertices from the dorsal side towards the little finger.
TURN = np.deg2rad(np.arange(-54.0, 306.0, 36.0))


@dataclass(frozen=True, eq=False)
class Topology:
    """faces (1538, 3) int; part (778,) the finger a vertex belongs to, or `palm`; along (778,) its place on the finger
    (NaN in the palm); turn (778,) its angle around the finger; boundary (16,) the wrist's loop, in order; tips: the
    six vertices of each finger's cap, the tip itself first.
    """

    faces: NDArray
    part: NDArray
    along: NDArray
    turn: NDArray
    boundary: NDArray
    tips: dict[str, NDArray]


class _Builder:
    """Collects vertices with their first position, and faces."""

    def __init__(self, bones: Skeleton):
        self.bones = bones
        self.points: list[NDArray] = []
        self.part: list[str] = []
        self.along: list[float] = []
        self.turn: list[float] = []
        self.faces: list[tuple[int, int, int]] = []

    def add(self, point: NDArray, part: str = "palm", along: float = np.nan, turn: float = np.nan) -> int:
        self.points.append(point)
        self.part.append(part)
        self.along.append(along)
        self.turn.append(turn)
        return len(self.points) - 1

    def quad(self, a: int, b: int, c: int, d: int) -> None:
        p = self.points
        # The shorter diagonal; rounded, so that the choice is the same on every machine.
        one, two = (round(float(np.linalg.norm(p[i] - p[j])) * 1e6) for i, j in ((a, c), (b, d)))
        self.faces += [(a, b, c), (a, c, d)] if one <= two else [(a, b, d), (b, c, d)]

    def bridge(self, low: list[int], high: list[int]) -> None:
        """Quads between two closed rings of as many vertices."""
        n = len(low)
        for i in range(n):
            self.quad(low[i], low[(i + 1) % n], high[(i + 1) % n], high[i])

    def zip(self, low: list[int], high: list[int], shift_low: float, shift_high: float) -> None:
        """Triangles between two closed rings of different counts, matched by their turn (i - shift) / n."""
        i = j = 0
        n, m = len(low), len(high)
        while i < n or j < m:
            next_low, next_high = (i + 1 - shift_low) / n, (j + 1 - shift_high) / m
            if j == m or (i < n and next_low <= next_high):
                self.faces.append((low[i % n], low[(i + 1) % n], high[j % m]))
                i += 1
            else:
                self.faces.append((low[i % n], high[(j + 1) % m], high[j % m]))
                j += 1


@lru_cache(maxsize=1)
def topology() -> Topology:
    """The mesh's connectivity and labels; the same for every shape."""
    return layout(skeleton(np.zeros(10)))[1]


def layout(bones: Skeleton) -> tuple[NDArray, Topology]:
    """First positions (778, 3) m, to be moved onto the flesh, and the connectivity (that of the average hand)."""
    build = _Builder(bones)
    rings = [
        [build.add(p) for p in _ellipse(bones, count, *place)]
        for count, place in zip(WRIST_RINGS, WRIST_PLACES, strict=True)
    ]
    palm = [[build.add(p) for p in _ellipse(bones, PALM_RING, *place)] for place in PALM_PLACES]
    palm.append([build.add(p) for p in _web_ring(bones)])
    rings.append(palm[0])
    for low, high in pairwise(rings):
        build.zip(low, high, len(low) / 4 - 1, len(high) / 4 - 1)

    side = PALM_RING - 1  # the ring's radial middle
    first, last = THUMB_ROWS
    for r, (low, high) in enumerate(pairwise(palm)):
        for i in range(PALM_RING):
            if first <= r < last and i in (side - 1, side):
                continue
            corners = (low[i], low[(i + 1) % PALM_RING], high[(i + 1) % PALM_RING], high[i])
            if r == 3 and i == 20:  # one vertex more in the hollow of the hand makes 778
                middle = build.add(np.mean([build.points[k] for k in corners], 0))
                build.faces += [(corners[k], corners[(k + 1) % 4], middle) for k in range(4)]
            else:
                build.quad(*corners)

    web = palm[-1]
    middles = [build.add(_web_middle(bones, f)) for f in range(3)]
    tips = {}
    for f, name in enumerate(KNUCKLE_ORDER):
        radial = middles[f - 1] if f else web[side]
        ulnar = middles[f] if f < 3 else web[13]
        columns = range(3 * f, 3 * f + 4)
        loop = [web[c] for c in columns] + [ulnar] + [web[26 - c] for c in reversed(columns)] + [radial]
        tips[name] = _tube(build, bones.fingers[name], loop, 0)
    hole = [palm[r][0] for r in range(4)] + [palm[3][side]] + [palm[r][26] for r in (3, 2, 1, 0)] + [palm[0][side]]
    tips["thumb"] = _tube(build, bones.fingers["thumb"], hole, None)

    # The two vertices inside the thumb's hole belong to nothing.
    faces = np.array(build.faces)
    used = np.unique(faces)
    new = np.full(len(build.points), -1)
    new[used] = np.arange(len(used))
    labels = Topology(
        faces=new[faces],
        part=np.array(build.part)[used],
        along=np.array(build.along)[used],
        turn=np.array(build.turn)[used],
        boundary=new[rings[0]],
        tips={name: new[ids] for name, ids in tips.items()},
    )
    return np.array(build.points)[used], labels


def _ellipse(bones: Skeleton, count: int, distal: float, width: float, thick: float, shift: float) -> NDArray:
    """`count` points (count, 3) evenly along an ellipse around the palm, from the thumb side over the back."""
    fine = np.linspace(0, 2 * np.pi, 721)
    length = np.concatenate([[0], np.cumsum(np.hypot(width * np.diff(np.sin(fine)), thick * np.diff(np.cos(fine))))])
    turn = (np.arange(count) - (count / 4 - 1)) / count % 1.0
    angle = np.interp(turn * length[-1], length, fine)
    depth = -0.12 * thick
    return np.stack([bones.place(distal, depth + thick * np.cos(a), shift - width * np.sin(a)) for a in angle])


def _around(finger: Finger, along: float, turn: float, scale: float = 1.0) -> NDArray:
    """A point (3,) on a finger's tube, before it is moved onto the flesh."""
    k = min(int(along), 2)
    t = along - k
    centre = finger.points[k] + t * (finger.points[k + 1] - finger.points[k])
    radius = scale * np.interp(along, [0, 1, 2, 2.75], finger.radii)
    return centre + radius * (np.cos(turn) * finger.dorsal[k] - np.sin(turn) * finger.side[k])


def _web_ring(bones: Skeleton) -> NDArray:
    """The palm's last ring (28, 3): the ten-loops of the four fingers, which share their columns at the webs."""
    ring = np.zeros((PALM_RING, 3))
    count = np.zeros(PALM_RING)
    for f, name in enumerate(KNUCKLE_ORDER):
        finger = bones.fingers[name]
        slots = {i: 3 * f + i for i in range(4)} | {5 + i: 26 - (3 * f + 3 - i) for i in range(4)}
        if f == 0:
            slots[9] = 27
        if f == 3:
            slots[4] = 13
        for i, slot in slots.items():
            ring[slot] += _around(finger, BASE, TURN[i])
            count[slot] += 1
    return ring / count[:, None]


def _web_middle(bones: Skeleton, f: int) -> NDArray:
    """The middle (3,) of the web between two neighbouring fingers."""
    one, two = bones.fingers[KNUCKLE_ORDER[f]], bones.fingers[KNUCKLE_ORDER[f + 1]]
    ends = (_around(one, BASE, np.pi / 2), _around(two, BASE, -np.pi / 2))
    return (ends[0] + ends[1]) / 2 - 0.002 * DORSAL


def _tube(build: _Builder, finger: Finger, loop: list[int], shift: int | None) -> list[int]:
    """Rings and cap of a finger on a loop of ten; returns the cap, tip first. `shift` None finds the least twist."""
    if shift is None:
        start = np.array([_around(finger, ALONG[finger.name][0], t) for t in TURN])
        base = np.array([build.points[i] for i in loop])
        costs = [round(1e6 * float(np.linalg.norm(np.roll(base, k, 0) - start, axis=1).sum())) for k in range(RING)]
        shift = int(np.argmin(costs))
        low = loop[-shift:] + loop[:-shift] if shift else loop
        # The hole's edge lies around the thumb's root, not on the side of the palm: from there nothing folds.
        for i, t in zip(low, TURN, strict=True):
            build.points[i] = (1 - ROOT_PULL) * build.points[i] + ROOT_PULL * _around(finger, ROOT, t, 1.1)
    else:
        low = loop
    for along in ALONG[finger.name]:
        high = [build.add(_around(finger, along, t), finger.name, along, t) for t in TURN]
        build.bridge(low, high)
        low = high
    end = finger.points[3]
    ring = []
    for t in TURN[::2] + np.pi / 5:
        out = np.cos(t) * finger.dorsal[2] - np.sin(t) * finger.side[2]
        point = end + finger.radii[3] * (0.46 * out - 0.1 * finger.axis[2])
        ring.append(build.add(point, finger.name, 2.93, t))
    tip = build.add(end, finger.name, 3.0, 0.0)
    build.zip(low, ring, 0.0, 0.5)
    build.faces += [(ring[i], ring[(i + 1) % TIP_RING], tip) for i in range(TIP_RING)]
    return [tip, *ring]
