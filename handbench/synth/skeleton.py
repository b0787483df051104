"""Where the bones of the synthetic hand are: joints, thicknesses and finger frames, as a function of ten betas.

Frame of the rest pose, MANO's right hand: fingers along -x, back of the hand +y, thumb towards +z, metres; MANO's
left hand is its mirror image in x. Lengths of phalanges and metacarpals follow Buryanov and Kotiuk (2010, mean of
adults); widths follow the hand anthropometry of Greiner (1991), rounded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# The fingers in MANO's order; each has three joints there, base to tip, after the wrist.
MANO_FINGERS = ("index", "middle", "little", "ring", "thumb")
WRIST = np.array([0.0957, 0.0064, 0.0062])
DISTAL, DORSAL, RADIAL = np.array([-1.0, 0, 0]), np.array([0, 1.0, 0]), np.array([0, 0, 1.0])

# Knuckle from the wrist (distal, dorsal, radial), mm; the three phalanges (the last with its soft tip), mm; splay
# towards the thumb, degrees; half-widths at the three joints and in the middle of the fingertip, mm.
FINGERS = {
    "index": ((89.0, 0.5, 24.5), (41.0, 24.5, 22.5), 6.0, (10.2, 9.1, 7.9, 6.9)),
    "middle": ((91.0, 3.0, 2.5), (45.0, 28.0, 23.5), 1.0, (10.4, 9.3, 8.0, 7.0)),
    "ring": ((85.5, 1.0, -19.0), (41.5, 26.5, 23.5), -5.5, (9.8, 8.8, 7.7, 6.8)),
    "little": ((77.0, -4.0, -37.0), (33.0, 19.5, 21.0), -13.0, (8.7, 7.7, 6.8, 6.0)),
}
THUMB_BASE = (21.0, -9.0, 21.0)
THUMB_LENGTHS = (45.0, 33.0, 27.5)
THUMB_RADII = (13.5, 11.6, 10.0, 8.6)
# Direction of the thumb (distal, dorsal, radial), and where its nail looks.
THUMB_AXIS = (0.70, -0.24, 0.68)
THUMB_NAIL = (-0.30, 0.70, 0.62)
# A phalanx sinks a little below the one before: fingers at rest are not rulers. Degrees of flexion, PIP and DIP.
REST_CURL = (4.0, 4.0)

# What one standard deviation of each shape direction does.
BETAS = (
    "size", "finger length", "thickness", "palm width", "thumb length", "index and middle length",
    "ring and little length", "fingertip length", "palm depth", "palm length",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Finger:
    """One finger: points (4, 3) m, its joints base to tip and the end of its flesh; radii (4,) m at the joints and at
    the fingertip; `axis` (3, 3) unit direction of each phalanx; `dorsal` (3, 3) unit, where its nail side looks.
    """

    name: str
    points: NDArray
    radii: NDArray
    axis: NDArray
    dorsal: NDArray

    @property
    def side(self) -> NDArray:
        """(3, 3) unit: the flexion axis of each phalanx; a positive turn about it bends the finger to the palm."""
        return np.cross(self.axis, -self.dorsal)


@dataclass(frozen=True, eq=False)
class Skeleton:
    """The wrist (3,) m, the five fingers, and the scale factors that the palm's flesh needs."""

    wrist: NDArray
    fingers: dict[str, Finger]
    size: float
    thick: float
    wide: float
    deep: float
    long: float

    def place(self, distal: float, dorsal: float, radial: float) -> NDArray:
        """A point (3,) m of the palm, given in mm of the average hand from the wrist."""
        parts = (distal * self.long, dorsal * self.deep, radial * self.wide)
        return self.wrist + 1e-3 * self.size * (parts[0] * DISTAL + parts[1] * DORSAL + parts[2] * RADIAL)

    @property
    def joints(self) -> NDArray:
        """The 16 joints (16, 3) m in MANO's order."""
        return np.concatenate([self.wrist[None], *(self.fingers[name].points[:3] for name in MANO_FINGERS)])


def skeleton(betas: NDArray) -> Skeleton:
    """The bones for ten betas (10,), of standard normal size; zeros is the average adult."""
    size, length, thick, wide, thumb, radial, ulnar, tip, deep, long = np.asarray(betas, np.float64)
    palm = Skeleton(
        wrist=WRIST,
        fingers={},
        size=1 + 0.055 * size,
        thick=1 + 0.055 * thick,
        wide=1 + 0.030 * wide,
        deep=(1 + 0.055 * deep) * (1 + 0.03 * thick),
        long=1 + 0.022 * long,
    )
    for name, (base, lengths, splay, radii) in FINGERS.items():
        own = radial if name in ("index", "middle") else ulnar
        factor = palm.size * (1 + 0.03 * length) * (1 + 0.022 * own)
        angle = np.deg2rad(splay)
        axis = np.cos(angle) * DISTAL + np.sin(angle) * RADIAL
        stretch = np.array([1, 1, 1 + 0.04 * tip])
        width = np.array(radii) * palm.size * palm.thick * (1 + 0.4 * (palm.wide - 1))
        palm.fingers[name] = _finger(name, palm.place(*base), np.array(lengths) * factor * stretch, axis, DORSAL, width)
    factor = palm.size * (1 + 0.02 * length) * (1 + 0.04 * thumb)
    stretch = np.array([palm.long, 1, 1 + 0.04 * tip])
    palm.fingers["thumb"] = _finger(
        "thumb",
        palm.place(*THUMB_BASE),
        np.array(THUMB_LENGTHS) * factor * stretch,
        _direction(THUMB_AXIS),
        _direction(THUMB_NAIL),
        np.array(THUMB_RADII) * palm.size * palm.thick,
    )
    return palm


def _direction(parts: tuple[float, float, float]) -> NDArray:
    vector = parts[0] * DISTAL + parts[1] * DORSAL + parts[2] * RADIAL
    return vector / np.linalg.norm(vector)


def _finger(name: str, base: NDArray, lengths: NDArray, axis: NDArray, dorsal: NDArray, radii: NDArray) -> Finger:
    dorsal = dorsal - (dorsal @ axis) * axis
    dorsal /= np.linalg.norm(dorsal)
    points, axes, normals = [base], [axis], [dorsal]
    for curl in np.deg2rad(REST_CURL):
        points.append(points[-1] + 1e-3 * lengths[len(points) - 1] * axes[-1])
        a, n = axes[-1], normals[-1]
        axes.append(np.cos(curl) * a - np.sin(curl) * n)
        normals.append(np.cos(curl) * n + np.sin(curl) * a)
    points.append(points[-1] + 1e-3 * lengths[-1] * axes[-1])
    return Finger(name, np.array(points), 1e-3 * radii, np.array(axes), np.array(normals))
