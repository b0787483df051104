"""`deformer`: dynamic fusion of hands in video (Fu et al., ICCV 2023); where the paper is silent, its released code.

A frame becomes one vector (spatial transformer), a window's vectors attend to each other (temporal transformer), and
each frame gives a pose, its motion to the next and previous frame, and a confidence. Poses, moved to a frame by the
motions between, are summed there by their confidences.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from handbench.hands.joints import WRIST
from handbench.hands.mano import HandModel
from handbench.methods.base import Batch, Method, Need, Prediction
from handbench.methods.blocks.backbone import ResNet
from handbench.methods.blocks.mano_layer import ManoLayer
from handbench.methods.blocks.rotations import six_to_matrix
from handbench.methods.blocks.seen import patch_turn, turned_rotations, unseen
from handbench.methods.deformer.config import DeformerConfig
from handbench.methods.deformer.discriminator import (
    MotionDiscriminator,
    discriminator_loss,
    generator_loss,
    held,
    motion_of,
)
from handbench.methods.deformer.fusion import Fusion
from handbench.methods.deformer.losses import (
    ADVERSARIAL,
    Hands,
    hand_losses,
    joint_loss_2d,
    shape_loss,
    smooth_loss,
    truth_of,
)
from handbench.methods.deformer.pyramid import FeaturePyramid
from handbench.methods.deformer.spatial import SpatialTransformer
from handbench.methods.deformer.temporal import MonocularHeads, MotionHeads, TemporalTransformer


class Deformer(Method):
    """Construct it and it is ready for inference; `begin_training()` adds the motion discriminator."""

    name = "deformer"
    Config = DeformerConfig
    given: ClassVar[tuple[str, ...]] = ("box", "side", "root")
    mirrors_left = True
    training_only: ClassVar[tuple[str, ...]] = ("discriminator", "monocular")
    stages: ClassVar[dict[str, tuple[str, ...]]] = {
        "backbone": ("backbone", "pyramid"),
        "spatial transformer": ("spatial",),
        "temporal transformer": ("temporal",),
        "dynamic fusion": ("heads", "fusion"),
        "MANO": ("mano",),
    }
    config: DeformerConfig

    def __init__(self, config: DeformerConfig, hand: HandModel, fingertips: str):
        super().__init__(config, hand, fingertips)
        self.frames, self.gap = config.frames, config.gap
        self.stride = config.frames if config.fuse == "all" else 1
        if config.aggregation == "occlusion":
            self.given = (*type(self).given, "occlusion")  # type: ignore[misc]
        self.backbone = ResNet(config.backbone.name)
        self.pyramid = FeaturePyramid(self.backbone.channels, config.width)
        self.spatial = SpatialTransformer(config)
        self.temporal = TemporalTransformer(config)
        self.heads = MotionHeads(config, hand)
        self.fusion = Fusion(config)
        self.mano = ManoLayer(hand, fingertips)
        self.discriminator: MotionDiscriminator | None = None
        self.monocular: MonocularHeads | None = None
        self._hand = hand

    @property
    def input_size(self) -> int:
        return self.config.input

    @property
    def weights(self) -> dict[str, str]:
        imagenet = self.config.backbone.weights
        return {"imagenet": Path(imagenet).name if imagenet else imagenet}

    @property
    def trusts(self) -> bool:
        return self.config.aggregation == "dynamic"

    def needs(self) -> list[Need]:
        loss = self.config.loss
        needs = [Need(("vertices",), "the losses of the mesh", "model.loss.mesh=false")] if loss.mesh else []
        if loss.mano:
            purpose = "the losses of MANO's parameters and the motion discriminator"
            needs.append(Need(("mano_pose", "mano_shape"), purpose, "model.loss.mano=false"))
        if self.config.aggregation == "occlusion":
            needs.append(Need(("visible_fraction",), "the aggregation by occlusion", "model.aggregation=average"))
        return needs

    def begin_training(self, pretrained: bool = True) -> None:
        """Load the backbone's weights; add the discriminator. Raises MissingError for weights that are not there."""
        if pretrained:
            self.backbone.load(self.config.backbone.weights)
        device = self.spatial.position.device
        if self.config.adversarial and self.discriminator is None:
            self.discriminator = MotionDiscriminator(self.config.discriminator).to(device)
        if self.config.mono_head == "spatial" and self.monocular is None:
            self.monocular = MonocularHeads(self.config, self._hand).to(device)

    def train(self, mode: bool = True) -> Deformer:
        super().train(mode)
        if self.config.freeze_norms:
            for module in self.backbone.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def normalise(self, image: Tensor) -> Tensor:
        """To 0..1: the released code does not take ImageNet's mean from it."""
        return image.float() / 255.0

    def forward(self, image: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Image (B*T,3,S,S), window by window -> of every frame, shape (B*T,10), pose (B*T,96), weights (B*T,), what
        the heads give besides and, in training or where they read them, joints2d (B*T,21,2) in shares of the hand's
        region. Of the B centre frames (or of all, as `stride` says), in the seen frame: rotations (·,16,3,3), joints
        (·,21,3) and vertices (·,778,3) m, with the wrist at 0.
        """
        frames = self.frames
        feature, joints2d = self.spatial(self.pyramid(self.backbone(image)))
        mono = self.monocular(feature) if self.monocular is not None and self.training else ()
        together = frames if self.config.exchange else 1
        enhanced, shape = self.temporal(feature.unflatten(0, (-1, together)))
        # rotations in half precision would lie on a grid of centimetres: from here on all is single
        with torch.autocast("cuda" if image.is_cuda else "cpu", enabled=False):
            shape = shape.float().repeat_interleave(together, 0)
            heads = self.heads(enhanced.flatten(0, 1).float(), joints2d)
            visible = batch.get("visible_fraction")
            windows = {name: value.unflatten(0, (-1, frames)) for name, value in heads.items()}
            fused, weights = self.fusion(windows, None if visible is None else visible.view(-1, frames))
            rotations = six_to_matrix(fused.flatten(0, 1).unflatten(1, (16, 6)))
            hands = self._hands(rotations, self._predicted(shape), self._predicted(batch["mirrored"]))
        output = {**heads, "weights": weights.flatten(), "shape": shape, **hands._asdict()}
        output |= {} if joints2d is None else {"joints2d": joints2d}
        output |= {f"monocular_{name}": value.float() for name, value in zip(("pose", "shape"), mono, strict=False)}
        return output

    def _predicted(self, values: Tensor) -> Tensor:
        """Of every frame (B*T,...) -> of those that are predicted."""
        return values if self.stride > 1 else values.unflatten(0, (-1, self.frames))[:, self.frames // 2]

    def _hands(self, rotations: Tensor, shape: Tensor, mirrored: Tensor) -> Hands:
        vertices, joints = self.mano(rotations, shape, mirrored)
        root = joints[:, WRIST : WRIST + 1]
        return Hands(joints - root, vertices - root, rotations)

    def lift(self, output: dict[str, Tensor], batch: Batch) -> Prediction:
        """To the camera frame of the record, at the given wrists; float64. B centre frames, or all as `stride` says.

        The confidence is a frame's own weight in its window.
        """
        turn = patch_turn(self._predicted(batch["frame_affine"]).double())[0]
        root = self._predicted(batch["root"]).double()[:, None]
        mirrored = self._predicted(batch["mirrored"])
        return Prediction(
            unseen(output["joints"].double(), turn) + root,
            unseen(output["vertices"].double(), turn) + root,
            self._predicted(output["weights"]) if self.trusts else None,
            turned_rotations(output["rotations"].double(), turn.transpose(1, 2), mirrored),
            self._predicted(output["shape"]),
        )

    def losses(self, output: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Eq. 4: of each frame, of one-step motions, of the fused hands; 2D joints; and eq. 7."""
        config, frames = self.config.loss, self.frames
        truth = truth_of(batch, self.input_size, self.config.region)
        index = torch.arange(len(truth.real), device=truth.real.device)
        each = self._hands(_matrices(output["pose"]), output["shape"], batch["mirrored"])
        terms = hand_losses(each, truth, config)
        if config.mano:
            terms["shape"] = shape_loss(output["shape"], truth)
        terms["joints2d"] = joint_loss_2d(output["joints2d"], truth)
        if self.config.aggregation != "center":
            centre = self._predicted(index)
            fused = Hands(output["joints"], output["vertices"], output["rotations"])
            terms["fused"] = _sum(hand_losses(fused, truth.at(centre, truth.real[centre]), config))
            of_windows = index.view(-1, frames)
            steps = {"forward": (slice(0, -1), slice(1, None)), "backward": (slice(1, None), slice(0, -1))}
            for name, (start, end) in steps.items():
                source, target = of_windows[:, start].flatten(), of_windows[:, end].flatten()
                moved = _matrices(output["pose"][source] + output[name][source])
                hands = self._hands(moved, output["shape"][source], batch["mirrored"][source])
                terms[f"motion_{name}"] = _sum(hand_losses(hands, truth.at(target, truth.real[source]), config))
        if config.smooth:
            terms["smooth"] = smooth_loss(each, truth.real.view(-1, frames), config.smooth)
        if "monocular_pose" in output:
            alone = self._hands(_matrices(output["monocular_pose"]), output["monocular_shape"], batch["mirrored"])
            found = hand_losses(alone, truth, config)
            if config.mano:
                found["shape"] = shape_loss(output["monocular_shape"], truth)
            terms["monocular"] = _sum(found)
        if self.discriminator is not None:
            with held(self.discriminator):
                score = self.discriminator(motion_of(each.rotations, batch["mirrored"], frames))
            terms["adversarial"] = ADVERSARIAL * generator_loss(score)
        return terms

    @property
    def adversary(self) -> nn.Module | None:
        return self.discriminator

    def adversary_loss(self, output: dict[str, Tensor], batch: Batch) -> Tensor:
        """Eq. 8. Real are the batch's own windows that are annotated throughout, repeated frames as they stand in them;
        without any, nothing is learned.
        """
        if self.discriminator is None:
            raise RuntimeError("begin_training() comes before the optimiser: without it there is no discriminator")
        left, frames = batch["mirrored"], self.frames
        predicted = self.discriminator(motion_of(_matrices(output["pose"].detach()), left, frames))
        whole = batch["mano_valid"].view(-1, frames).all(1)
        if not whole.any():
            return predicted.sum() * 0.0
        turn = patch_turn(batch["frame_affine"])[0]
        true = motion_of(turned_rotations(batch["mano_rotations"], turn, left), left, frames)
        return discriminator_loss(predicted, self.discriminator(true[whole]))


def _matrices(six: Tensor) -> Tensor:
    """(N,96) -> (N,16,3,3)."""
    return six_to_matrix(six.unflatten(1, (16, 6)))


def _sum(terms: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum()
