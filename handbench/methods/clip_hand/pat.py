"""The pooling-attention transformer (PAT; [40], POTTER, CVPR 2023): blocks, and the backbone of four stages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handbench import places
from handbench.errors import InvalidError
from handbench.methods.blocks.backbone import read_state

# cells of a pooled side, and rows that a pixel's channels are laid out in
POOLED, ROWS = 4, 32


class Pyramid(NamedTuple):
    """f1 (B,64,S/4,S/4), f2 (B,128,S/8,S/8), f3 (B,320,S/16,S/16), f4 (B,512,S/32,S/32), for the paper's `dims`."""

    f1: Tensor
    f2: Tensor
    f3: Tensor
    f4: Tensor


def channel_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(1, channels)


def _depthwise(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=1, groups=channels)


def pooled_product(x: Tensor) -> Tensor:
    """(...,H,W) -> its row means over four column bands times its column means over four row bands, (...,H,W)."""
    return F.adaptive_avg_pool2d(x, (None, POOLED)) @ F.adaptive_avg_pool2d(x, (POOLED, None))


class PoolingAttention(nn.Module):
    """(B,C,H,W) -> (B,C,H,W): pooled products over the pixels and, in each pixel, over its channels as 32 × C/32."""

    def __init__(self, channels: int):
        super().__init__()
        self.spatial = _depthwise(channels)
        self.channel = _depthwise(channels)
        self.norm = channel_norm(channels)
        self.out = _depthwise(channels)

    def forward(self, x: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        laid_out = x.flatten(2).transpose(1, 2).reshape(n, height * width, ROWS, channels // ROWS)
        mixed = pooled_product(laid_out).reshape(n, height * width, channels).transpose(1, 2).reshape(x.shape)
        return self.out(self.norm(self.spatial(pooled_product(x)) + self.channel(mixed)))


class PatBlock(nn.Module):
    """x + scale1 · attention(GN x), then x + scale2 · MLP(GN x); the MLP is two 1 × 1 convolutions and a GELU. Both
    scales begin at `layer_scale`.
    """

    def __init__(self, channels: int, layer_scale: float, ratio: int = 4):
        super().__init__()
        self.norm1 = channel_norm(channels)
        self.mixer = PoolingAttention(channels)
        self.norm2 = channel_norm(channels)
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, ratio * channels, 1), nn.GELU(), nn.Conv2d(ratio * channels, channels, 1)
        )
        self.scale1 = nn.Parameter(torch.full((channels,), layer_scale))
        self.scale2 = nn.Parameter(torch.full((channels,), layer_scale))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.scale1[:, None, None] * self.mixer(self.norm1(x))
        return x + self.scale2[:, None, None] * self.mlp(self.norm2(x))


class Pat(nn.Module):
    """Image (B,3,S,S) -> the features of its four stages; the last one is normalised, as before POTTER's classifier."""

    def __init__(self, depths: tuple[int, ...], dims: tuple[int, ...], layer_scale: float):
        super().__init__()
        self.name = f"potter-s{sum(depths)}"
        widths = (3, *dims)
        self.embeds = nn.ModuleList(
            nn.Conv2d(widths[i], widths[i + 1], 7 if i == 0 else 3, 4 if i == 0 else 2, 2 if i == 0 else 1)
            for i in range(4)
        )
        self.stages = nn.ModuleList(
            nn.Sequential(*(PatBlock(dim, layer_scale) for _ in range(depth)))
            for depth, dim in zip(depths, dims, strict=True)
        )
        self.norm = channel_norm(dims[-1])

    def forward(self, image: Tensor) -> Pyramid:
        x, features = image, []
        for embed, stage in zip(self.embeds, self.stages, strict=True):
            x = stage(embed(x))
            features.append(x)
        return Pyramid(features[0], features[1], features[2], self.norm(features[3]))

    def load(self, weights: str) -> None:
        """Start from `none`, `imagenet` or a file with a state dict of POTTER's classifier (its names or ours).

        Raises MissingError where the file is not there, InvalidError where it is of another network.
        """
        if weights == "none":
            return
        imagenet = places.home() / "data" / f"{self.name}-imagenet.safetensors"
        path = imagenet if weights == "imagenet" else Path(weights)
        state = read_state(path, f"Put {self.name} there, or train from scratch: model.backbone.weights=none.")
        state = {our_name(key): value for key, value in state.items() if not key.startswith("head.")}
        try:
            self.load_state_dict(state)
        except RuntimeError as error:
            raise InvalidError(
                f"{path} does not hold the weights of {self.name}.", str(error).partition("\n")[2].strip()[:300]
            ) from error


# POTTER's names and ours
RENAMED = (
    (r"^patch_embed\.proj\.", "embeds.0."),
    ("token_mixer.proj0.", "mixer.spatial."),
    ("token_mixer.proj1.", "mixer.channel."),
    ("token_mixer.proj2.", "mixer.out."),
    ("token_mixer.", "mixer."),
    ("mlp.fc1.", "mlp.0."),
    ("mlp.fc2.", "mlp.2."),
    ("layer_scale_", "scale"),
)


def our_name(key: str) -> str:
    """POTTER's name of a weight -> ours; stages and the embeddings between them share one list there."""
    for theirs, ours in RENAMED:
        key = re.sub(theirs, ours, key)
    found = re.match(r"network\.(\d)\.(?:proj\.)?(.*)", key)
    if found is None:
        return key
    at, rest = int(found[1]), found[2]
    return f"embeds.{(at + 1) // 2}.{rest}" if at % 2 else f"stages.{at // 2}.{rest}"
