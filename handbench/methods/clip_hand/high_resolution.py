"""High-resolution feature aggregation (HFA, section 3.2 and figure 3, after POTTER's high-resolution stream)."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from handbench.methods.clip_hand.pat import PatBlock, Pyramid, channel_norm

# blocks after each deeper stage has joined, and their MLPs' ratios
BLOCKS, RATIOS = (2, 2, 4), (2, 2, 4)


class HighResolution(nn.Module):
    """f1..f4 -> (f1234 (B,64,S/4,S/4), f4). Each deeper stage climbs by steps of nearest × 2 and a 3 × 3 convolution.

    The paper concatenates and reduces; adding is our default, as only it gives the paper's multiply-adds. With `fold`,
    for the row without heat-maps, f1234 is brought back to S/32 and added to f4 (its use there is our decision).
    """

    def __init__(self, dims: tuple[int, ...], layer_scale: float, fuse: Literal["add", "concat"], fold: bool):
        super().__init__()
        self.climbs = nn.ModuleList(_climb(dims[: i + 1]) for i in (1, 2, 3))
        self.reduce = nn.ModuleList(nn.Conv2d(2 * dims[0], dims[0], 1) for _ in BLOCKS) if fuse == "concat" else None
        self.blocks = nn.ModuleList(
            nn.Sequential(*(PatBlock(dims[0], layer_scale, ratio) for _ in range(count)))
            for count, ratio in zip(BLOCKS, RATIOS, strict=True)
        )
        self.norm = channel_norm(dims[0])
        self.fold = _fold(dims[0], dims[1], dims[3]) if fold else None

    def forward(self, pyramid: Pyramid) -> tuple[Tensor, Tensor]:
        x = pyramid.f1
        for i, deeper in enumerate(pyramid[1:]):
            climbed = self.climbs[i](deeper)
            x = x + climbed if self.reduce is None else self.reduce[i](torch.cat([x, climbed], 1))
            x = self.blocks[i](x)
        x = self.norm(x)
        return x, pyramid.f4 if self.fold is None else pyramid.f4 + self.fold(x)


def _climb(dims: tuple[int, ...]) -> nn.Sequential:
    """From the last of `dims` channels to the first, twice as large at every step."""
    layers: list[nn.Module] = []
    for deep, shallow in zip(dims[:0:-1], dims[-2::-1], strict=True):
        layers += [nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(deep, shallow, 3, padding=1)]
    return nn.Sequential(*layers)


def _fold(*dims: int) -> nn.Sequential:
    """S/4 -> S/32: two convolutions and three max-pools."""
    layers: list[nn.Module] = []
    for before, after in pairwise(dims):
        layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.MaxPool2d(2))
