"""What prep stores of a full frame: the window around the hand, twice its box, pixel by pixel as it was.

The window is cut at whole pixels and ends where the frame ends, so that nothing is resampled or made up; methods warp
once, from it.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from handbench.hands.camera import crop_camera
from handbench.layouts.images import encode_bgr

# side of the window as a multiple of the box's longer side
CONTEXT = 2.0
# where less of the frame is left, the hand is not in it: the whole frame is kept
LEAST = 16
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
# level 1: half the time of the usual level for 2 % more bytes
PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]
ORIGINAL, AS_JPEG, AS_PNG = "original bytes", "JPEG 95 4:4:4", "PNG"
# depth is kept as whole numbers of this, m; 0: nothing measured
DEPTH_UNIT = 1e-4


def windows(boxes: NDArray, size: tuple[int, int], context: float = CONTEXT) -> NDArray:
    """Boxes xyxy (N, 4) px in a frame of `size` (width, height) -> windows (N, 4) left, top, right, bottom; the last
    two are not part of it. A box that is NaN, or that the frame does not have, gives the whole frame.
    """
    boxes = np.asarray(boxes, np.float64)
    whole = np.array([0, 0, *size], np.int64)
    known = np.isfinite(boxes).all(1, keepdims=True)
    boxes = np.where(known, boxes, whole)
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(1, keepdims=True) * context / 2
    # far outside numbers must not overflow
    low = np.clip(np.floor(middle - half + 0.5), 0, size)
    high = np.clip(np.ceil(middle + half + 0.5), 0, size)
    found = np.concatenate([low, high], 1).astype(np.int64)
    small = ((found[:, 2:] - found[:, :2]) < LEAST).any(1, keepdims=True) | ~known
    return np.where(small, whole, found)


def cut(image: NDArray, window: NDArray) -> NDArray:
    """The part of an image (H, W[, C]) in a window (4,)."""
    left, top, right, bottom = window.tolist()
    return image[top:bottom, left:right]


def encode_crop(image: NDArray, lossless: bool) -> bytes:
    """BGR (H, W, 3) uint8 -> JPEG 95 4:4:4, or PNG."""
    return encode_bgr(image, PNG, ".png") if lossless else encode_bgr(image, JPEG)


def encode_mask(mask: NDArray) -> bytes:
    """(H, W) bool, the hand's visible pixels -> PNG of 0 and 255."""
    return encode_bgr(np.where(mask, np.uint8(255), np.uint8(0)), PNG, ".png")


def encode_depth(metres: NDArray) -> bytes:
    """Depth (H, W) m, 0 or not finite where there is none -> PNG of 16 bits in `DEPTH_UNIT`; beyond 6.5 m: none."""
    steps = np.rint(np.asarray(metres, np.float64) / DEPTH_UNIT)
    return encode_bgr(np.where((steps > 0) & (steps < 2**16), steps, 0).astype(np.uint16), PNG, ".png")


def crop_fields(found: NDArray, boxes: NDArray, camera: NDArray, size: tuple[int, int]) -> dict[str, Any]:
    """The fields of `Hands` that windows (N, 4) of frames of `size` with `camera` (N, 3, 3) and boxes (N, 4) make:
    image_size, camera, box, frame_size, frame_camera, crop.
    """
    n = len(found)
    crop = np.zeros((n, 2, 3))
    crop[:, [0, 1], [0, 1]] = 1.0
    crop[:, :, 2] = -found[:, :2]
    return {
        "image_size": found[:, 2:] - found[:, :2],
        "camera": crop_camera(crop, camera),
        "box": np.asarray(boxes, np.float64) - np.tile(found[:, :2], 2),
        "frame_size": np.tile(np.array(size), (n, 1)),
        "frame_camera": np.asarray(camera, np.float64),
        "crop": crop,
    }
