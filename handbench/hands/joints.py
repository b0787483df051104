"""Joint orders, their permutations, and the fingertip vertices that each of them was made with.

The order of handbench is FH21: wrist, then thumb, index, middle, ring, little, each from base to tip
(FreiHAND, OpenPose, DexYCB and the output of manopth).
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from handbench.errors import UsageError

FINGERS = ("thumb", "index", "middle", "ring", "little")
WRIST, MIDDLE_MCP, MIDDLE_PIP = 0, 9, 10

# The field calls the thumb's joints by the same words as the other fingers' (CLIP-Hand3D's prompts do too).
JOINT_NAMES: tuple[str, ...] = (
    "wrist",
    *(f"{finger} {joint}" for finger in FINGERS for joint in ("MCP", "PIP", "DIP", "fingertip")),
)

# The 20 bones as (parent, child) in FH21.
BONES: tuple[tuple[int, int], ...] = tuple(
    (0 if j == 0 else 4 * f + j, 4 * f + j + 1) for f in range(5) for j in range(4)
)

KNUCKLES: tuple[tuple[int, int], ...] = ((5, 9), (9, 13), (13, 17))

# joints_fh21 = joints_source[..., ORDERS[source], :]
ORDERS: MappingProxyType[str, tuple[int, ...]] = MappingProxyType(
    {
        # FreiHAND, DexYCB, HanCo, OpenPose, manopth
        "fh21": tuple(range(21)),
        # HO-3D and raw MANO: 16 joints (index, middle, little, ring, thumb), then tips thumb..little
        "ho3d": (0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20),
        # RHD, one hand: wrist, then each finger from tip to base
        "rhd": (0, 4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13, 20, 19, 18, 17),
        # STB: palm centre (not the wrist), then little, ring, middle, index, thumb, each base to tip
        "stb": (0, 17, 18, 19, 20, 13, 14, 15, 16, 9, 10, 11, 12, 5, 6, 7, 8, 1, 2, 3, 4),
    }
)

# MANO's 16 joints within FH21, in MANO's own order: FH21 index of MANO joint i.
MANO16_IN_FH21: tuple[int, ...] = (0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3)

# Vertices of MANO's topology that stand for the fingertips: thumb, index, middle, ring, little. Six right-hand sets
# are in circulation; an error on tips computed with another set is off by several millimetres.
FINGERTIPS: MappingProxyType[str, tuple[int, int, int, int, int]] = MappingProxyType(
    {
        "freihand": (744, 320, 443, 555, 672),  # freihand: utils/mano_utils.py
        "manopth": (745, 317, 444, 556, 673),  # manopth: manolayer.py; DexYCB's truth
        "manopth-left": (745, 317, 445, 556, 673),  # the same, left hands
        "ho3d": (728, 353, 442, 576, 694),  # HOnnotate: batch_mano.py; HO-3D's truth
        "ho3d-setup": (744, 333, 444, 555, 672),  # ho3d: setup_mano.py; CMR, CLIP-Hand3D
        "smplx": (744, 320, 443, 554, 671),  # smplx: vertex_ids; HaMeR
        "meshgraphormer": (745, 317, 445, 556, 673),  # MeshGraphormer's regressor
    }
)


def to_fh21(joints: NDArray, order: str) -> NDArray:
    """Joints (..., 21, C) in the named order -> the same in FH21."""
    return joints[..., permutation(order), :]


def from_fh21(joints: NDArray, order: str) -> NDArray:
    """Joints (..., 21, C) in FH21 -> the same in the named order."""
    return joints[..., np.argsort(permutation(order)), :]


def permutation(order: str) -> NDArray:
    """Indices p with `fh21 = source[p]`; raises UsageError for an unknown order."""
    try:
        return np.array(ORDERS[order])
    except KeyError:
        raise UsageError(f"Unknown joint order {order!r}.", f"Known orders: {', '.join(ORDERS)}.") from None


def detect_order(joints: NDArray) -> tuple[str, dict[str, float]]:
    """Which known order fits (N, 21, 3) joints best without a reference, and the score of each (lower is better).

    The score is the mean length, relative to the extent of the hand, of the 20 bones and of the three gaps between the
    knuckles of index, middle, ring and little: read in a wrong order, they jump from finger to finger and are long.
    A penalty on bones that grow towards the tip tells base-to-tip from tip-to-base. Needs no scale, unit, axes or
    side, and works where joint 0 is the palm.
    """
    usable = np.isfinite(joints).all((1, 2))
    points = joints[usable].astype(np.float64)
    extent = np.linalg.norm(points - points.mean(1, keepdims=True), axis=-1).mean(1)
    parents, children = np.array((*BONES, *KNUCKLES)).T
    scores = {}
    for order in ORDERS:
        read = to_fh21(points, order)
        length = np.linalg.norm(read[:, children] - read[:, parents], axis=-1)
        phalanges = length[:, : len(BONES)].reshape(-1, 5, 4)[:, :, 1:]
        growth = np.maximum(np.diff(phalanges, axis=-1), 0.0).mean((1, 2))
        ratio = (length.mean(1) + growth) / np.maximum(extent, np.finfo(float).tiny)
        scores[order] = float(ratio.mean()) if len(ratio) else np.nan
    return min(scores, key=lambda name: scores[name]), scores
