"""The seen frame: the record's camera frame, turned (and mirrored) as the patch is, so that patches lie upright."""

from __future__ import annotations

import torch
from torch import Tensor


def patch_turn(affine: Tensor) -> tuple[Tensor, Tensor]:
    """Affines (B,2,3) from the frame to the patch -> turn (B,3,3), orthogonal: from the camera frame of the record to
    the seen one; and zoom (B,): pixels of the patch for one of the frame.
    """
    zoom = torch.linalg.det(affine[..., :2]).abs().sqrt()
    turn = torch.zeros_like(affine[:, :1].expand(-1, 3, 3)).contiguous()
    turn[:, :2, :2] = affine[..., :2] / zoom[:, None, None]
    turn[:, 2, 2] = 1.0
    return turn, zoom


def seen(points: Tensor, turn: Tensor) -> Tensor:
    """Points (B,P,3) of the record's camera frame in the seen one."""
    return points @ turn.to(points.dtype).transpose(1, 2)


def unseen(points: Tensor, turn: Tensor) -> Tensor:
    """The inverse of `seen`."""
    return points @ turn.to(points.dtype)
