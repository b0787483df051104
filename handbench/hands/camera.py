"""Pinhole cameras and crops: OpenCV frame, pixels; pixel (0, 0) is the centre of the first pixel.

A crop is an affine `A` (2, 3) from the pixels of one image to those of another, `uv' = A [u, v, 1]`. The crop's
camera is `K' = [A; 0 0 1] K`: it need not be upper triangular when the crop is rotated, and it projects the same 3D
points without moving them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def project(points: NDArray, camera: NDArray) -> NDArray:
    """Points (..., P, 3) m in the camera frame, camera (..., 3, 3) -> pixels (..., P, 2): uv = K x / z."""
    homogeneous = points @ np.swapaxes(camera, -1, -2)
    return homogeneous[..., :2] / homogeneous[..., 2:]


def unproject(pixels: NDArray, depth: NDArray, camera: NDArray) -> NDArray:
    """Pixels (..., P, 2) at depth (..., P) m, camera (..., 3, 3) -> points (..., P, 3) m in the camera frame."""
    ones = np.ones_like(pixels[..., :1])
    rays = np.concatenate([pixels, ones], -1) @ np.swapaxes(np.linalg.inv(camera), -1, -2)
    # A crop's camera has [0 0 1] as its last row, so every ray has z = 1.
    return rays * depth[..., None]


def apply_affine(affine: NDArray, pixels: NDArray) -> NDArray:
    """Affine (..., 2, 3) on pixels (..., P, 2)."""
    return pixels @ np.swapaxes(affine[..., :2], -1, -2) + affine[..., None, :, 2]


def invert_affine(affine: NDArray) -> NDArray:
    """The affine (..., 2, 3) that undoes `affine`."""
    linear = np.linalg.inv(affine[..., :2])
    return np.concatenate([linear, -linear @ affine[..., 2:]], -1)


def crop_camera(affine: NDArray, camera: NDArray) -> NDArray:
    """The camera (..., 3, 3) of the image that `affine` (..., 2, 3) makes from the image of `camera`."""
    shape = np.broadcast_shapes(affine.shape[:-2], camera.shape[:-2])
    full = np.zeros((*shape, 3, 3))
    full[..., :2, :] = affine
    full[..., 2, 2] = 1.0
    return full @ camera


def joint_box(pixels: NDArray) -> NDArray:
    """The box xyxy (..., 4) around pixels (..., P, 2); NaN points are left out (all NaN gives NaN)."""
    finite = np.isfinite(pixels).all(-1, keepdims=True)
    low = np.where(finite, pixels, np.inf).min(-2)
    high = np.where(finite, pixels, -np.inf).max(-2)
    box = np.concatenate([low, high], -1)
    return np.where(np.isfinite(box), box, np.nan)


def square_crop(box: NDArray, size: int, margin: float = 1.0, rotation: NDArray | float = 0.0) -> NDArray:
    """The affine (..., 2, 3) that takes the square around box (..., 4) xyxy, `margin` times as wide, to `size` pixels.

    `rotation` (radians, clockwise as seen in the image) turns the content about the middle of the box.
    The square's outer edge goes to the outer edge of the image: half a pixel beyond its first and last centres.
    """
    box = np.asarray(box, np.float64)
    middle = (box[..., :2] + box[..., 2:]) / 2
    side = (box[..., 2:] - box[..., :2]).max(-1) * margin
    scale = size / side
    cos, sin = np.cos(rotation) * scale, np.sin(rotation) * scale
    linear = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    shift = (size - 1) / 2 - (linear @ middle[..., None])[..., 0]
    return np.concatenate([linear, shift[..., None]], -1)
