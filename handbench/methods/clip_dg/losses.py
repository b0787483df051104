"""Heat-map targets and the supervised losses, eq. 2 and 3."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from handbench.methods.blocks.masked import masked_mean


def heat_targets(points: Tensor, cells: int, size: int, sigma: float) -> Tensor:
    """Points (B,21,2) px of a crop `size` wide -> exp(-d²/σ²) (B,21,cells,cells), d and σ in pixels of the crop.

    As in hand3d, without a 2 under σ². Cell i is centred at (i + 0.5) size/cells - 0.5.
    """
    centres = (torch.arange(cells, device=points.device, dtype=points.dtype) + 0.5) * (size / cells) - 0.5
    x, y = (-((centres - points[..., None]) / sigma).square()).exp().unbind(2)
    return y[..., :, None] * x[..., None, :]


def heat_loss(maps: Sequence[Tensor], true: Tensor, valid: Tensor) -> Tensor:
    """Sum over the score maps of their mean squared error, over joints (B,21) that are annotated."""
    return torch.stack([masked_mean((m.float() - true).square().mean((2, 3)), valid) for m in maps]).sum()


def pose_loss(predicted: Tensor, true: Tensor, valid: Tensor) -> Tensor:
    """Mean squared error of joints (B,21,3), in bone lengths, over those that are annotated (B,21)."""
    return masked_mean((predicted - true).square().mean(-1), valid)
