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


def turn_of(affine: Tensor) -> tuple[Tensor, Tensor]:
    """Affines (B,2,3) from the frame to the patch, of one scale -> turn (B,3,3), orthogonal, from the camera's frame to
    the one that is rolled (and mirrored) with the patch; and the scale (B,).
    """
    zoom = torch.linalg.det(affine[..., :2]).abs().sqrt()
    turn = torch.zeros_like(affine[:, :1].expand(-1, 3, 3)).contiguous()
    turn[:, :2, :2] = affine[..., :2] / zoom[:, None, None]
    turn[:, 2, 2] = 1.0
    return turn, zoom
