"""Rotations as six numbers (Zhou et al., "On the continuity of rotation representations", CVPR 2019), and turns."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def six_to_matrix(six: Tensor) -> Tensor:
    """(..., 6), the first two columns of a rotation, any length and not quite at right angles -> (..., 3, 3)."""
    one, two = six[..., :3], six[..., 3:]
    first = F.normalize(one, dim=-1)
    second = F.normalize(two - (first * two).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], -1)


def matrix_to_six(matrix: Tensor) -> Tensor:
    """Rotations (..., 3, 3) -> their first two columns (..., 6)."""
    return torch.cat([matrix[..., 0], matrix[..., 1]], -1)


def matrix_to_axis_angle(matrix: Tensor) -> Tensor:
    """Rotations (..., 3, 3) -> axis times angle (..., 3), rad, of 0 to π; gradients are finite everywhere.

    By way of the quaternion (w, x, y, z): its products with each of its four parts are sums of the matrix's entries,
    and the row of the largest part is the one that is well conditioned.
    """
    m = [[matrix[..., i, j] for j in range(3)] for i in range(3)]
    x, y, z = m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]
    xy, xz, yz = m[0][1] + m[1][0], m[0][2] + m[2][0], m[1][2] + m[2][1]
    rows = [
        [1 + m[0][0] + m[1][1] + m[2][2], x, y, z],
        [x, 1 + m[0][0] - m[1][1] - m[2][2], xy, xz],
        [y, xy, 1 - m[0][0] + m[1][1] - m[2][2], yz],
        [z, xz, yz, 1 - m[0][0] - m[1][1] + m[2][2]],
    ]
    products = torch.stack([torch.stack(row, -1) for row in rows], -2)
    best = products.diagonal(dim1=-2, dim2=-1).argmax(-1)
    row = products.gather(-2, best[..., None, None].expand(*best.shape, 1, 4))[..., 0, :]
    quaternion = F.normalize(row, dim=-1)
    quaternion = torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    w, vector = quaternion[..., :1], quaternion[..., 1:]
    sine = vector.square().sum(-1, keepdim=True).clamp(min=1e-12).sqrt()
    return vector * (2 * torch.atan2(sine, w) / sine)
