"""Branch 2 (section 3.3): encoding vectors of the image as it is and as CLIP's features shift it. Training only."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handbench.methods.blocks.clip_text import EMBED
from handbench.methods.clip_dg.pose_net import conv, scaled

ENCODED = 128  # numbers of e'
BLOCK = 64
Combine = Literal["concat", "sum"]


class ConvBlock(nn.Module):
    """Encoding (B,C,h,h) -> (B, 64 · width · (h/4)²); the paper's sizes are in its supplement (our decision)."""

    def __init__(self, channels: int, cells: int, width: float):
        super().__init__()
        block = scaled(BLOCK, width)
        self.net = nn.Sequential(conv(channels, block, 3, 2), conv(block, block, 3, 2), nn.Flatten())
        self.features = block * (cells // 4) ** 2

    def forward(self, encoding: Tensor) -> Tensor:
        return self.net(encoding)


class Branch2(nn.Module):
    """Encoding (B,C,h,h) -> e1' (B,128), or with f^CLIP (B,512) e2' (B,128).

    e1 = FC(ConvBlock), e2 = FC(ConvBlock beside f^CLIP), or FC(ConvBlock) + f^CLIP, each of 512 numbers; both go
    through one projection head. `combine` None: ordinary views only, all as e1', and there is no layer for e2.
    """

    def __init__(self, channels: int, cells: int, combine: Combine | None, width: float = 1.0, share: bool = False):
        super().__init__()
        self.combine = combine
        self.block1 = ConvBlock(channels, cells, width)
        features = self.block1.features
        self.fc1 = nn.Linear(features, EMBED)
        self.block2: ConvBlock | None = None
        if combine is not None:
            self.block2 = None if share else ConvBlock(channels, cells, width)
            self.fc2 = nn.Linear(features + (EMBED if combine == "concat" else 0), EMBED)
        self.head = nn.Sequential(nn.Linear(EMBED, EMBED), nn.ReLU(inplace=True), nn.Linear(EMBED, ENCODED))

    def forward(self, encoding: Tensor, clip: Tensor | None = None) -> Tensor:
        if clip is None:
            return self.head(self.fc1(self.block1(encoding)))
        features = (self.block2 or self.block1)(encoding)
        clip = clip.to(features.dtype)
        if self.combine == "concat":
            return self.head(self.fc2(torch.cat([features, clip], 1)))
        return self.head(self.fc2(features) + clip)


def mix(image: Tensor | None, text: Tensor | None, ratio: float) -> Tensor:
    """f^CLIP(x,t) = w f^CI(x) + (1-w) f^CT(t) (B,512), of unit vectors; one that has no weight may be None.

    CLIP's own features have lengths of about ten, different for the two towers: only between unit vectors is w their
    ratio (our decision).
    """
    parts = [weight * F.normalize(f, dim=-1) for weight, f in ((ratio, image), (1 - ratio, text)) if f is not None]
    return torch.stack(parts).sum(0)
