"""f^H2D (section 3.1): a convolutional pose machine as in hand3d's PoseNet (Zimmermann and Brox, ICCV 2017).

The paper leaves the layers to its supplement and names that network; the layers are those.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

JOINTS = 21
SLOPE = 0.01  # of leaky ReLU
# 3 × 3 convolutions by resolution; a max-pool between two lines halves it
ENCODER = ((64, 64), (128, 128), (256,) * 4, (512, 512, 256, 256, 256, 256, 128))
HIDDEN, REFINED, STAGES = 512, 128, 2
STRIDE = 8


def scaled(channels: int, width: float) -> int:
    return max(8, round(channels * width))


def conv(inside: int, outside: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution and leaky ReLU, from weights that keep the size of what passes: there is no normalisation."""
    layer = nn.Conv2d(inside, outside, kernel, stride, (kernel - 1) // 2)
    nn.init.kaiming_normal_(layer.weight, SLOPE)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return nn.Sequential(layer, nn.LeakyReLU(SLOPE, inplace=True))


def convs(inside: int, channels: Sequence[int], kernel: int) -> list[nn.Module]:
    return [conv(a, b, kernel) for a, b in zip((inside, *channels), channels, strict=False)]


def _scores(inside: int) -> nn.Conv2d:
    """The last layer of a stage; its maps begin near 0, where most of the target is."""
    layer = nn.Conv2d(inside, JOINTS, 1)
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


class PoseNet(nn.Module):
    """Normalised image (B,3,S,S) -> three score maps (B,21,S/8,S/8), coarse to fine, and the encoding (B,C,S/8,S/8)
    with C = 128 · width.
    """

    def __init__(self, width: float = 1.0):
        super().__init__()
        layers: list[nn.Module] = []
        inside = 3
        for i, block in enumerate(ENCODER):
            channels = [scaled(c, width) for c in block]
            layers += ([nn.MaxPool2d(2)] if i else []) + convs(inside, channels, 3)
            inside = channels[-1]
        self.channels = inside
        self.encode = nn.Sequential(*layers)
        hidden, refined = scaled(HIDDEN, width), scaled(REFINED, width)
        self.first = nn.Sequential(conv(inside, hidden, 1), _scores(hidden))
        self.refine = nn.ModuleList(
            nn.Sequential(
                *convs(inside + JOINTS, [refined] * 5, 7),
                conv(refined, refined, 1),
                _scores(refined),
            )
            for _ in range(STAGES)
        )

    def forward(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        encoding = self.encode(image)
        maps = [self.first(encoding)]
        for stage in self.refine:
            maps.append(stage(torch.cat([maps[-1], encoding], 1)))
        return maps, encoding
