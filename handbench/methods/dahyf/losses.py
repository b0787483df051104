"""The losses of DaHyF (eq. 10 and 11) and its confidence (eq. 8 and 9)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handbench.hands.joints import BONES
from handbench.methods.blocks.masked import masked_mean

# lengths in these units, m, are of order one, as the other terms are (our decision)
UNIT = 0.1


class UncertaintyWeights(nn.Module):
    """Σ e^(-v) L + v over the losses, v = log σ² learned, from 0 (Kendall et al., CVPR 2018; [56] of the paper).

    `log_sigma=False` is eq. 11 as printed, Σ L / σ²: nothing keeps σ from growing, and every weight goes to nothing.
    """

    def __init__(self, names: Sequence[str], log_sigma: bool):
        super().__init__()
        self.names, self.log_sigma = tuple(names), log_sigma
        self.log_variance = nn.Parameter(torch.zeros(len(self.names)))

    def forward(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        """A loss that this batch has no truth for is absent, and its σ is left alone."""
        weighted = {}
        for name, v in zip(self.names, self.log_variance, strict=True):
            if name in losses:
                weighted[name] = (-v).exp() * losses[name] + (v if self.log_sigma else 0.0)
        return weighted


def bone_loss(predicted: Tensor, true: Tensor, valid: Tensor) -> Tensor:
    """Mean | |bone| - |true bone| | of points (B,21,C), over bones with both ends valid.

    The paper "refers to [24]" for L_b; this is the usual form, in space and in the image.
    """
    parent, child = (torch.tensor(ends, device=valid.device) for ends in zip(*BONES, strict=True))
    both = valid[:, parent] & valid[:, child]
    lengths = []
    for points in (predicted, true):
        bone = torch.where(both[..., None], points[:, child] - points[:, parent], 1.0)
        lengths.append(bone.norm(dim=-1))
    return (lengths[0] - lengths[1]).abs().sum() / both.sum().clamp(min=1)


def mano_loss(rotations: Tensor, shape: Tensor, true: tuple[Tensor, Tensor], valid: Tensor) -> Tensor:
    """Mean squared error of rotation matrices (B,16,3,3) plus that of shape (B,10), over the valid samples (B,)."""
    pose_error = ((rotations - true[0]) ** 2).mean((1, 2, 3))
    shape_error = ((shape - true[1]) ** 2).mean(1)
    return masked_mean(pose_error + shape_error, valid)


def confidence(joints2d: Tensor, projected: Tensor, size: int) -> Tensor:
    """(B,): cosine of the two sets of 2D joints (B,21,2) px in the patch, about its middle and over its side.

    Eq. 8 and 9 do the same in pixels of the frame: s_i / s_p and C cancel.
    """
    one, two = (((joints + 0.5) / size - 0.5).flatten(1) for joints in (joints2d, projected))
    return F.cosine_similarity(one, two, dim=1)


def contrast_loss(joints2d: Tensor, projected: Tensor, hand: Tensor, size: int, target: float, detach: bool) -> Tensor:
    """L_c: (1 - cos)² where the patch has a hand (B,), (cos - target)² where not; the mean over all patches.

    With `detach`, a patch without a hand does not move the 2D branch.
    """
    if detach:
        joints2d = torch.where(hand[:, None, None], joints2d, joints2d.detach())
    cosine = confidence(joints2d, projected, size)
    return torch.where(hand, 1 - cosine, cosine - target).square().mean()
