"""Line-pixel ("lixel") heat-maps: one 1-D heat-map for each joint and axis (Moon and Lee, I2L-MeshNet, ECCV 2020).

The unit of a coordinate is the length of its axis: bin i of W covers [i/W, (i+1)/W] and its centre is (i+0.5)/W.
That is our decision; with raw bin indices the unit would depend on the resolution of the heat-map.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from handbench.methods.blocks.constants import once
from handbench.methods.blocks.masked import masked_mean


class Lixels(NamedTuple):
    """Logits of the 1-D heat-maps: x (B,J,W), y (B,J,H), z (B,J,D)."""

    x: Tensor
    y: Tensor
    z: Tensor


def bin_centres(bins: int, like: Tensor) -> Tensor:
    """(bins,) centres of the bins of [0, 1]."""
    return _bin_centres(bins, like.device, like.dtype)


@once
def _bin_centres(bins: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    return (torch.arange(bins, device=device, dtype=dtype) + 0.5) / bins


def soft_argmax(logits: Tensor) -> Tensor:
    """Expected position (...) in [0, 1] under the softmax of logits (..., W)."""
    # half precision would put bins of 1/56 on a grid as coarse as themselves
    logits = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
    return (logits.softmax(-1) * bin_centres(logits.shape[-1], logits)).sum(-1)


class LixelHead(nn.Module):
    """Feature map (B, channels, r, r) -> 1-D heat-maps of `joints` joints (CLIP-Hand3D, eq. 2).

    x and y: `deconv_layers` deconvolutions (4 × 4, stride 2), mean over the other axis, Conv1d. So they have
    2^deconv_layers r bins. z: global average, Conv1d to joints · depth_bins, BN, ReLU, Conv1d over the joints.
    """

    def __init__(self, channels: int, joints: int, deconv_layers: int, depth_bins: int, width: int = 256):
        super().__init__()
        self.joints, self.depth_bins = joints, depth_bins
        layers: list[nn.Module] = []
        for i in range(deconv_layers):
            deconv = nn.ConvTranspose2d(channels if i == 0 else width, width, 4, stride=2, padding=1, bias=False)
            layers += [deconv, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        self.upsample = nn.Sequential(*layers)
        self.x = nn.Conv1d(width, joints, 1)
        self.y = nn.Conv1d(width, joints, 1)
        self.z_bins = nn.Sequential(
            nn.Conv1d(channels, joints * depth_bins, 1, bias=False), nn.BatchNorm1d(joints * depth_bins), nn.ReLU()
        )
        self.z = nn.Conv1d(joints, joints, 1)

    def forward(self, feature: Tensor) -> Lixels:
        up = self.upsample(feature)
        z = self.z_bins(feature.mean((2, 3))[..., None]).view(-1, self.joints, self.depth_bins)
        return Lixels(self.x(up.mean(2)), self.y(up.mean(3)), self.z(z))


def positions(lixels: Lixels) -> Tensor:
    """Joints (B,J,3) in [0, 1]^3: x to the right, y down, z away from the camera."""
    return torch.stack([soft_argmax(lixels.x), soft_argmax(lixels.y), soft_argmax(lixels.z)], -1)


def smoothed_label(position: Tensor, bins: int, sigma: float) -> Tensor:
    """Positions (...) in [0, 1] -> Gaussians over the bins (..., bins), σ in bins, each of sum 1."""
    offset = (bin_centres(bins, position) - position[..., None]) * bins
    return (-0.5 * (offset / sigma) ** 2).softmax(-1)


def label_divergence(logits: Tensor, position: Tensor, valid: Tensor, sigma: float) -> Tensor:
    """KL(label || softmax(logits)), mean over what is valid and in [0, 1]: logits (...,W), position, valid (...)."""
    inside = valid & (position >= 0) & (position <= 1)
    label = smoothed_label(torch.where(inside, position, 0.5), logits.shape[-1], sigma)
    each = (label * (label.clamp(min=1e-12).log() - logits.float().log_softmax(-1))).sum(-1)
    return masked_mean(each, inside)
