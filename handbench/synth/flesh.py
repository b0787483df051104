"""The skin as the zero level of a smooth union of tapered capsules laid over the bones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handbench.synth.skeleton import Skeleton

# How far apart two capsules still melt into each other, m.
PALM_BLEND = 0.0042
FINGER_BLEND = 0.0015

# Capsules of the palm: from and to (distal, dorsal, radial) from the wrist and radii there, all mm.
PALM = (
    ((-34, 0, 11.5), (6, 0, 11), 14.0, 13.0),  # forearm, thumb side
    ((-34, 0, -12.5), (6, -1, -11), 13.0, 12.0),  # forearm, little finger's side
    ((6, 0, 12), (88, 0.0, 23.0), 11.0, 9.6),  # the four metacarpals
    ((6, 0.5, 4), (90, 1.5, 2.5), 11.0, 10.0),
    ((6, 0.5, -6), (84, 0.0, -16.5), 11.0, 9.4),
    ((6, 0, -13), (76, -4.5, -33.0), 10.5, 8.4),
    ((8, -7.5, -17), (60, -9, -35.0), 12.0, 8.2),  # hypothenar pad
    ((94, -5.5, 23), (98, -4.5, 2.5), 7.0, 7.5),  # pads under the knuckles
    ((98, -4.5, 2.5), (92, -5.5, -17), 7.5, 7.0),
    ((92, -5.5, -17), (82, -8, -34), 7.0, 6.0),
    ((12, -8.5, 15), (46, -14, 27), 11.5, 9.8),  # thenar pad
    ((40, -8, 33), (70, -4, 27), 6.5, 5.5),  # web between thumb and index
)  # fmt: skip
# Webs between neighbouring fingers: how far along the two proximal phalanges, and radius, mm.
WEBS = (("index", "middle", 0.26, 5.4), ("middle", "ring", 0.24, 5.4), ("ring", "little", 0.17, 4.6))

# Pulps, the palmar pad of each phalanx: from and to along it, radius and depth in half-widths of the finger.
PULPS = ((0.35, 0.75, 0.62, 0.42), (0.3, 0.7, 0.66, 0.42), (0.3, 0.62, 0.8, 0.3))


@dataclass(frozen=True, eq=False)
class Flesh:
    """Tapered capsules: start, end (C, 3) m, radii r0, r1 (C,) m, blend (C,) m, and `part` (C,) the finger's name, or
    `palm`.
    """

    start: NDArray
    end: NDArray
    r0: NDArray
    r1: NDArray
    blend: NDArray
    part: NDArray

    def distance(self, points: NDArray, active: NDArray) -> tuple[NDArray, NDArray]:
        """Signed distance (P,) m, negative inside, and its gradient (P, 3), at points (P, 3).

        `active` (P, C) bool says which capsules each point feels: a finger's skin does not melt into the next finger.
        """
        bone = self.end - self.start
        offset = points[:, None] - self.start
        along = np.clip(np.einsum("pcx,cx->pc", offset, bone) / (bone**2).sum(1), 0.0, 1.0)
        away = offset - along[..., None] * bone
        length = np.linalg.norm(away, axis=-1)
        signed = length - (self.r0 + along * (self.r1 - self.r0))
        # Log-sum-exp union; each pair melts over the smaller blend of the two.
        nearest = np.where(active, signed, np.inf).min(1, keepdims=True)
        weight = np.where(active, np.exp(-(signed - nearest) / self.blend), 0.0)
        total = weight.sum(1)
        share = weight / total[:, None]
        blend = share @ self.blend
        gradient = np.einsum("pc,pcx->px", share / np.maximum(length, 1e-9), away)
        return nearest[:, 0] - blend * np.log(total), gradient

    def project(self, points: NDArray, active: NDArray, steps: int = 1) -> NDArray:
        """Points (P, 3) moved onto the skin by Newton steps along the gradient."""
        for _ in range(steps):
            distance, gradient = self.distance(points, active)
            points = points - (distance / np.maximum((gradient**2).sum(1), 0.05))[:, None] * gradient
        return points


def flesh(bones: Skeleton) -> Flesh:
    """The capsules over these bones."""
    rows = []
    unit = 1e-3 * bones.size
    for start, end, r0, r1 in PALM:
        depth = bones.deep * (1 + 0.5 * (bones.thick - 1))
        rows.append((bones.place(*start), bones.place(*end), r0 * unit * depth, r1 * unit * depth, PALM_BLEND, "palm"))
    for first, second, along, radius in WEBS:
        ends = [
            f.points[0] + along * (f.points[1] - f.points[0]) - 2.0 * unit * f.dorsal[0]
            for f in (bones.fingers[first], bones.fingers[second])
        ]
        rows.append((*ends, radius * unit, radius * unit, PALM_BLEND, "palm"))
    for name, finger in bones.fingers.items():
        points, r = finger.points, finger.radii
        # The last capsule ends one radius before the end of the flesh.
        last = points[3] - r[3] * finger.axis[2]
        # Phalanges are slimmer between their joints; the first most, where the fingers part.
        middle = np.array([0.89, 0.93, 0.95]) * (r[:3] + r[1:]) / 2
        blend = PALM_BLEND if name == "thumb" else FINGER_BLEND
        for k, end in enumerate((points[1], points[2], last)):
            half = (points[k] + end) / 2
            rows.append((points[k], half, r[k], middle[k], blend if k == 0 else FINGER_BLEND, name))
            rows.append((half, end, middle[k], r[k + 1], FINGER_BLEND, name))
        for k, (a, b, size, depth) in enumerate(PULPS):
            if name == "thumb" and k == 0:
                continue
            end = last if k == 2 else points[k + 1]
            low = -finger.dorsal[k] * r[k + 1] * depth
            p, q = (points[k] + t * (end - points[k]) + low for t in (a, b))
            rows.append((p, q, size * r[k + 1], size * r[k + 1], FINGER_BLEND, name))
    start, end, r0, r1, blend, part = zip(*rows, strict=True)
    return Flesh(np.array(start), np.array(end), np.array(r0), np.array(r1), np.array(blend), np.array(part))
