"""f^PP (section 3.1): from heat-maps to a canonical hand and its rotation, two streams as in hand3d."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from handbench.methods.blocks.constants import once
from handbench.methods.clip_dg.pose_net import JOINTS, SLOPE, conv, scaled


def _stream(
    channels: tuple[int, ...], hidden: tuple[int, int], out: int, cells: int, width: float, dropout: float
) -> nn.Sequential:
    """Pairs of 3 × 3 convolutions, each second one of stride 2, then three linear layers."""
    layers: list[nn.Module] = []
    inside = JOINTS
    for c in channels:
        layers += [conv(inside, scaled(c, width), 3), conv(scaled(c, width), scaled(c, width), 3, 2)]
        inside = scaled(c, width)
    features = inside * (cells // 2 ** len(channels)) ** 2
    layers.append(nn.Flatten())
    for h in hidden:
        layers += [nn.Linear(features, scaled(h, width)), nn.LeakyReLU(SLOPE, inplace=True), nn.Dropout(dropout)]
        features = scaled(h, width)
    return nn.Sequential(*layers, nn.Linear(features, out))


class PosePrior(nn.Module):
    """Heat-maps (B,21,h,h) -> the hand in its canonical frame (B,21,3), in bone lengths; h = `cells`.

    hand3d also reads which hand it is, and mirrors: here left hands come mirrored.
    """

    def __init__(self, cells: int = 32, width: float = 1.0, dropout: float = 0.2):
        super().__init__()
        self.net = _stream((32, 64, 128), (512, 512), 3 * JOINTS, cells, width, dropout)

    def forward(self, maps: Tensor) -> Tensor:
        return self.net(maps).float().view(-1, JOINTS, 3)


class Viewpoint(nn.Module):
    """Heat-maps (B,21,h,h) -> R (B,3,3), the rotation of the canonical frame into the camera's: x_camera = x R."""

    def __init__(self, cells: int = 32, width: float = 1.0, dropout: float = 0.25):
        super().__init__()
        self.net = _stream((64, 128, 256), (256, 128), 3, cells, width, dropout)

    def forward(self, maps: Tensor) -> Tensor:
        return rotation(self.net(maps).float())


def rotation(vector: Tensor) -> Tensor:
    """Axis times angle (B,3) rad -> rotation matrices (B,3,3), by Rodrigues' formula; smooth at 0."""
    angle = (vector.square().sum(-1) + 1e-12).sqrt()[:, None, None]
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).view(-1, 3, 3) / angle
    return _eye(vector.device, vector.dtype) + angle.sin() * cross + (1 - angle.cos()) * (cross @ cross)


@once
def _eye(device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.eye(3, device=device, dtype=dtype)
