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
