"""The 2D branch: joints in pixels of the patch, by classification or by heat-maps, and their encoding (section 3.3)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from handbench.methods.blocks.constants import once
from handbench.methods.blocks.lixel import bin_centres, label_divergence, soft_argmax
from handbench.methods.blocks.masked import masked_mean

JOINTS = 21
WIDTH = 256


def upsampling(channels: int) -> nn.Sequential:
    """F_m (B,C,s_f,s_f) -> F_k (B,21,8 s_f,8 s_f): three deconvolutions (4 × 4, stride 2) and a 1 × 1 convolution."""
    layers: list[nn.Module] = []
    for i in range(3):
        deconv = nn.ConvTranspose2d(channels if i == 0 else WIDTH, WIDTH, 4, stride=2, padding=1, bias=False)
        layers += [deconv, nn.BatchNorm2d(WIDTH), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Conv2d(WIDTH, JOINTS, 1))


class SubPixelClassifier(nn.Module):
    """Sub-pixel joint classification after SimCC: `split` bins a pixel along x and y, one Linear for all joints."""

    def __init__(self, channels: int, size: int, split: int, sigma: float):
        super().__init__()
        self.size, self.sigma = size, sigma
        self.upsample = upsampling(channels)
        pixels = (size // 4) ** 2
        self.x = nn.Linear(pixels, split * size)
        self.y = nn.Linear(pixels, split * size)

    def forward(self, feature: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """F_m -> joints (B,21,2) px in the patch, and the logits x and y (B,21,bins)."""
        flat = self.upsample(feature).flatten(2)
        logits = {"x": self.x(flat), "y": self.y(flat)}
        share = torch.stack([soft_argmax(logits["x"]), soft_argmax(logits["y"])], -1)
        return share * self.size - 0.5, logits

    def loss(self, output: dict[str, Tensor], true: Tensor, valid: Tensor) -> Tensor:
        """KL divergence of both axes from the smoothed labels; true (B,21,2) px, valid (B,21)."""
        share = (true + 0.5) / self.size
        parts = [label_divergence(output[axis], share[..., i], valid, self.sigma) for i, axis in enumerate(("x", "y"))]
        return torch.stack(parts).mean()


class HeatMaps(nn.Module):
    """The ablation's alternative: F_k as 2D heat-maps under a softmax, and their integral."""

    def __init__(self, channels: int, size: int, sigma: float):
        super().__init__()
        self.size, self.sigma = size, sigma
        self.upsample = upsampling(channels)

    def forward(self, feature: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """F_m -> joints (B,21,2) px in the patch, and the maps (B,21,h,w), each of sum 1."""
        logits = self.upsample(feature).float()
        maps = logits.flatten(2).softmax(-1).view_as(logits)
        centres = bin_centres(maps.shape[-1], maps)
        share = torch.stack([(maps.sum(2) * centres).sum(-1), (maps.sum(3) * centres).sum(-1)], -1)
        return share * self.size - 0.5, {"maps": maps}

    def loss(self, output: dict[str, Tensor], true: Tensor, valid: Tensor) -> Tensor:
        """Squared error against Gaussians of peak 1, over the area of one (2πσ² cells), mean of the joints."""
        maps, area = output["maps"], 2 * math.pi * self.sigma**2
        cells = maps.shape[-1]
        offset = (bin_centres(cells, maps) - ((true + 0.5) / self.size)[..., None]) * cells
        x, y = (-0.5 * (offset / self.sigma) ** 2).exp().unbind(2)
        error = (maps * area - y[..., :, None] * x[..., None, :]) ** 2
        each = error.sum((2, 3)) / area
        return masked_mean(each, valid)


def encode(mu: Tensor, octaves: int) -> Tensor:
    """γ of eq. 7: (B,21,2) -> (B, 21·2·2L): sin and cos of 2^l π μ, l = 1..L."""
    angle = mu[..., None] * _frequencies(octaves, mu.device, mu.dtype)
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)


@once
def _frequencies(octaves: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    return math.pi * 2.0 ** torch.arange(1, octaves + 1, device=device, dtype=dtype)
