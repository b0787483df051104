"""The pre-LN transformer of CLIP's text tower, which several methods build on."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

Axis = Literal["nodes", "batch"]


class QuickGELU(nn.Module):
    """x · sigmoid(1.702 x), CLIP's approximation of GELU."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (1.702 * x).sigmoid()


class Block(nn.Module):
    """One layer: x + attention(LN x), then x + MLP(LN x)."""

    def __init__(self, width: int, heads: int, mlp: int = 4):
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is no multiple of {heads} heads")
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, mlp * width), QuickGELU(), nn.Linear(mlp * width, width))

    def attend(self, x: Tensor, mask: Tensor | None) -> Tensor:
        n, length, width = x.shape
        q, k, v = self.qkv(x).view(n, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out(mixed.transpose(1, 2).reshape(n, length, width))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = x + self.attend(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Module):
    """`layers` blocks on (B, n, width); every block keeps the number of nodes and the width.

    `axis` says what attends to what. `nodes`: the n nodes of one sample. `batch`: node i of all B samples, so that a
    prediction depends on the other samples of its batch; it reproduces a defect of CLIP-Hand3D's released code
    (nn.MultiheadAttention without batch_first) and is there for nothing else.
    """

    def __init__(self, width: int, layers: int, heads: int, mlp: int = 4, axis: Axis = "nodes"):
        super().__init__()
        self.axis = axis
        self.blocks = nn.ModuleList(Block(width, heads, mlp) for _ in range(layers))

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """x (B, n, width); keep (B, n) bool: nodes that may be attended to (with axis = `nodes` only)."""
        if self.axis == "batch":
            x = x.transpose(0, 1)
            keep = None
        mask = None if keep is None else keep[:, None, None, :]
        for block in self.blocks:
            x = block(x, mask)
        return x.transpose(0, 1) if self.axis == "batch" else x
