"""The spatial transformer: one vector of each frame, and its 2D joints on the way (section 3.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from handbench.methods.blocks.lixel import bin_centres
from handbench.methods.deformer.attention import Decoder, Encoder, sines_2d
from handbench.methods.deformer.config import DeformerConfig
from handbench.methods.deformer.pyramid import hand_region, region_grid

JOINTS = 21


class SpatialSoftmax(nn.Module):
    """Logits (N,21,h,h) -> joints (N,21,2) in shares of the side, x first, and maps (N,21,h,h), each of sum 1.

    A joint lies at the mean of the cells' middles under its map; each joint has a learned sharpness. With `located`
    False there are maps only.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.ones(JOINTS))

    def forward(self, logits: Tensor, located: bool = True) -> tuple[Tensor | None, Tensor]:
        logits = logits.float() * self.sharpness[:, None, None]
        maps = logits.flatten(2).softmax(-1).view_as(logits)
        if not located:
            return None, maps
        centres = bin_centres(maps.shape[-1], maps)
        return torch.stack([(maps.sum(2) * centres).sum(-1), (maps.sum(3) * centres).sum(-1)], -1), maps


class SpatialTransformer(nn.Module):
    """P2 (N,C,S/4,S/4) -> F_t+ (N,C), and 2D joints (N,21,2) in shares of the region's side; without those (None) at
    inference, where only the losses would read them.
    """

    position: Tensor
    places: Tensor

    def __init__(self, config: DeformerConfig):
        super().__init__()
        width = config.width
        self.grid = config.grid
        self.encoder = Encoder(config)
        self.heatmaps = nn.Sequential(
            nn.Linear(width, width),
            nn.ReLU(inplace=True),
            nn.Linear(width, width),
            nn.ReLU(inplace=True),
            # the same for all cells means nothing under a softmax
            nn.Linear(width, JOINTS, bias=False),
        )
        self.softmax = SpatialSoftmax()
        self.reads_joints = config.joints_to == "mano_mlp"
        # the paper's skip connection
        self.join = nn.Linear(width + JOINTS, width) if config.joints_to == "memory" else None
        self.decoder = Decoder(config)
        self.register_buffer("position", sines_2d(config.grid, width), persistent=False)
        self.register_buffer("places", region_grid(config.input // 4, config.region, config.grid), persistent=False)

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor | None]:
        tokens = hand_region(feature, self.places, self.grid).flatten(2).transpose(1, 2)
        memory = self.encoder(tokens, self.position)
        logits = self.heatmaps(memory).transpose(1, 2).unflatten(2, (self.grid, self.grid))
        joints, maps = self.softmax(logits, self.training or self.reads_joints)
        if self.join is not None:
            # an even map has ones
            heat = maps.flatten(2).transpose(1, 2) * self.grid**2
            memory = self.join(torch.cat([memory, heat.to(memory.dtype)], -1))
        return self.decoder(memory, self.position), joints
