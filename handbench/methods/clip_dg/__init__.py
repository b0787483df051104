"""`clip-dg`: image-free domain generalisation via CLIP (Lee et al., WACV 2023), from the paper; it has no public code.

A hand3d: heat-maps from a convolutional pose machine, then a canonical hand and its rotation from the heat-maps. In
training on one source only, a second branch draws the encoding of each image to the same encoding shifted by CLIP's
features of the image and of a prompt that describes some other domain.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from handbench.console import warn
from handbench.errors import UsageError
from handbench.hands.joints import WRIST
from handbench.hands.mano import HandModel
from handbench.methods.base import Batch, Method, Prediction
from handbench.methods.blocks.pinhole import pixels_of
from handbench.methods.blocks.seen import patch_turn, seen, unseen
from handbench.methods.clip_dg.augmentations import augment
from handbench.methods.clip_dg.branch import Branch2
from handbench.methods.clip_dg.clip import ClipShift
from handbench.methods.clip_dg.config import ClipDGConfig
from handbench.methods.clip_dg.contrast import contrast_loss, farthest
from handbench.methods.clip_dg.losses import heat_loss, heat_targets, pose_loss
from handbench.methods.clip_dg.pose_net import STRIDE, PoseNet
from handbench.methods.clip_dg.pose_prior import PosePrior, Viewpoint

# σ is given at this width of the crop, pixels
SIGMA_AT = 256


class ClipDG(Method):
    """Construct it and it is ready for inference: no Branch 2, no CLIP, no file is touched.
    `begin_training()` adds both; call it before the optimiser is made.

    What is predicted is the seen hand in bone lengths (|wrist - middle MCP|) around its wrist: in the camera's frame,
    turned with an augmented crop and mirrored for a left hand.
    """

    name = "clip-dg"
    Config = ClipDGConfig
    given: ClassVar[tuple[str, ...]] = ("root", "scale", "box", "side")
    mirrors_left = True
    needs_hand = False
    training_only: ClassVar[tuple[str, ...]] = ("branch",)
    stages: ClassVar[dict[str, tuple[str, ...]]] = {
        "heat-maps": ("pose_net",),
        "pose": ("pose_prior", "viewpoint"),
    }
    config: ClipDGConfig

    def __init__(self, config: ClipDGConfig, hand: HandModel, fingertips: str):
        super().__init__(config, hand, fingertips)
        self.cells = config.input // STRIDE
        self.pose_net = PoseNet(config.width)
        self.pose_prior = PosePrior(self.cells, config.width, config.dropout[0])
        self.viewpoint = Viewpoint(self.cells, config.width, config.dropout[1])
        self.branch: Branch2 | None = None
        # a frozen part that no checkpoint carries
        self.clip: ClipShift | None = None

    @property
    def input_size(self) -> int:
        return self.config.input

    @property
    def weights(self) -> dict[str, str]:
        used = self.config.contrast.positive == "clip"
        return {"clip": Path(self.config.clip.weights).name if used else "off"}

    def check_batch(self, size: int) -> None:
        if size < 2 and self.config.contrast.positive != "none":
            raise UsageError(
                f"The contrastive loss takes its negative from the other images of a batch, and train.batch is {size}.",
                "Set train.batch=2 or more, or do without: model.contrast.positive=none.",
            )

    def begin_training(self, pretrained: bool = True) -> None:
        """Add Branch 2 and CLIP. Raises MissingError for weights that are not there."""
        config, contrast = self.config, self.config.contrast
        if contrast.positive == "none" or self.branch is not None:
            return
        if contrast.form == "paper":
            warn(
                "model.contrast.form=paper rewards distance from the negative without a limit: "
                "the loss has no lower bound"
                + (" but the size of unit vectors." if contrast.normalise else ", and may leave all others behind.")
            )
        by_clip = contrast.positive == "clip"
        if by_clip:
            self.clip = ClipShift(config.clip)
        branch = Branch2(
            self.pose_net.channels,
            self.cells,
            config.clip.combine if by_clip else None,
            config.width,
            contrast.share_convblock,
        )
        self.branch = branch.to(next(self.parameters()).device)

    def forward(self, image: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Image (B,3,S,S) -> score maps `maps0`, `maps1`, `maps2` (B,21,S/8,S/8), the last the best; `canonical`
        (B,21,3), `rotation` (B,3,3) and `joints` (B,21,3) = canonical · rotation. In training `anchor` and `positive`
        (B,128), e1' and e2'.
        """
        maps, encoding = self.pose_net(image)
        canonical, rotation = self.pose_prior(maps[-1]), self.viewpoint(maps[-1])
        # coordinates in half precision would lie on a grid
        with torch.autocast("cuda" if image.is_cuda else "cpu", enabled=False):
            joints = canonical @ rotation
        output = {f"maps{i}": m for i, m in enumerate(maps)}
        output |= {"canonical": canonical, "rotation": rotation, "joints": joints}
        if self.training and self.branch is not None:
            output["anchor"] = self.branch(encoding)
            output["positive"] = self._positive(self.branch, encoding, batch["image"])
        return output

    def _positive(self, branch: Branch2, encoding: Tensor, image: Tensor) -> Tensor:
        """e2' (B,128) of images in RGB 0..255 (B,3,S,S)."""
        if self.clip is not None:
            return branch(encoding, self.clip(image))
        return branch(self.pose_net.encode(self.normalise(augment(image, self.config.contrast.probability))))

    def lift(self, output: dict[str, Tensor], batch: Batch) -> Prediction:
        """To the camera frame of the record with the given wrist and bone length; float64."""
        joints = unseen(output["joints"].double(), patch_turn(batch["frame_affine"])[0])
        return Prediction(joints * batch["scale"].double()[:, None, None] + batch["root"].double()[:, None], None)

    def losses(self, output: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Eq. 1: heat-maps, pose and contrast with their weights. What is not annotated does not count."""
        heat, pose, contrast = self.config.lambdas
        maps = [output[f"maps{i}"] for i in range(3)]
        annotated = batch["joints_valid"]
        joints = torch.where(annotated[..., None], batch["joints"], 1.0)
        pixels = pixels_of(joints, batch["camera"])
        sigma = self.config.sigma * self.input_size / SIGMA_AT
        true_maps = heat_targets(pixels, self.cells, self.input_size, sigma)
        scaled = batch["scale"].isfinite() & (batch["scale"] > 0)
        scale = torch.where(scaled, batch["scale"], 1.0)[:, None, None]
        turn, _ = patch_turn(batch["frame_affine"])
        true = seen((joints - joints[:, WRIST : WRIST + 1]) / scale, turn)
        rooted = annotated & annotated[:, WRIST : WRIST + 1] & scaled[:, None]
        terms = {
            "heatmaps": heat * heat_loss(maps, true_maps, annotated),
            "pose": pose * pose_loss(output["joints"], true, rooted),
        }
        if "anchor" in output:
            settings = self.config.contrast
            terms["contrast"] = contrast * contrast_loss(
                output["anchor"],
                output["positive"],
                farthest(maps[-1].float(), true_maps, annotated),
                settings.form,
                settings.margin,
                settings.normalise,
            )
        return terms
