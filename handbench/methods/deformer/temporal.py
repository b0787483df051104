"""The temporal transformer, and what is read from its features: pose, motion, confidence, shape (section 3.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from handbench.hands.mano import HandModel, axis_angle_to_matrix
from handbench.methods.blocks.rotations import matrix_to_six
from handbench.methods.deformer.attention import Decoder, Encoder, sines
from handbench.methods.deformer.config import DeformerConfig
from handbench.methods.deformer.pyramid import SLOPE
from handbench.methods.deformer.spatial import JOINTS

SIX = 16 * 6


class TemporalTransformer(nn.Module):
    """F_t+ (B,T,C) -> F_t++ (B,T,C), and the shape of each window (B,10), MANO's betas."""

    position: Tensor

    def __init__(self, config: DeformerConfig):
        super().__init__()
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.shape = near_nothing(nn.Linear(config.width, 10))
        position = sines(torch.arange(config.frames), config.width)
        self.register_buffer("position", position, persistent=False)

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        position = self.position[: feature.shape[1]]
        feature = self.encoder(feature, position)
        return feature, self.shape(self.decoder(feature, position))


class MotionHeads(nn.Module):
    """F_t++ (N,C) and 2D joints (N,21,2) -> pose, forward and backward (N,96), confidence (N,1).

    Pose: the first two columns of MANO's 16 rotations, whose first guess is the mean hand. Motions are differences of
    such numbers, to the next and to the previous frame of the window; first guess none. Only what the aggregation uses
    is there.
    """

    def __init__(self, config: DeformerConfig, hand: HandModel):
        super().__init__()
        self.reads_joints = config.joints_to == "mano_mlp"
        first, second = config.hidden
        self.body = nn.Sequential(
            nn.Linear(config.width + 2 * JOINTS * self.reads_joints, first),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Linear(first, second),
            nn.LeakyReLU(SLOPE, inplace=True),
        )
        heads = {"pose": mean_hand_head(second, hand)}
        if config.aggregation != "center":
            heads |= {name: near_nothing(nn.Linear(second, SIX)) for name in ("forward", "backward")}
        if config.aggregation == "dynamic":
            # the same for all frames means nothing under a softmax
            heads["confidence"] = near_nothing(nn.Linear(second, 1, bias=False))
        self.heads = nn.ModuleDict({f"{name}_head": head for name, head in heads.items()})

    def forward(self, feature: Tensor, joints2d: Tensor | None) -> dict[str, Tensor]:
        if self.reads_joints:
            assert joints2d is not None
            feature = torch.cat([feature, joints2d.flatten(1)], 1)
        hidden = self.body(feature)
        return {name.removesuffix("_head"): head(hidden) for name, head in self.heads.items()}


class MonocularHeads(nn.Module):
    """F_t+ (N,C) -> pose (N,96) and shape (N,10) of each frame alone: in training only."""

    def __init__(self, config: DeformerConfig, hand: HandModel):
        super().__init__()
        self.pose = mean_hand_head(config.width, hand)
        self.shape = near_nothing(nn.Linear(config.width, 10))

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        return self.pose(feature), self.shape(feature)


def near_nothing(head: nn.Linear) -> nn.Linear:
    """So that the first guess is next to nothing."""
    nn.init.xavier_uniform_(head.weight, gain=0.01)
    if head.bias is not None:
        nn.init.zeros_(head.bias)
    return head


def mean_hand_head(width: int, hand: HandModel) -> nn.Linear:
    head = near_nothing(nn.Linear(width, SIX))
    vectors = torch.cat([torch.zeros(3), torch.from_numpy(hand.hands_mean).float()]).view(16, 3)
    six = matrix_to_six(torch.from_numpy(axis_angle_to_matrix(vectors.numpy())).float())
    with torch.no_grad():
        head.bias.copy_(six.flatten())
    return head
