"""Predefined 3D joints (PJ, section 3.6, figure 6): a hand for each gesture class, which predicted joints consult."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from handbench import places
from handbench.errors import InvalidError
from handbench.hands.gestures import GESTURES
from handbench.methods.clip_hand.mted import Attention
from handbench.store.records import read_json

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
        self.templates.copy_(read_templates(source))

    def forward(self, joints: Tensor, turn: Tensor) -> Tensor:
        with torch.autocast("cuda" if joints.is_cuda else "cpu", enabled=False):
            turned = self.templates.flatten(0, 1) @ turn.transpose(1, 2)
            query = self.queries(joints / UNIT) + self.which
            key = self.keys(turned / UNIT) + self.which.repeat(len(self.templates), 1)
            return joints + UNIT * self.out(self.attention(query, key, key))


def read_templates(source: str) -> Tensor:
    """(19,21,3) m, wrist-relative, FH21, in the order of GESTURES: `synthetic` (shipped) or a JSON file.

    Raises MissingError where there is no such file, InvalidError where it is of another shape.
    """
    path = places.shipped("recipes", "templates", "gestures.json") if source == "synthetic" else Path(source)
    found = read_json(path, "The file of hand templates")
    hint = f"It is {{names: [{len(GESTURES)}], joints: [{len(GESTURES)} x {JOINTS} x 3]}}, metres around the wrist."
    if not isinstance(found, dict) or not {"names", "joints"} <= found.keys():
        raise InvalidError(f"{path} does not hold names and joints.", hint)
    try:
        joints = np.asarray(found["joints"], np.float64)
    except (TypeError, ValueError):
        raise InvalidError(f"{path} holds joints that are no rectangular array of numbers.", hint) from None
    if joints.shape != (len(GESTURES), JOINTS, 3) or not np.isfinite(joints).all():
        raise InvalidError(f"{path} holds joints of shape {joints.shape}, not {(len(GESTURES), JOINTS, 3)}.", hint)
    if tuple(found["names"]) != GESTURES:
        raise InvalidError(f"{path} names other gestures, or in another order.", f"In order: {', '.join(GESTURES)}.")
    return torch.from_numpy(joints).float()
