"""Alignments without a rotation: a scale, and a translation. Batched, in float64.

All take `target` and `points` (N, K, 3) in one unit and frame and return `points` moved, in the unit and frame of
`target`. `valid` (N, K) says which points of the target exist: where one that decides the motion does not, there is no
result, and the sample is NaN. None of them undoes a mirroring: a wrong-handed prediction stays wrong.
Raise InvalidError naming the sample for NaN or infinity in a point that exists, and for shapes that do not fit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handbench.errors import InvalidError
from handbench.hands.joints import MIDDLE_MCP, MIDDLE_PIP, WRIST

# A spread of points below this share of their distance from the origin is rounding, and no size.
NO_SIZE = 1e-12


def scale_translation(target: ArrayLike, points: ArrayLike, valid: ArrayLike | None = None) -> NDArray:
    """`scale-translation`: the bone wrist to middle MCP as long as the true one, then wrist onto wrist.

    FH21 joints (N, 21, 3) -> the same. Where the true bone has no length, the points shrink to the wrist. Where the
    predicted one has none, the official script still multiplies by the true length, a number that depends on the
    unit: so do we, and the official unit is metres.
    Source: ho3d: eval.py align_sc_tr.
    """
    return _by_bone(target, points, valid, (WRIST, MIDDLE_MCP), onto=WRIST, keep=False)


def scale_translation_stb(target: ArrayLike, points: ArrayLike, valid: ArrayLike | None = None) -> NDArray:
    """`scale-translation-stb`: the same bone as long as the true one, then middle MCP onto middle MCP.

    FH21 joints (N, 21, 3) -> the same. Where the predicted bone has no length, points keep their size; where the true
    one has none, they shrink to the middle MCP.
    Source: Minimal-Hand-pytorch: utils/align.py global_align with 'stb'; used there for STB and RHD.
    """
    return _by_bone(target, points, valid, (WRIST, MIDDLE_MCP), onto=MIDDLE_MCP, keep=True)


def root_scale(target: ArrayLike, points: ArrayLike, valid: ArrayLike | None = None) -> NDArray:
    """`root-scale`: the middle finger's first bone (FH21 9-10) as long as the true one, then wrist onto wrist.

    FH21 joints (N, 21, 3) -> the same; it gives a prediction the true root and scale. hand3d: eval_full.py multiplies
    what a network predicts in units of that bone by its true length: the same, where the predicted bone is 1 long and
    the predicted wrist at 0. Where the predicted bone has no length, points keep their size; where the true one has
    none, they shrink to the wrist.
    """
    return _by_bone(target, points, valid, (MIDDLE_MCP, MIDDLE_PIP), onto=WRIST, keep=True)


def centroid_scale(target: ArrayLike, points: ArrayLike, valid: ArrayLike | None = None) -> NDArray:
    """`centroid-scale`: centroid onto centroid, mean distance to it as the true one, over the valid points.

    Points (N, K, 3), any K -> the same; NaN for points that are not valid, and for all points of a sample with fewer
    than two that are. Valid predictions that all lie in one place stay so, at the true centroid.
    Source: Minimal-Hand-pytorch: utils/align.py global_align with 'do' (the finger tips of Dexter+Object).
    """
    a, b, mask = _prepare(target, points, valid)
    count = mask.sum(1)
    a, a_centre, a_size = _centred(a, mask, count)
    b, b_centre, b_size = _centred(b, mask, count)
    has_size = b_size > NO_SIZE * np.abs(b_centre).max((1, 2))
    scale = np.divide(a_size, b_size, out=np.zeros_like(a_size), where=has_size)
    moved = b * scale[:, None, None] + a_centre
    return np.where((mask & (count >= 2)[:, None])[..., None], moved, np.nan)


def _by_bone(
    target: ArrayLike, points: ArrayLike, valid: ArrayLike | None, bone: tuple[int, int], onto: int, keep: bool
) -> NDArray:
    """Scale so that the bone is as long as the true one, then move joint `onto` to its true place.

    Points whose bone has no length `keep` their size, or are multiplied by the true length.
    """
    a, b, mask = _prepare(target, points, valid)
    if a.shape[1] <= max(bone):
        raise InvalidError(f"Cannot scale {a.shape[1]} points by a bone.", "Give the 21 joints in FH21 order.")
    true, found = (np.linalg.norm(p[:, bone[1]] - p[:, bone[0]], axis=-1) for p in (a, b))
    has_length = found > 0
    size = np.where(has_length, true, 1.0) if keep else true
    # divided, then multiplied, as the official script does
    moved = np.asarray(points) / np.where(has_length, found, 1.0)[:, None, None] * size[:, None, None]
    moved = moved - moved[:, onto, None] + a[:, onto, None]
    decided = mask[:, bone[0]] & mask[:, bone[1]] & mask[:, onto]
    return np.where(decided[:, None, None], moved, np.nan)


def _centred(points: NDArray, mask: NDArray, count: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Points less their centroid, that centroid (N, 1, 3), and the summed distances to it (N,), of the valid ones."""
    centre = points.sum(1, keepdims=True) / np.maximum(count, 1)[:, None, None]
    moved = np.where(mask[..., None], points - centre, 0.0)
    return moved, centre, np.linalg.norm(moved, axis=-1).sum(1)


def _prepare(target: ArrayLike, points: ArrayLike, valid: ArrayLike | None) -> tuple[NDArray, NDArray, NDArray]:
    """Both in float64, 0 where not valid, and the mask (N, K)."""
    a, b = np.asarray(target, np.float64), np.asarray(points, np.float64)
    if a.ndim != 3 or a.shape[2] != 3 or a.shape != b.shape:
        raise InvalidError(f"Cannot align points {b.shape} to {a.shape}.", "Both must be (samples, points, 3).")
    mask = np.ones(a.shape[:2], bool) if valid is None else np.asarray(valid, bool)
    a, b = (np.where(mask[..., None], p, 0.0) for p in (a, b))
    for p, what in ((a, "target"), (b, "points")):
        bad = ~np.isfinite(p).all((1, 2))
        if bad.any():
            raise InvalidError(
                f"Sample {int(np.argmax(bad))} of the {what} has NaN or infinity ({int(bad.sum())} such samples).",
                "Every point needs three finite coordinates.",
            )
    return a, b, mask
