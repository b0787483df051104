"""The transformers that frames and windows share: post-LN, positions added to queries and keys (DETR, [7])."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from handbench.methods.deformer.config import DeformerConfig


class Layer(nn.Module):
    """x (N,n,C) attends to `memory` (N,m,C), itself for an encoder; then a feed-forward; each added and normed."""

    def __init__(self, config: DeformerConfig, itself_first: bool = False):
        super().__init__()
        width, dropout = config.width, config.dropout
        self.own: nn.MultiheadAttention | None = None
        if itself_first:
            self.own = nn.MultiheadAttention(width, config.heads, dropout, batch_first=True)
            self.own_norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, config.heads, dropout, batch_first=True)
        self.norm1 = nn.LayerNorm(width)
        self.feedforward = nn.Sequential(
            nn.Linear(width, config.feedforward),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(config.feedforward, width),
        )
        self.norm2 = nn.LayerNorm(width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, at: Tensor, memory: Tensor | None = None, memory_at: Tensor | None = None) -> Tensor:
        """`at` and `memory_at`: positions, of the shapes of x and memory."""
        if self.own is not None:
            mixed = self.own(x + at, x + at, x, need_weights=False)[0]
            x = self.own_norm(x + self.drop(mixed))
        memory = x if memory is None else memory
        keys = memory + (at if memory_at is None else memory_at)
        mixed = self.attention(x + at, keys, memory, need_weights=False)[0]
        x = self.norm1(x + self.drop(mixed))
        return self.norm2(x + self.drop(self.feedforward(x)))


class Encoder(nn.Module):
    """Tokens (N,n,C) with positions (n,C) -> tokens (N,n,C)."""

    def __init__(self, config: DeformerConfig):
        super().__init__()
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))

    def forward(self, x: Tensor, at: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, at)
        return x


class Decoder(nn.Module):
    """One learned query gathers what it needs of tokens (N,m,C) with positions (m,C) -> (N,C)."""

    def __init__(self, config: DeformerConfig):
        super().__init__()
        self.query = nn.Parameter(torch.randn(1, 1, config.width))
        self.layers = nn.ModuleList(Layer(config, config.query_attention) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)

    def forward(self, memory: Tensor, at: Tensor) -> Tensor:
        x = torch.zeros_like(memory[:, :1])
        query = self.query.expand_as(x)
        for layer in self.layers:
            x = layer(x, query, memory, at)
        return self.norm(x)[:, 0]


def sines(at: Tensor, width: int) -> Tensor:
    """Positions (n,) -> (n, width): sines and cosines of falling frequency ([52])."""
    rate = torch.exp(torch.arange(0, width, 2, device=at.device) * (-math.log(10_000.0) / width))
    angle = at[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)


def sines_2d(cells: int, width: int) -> Tensor:
    """(cells * cells, width), row by row: half of it for y and half for x, one turn over the side."""
    one = sines((torch.arange(cells) + 0.5) * (2 * math.pi / cells), width // 2)
    y, x = one[:, None].expand(cells, cells, -1), one[None].expand(cells, cells, -1)
    return torch.cat([y, x], -1).flatten(0, 1)
