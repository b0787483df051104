"""Predefined 3D joints (PJ, section 3.6, figure 6): a hand for each gesture class, which predicted joints consult."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from handbench.hands.gestures import GESTURES
from handbench.methods.clip_hand.mted import Attention
from handbench.store.templates import read_templates

JOINTS = 21
# lengths in these units, m, are of order one
UNIT = 0.1


class JointTemplates(nn.Module):
    """Predicted joints (B,21,3) m and the turn (B,3,3) of each sample's augmentation -> refined joints (B,21,3) m.

    The templates, turned likewise, are keys and values: one cross-attention of the 21 joints to all 19 × 21 template
    joints, and its result is a correction. Coordinates by a Linear, plus an embedding of which joint it is. Before
    anything is learned the correction is zero. Sizes are our decision. Scaling the patch does not scale the templates:
    they are metric, as the truth is.
    """

    templates: Tensor

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.queries = nn.Linear(3, width)
        self.keys = nn.Linear(3, width)
        self.which = nn.Parameter(torch.randn(JOINTS, width) * 0.02)
        self.attention = Attention(width, heads)
        self.out = nn.Linear(width, 3)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        # they come from a file at the beginning of training and then belong to the model
        self.register_buffer("templates", torch.zeros(len(GESTURES), JOINTS, 3))

    def load(self, source: str) -> None:
        """`synthetic`, the shipped ones, or a file of `handbench prep templates`. Raises MissingError, InvalidError."""
        read = read_templates(None if source == "synthetic" else Path(source))
        self.templates.copy_(torch.from_numpy(read.joints))

    def forward(self, joints: Tensor, turn: Tensor) -> Tensor:
        with torch.autocast("cuda" if joints.is_cuda else "cpu", enabled=False):
            turned = self.templates.flatten(0, 1) @ turn.transpose(1, 2)
            query = self.queries(joints / UNIT) + self.which
            key = self.keys(turned / UNIT) + self.which.repeat(len(self.templates), 1)
            return joints + UNIT * self.out(self.attention(query, key, key))
