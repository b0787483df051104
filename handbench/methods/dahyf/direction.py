"""Direction maps beside the image features (DaHyF, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from handbench.methods.blocks.constants import once
from handbench.methods.dahyf.config import DirectionConfig
from handbench.methods.dahyf.view import View


def cell_pixels(cells: int, size: int, like: Tensor) -> Tensor:
    """(cells, cells, 2): the pixel (x, y) of the patch at the middle of each cell of F, rows first (eq. 1 and 2).

    P_l = P_f sc_p + sc_p / 2 counts from the patch's outer edge; a pixel's centre is half a pixel from it.
    """
    return _cell_pixels(cells, size, like.device, like.dtype)


@once
def _cell_pixels(cells: int, size: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    at = (torch.arange(cells, device=device, dtype=dtype) + 0.5) * (size / cells) - 0.5
    y, x = torch.meshgrid(at, at, indexing="ij")
    return torch.stack([x, y], -1)


def global_map(view: View, cells: int, size: int) -> Tensor:
    """(B,2,cells,cells): x_d and y_d of each cell's ray (eq. 3 to 5, and P_d = P_g / f)."""
    pixels = cell_pixels(cells, size, view.camera).flatten(0, 1).expand(len(view.camera), -1, -1)
    return view.directions(pixels).transpose(1, 2).unflatten(2, (cells, cells))


def local_map(n: int, cells: int, norm: bool, like: Tensor) -> Tensor:
    """(n,2,cells,cells): column and row of each cell, origin at the upper left; with `norm` as shares of the map."""
    return _local_map(cells, norm, like.device, like.dtype).expand(n, -1, -1, -1)


@once
def _local_map(cells: int, norm: bool, device: torch.device, dtype: torch.dtype) -> Tensor:
    at = torch.arange(cells, device=device, dtype=dtype) / (cells if norm else 1)
    row, column = torch.meshgrid(at, at, indexing="ij")
    return torch.stack([column, row])


class DirectionFusion(nn.Module):
    """F (B,C,s_f,s_f) and the direction map, copied to as many channels -> F_m, of F's shape.

    `concat`: 1 × 1 convolution from 2C to C channels, BN, ReLU (our reading); `add`: the sum.
    """

    def __init__(self, channels: int, size: int, config: DirectionConfig):
        super().__init__()
        self.config, self.size = config, size
        self.mix: nn.Module | None = None
        if config.map != "none" and config.fuse == "concat":
            convolution = nn.Conv2d(2 * channels, channels, 1, bias=False)
            self.mix = nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))

    def forward(self, feature: Tensor, view: View) -> Tensor:
        if self.config.map == "none":
            return feature
        n, channels, cells = feature.shape[:3]
        with torch.autocast("cuda" if feature.is_cuda else "cpu", enabled=False):
            if self.config.map == "global":
                two = global_map(view, cells, self.size)
            else:
                two = local_map(n, cells, self.config.local_norm, view.camera)
        tiled = two.to(feature.dtype).repeat_interleave(channels // 2, 1)
        return feature + tiled if self.mix is None else self.mix(torch.cat([feature, tiled], 1))
