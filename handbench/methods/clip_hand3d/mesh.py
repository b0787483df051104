"""The coarse-to-fine mesh regressor (CLIP-Hand3D, section 3.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handbench.methods.blocks.transformer import Axis, Transformer

DIMS = (256, 128, 64, 32)
# nodes of the four stages, and which of f0..f4 each of them looks at; the first stage of `paper` has the 21 joints
PLANS: dict[str, tuple[tuple[int, int | None], ...]] = {
    "paper": ((21, None), (98, 3), (389, 2), (778, 1)),
    "code": ((98, 4), (195, 3), (389, 2), (778, 1)),
}


def plan(levels: Literal["paper", "code"], s2d: bool) -> tuple[tuple[int, int | None], ...]:
    """(nodes, pyramid level) of each stage; without sparse-to-dense all stages past the joints have 778 nodes."""
    stages = PLANS[levels]
    return stages if s2d else tuple((nodes if nodes == 21 else 778, level) for nodes, level in stages)


class Projection(nn.Module):
    """Feature pyramid projection: one level sampled at the 21 joints, spread to the nodes by a Linear."""

    def __init__(self, channels: int, dim: int, joints: int, nodes: int):
        super().__init__()
        self.reduce = nn.Linear(channels, dim)
        self.spread = nn.Linear(joints, nodes)

    def forward(self, feature: Tensor, uv: Tensor) -> Tensor:
        """feature (B,C,h,w), uv (B,J,2) in [0, 1] from edge to edge -> (B, nodes, dim)."""
        # align_corners=False has the same edges as uv: -1 and 1 are the outer edges of the outer pixels
        grid = (2 * uv - 1)[:, :, None]
        sampled = F.grid_sample(feature.to(uv.dtype), grid, align_corners=False)[..., 0].transpose(1, 2)
        return self.spread(self.reduce(sampled).transpose(1, 2)).transpose(1, 2)


class Stage(nn.Module):
    """Nodes up by a dense Linear over the nodes (the paper's "GNN"), features to dim - 3 with the template's xyz as
    positional encoding beside them, a transformer, and the projected pyramid on top.
    """

    place: Tensor

    def __init__(
        self,
        nodes: tuple[int, int],
        dims: tuple[int, int],
        place: Tensor,
        projection: Projection | None,
        transformer: Transformer,
    ):
        super().__init__()
        self.up = nn.Linear(*nodes) if nodes[0] != nodes[1] else None
        self.reduce = nn.Linear(dims[0], dims[1] - 3)
        self.register_buffer("place", place, persistent=False)
        self.transformer = transformer
        self.projection = projection

    def forward(self, x: Tensor, feature: Tensor | None, uv: Tensor) -> Tensor:
        if self.up is not None:
            x = self.up(x.transpose(1, 2)).transpose(1, 2)
        x = self.reduce(x)
        x = self.transformer(torch.cat([x, self.place.to(x.dtype).expand(len(x), -1, -1)], -1))
        return x if self.projection is None or feature is None else x + self.projection(feature, uv)


class MeshRegressor(nn.Module):
    """F_J (B,21,512), the pyramid and the joints -> vertices (B,778,3) in uvd.

    `places`: for each number of nodes the template (nodes,3) of that level, the joints for 21, in bone lengths around
    the wrist.
    """

    def __init__(
        self,
        channels: Sequence[int],
        places: dict[int, Tensor],
        levels: Literal["paper", "code"] = "paper",
        s2d: bool = True,
        fproj: bool = True,
        axis: Axis = "nodes",
        layers: int = 2,
        heads: int = 8,
        width: int = 512,
    ):
        super().__init__()
        self.plan = plan(levels, s2d)
        before, stages = (21, width), []
        for (nodes, level), dim in zip(self.plan, DIMS, strict=True):
            projection = Projection(channels[level], dim, 21, nodes) if fproj and level is not None else None
            transformer = Transformer(dim, layers, heads, axis=axis)
            stages.append(Stage((before[0], nodes), (before[1], dim), places[nodes], projection, transformer))
            before = (nodes, dim)
        self.stages = nn.ModuleList(stages)
        self.out = nn.Linear(DIMS[-1], 3)
        # the mesh starts in the middle of the crop, at the depth of the wrist
        nn.init.constant_(self.out.bias, 0.5)

    def forward(self, x: Tensor, pyramid: Sequence[Tensor], uvd: Tensor) -> Tensor:
        # where to look is learnt from the joints' own loss
        uv = uvd[..., :2].detach()
        for stage, (_, level) in zip(self.stages, self.plan, strict=True):
            x = stage(x, None if level is None else pyramid[level], uv)
        # coordinates in half precision would lie on a grid of half a pixel: the last layer is always single
        with torch.autocast("cuda" if x.is_cuda else "cpu", enabled=False):
            return self.out(x.float())
