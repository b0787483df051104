"""The transformer encoder-decoder (MTED, section 3.4 and figure 5), after FastMETRO-S; and its plain form.

Attention is within one sample. Masks are added to its logits: 0 where may be attended to, else minus infinity.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn

# half patches a metre that the weak-perspective scale starts at: a hand some 0.2 m long fills 1 / 1.3 of its patch
SCALE = 8.0


def hop_mask(adjacency: sparse.csr_array, hops: int, others: int) -> NDArray:
    """(others + V, others + V) bool: vertices see each other over at most `hops` edges; the `others` before them
    (camera and joints) see all and are seen by all. adjacency (V,V) has ones on its diagonal.
    """
    reach: NDArray = np.eye(adjacency.shape[0], dtype=bool)
    for _ in range(hops):
        reach = (adjacency @ reach.astype(np.float64)) > 0
    mask = np.ones((others + len(reach),) * 2, bool)
    mask[others:, others:] = reach
    return mask


def sine_position(side: int, width: int) -> Tensor:
    """(side², width): sines and cosines of the row and of the column of each cell, as in DETR."""
    place = (torch.arange(side) + 1) / (side + 1e-6) * 2 * math.pi
    half = width // 2
    angle = place[:, None] / 10000 ** (torch.arange(0, half, 2) / half)
    waves = torch.stack([angle.sin(), angle.cos()], -1).flatten(1)
    rows, columns = waves[:, None].expand(side, side, -1), waves[None].expand(side, side, -1)
    return torch.cat([rows, columns], -1).flatten(0, 1)


class Attention(nn.Module):
    """Multi-head attention of (B,n,width) to (B,m,width)."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
        n, length, width = query.shape
        q, k, v = (
            linear(x).view(n, -1, self.heads, width // self.heads).transpose(1, 2)
            for linear, x in ((self.q, query), (self.k, key), (self.v, value))
        )
        mask = None if mask is None else mask.to(q.dtype)
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        return self.out(mixed.transpose(1, 2).reshape(n, length, width))


def _feed_forward(width: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, 4 * width),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
        nn.Linear(4 * width, width),
        nn.Dropout(dropout),
    )


class EncoderDecoder(nn.Module):
    """One pre-LN encoder layer over the image tokens and one decoder layer of the queries; each ends in a LayerNorm."""

    position: Tensor

    def __init__(self, width: int, side: int, heads: int, dropout: float):
        super().__init__()
        self.encoder_norm, self.self_norm, self.cross_norm = (nn.LayerNorm(width) for _ in range(3))
        self.encoder_attention, self.self_attention, self.cross_attention = (
            Attention(width, heads, dropout) for _ in range(3)
        )
        self.encoder_mlp, self.decoder_mlp = (_feed_forward(width, dropout) for _ in range(2))
        self.encoded, self.decoded = nn.LayerNorm(width), nn.LayerNorm(width)
        self.drop = nn.Dropout(dropout)
        self.register_buffer("position", sine_position(side, width), persistent=False)

    def encode(self, tokens: Tensor) -> Tensor:
        normed = self.encoder_norm(tokens)
        placed = normed + self.position.to(normed.dtype)
        tokens = tokens + self.drop(self.encoder_attention(placed, placed, normed))
        return self.encoded(tokens + self.encoder_mlp(tokens))

    def decode(self, queries: Tensor, tokens: Tensor, mask: Tensor | None) -> Tensor:
        normed = self.self_norm(queries)
        queries = queries + self.drop(self.self_attention(normed, normed, normed, mask))
        placed = tokens + self.position.to(tokens.dtype)
        queries = queries + self.drop(self.cross_attention(self.cross_norm(queries), placed, tokens))
        return self.decoded(queries + self.decoder_mlp(queries))


class Heads(nn.Module):
    """Query features (B,1+J+V,width) -> weak-perspective camera (B,3) = (s, tx, ty) and points (B,J+V,3) m.

    The first guess is next to no hand, all at the wrist, with s = `SCALE` (our decision).
    """

    def __init__(self, width: int):
        super().__init__()
        self.camera = nn.Linear(width, 3)
        self.points = nn.Linear(width, 3)

    def start(self) -> None:
        for head in (self.camera, self.points):
            nn.init.xavier_uniform_(head.weight, gain=0.01)
            nn.init.zeros_(head.bias)
        with torch.no_grad():
            self.camera.bias.copy_(torch.tensor([SCALE, 0.0, 0.0]))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        # coordinates in half precision would lie on a grid of a tenth of a millimetre and more
        with torch.autocast("cuda" if x.is_cuda else "cpu", enabled=False):
            x = x.float()
            return self.camera(x[:, 0]), self.points(x[:, 1:])


class Transformer(nn.Module):
    """Global tokens (B,side²,D) and queries (B,1+J+V,D), or learned ones, -> the output of `Heads`.

    With `masks` (four of them: the paper's 7, 5, 3 and 1 edges) it is progressive: a decoder pass on the tokens as
    they are, the encoder, and the same decoder again on the encoded tokens, first in width D, then in `narrow`.
    Without, it is one plain encoder and decoder of width D.
    """

    masks: Tensor | None

    def __init__(
        self,
        width: int,
        narrow: int,
        side: int,
        learned: int,
        masks: NDArray | None,
        heads: int = 8,
        dropout: float = 0.1,
        pass_raw: bool = False,
    ):
        super().__init__()
        self.pass_raw = pass_raw
        self.queries = nn.Embedding(learned, width) if learned else None
        self.wide = EncoderDecoder(width, side, heads, dropout)
        self.narrow: EncoderDecoder | None = None
        if masks is not None:
            # camera, joints and vertices, and image tokens
            self.to_narrow = nn.ModuleDict({name: nn.Linear(width, narrow) for name in ("camera", "points", "image")})
            self.narrow = EncoderDecoder(narrow, side, heads, dropout)
        self.heads = Heads(narrow if masks is not None else width)
        # made from the mesh at hand, so it is no weight
        added = None if masks is None else torch.from_numpy(np.where(masks, 0.0, -np.inf)).float()
        self.register_buffer("masks", added, persistent=False)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        if self.queries is not None:
            nn.init.normal_(self.queries.weight)
        self.heads.start()

    def forward(self, tokens: Tensor, queries: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if queries is None:
            if self.queries is None:
                raise ValueError("a transformer without learned queries is given them")
            queries = self.queries.weight.to(tokens.dtype).expand(len(tokens), -1, -1)
        if self.narrow is None or self.masks is None:
            return self.heads(self.wide.decode(queries, self.wide.encode(tokens), None))
        queries, encoded = self._twice(self.wide, queries, tokens, self.masks[0], self.masks[1])
        tokens = self.to_narrow["image"](tokens if self.pass_raw else encoded)
        queries = torch.cat([self.to_narrow["camera"](queries[:, :1]), self.to_narrow["points"](queries[:, 1:])], 1)
        queries, _ = self._twice(self.narrow, queries, tokens, self.masks[2], self.masks[3])
        return self.heads(queries)

    @staticmethod
    def _twice(
        layer: EncoderDecoder, queries: Tensor, tokens: Tensor, far: Tensor, near: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The queries after both decoder passes, and the tokens encoded between them."""
        queries = layer.decode(queries, tokens, far)
        encoded = layer.encode(tokens)
        return layer.decode(queries, encoded, near), encoded
