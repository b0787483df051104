"""The motion discriminator and its least-squares losses (section 3.2, eq. 7 and 8; VIBE, [29])."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from handbench.methods.blocks.rotations import matrix_to_axis_angle
from handbench.methods.deformer.config import DiscriminatorConfig

# which hand, and 15 rotations as axis and angle, rad
INPUTS = 1 + 45


class MotionDiscriminator(nn.Module):
    """Motions (B,T,46) -> scores (B,): two GRU layers, whose outputs are summed by self-attention. 1 is real."""

    def __init__(self, config: DiscriminatorConfig):
        super().__init__()
        width = config.width
        self.gru = nn.GRU(INPUTS, width, num_layers=2, batch_first=True)
        self.attention = nn.Sequential(
            nn.Linear(width, width),
            nn.Tanh(),
            nn.Dropout(config.dropout),
            nn.Linear(width, width),
            nn.Tanh(),
            nn.Dropout(config.dropout),
            # the same for all frames means nothing under a softmax
            nn.Linear(width, 1, bias=False),
        )
        self.score = nn.Linear(width, 1)

    def forward(self, motion: Tensor) -> Tensor:
        states, _ = self.gru(motion)
        weights = self.attention(states).softmax(1)
        return self.score((weights * states).sum(1))[:, 0]


def motion_of(rotations: Tensor, left: Tensor, frames: int) -> Tensor:
    """MANO's rotations (B*T,16,3,3), of hands shown as right ones, and which of them are left (B*T,) -> (B,T,46).

    The pose relative to the wrist: no global rotation, no mesh (released code; the text says a sequence of meshes).
    """
    angles = matrix_to_axis_angle(rotations[:, 1:]).flatten(1)
    return torch.cat([left[:, None].to(angles.dtype), angles], 1).unflatten(0, (-1, frames))


def generator_loss(predicted: Tensor) -> Tensor:
    """Eq. 7, of the discriminator's scores (B,)."""
    return (predicted - 1).square().mean()


def discriminator_loss(predicted: Tensor, real: Tensor) -> Tensor:
    """Eq. 8, of the scores of predicted (B,) and real motions (R,)."""
    return predicted.square().mean() + (real - 1).square().mean()


@contextmanager
def held(module: nn.Module) -> Iterator[None]:
    """What is computed within has no gradient towards the module's own parameters."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
