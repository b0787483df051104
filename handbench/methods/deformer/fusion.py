"""Dynamic fusion: frame-wise poses, warped to a frame by the predicted motions, and their weighted sum (eq. 1 to 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from handbench.methods.blocks.constants import once
from handbench.methods.deformer.config import DeformerConfig


def warped(pose: Tensor, forward: Tensor, backward: Tensor, target: Tensor) -> Tensor:
    """Poses (B,T,D) and their motions (B,T,D) to the next and previous frame -> (B,n,T,D): each of the T poses warped
    to each of the n frames `target` (indices).

    Eq. 2, with its backward sum over k = j+1..i, as eq. 1 defines it (printed: k = j..i-1).
    """
    # up to frame t: what leads there from the first frame, and what leads from there back to the first
    ahead = (forward.cumsum(1) - forward)[:, None]
    back = (backward.cumsum(1) - backward[:, :1])[:, None]
    later = target[:, None] > _frames(pose.shape[1], pose.device)
    motion = torch.where(later[None, ..., None], _at(ahead, target) - ahead, back - _at(back, target))
    return pose[:, None] + motion


def _at(sums: Tensor, target: Tensor) -> Tensor:
    return sums[:, 0, target].unsqueeze(2)


@once
def _frames(count: int, device: torch.device) -> Tensor:
    return torch.arange(count, device=device)


class Fusion(nn.Module):
    """Heads' output (B,T,...) -> fused pose (B,n,96) of the centre frame, or of all, and the weights (B,T).

    `center`: the pose as it is. `average`: equal weights. `occlusion`: softmax over the window of how much of the hand
    is seen (our decision: of the coverage, negative); where that is not known, the window's mean is taken.
    `dynamic`: softmax of the confidences. Motions are sums of six-number rotations, not of angles (released code).
    """

    def __init__(self, config: DeformerConfig):
        super().__init__()
        self.aggregation, self.everywhere = config.aggregation, config.fuse == "all"

    def forward(self, heads: dict[str, Tensor], visible: Tensor | None = None) -> tuple[Tensor, Tensor]:
        pose = heads["pose"]
        frames = pose.shape[1]
        target = _frames(frames, pose.device)
        if not self.everywhere:
            target = target[frames // 2 :][:1]
        weights = self._weights(heads, visible)
        if self.aggregation == "center":
            return pose[:, target], weights
        to_each = warped(pose, heads["forward"], heads["backward"], target)
        return (weights[:, None, :, None] * to_each).sum(2), weights

    def _weights(self, heads: dict[str, Tensor], visible: Tensor | None) -> Tensor:
        if self.aggregation == "dynamic":
            return heads["confidence"][..., 0].softmax(1)
        score = torch.zeros_like(heads["pose"][..., 0])
        if self.aggregation == "occlusion":
            if visible is None:
                raise ValueError("weights by occlusion take the visible fraction of each frame")
            known = visible.to(score.dtype)
            mean = known.nanmean(1, keepdim=True).nan_to_num(0.0)
            score = torch.where(known.isnan(), mean, known)
        return score.softmax(1)
