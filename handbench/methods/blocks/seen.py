"""The seen frame: the record's camera frame, turned (and mirrored) as the patch is, so that patches lie upright."""

from __future__ import annotations

import torch
from torch import Tensor


def patch_turn(affine: Tensor) -> tuple[Tensor, Tensor]:
    """Affines (B,2,3) from the frame to the patch -> turn (B,3,3), orthogonal: from the camera frame of the record to
    the seen one; and zoom (B,): pixels of the patch for one of the frame.
    """
    # in closed form: torch.linalg.det factorises, in half a dozen kernels
    zoom = (affine[:, 0, 0] * affine[:, 1, 1] - affine[:, 0, 1] * affine[:, 1, 0]).abs().sqrt()
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


def turned_rotations(rotations: Tensor, turn: Tensor, mirrored: Tensor) -> Tensor:
    """MANO rotations (B,16,3,3) of the record's camera frame as the seen, right-looking hand has them; with the
    transposed turn, back again.

    Of a mirrored hand each joint's rotation R is F R F with F = diag(-1, 1, 1); the root is turned with the camera.
    """
    flip = _flip(rotations, mirrored)
    root = turn.to(rotations.dtype) @ rotations[:, 0] @ flip[:, 0]
    return torch.cat([root[:, None], (flip @ rotations @ flip)[:, 1:]], 1)


def _flip(like: Tensor, mirrored: Tensor) -> Tensor:
    """(B,1,3,3): diag(-1, 1, 1) for mirrored hands, else the identity."""
    diagonal = torch.ones(len(mirrored), 3, dtype=like.dtype, device=like.device)
    diagonal[:, 0] = torch.where(mirrored, -1.0, 1.0)
    return torch.diag_embed(diagonal)[:, None]
