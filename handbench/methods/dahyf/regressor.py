"""From the hybrid feature to MANO's parameters and the camera (section 3.4, after HMR and CLIFF)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from handbench.hands.mano import HandModel, axis_angle_to_matrix
from handbench.methods.blocks.rotations import matrix_to_six, six_to_matrix
from handbench.methods.dahyf.view import View

# half patches a metre: a hand some 0.2 m long that fills 1 / 1.3 of its patch
SCALE = 8.0
SIZES = {"pose": 96, "shape": 10, "camera": 3}


class ManoRegressor(nn.Module):
    """Feature (B,n) -> rotations (B,16,3,3), shape (B,10) and weak-perspective camera (B,3) = (s, tx, ty).

    An MLP corrects the estimate, which it reads beside the feature and which begins at the mean hand: `passes` times.
    Rotations are six numbers inside. s is the exponential of what is regressed, to stay positive (our decision).
    """

    start: Tensor

    def __init__(self, features: int, hand: HandModel, width: int, dropout: float, passes: int):
        super().__init__()
        self.passes = passes
        mean = axis_angle_to_matrix(torch.cat([torch.zeros(3), torch.from_numpy(hand.hands_mean)]).view(16, 3).numpy())
        six = matrix_to_six(torch.from_numpy(mean).float()).flatten()
        start = torch.cat([six, torch.zeros(10), torch.tensor([math.log(SCALE), 0.0, 0.0])])
        # made from the hand model at hand, so it is no weight
        self.register_buffer("start", start, persistent=False)
        total = sum(SIZES.values())
        self.body = nn.Sequential(
            nn.Linear(features + total, width),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
        )
        self.heads = nn.ModuleDict({name: _near_nothing(nn.Linear(width, size)) for name, size in SIZES.items()})

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        estimate = self.start.expand(len(feature), -1)
        for _ in range(self.passes):
            hidden = self.body(torch.cat([feature, estimate.to(feature.dtype)], 1))
            estimate = estimate + torch.cat([head(hidden).float() for head in self.heads.values()], 1)
        pose, shape, camera = estimate.split(list(SIZES.values()), 1)
        rotations = six_to_matrix(pose.view(-1, 16, 6))
        return rotations, shape, torch.cat([camera[:, :1].clamp(max=6.0).exp(), camera[:, 1:]], 1)


def _near_nothing(head: nn.Linear) -> nn.Linear:
    """So that the first guess is the mean hand."""
    nn.init.xavier_uniform_(head.weight, gain=0.01)
    nn.init.zeros_(head.bias)
    return head


def translation(camera: Tensor, view: View, size: int) -> Tensor:
    """(B,3) m in the seen frame, from the weak-perspective camera of a patch of `size` pixels (CLIFF, eq. 3 and 4).

    With b the patch's side in the frame: t_z = 2 f / (b s) and t_xy = (2 (c - O) / (b s)) + (tx, ty); (c - O) / f
    is the direction of the patch's middle. (The text cites another paper for this step.)
    """
    s, offset = camera[:, :1], camera[:, 1:]
    depth = 2 * view.focal[:, None] / (size * s)
    middle = torch.full((len(camera), 1, 2), (size - 1) / 2, dtype=camera.dtype, device=camera.device)
    return torch.cat([view.directions(middle)[:, 0] * depth + offset, depth], 1)
