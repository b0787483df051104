"""The losses of Deformer on hands and motions (section 3.2). What is not annotated, and what repeats, is left out."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from handbench.hands.joints import WRIST
from handbench.methods.base import Batch
from handbench.methods.blocks.masked import masked_mean
from handbench.methods.blocks.pinhole import pixels_of
from handbench.methods.blocks.seen import patch_turn, seen, turned_rotations
from handbench.methods.deformer.config import LossConfig
from handbench.methods.deformer.pyramid import to_region

# the released code's weights: of 3D points (m²), rotation matrices, betas, 2D joints (shares of the region's side)
POINTS, ROTATIONS, SHAPE, JOINTS_2D, ADVERSARIAL = 1e4, 10.0, 0.1, 1e2, 10.0
# m²: eq. 5 is 0/0 where nothing is wrong
TINY = 1e-12


class Truth(NamedTuple):
    """Of N frames, in the seen frame: joints (N,21,3) and vertices (N,778,3) m around the wrist, rotations (N,16,3,3),
    shape (N,10), joints2d (N,21,2) in shares of the region; each with its mask. `real` (N,): not a repetition.
    """

    joints: Tensor
    joints_valid: Tensor
    vertices: Tensor
    vertices_valid: Tensor
    rotations: Tensor
    shape: Tensor
    mano_valid: Tensor
    joints2d: Tensor
    joints2d_valid: Tensor
    real: Tensor

    def at(self, index: Tensor, wanted: Tensor) -> Truth:
        """The frames at `index` (n,), masked where not `wanted` (n,) bool."""
        taken = {name: getattr(self, name)[index] for name in self._fields}
        for name in ("joints_valid", "vertices_valid", "mano_valid", "joints2d_valid", "real"):
            mask = taken[name]
            taken[name] = mask & wanted.view(-1, *[1] * (mask.ndim - 1))
        return Truth(**taken)


def truth_of(batch: Batch, size: int, region: float) -> Truth:
    """`size`: pixels of the crop; `region`: share of its side."""
    turn, _ = patch_turn(batch["frame_affine"])
    real = ~batch["repeated"]
    annotated = batch["joints_valid"] & real[:, None]
    joints = torch.where(annotated[..., None], batch["joints"], 1.0)
    joints2d = to_region(pixels_of(joints, batch["camera"]), size, region)
    inside = annotated & ((joints2d > 0) & (joints2d < 1)).all(-1)
    rooted = annotated[:, WRIST]
    joints = seen(joints, turn)
    root = joints[:, WRIST : WRIST + 1]
    return Truth(
        joints - root,
        annotated & rooted[:, None],
        seen(batch["vertices"], turn) - root,
        batch["vertices_valid"] & rooted & real,
        turned_rotations(batch["mano_rotations"], turn, batch["mirrored"]),
        batch["mano_shape"],
        batch["mano_valid"] & real,
        joints2d,
        inside,
        real,
    )


class Hands(NamedTuple):
    """Predicted hands, in the frame of `Truth`: joints (N,21,3) and vertices (N,778,3) m, rotations (N,16,3,3)."""

    joints: Tensor
    vertices: Tensor
    rotations: Tensor


def max_mse(squared: Tensor, detach: bool = False) -> Tensor:
    """Eq. 5 of each sample: squared distances e² (N,P), m² -> Σe⁴ / Σe² (N,); 0 where all are 0.

    Its derivative by e_i² is (2 e_i² Σe² - Σe⁴) / (Σe²)²: negative for points of less than half the loss, which it
    draws away. With `detach` the weights e_i² / Σe² are constants.
    """
    weights = squared / (squared.sum(1, keepdim=True) + TINY)
    return ((weights.detach() if detach else weights) * squared).sum(1)


def point_loss(predicted: Tensor, true: Tensor, valid: Tensor, config: LossConfig) -> Tensor:
    """Of points (N,P,3), over those that are valid (N,P): m²; the mean of the samples that have any."""
    squared = torch.where(valid[..., None], predicted - true, 0.0).square().sum(-1)
    if config.points == "maxmse":
        each = max_mse(squared, config.detach)
    else:
        each = squared.sum(1) / valid.sum(1).clamp(min=1)
        each = each / 3 if config.mse_scale == "torch" else each
    return masked_mean(each, valid.any(1))


def hand_losses(hands: Hands, truth: Truth, config: LossConfig) -> dict[str, Tensor]:
    """Weighted: joints, vertices, rotations (mean square of matrices, as in the released code; the text has maxMSE)."""
    terms = {"joints": POINTS * point_loss(hands.joints, truth.joints, truth.joints_valid, config)}
    if config.mesh:
        valid = truth.vertices_valid[:, None].expand(-1, truth.vertices.shape[1])
        terms["vertices"] = POINTS * point_loss(hands.vertices, truth.vertices, valid, config)
    if config.mano:
        terms["rotations"] = ROTATIONS * masked_square(hands.rotations, truth.rotations, truth.mano_valid)
    return terms


def shape_loss(shape: Tensor, truth: Truth) -> Tensor:
    """Weighted, of betas (N,10)."""
    return SHAPE * masked_square(shape, truth.shape, truth.mano_valid)


def joint_loss_2d(joints2d: Tensor, truth: Truth) -> Tensor:
    """Weighted, of joints (N,21,2) that lie in the region (eq. 10, as a mean)."""
    true, valid = truth.joints2d.flatten(0, 1), truth.joints2d_valid.flatten()
    return JOINTS_2D * masked_square(joints2d.flatten(0, 1), true, valid)


def masked_square(predicted: Tensor, true: Tensor, valid: Tensor) -> Tensor:
    """Mean square of the differences (N,...), over the samples (N,) that are valid."""
    mask = valid.view(-1, *[1] * (predicted.ndim - 1))
    each = torch.where(mask, predicted - true, 0.0).square().flatten(1).mean(1)
    return masked_mean(each, valid)


def smooth_loss(hands: Hands, real: Tensor, orders: int) -> Tensor:
    """Weighted mean squares of the first `orders` differences along windows: hands (B*T,...), real (B,T).

    Differences that reach a repeated frame are left out.
    """
    total = hands.joints.new_zeros(())
    for values, weight in ((hands.joints, POINTS), (hands.rotations, ROTATIONS)):
        sequence, known = values.flatten(1).unflatten(0, real.shape), real
        for _ in range(orders):
            sequence, known = sequence[:, 1:] - sequence[:, :-1], known[:, 1:] & known[:, :-1]
            total = total + weight * masked_mean(sequence.square().mean(2), known)
    return total
