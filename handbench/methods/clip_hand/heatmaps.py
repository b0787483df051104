"""Multi-scale heat-maps (MHF, section 3.3 and figure 4): where joints and vertices are, and queries sampled there."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Sampled(NamedTuple):
    """queries (B,1+J+V,D): camera, joints, vertices; maps (B,J+V,S/4,S/4): the logits of joints and vertices."""

    queries: Tensor
    maps: Tensor


class ResidualBlock(nn.Module):
    """Two 3 × 3 convolutions; a 1 × 1 one beside them where the channels change."""

    def __init__(self, before: int, after: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.skip = nn.Identity() if before == after else nn.Conv2d(before, after, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.skip(x))


def _head(before: int, after: int, blocks: int) -> nn.Sequential:
    residual = [ResidualBlock(before if i == 0 else after, after) for i in range(blocks)]
    return nn.Sequential(*residual, nn.Conv2d(after, after, 1, bias=False))


class HeatMaps(nn.Module):
    """f1234 (B,C,S/4,S/4) and the global tokens (B,(S/32)²,D) -> `Sampled`.

    A joint's or vertex's query is the mean of the feature map under its heat-map's softmax; the camera's is one
    weighted sum of the global tokens.
    """

    def __init__(self, channels: int, width: int, tokens: int, joints: int, vertices: int, blocks: int):
        super().__init__()
        self.joints = _head(channels, joints, blocks)
        self.vertices = _head(channels, vertices, blocks)
        self.features = _head(channels, width, blocks)
        # a bias, the same in all D, would be lost in the transformer's LayerNorms
        self.camera = nn.Linear(tokens, 1, bias=False)

    def forward(self, feature: Tensor, tokens: Tensor) -> Sampled:
        maps = torch.cat([self.joints(feature), self.vertices(feature)], 1)
        # thousands of cells share a sum of one: half precision would lose most of them
        shares = maps.flatten(2).float().softmax(-1).to(maps.dtype)
        sampled = shares @ self.features(feature).flatten(2).transpose(1, 2)
        camera = self.camera(tokens.transpose(1, 2)).transpose(1, 2)
        return Sampled(torch.cat([camera, sampled], 1), maps)
