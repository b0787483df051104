"""Alignments of predicted points to true ones, batched, in float64.

All take `target` and `points` (N, K, 3) in one unit and frame and return `points` moved, in the unit and frame of
`target`. `valid` (N, K) says which points of the target exist: only those decide the motion, all are moved.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handbench.errors import InvalidError

# Added to both norms by the official scripts. It leaves some 4e-6 mm on an exact prediction and makes the result
# depend on the unit at that level: align in the unit of the official script.
OFFICIAL_EPSILON = 1e-8

# Below this ratio of smallest to largest singular value the points are flat or straight, and a rotation does as
# well as a reflection: the sign of the determinant then says nothing.
FLAT = 1e-12


class OfficialFit(NamedTuple):
    """What the official alignment found, sample by sample.

    rotation (N,3,3)   orthogonal, determinant +1 or -1: aligned rows are `row @ rotation.T`
    scale (N,)         of the points divided by their norm, when the target is divided by its own
    target_norm, points_norm (N,)         Frobenius norms of the centred sets, epsilon added
    target_centre, points_centre (N,1,3)
    reflected (N,)     bool: the best orthogonal matrix is a reflection
    """

    rotation: NDArray
    scale: NDArray
    target_norm: NDArray
    points_norm: NDArray
    target_centre: NDArray
    points_centre: NDArray
    reflected: NDArray


def fit_official(target: ArrayLike, points: ArrayLike, valid: ArrayLike | None = None) -> OfficialFit:
    """The transform of the official scripts (freihand: eval.py align_w_scale; HO-3D and DexYCB use the same).

    Centre, divide by Frobenius norm + 1e-8, orthogonal Procrustes without a check of the determinant.
    Raises InvalidError naming the sample for NaN or infinity.
    """
    a, b, mask = _prepare(target, points, valid)
    target_centre, a = _centre(a, mask)
    points_centre, b = _centre(b, mask)
    target_norm = np.sqrt(_square(a)) + OFFICIAL_EPSILON
    points_norm = np.sqrt(_square(b)) + OFFICIAL_EPSILON
    covariance = np.swapaxes(a, 1, 2) @ b / (target_norm * points_norm)[:, None, None]
    u, s, vt = np.linalg.svd(covariance)
    rotation = u @ vt
    # Points that differ by rounding only have no shape that could be reflected.
    extended = points_norm > OFFICIAL_EPSILON + FLAT * np.abs(points_centre).max((1, 2))
    reflected = (np.linalg.det(rotation) < 0) & (s[:, 2] > FLAT * s[:, 0]) & extended
    return OfficialFit(rotation, s.sum(1), target_norm, points_norm, target_centre, points_centre, reflected)


def procrustes_official(
    target: ArrayLike, points: ArrayLike, valid: ArrayLike | None = None
) -> tuple[NDArray, NDArray]:
    """`procrustes-official`: rotation or reflection, scale, translation -> aligned (N, K, 3), reflected (N,) bool.

    A wrong-handed hand is mirrored back and scores about 0: report how many samples were reflected. Where all points
    are equal they go to the centre of the target. A sample counts as reflected where the determinant is negative and
    the points are neither flat nor straight (there, a rotation gives the same).
    Raises InvalidError naming the sample for NaN or infinity.
    """
    fit = fit_official(target, points, valid)
    scale = fit.scale * fit.target_norm / fit.points_norm
    turn = np.swapaxes(fit.rotation, 1, 2) * scale[:, None, None]
    return (np.asarray(points, np.float64) - fit.points_centre) @ turn + fit.target_centre, fit.reflected


def move_official(fit: OfficialFit, mesh: ArrayLike) -> NDArray:
    """A mesh (N, V, 3) of any topology, moved by the transform that was found on the joints.

    As the official script does for a mesh that is not MANO's (freihand: eval.py align_by_trafo): turned and scaled
    about the mesh's own mean, then shifted by the difference of the joints' centres. The scale is applied without
    dividing by the norm of the predicted joints, so the mesh shrinks; that is the official number.
    """
    mesh = np.asarray(mesh, np.float64)
    _require_finite(mesh, "mesh")
    centre = mesh.mean(1, keepdims=True)
    turned = (mesh - centre) @ np.swapaxes(fit.rotation, 1, 2)
    moved = turned * fit.scale[:, None, None] * fit.target_norm[:, None, None]
    return moved + (fit.target_centre - fit.points_centre) + centre


def procrustes(target: ArrayLike, points: ArrayLike, valid: ArrayLike | None = None) -> NDArray:
    """`procrustes`: rotation (determinant +1), scale, translation -> aligned (N, K, 3).

    The similarity of Umeyama (TPAMI 1991, eq. 40-42) as in HaMeR and HandOccNet, without their NaN: where all points
    are equal, every scale gives the same point, and they go to the centre of the target.
    Raises InvalidError naming the sample for NaN or infinity.
    """
    return _proper(target, points, valid, scaled=True)


def rigid(target: ArrayLike, points: ArrayLike, valid: ArrayLike | None = None) -> NDArray:
    """`rigid`: rotation (determinant +1) and translation -> aligned (N, K, 3) (Kabsch). Raises as `procrustes`."""
    return _proper(target, points, valid, scaled=False)


def root_align(points: ArrayLike, root: ArrayLike) -> NDArray:
    """Points (N, K, 3) relative to their own root (N, 3). A NaN root makes the sample NaN."""
    return np.asarray(points, np.float64) - np.asarray(root, np.float64)[:, None, :]


def _proper(target: ArrayLike, points: ArrayLike, valid: ArrayLike | None, scaled: bool) -> NDArray:
    a, b, mask = _prepare(target, points, valid)
    target_centre, a = _centre(a, mask)
    points_centre, b = _centre(b, mask)
    u, s, vt = np.linalg.svd(np.swapaxes(b, 1, 2) @ a)
    sign = np.where(np.linalg.det(u @ vt) < 0, -1.0, 1.0)
    # The weakest direction pays for a reflection: flip it, in the rotation and in the trace.
    u[:, :, 2] *= sign[:, None]
    s[:, 2] *= sign
    turn = u @ vt
    if scaled:
        variance = _square(b)
        # points that differ by rounding only have no scale
        extended = variance > (FLAT * np.abs(points_centre).max((1, 2))) ** 2
        turn = turn * np.divide(s.sum(1), variance, out=np.zeros_like(variance), where=extended)[:, None, None]
    return (np.asarray(points, np.float64) - points_centre) @ turn + target_centre


def _prepare(target: ArrayLike, points: ArrayLike, valid: ArrayLike | None) -> tuple[NDArray, NDArray, NDArray | None]:
    a, b = np.asarray(target, np.float64), np.asarray(points, np.float64)
    if a.ndim != 3 or a.shape[2] != 3 or a.shape != b.shape:
        raise InvalidError(f"Cannot align points {b.shape} to {a.shape}.", "Both must be (samples, points, 3).")
    mask = None
    if valid is not None:
        mask = np.asarray(valid, bool)[..., None]
        a, b = np.where(mask, a, 0.0), np.where(mask, b, 0.0)
    _require_finite(a, "target")
    _require_finite(b, "points")
    return a, b, mask


def _require_finite(points: NDArray, what: str) -> None:
    bad = ~np.isfinite(points).all((1, 2))
    if bad.any():
        raise InvalidError(
            f"Sample {int(np.argmax(bad))} of the {what} has NaN or infinity ({int(bad.sum())} such samples).",
            "Every point needs three finite coordinates.",
        )


def _square(points: NDArray) -> NDArray:
    """Sum of squares (N,) of (N, K, 3)."""
    return np.einsum("nki,nki->n", points, points)


def _centre(points: NDArray, mask: NDArray | None) -> tuple[NDArray, NDArray]:
    """Mean (N, 1, 3) of the valid points, and the points less that mean (0 where not valid)."""
    # a product with ones sums the middle axis several times faster than `sum`
    total = np.ones((1, points.shape[1])) @ points
    if mask is None:
        mean = total / points.shape[1]
        return mean, points - mean
    mean = total / np.maximum(mask.sum(1, keepdims=True), 1)
    return mean, np.where(mask, points - mean, 0.0)
