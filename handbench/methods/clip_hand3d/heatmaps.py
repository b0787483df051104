"""From joints back to heat-maps, and with the shallow features to joint features F_J (sections 3.4 and A.2)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from handbench.methods.blocks.lixel import bin_centres


def lines(uvd: Tensor, size: int, sigma: float) -> tuple[Tensor, Tensor, Tensor]:
    """exp(-(i - p)² / 2σ²) along x, y and z: three times (B,J,size), for joints (B,J,3) in [0, 1]; σ in bins."""
    offset = (bin_centres(size, uvd) - uvd[..., None]) * size
    x, y, z = (-0.5 * (offset / sigma) ** 2).exp().unbind(2)
    return x, y, z


def volumes(uvd: Tensor, size: int, sigma: float) -> Tensor:
    """The 3-D Gaussians of the appendix, depth taken for channels: (B, J · size, size, size), [depth, row, column]."""
    x, y, z = lines(uvd, size, sigma)
    return torch.einsum("bjz,bjy,bjx->bjzyx", z, y, x).flatten(1, 2)


def planes(uvd: Tensor, size: int, sigma: float) -> Tensor:
    """Their three projections xy, xz and yz: (B, 3 J, size, size)."""
    x, y, z = lines(uvd, size, sigma)
    return torch.cat([torch.einsum("bjr,bjc->bjrc", row, column) for row, column in ((y, x), (z, x), (z, y))], 1)


class Lifting(nn.Module):
    """Joints (B,J,3) in [0, 1] and F0 (B,C,size,size) -> F_J (B,J,out).

    Heat-maps and F0 side by side, two convolutions to one channel a joint, and a Linear over its pixels. The joints
    are detached: what the mesh needs reaches the encoder through F0, not by moving the joints.
    """

    def __init__(
        self, channels: int, joints: int, size: int, sigma: float, hm: Literal["3d", "planes"], out: int = 512
    ):
        super().__init__()
        self.size, self.sigma, self.hm = size, sigma, hm
        maps = joints * (size if hm == "3d" else 3)
        self.mix = nn.Sequential(
            nn.Conv2d(maps + channels, joints, 3, padding=1, bias=False),
            nn.BatchNorm2d(joints),
            nn.ReLU(inplace=True),
            nn.Conv2d(joints, joints, 3, padding=1, bias=False),
            nn.BatchNorm2d(joints),
            nn.ReLU(inplace=True),
        )
        self.out = nn.Linear(size * size, out)

    def forward(self, uvd: Tensor, f0: Tensor) -> Tensor:
        make = volumes if self.hm == "3d" else planes
        maps = make(uvd.detach(), self.size, self.sigma)
        return self.out(self.mix(torch.cat([maps.to(f0.dtype), f0], 1)).flatten(2))
