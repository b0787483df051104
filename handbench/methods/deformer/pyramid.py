"""Features of one frame: a pyramid on a ResNet, and the hand's region of it (section 3.1, [34] and [21])."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handbench.methods.blocks.backbone import Pyramid

SLOPE = 0.01


class FeaturePyramid(nn.Module):
    """f1..f4 of a ResNet -> P2 (B,width,S/4,S/4): the only level that is used, so the only one that is made."""

    def __init__(self, channels: tuple[int, ...], width: int):
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels[1:])
        self.smooth = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, pyramid: Pyramid) -> Tensor:
        levels = [conv(f) for conv, f in zip(self.lateral, pyramid[1:], strict=True)]
        top = levels.pop()
        while levels:
            level = levels.pop()
            top = level + F.interpolate(top, size=level.shape[-2:], mode="bilinear", align_corners=False)
        return F.leaky_relu(self.smooth(top), SLOPE)


def region_grid(width: int, share: float, cells: int) -> Tensor:
    """Where `hand_region` looks at features `width` wide: (1, n · cells, n · cells, 2), from -1 to 1, x first."""
    side = cells * max(1, math.ceil(share * width / cells))
    at = ((torch.arange(side) + 0.5) * (2 / side) - 1) * share
    y, x = torch.meshgrid(at, at, indexing="ij")
    return torch.stack([x, y], -1)[None]


def hand_region(feature: Tensor, grid: Tensor, cells: int) -> Tensor:
    """(B,C,h,h) -> (B,C,cells,cells) over the square in its middle, at the places of `region_grid`.

    As ROIAlign does, a cell is the mean of evenly spaced bilinear samples, as many as features lie beneath it.
    """
    places = grid.expand(len(feature), -1, -1, -1)
    sampled = F.grid_sample(feature.float(), places, "bilinear", "border", align_corners=False)
    return F.avg_pool2d(sampled, grid.shape[1] // cells)


def to_region(pixels: Tensor, size: int, share: float) -> Tensor:
    """Pixels of the crop (...,2) -> shares of the region's side, 0 to 1 from its upper left corner."""
    return ((pixels + 0.5) / size - 0.5) / share + 0.5
