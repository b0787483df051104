"""Errors in the image, in pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handbench.errors import InvalidError
from handbench.hands.camera import project


def epe_2d(target_3d: ArrayLike, points_3d: ArrayLike, camera: ArrayLike, valid: ArrayLike | None = None) -> NDArray:
    """`epe-2d`: distance (N, K) in pixels of the projections of true and predicted points (N, K, 3).

    Points are in the camera frame, in any one unit; camera (N, 3, 3) or (3, 3) projects both. `valid` (N, K): NaN
    where the target does not exist. A point at or behind the camera (z <= 0) has no projection: NaN too, so
    `np.isnan(result) & valid` counts these. Raises InvalidError if shapes differ.
    """
    a, b = _same(target_3d, points_3d, 3)
    matrix = np.asarray(camera, np.float64)
    seen = [project(np.where(p[..., 2:] > 0, p, np.nan), matrix) for p in (a, b)]
    return epe_2d_points(seen[0], seen[1], valid)


def epe_2d_points(target_uv: ArrayLike, points_uv: ArrayLike, valid: ArrayLike | None = None) -> NDArray:
    """`epe-2d` of points that are in the image already (N, K, 2), in pixels -> (N, K); NaN where not valid."""
    a, b = _same(target_uv, points_uv, 2)
    distance = np.linalg.norm(b - a, axis=-1)
    return distance if valid is None else np.where(np.asarray(valid, bool), distance, np.nan)


def _same(target: ArrayLike, points: ArrayLike, axes: int) -> tuple[NDArray, NDArray]:
    a, b = np.asarray(target, np.float64), np.asarray(points, np.float64)
    if a.shape != b.shape or a.ndim != 3 or a.shape[2] != axes:
        raise InvalidError(
            f"Cannot compare points {b.shape} with {a.shape}.", f"Both must be (samples, points, {axes})."
        )
    return a, b
