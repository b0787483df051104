"""The one z-buffer: a triangle mesh seen by a pinhole camera, exact at pixel centres (pixel (0, 0) is the centre of
the first pixel)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# A face that reaches nearer than this is left out whole: it cannot be projected.
NEAR = 1e-4
BACKGROUND = -1


@dataclass(frozen=True, eq=False)
class Raster:
    """What each pixel centre sees: depth (H, W) m along z (inf: nothing), face (H, W) int (-1: nothing), and the
    perspective-correct barycentric coordinates (H, W, 3) of the point seen (0: nothing).
    """

    depth: NDArray
    face: NDArray
    barycentric: NDArray

    @property
    def mask(self) -> NDArray:
        """Silhouette (H, W) bool."""
        return self.face >= 0

    def interpolate(self, faces: NDArray, values: NDArray) -> NDArray:
        """Values (V, C) of the vertices -> (P, C) at the P pixels of the mask, row by row, in their precision."""
        seen = np.flatnonzero(self.face >= 0)
        weights = self.barycentric.reshape(-1, 3)[seen].astype(values.dtype)
        corners = faces[self.face.ravel()[seen]]
        return sum(weights[:, k, None] * values[corners[:, k]] for k in range(3))


def rasterise(vertices: NDArray, faces: NDArray, camera: NDArray, size: tuple[int, int], cull: bool = False) -> Raster:
    """The nearest surface at every pixel centre.

    vertices (V, 3) m in the camera frame (x right, y down, z forward), faces (F, 3), camera (3, 3) with last row
    [0 0 1], size (width, height) in pixels. `cull` leaves out the faces that turn away from the camera (their
    corners run clockwise seen from the outside): on a closed mesh the result is the same, in less time.

    1/z is linear in the image, so that depth is interpolated as 1 / sum(b_i / z_i) with b the barycentric
    coordinates in the image, and those of the surface are b_i / z_i * z.
    """
    width, height = size
    empty = Raster(np.full((height, width), np.inf), np.full((height, width), BACKGROUND), np.zeros((height, width, 3)))
    projected = vertices @ camera.T
    z = projected[:, 2]
    usable = (z > NEAR)[faces].all(1)
    inverse = 1.0 / np.where(z > NEAR, z, 1.0)
    corners = (projected[:, :2] * inverse[:, None])[faces]  # (F, 3, 2)

    area = _area(corners)
    usable &= area < 0 if cull else area != 0
    index = np.flatnonzero(usable)
    pair, row = _rows(corners[index], height)
    if not len(pair):
        return empty
    left, right = _spans(corners[index[pair]], row, width)
    count = np.maximum(right - left + 1, 0)
    which = np.repeat(np.arange(len(pair)), count)
    x = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count) + left[which]
    if not len(x):
        return empty

    # Affine in the image: b1 = g1 . (x, y, 1), and so on; evaluated per row, then per pixel.
    face = index[pair]
    weight = _image_weights(corners[face], area[face])  # (R, 3, 3)
    weight *= inverse[faces[face]][:, :, None]  # b_i / z_i
    start = weight[:, :, 1] * row[:, None] + weight[:, :, 2]
    total_step, total_start = weight[:, :, 0].sum(1), start.sum(1)
    inverse_depth = total_start[which] + total_step[which] * x
    pixel = (row * width)[which] + x

    nearest = np.zeros(height * width)
    np.maximum.at(nearest, pixel, inverse_depth)
    winner = np.flatnonzero(inverse_depth == nearest[pixel])
    shown, line = pixel[winner], which[winner]

    depth, seen, barycentric = empty.depth.ravel(), empty.face.ravel(), empty.barycentric.reshape(-1, 3)
    here = 1.0 / inverse_depth[winner]
    depth[shown] = here
    seen[shown] = face[line]
    barycentric[shown] = (start[line] + weight[line, :, 0] * x[winner][:, None]) * here[:, None]
    return empty


def silhouette(vertices: NDArray, faces: NDArray, camera: NDArray, size: tuple[int, int]) -> NDArray:
    """Which pixel centres (H, W) bool the mesh covers, itself unoccluded (the amodal mask).

    The mask of `rasterise`, without its depth: each row of each triangle adds one where it begins and takes one away
    behind its end.
    """
    width, height = size
    corners, kept = _corners(vertices, faces, camera)
    pair, row = _rows(corners[kept], height)
    left, right = _spans(corners[kept[pair]], row, width)
    some = right >= left
    left, right, row = left[some], right[some], row[some]
    mask = np.zeros((height, width), bool)
    if not len(row):
        return mask
    # only in the box around it
    x, y, wide, high = left.min(), row.min(), right.max() - left.min() + 2, row.max() - row.min() + 1
    begin = (row - y) * wide - x
    steps = np.bincount(begin + left, minlength=high * wide) - np.bincount(begin + right + 1, minlength=high * wide)
    mask[y : y + high, x : x + wide - 1] = (np.cumsum(steps.reshape(high, wide), axis=1) > 0)[:, :-1]
    return mask


def _corners(vertices: NDArray, faces: NDArray, camera: NDArray) -> tuple[NDArray, NDArray]:
    """Corners (F, 3, 2) of the faces in the image, and which faces have an area there and can be projected."""
    projected = vertices @ camera.T
    z = projected[:, 2]
    corners = (projected[:, :2] / np.where(z > NEAR, z, 1.0)[:, None])[faces]
    return corners, np.flatnonzero((z > NEAR)[faces].all(1) & (_area(corners) != 0))


def _area(corners: NDArray) -> NDArray:
    """Twice the signed area (F,); in an image with y down, negative for a face that is seen from its outside."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    return (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])


