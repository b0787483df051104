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


def heatmap_targets(pixels: Tensor, side: int, cells: int, kind: Literal["onehot", "gauss"], sigma: float) -> Tensor:
    """Points (B,P,2) px in a patch of `side` pixels -> their targets on maps of cells × cells, each of sum 1.

    `onehot`: (B,P) int64, which cell is one, row · cells + column; `gauss`: (B,P,cells²), σ in cells.
    """
    place = (pixels + 0.5) * (cells / side)
    if kind == "onehot":
        column, row = place.floor().long().clamp(0, cells - 1).unbind(-1)
        return row * cells + column
    centres = torch.arange(cells, device=pixels.device) + 0.5
    wave = (-0.5 * ((centres - place[..., None]) / sigma) ** 2).exp()
    x, y = wave.unbind(-2)
    maps = (y[..., :, None] * x[..., None, :]).flatten(2)
    return maps / maps.sum(-1, keepdim=True)


def heatmap_losses(logits: Tensor, target: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (B,P,h,w) against `heatmap_targets` of twice their side, over the valid points (B,P) -> (BCE, dice).

    The maps are enlarged to that side, and their softmax p is compared with the target t: binary cross-entropy, mean
    of the cells, and 1 - 2 Σ p t / (Σ p + Σ t), in which both sums are one.
    """
    enlarged = F.interpolate(logits.float(), scale_factor=2.0, mode="bilinear", align_corners=False).flatten(2)
    log_share = enlarged.log_softmax(-1)
    share = log_share.exp()
    log_other = torch.log1p(-share.clamp(max=1 - 1e-6))
    bce = -(_under(target, log_share) + log_other.sum(-1) - _under(target, log_other)) / share.shape[-1]
    return masked_mean(bce, valid), masked_mean(1 - _under(target, share), valid)


def _under(target: Tensor, values: Tensor) -> Tensor:
    """Σ t x of maps (B,P,n), for either kind of target."""
    if target.dim() == 2:
        return values.gather(-1, target[..., None])[..., 0]
    return (target * values).sum(-1)


def masked_mse(predicted: Tensor, true: Tensor, valid: Tensor) -> Tensor:
    """Mean squared difference of (B,P,C) over the points (B,P) that are valid."""
    difference = torch.where(valid[..., None], predicted - true, 0.0)
    return masked_mean(difference.square().mean(-1), valid)
