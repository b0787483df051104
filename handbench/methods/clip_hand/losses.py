"""The losses of CLIP-Hand (section 3.7) beside L1: of the heat-maps, and the projection of the 2D loss."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from handbench.methods.blocks.masked import masked_mean


def project(points: Tensor, camera: Tensor) -> Tensor:
    """Weak perspective: (B,P,3) m and (s, tx, ty) (B,3) -> (B,P,2), -1 to 1 across the patch: s (xy + t)."""
    return camera[:, None, :1] * (points[..., :2] + camera[:, None, 1:])


def true_pixels(points: Tensor, camera: Tensor) -> Tensor:
    """Points (B,P,3) m in the record's frame -> pixels of the patch (B,P,2), by its true camera (B,3,3)."""
    return (points @ camera.transpose(1, 2))[..., :2] / points[..., 2:].clamp(min=1e-2)


def heatmap_targets(pixels: Tensor, side: int, cells: int, kind: Literal["onehot", "gauss"], sigma: float) -> Tensor:
    """Points (B,P,2) px in a patch of `side` pixels -> maps (B,P,cells²) of sum 1, [row, column].

    `onehot`: the cell that the point lies in; `gauss`: a Gaussian around it, σ in cells.
    """
    place = (pixels + 0.5) * (cells / side)
    if kind == "onehot":
        column, row = place.floor().long().clamp(0, cells - 1).unbind(-1)
        return F.one_hot(row * cells + column, cells**2).float()
    centres = torch.arange(cells, device=pixels.device) + 0.5
    wave = (-0.5 * ((centres - place[..., None]) / sigma) ** 2).exp()
    x, y = wave.unbind(-2)
    maps = (y[..., :, None] * x[..., None, :]).flatten(2)
    return maps / maps.sum(-1, keepdim=True)


def heatmap_losses(logits: Tensor, target: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (B,P,h,w) against targets (B,P,4hw), over the points (B,P) that are valid -> (BCE, dice).

    The maps are enlarged to twice their side and their softmax is what is compared: binary cross-entropy, mean of the
    cells, and 1 - 2 Σ p t / (Σ p + Σ t).
    """
    enlarged = F.interpolate(logits.float(), scale_factor=2.0, mode="bilinear", align_corners=False)
    log_share = enlarged.flatten(2).log_softmax(-1)
    share = log_share.exp()
    other = torch.log1p(-share.clamp(max=1 - 1e-6))
    bce = -(target * log_share + (1 - target) * other).mean(-1)
    dice = 1 - 2 * (share * target).sum(-1) / (share.sum(-1) + target.sum(-1))
    return masked_mean(bce, valid), masked_mean(dice, valid)


def masked_mse(predicted: Tensor, true: Tensor, valid: Tensor) -> Tensor:
    """Mean squared difference of (B,P,C) over the points (B,P) that are valid."""
    difference = torch.where(valid[..., None], predicted - true, 0.0)
    return masked_mean(difference.square().mean(-1), valid)