def _rows(corners: NDArray, height: int) -> tuple[NDArray, NDArray]:
    """Every (triangle, pixel row) pair that can meet: indices into corners (F, 3, 2), and rows."""
    top = np.maximum(np.ceil(corners[:, :, 1].min(1)), 0).astype(np.int64)
    bottom = np.minimum(np.floor(corners[:, :, 1].max(1)), height - 1).astype(np.int64)
    count = np.maximum(bottom - top + 1, 0)
    pair = np.repeat(np.arange(len(corners)), count)
    row = np.arange(len(pair)) - np.repeat(np.cumsum(count) - count, count) + top[pair]
    return pair, row


def _spans(corners: NDArray, row: NDArray, width: int) -> tuple[NDArray, NDArray]:
    """First and last pixel column, inclusive, of each triangle (R, 3, 2) on its row (R,)."""
    low, high = np.full(len(row), np.inf), np.full(len(row), -np.inf)
    for i, j in ((0, 1), (1, 2), (2, 0)):
        x0, y0, x1, y1 = corners[:, i, 0], corners[:, i, 1], corners[:, j, 0], corners[:, j, 1]
        crosses = (np.minimum(y0, y1) <= row) & (row <= np.maximum(y0, y1))
        rise = np.where(y1 == y0, 1.0, y1 - y0)
        x = x0 + (row - y0) / rise * (x1 - x0)
        # An edge that lies in the row contributes both its ends; the other two edges bring the second.
        low = np.where(crosses, np.minimum(low, x), low)
        high = np.where(crosses, np.maximum(high, x), high)
    left = np.maximum(np.ceil(np.where(np.isfinite(low), low, 1.0)), 0).astype(np.int64)
    right = np.minimum(np.floor(np.where(np.isfinite(high), high, 0.0)), width - 1).astype(np.int64)
    return left, right


def _image_weights(corners: NDArray, area: NDArray) -> NDArray:
    """Rows (R, 3, 3) g_i with g_i . (x, y, 1) = the i-th barycentric coordinate in the image."""
    x, y = corners[:, :, 0], corners[:, :, 1]
    rows = []
    for i, j in ((1, 2), (2, 0), (0, 1)):
        rows.append(np.stack([y[:, i] - y[:, j], x[:, j] - x[:, i], x[:, i] * y[:, j] - x[:, j] * y[:, i]], -1))
    return np.stack(rows, 1) / area[:, None, None]
