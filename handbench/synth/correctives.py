"""Pose blend shapes of the synthetic hand: what bending does to the flesh beyond skinning.

MANO's pose blend shapes are linear in R - I. For a turn by t about a unit axis a, R - I = sin(t) [a] + (1 - cos(t))
[a]^2 (Rodrigues), and [a] and [a]^2 are orthogonal with squared length 2: a displacement field put on [a] / 2 is
driven by sin(t), one put on [a]^2 / 2 by 1 - cos(t).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handbench.synth.skeleton import MANO_FINGERS, Skeleton
from handbench.synth.topology import Topology

# Metres at full effect, for a joint of 10 mm half-width: the knuckle that skinning flattens, the pad that is squeezed
# out on the palm side, and the little that abduction and twist move.
KNUCKLE, PAD, SIDEWAYS = 0.0018, 0.0012, 0.0004


def pose_directions(points: NDArray, labels: Topology, bones: Skeleton, frames: NDArray) -> NDArray:
    """Pose blend shapes (778, 3, 135) m for rest vertices (778, 3); frames (15, 3, 3) as `poses.joint_frames`."""
    directions = np.zeros((len(points), 3, 135))
    joint = 0
    for name in MANO_FINGERS:
        finger = bones.fingers[name]
        for k in range(3):
            radius = finger.radii[k]
            offset = points - finger.points[k]
            flexion, dorsal, axis = frames[joint].T
            local = offset @ frames[joint]  # across, up, along
            near = np.exp(-((local / (radius * np.array([1.1, 1.4, 0.9]))) ** 2).sum(1))
            near *= (labels.part == name) | (labels.part == "palm")
            # Ahead of the joint the pad is pushed forwards, behind it backwards.
            top, bottom = near * _side(local[:, 1] / radius), near * _side(-local[:, 1] / radius)
            scale = radius / 0.010
            bent = KNUCKLE * scale * top[:, None] * dorsal - 0.5 * PAD * scale * bottom[:, None] * dorsal
            ahead = np.tanh(local[:, 2] / (0.5 * radius))
            spread = PAD * scale * (bottom * ahead)[:, None] * axis
            across = np.tanh(local[:, 0] / radius)
            sideways = SIDEWAYS * scale * (near * across)[:, None] * flexion
            fields = (
                (flexion, spread, bent),
                (dorsal, sideways, 0.5 * sideways),
                (axis, SIDEWAYS * scale * near[:, None] * dorsal, 0.5 * sideways),
            )
            for about, odd, even in fields:
                skew = _skew(about)
                block = directions[:, :, 9 * joint : 9 * joint + 9]
                block += odd[:, :, None] * (skew / 2).ravel() + even[:, :, None] * (skew @ skew / 2).ravel()
            joint += 1
    return directions


def _side(t: NDArray) -> NDArray:
    return 0.5 + 0.5 * np.tanh(3 * t)


def _skew(a: NDArray) -> NDArray:
    return np.array([[0, -a[2], a[1]], [a[2], 0, -a[0]], [-a[1], a[0], 0]])
