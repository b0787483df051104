"""L^Con, eq. 4: e1' to its positive, and from the sample of the batch whose hand is farthest (section 3.4)."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from handbench.methods.blocks.masked import masked_mean

Form = Literal["hinge", "paper"]


def farthest(predicted: Tensor, true: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """For each sample the other one whose true heat-maps are farthest from its predicted ones.

    predicted, true (B,21,h,h); valid (B,21) says which true maps there are: a distance is the mean of the squared
    differences over those. Returns the index (B,) and whether there is any (B,).
    """
    p, g = predicted.detach().flatten(2), torch.where(valid[..., None, None], true, 0.0).flatten(2)
    seen = valid.to(p.dtype)
    squares = p.square().sum(-1) @ seen.T + (g.square().sum(-1) * seen).sum(-1)
    # g is 0 where there is no truth
    squares = squares - 2 * p.flatten(1) @ g.flatten(1).T
    distance = squares / seen.sum(-1).clamp(min=1)
    usable = valid.any(-1) & ~torch.eye(len(p), dtype=torch.bool, device=p.device)
    return distance.masked_fill(~usable, -torch.inf).argmax(-1), usable.any(-1)


def contrast_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: tuple[Tensor, Tensor],
    form: Form = "hinge",
    margin: float = 0.5,
    normalise: bool = True,
) -> Tensor:
    """Mean over anchors e1' (B,128), their positives e2' and negatives e1'[index] (`farthest`); L1 sums over 128.

    `hinge` is at least 0. `paper`, as printed, is constant in the negative up to the margin and falls beyond it
    without end; unit vectors, with `normalise`, can be no more than 2 √128 apart.
    """
    anchor, positive = anchor.float(), positive.float()
    if normalise:
        anchor, positive = F.normalize(anchor, dim=-1), F.normalize(positive, dim=-1)
    index, found = negative
    near = (anchor - positive).abs().sum(-1)
    far = (anchor - anchor[index]).abs().sum(-1)
    apart = (margin - far).clamp(min=0) if form == "hinge" else -far.clamp(min=margin)
    return near.mean() + masked_mean(apart, found)
