"""`dahyf`: Direction-aware hybrid features (Liu et al., arXiv 2025), from the paper; no public code was found.

Image features with the direction of each pixel beside them, 2D joints from them by sub-pixel classification, and both
together regress MANO and the camera. How well the 2D joints and the projected hand agree is the confidence.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from handbench.hands.joints import WRIST
from handbench.hands.mano import HandModel
from handbench.methods.base import Batch, Method, Need, Prediction
from handbench.methods.blocks.backbone import FeatureNet, imagenet_normalised
from handbench.methods.blocks.mano_layer import ManoLayer
from handbench.methods.blocks.masked import masked_l1
from handbench.methods.blocks.pinhole import pixels_of
from handbench.methods.dahyf.config import DaHyFConfig
from handbench.methods.dahyf.direction import DirectionFusion
from handbench.methods.dahyf.joints2d import JOINTS, HeatMaps, SubPixelClassifier, encode
from handbench.methods.dahyf.losses import (
    UNIT,
    UncertaintyWeights,
    bone_loss,
    confidence,
    contrast_loss,
    mano_loss,
)
from handbench.methods.dahyf.regressor import ManoRegressor, translation
from handbench.methods.dahyf.view import View, rotations_back, seen_rotations, view_of


class DaHyF(Method):
    name = "dahyf"
    Config = DaHyFConfig
    given: ClassVar[tuple[str, ...]] = ("box", "side", "camera")
    mirrors_left = True
    stages: ClassVar[dict[str, tuple[str, ...]]] = {
        "backbone": ("backbone",),
        "direction map": ("fusion",),
        "pose head": ("joints2d", "regressor"),
        "MANO": ("mano",),
    }
    config: DaHyFConfig

    def __init__(self, config: DaHyFConfig, hand: HandModel, fingertips: str):
        super().__init__(config, hand, fingertips)
        if config.camera == "diagonal":
            self.given = ("box", "side")  # type: ignore[misc]
        self.backbone = FeatureNet(config.backbone.name)
        channels = self.backbone.channels
        self.fusion = DirectionFusion(channels, config.input, config.direction)
        self.joints2d: SubPixelClassifier | HeatMaps | None = None
        if config.joint2d == "sjcp":
            self.joints2d = SubPixelClassifier(channels, config.input, config.split, config.sigma)
        elif config.joint2d == "heatmap":
            self.joints2d = HeatMaps(channels, config.input, config.heatmap_sigma)
        encoded = 0 if self.joints2d is None else 2 * JOINTS
        if config.encoding.enabled:
            encoded *= 2 * config.encoding.octaves
        passes = 3 if config.regressor == "iterative" else 1
        self.regressor = ManoRegressor(channels + encoded, hand, config.width, config.dropout, passes)
        self.mano = ManoLayer(hand, fingertips)
        # losses that this model has: without a 2D branch there is none on it
        used = [name for name in config.losses if name != "2d" or self.joints2d is not None]
        self.weighting = UncertaintyWeights(used, config.log_sigma)

    @property
    def input_size(self) -> int:
        return self.config.input

    @property
    def weights(self) -> dict[str, str]:
        imagenet = self.config.backbone.weights
        return {"imagenet": Path(imagenet).name if imagenet else imagenet}

    @property
    def non_hands(self) -> float:
        """In the last epochs of the main stage (section 4.1: the last 100 of 500), and at least in the last one."""
        lc, (epoch, epochs) = self.config.confidence, self.schedule
        last = max(1, round(lc.share * epochs))
        return lc.ratio if lc.enabled and self.stage == "main" and epoch >= epochs - last else 0.0

    def needs(self) -> list[Need]:
        if "mano" not in self.weighting.names:
            return []
        rest = ",".join(f'"{name}"' for name in self.config.losses if name != "mano")
        return [Need(("mano_pose", "mano_shape"), "the loss 'mano'", f"model.losses=[{rest}]")]

    @property
    def trusts(self) -> bool:
        return self.joints2d is not None

    def begin_training(self, pretrained: bool = True) -> None:
        """Load the backbone's weights. Raises MissingError for weights that are not there."""
        if pretrained:
            self.backbone.load(self.config.backbone.weights)

    def normalise(self, image: Tensor) -> Tensor:
        return imagenet_normalised(image)

    def forward(self, image: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Image (B,3,S,S) -> rotations (B,16,3,3), shape (B,10), camera (B,3); the hand in the seen frame (`View`):
        joints (B,21,3) and vertices (B,778,3) m; projected (B,21,2) px in the patch. With a 2D branch, joints2d
        (B,21,2) px, confidence (B,), and x and y (B,21,bins) or maps (B,21,h,w).
        """
        view = self._view(batch)
        feature = self.fusion(self.backbone(image), view)
        parts = [feature.mean((2, 3))]
        output: dict[str, Tensor] = {}
        if self.joints2d is not None:
            joints2d, raw = self.joints2d(feature)
            output = {"joints2d": joints2d, **raw}
            parts.append(self._encode(joints2d, view).to(feature.dtype))
        # coordinates in half precision would lie on a grid of millimetres: from here on all is single
        with torch.autocast("cuda" if image.is_cuda else "cpu", enabled=False):
            rotations, shape, camera = self.regressor(torch.cat([part.float() for part in parts], 1))
            vertices, joints = self.mano(rotations, shape, batch["mirrored"])
            at = translation(camera, view, self.input_size)[:, None]
            output |= {"rotations": rotations, "shape": shape, "camera": camera}
            output |= {"joints": joints + at, "vertices": vertices + at, "projected": view.project(joints + at)}
            if "joints2d" in output:
                output["confidence"] = confidence(output["joints2d"], output["projected"], self.input_size)
        return output

    def _encode(self, joints2d: Tensor, view: View) -> Tensor:
        """V_PE of eq. 6 and 7 (B,336), or the 42 coordinates μ themselves."""
        focal = view.focal if self.config.encoding.coords == "frame" else view.focal / view.zoom
        mu = (joints2d + 0.5 - self.input_size / 2) / focal[:, None, None]
        return encode(mu, self.config.encoding.octaves) if self.config.encoding.enabled else mu.flatten(1)

    def _view(self, batch: Batch) -> View:
        # whole pixels of a focal length are not to be had in half precision
        with torch.autocast("cuda" if batch["frame_affine"].is_cuda else "cpu", enabled=False):
            return view_of(batch, self.config.camera == "diagonal")

    def lift(self, output: dict[str, Tensor], batch: Batch) -> Prediction:
        """To the camera frame of the record; float64."""
        view = self._view(batch)
        return Prediction(
            view.back(output["joints"].double()),
            view.back(output["vertices"].double()),
            output.get("confidence"),
            rotations_back(output["rotations"].double(), view, batch["mirrored"]),
            output["shape"],
        )

    def losses(self, output: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Eq. 10: the weighted terms of eq. 11, and L_c where the batch has patches without a hand."""
        view, size = self._view(batch), self.input_size
        annotated = batch["joints_valid"]
        joints = torch.where(annotated[..., None], batch["joints"], 1.0)
        # the truth is projected by the true camera, whatever the method is given
        true2d = pixels_of(joints, batch["camera"])
        inside = annotated & (true2d > -0.5).all(-1) & (true2d < size - 0.5).all(-1)
        rooted = annotated & annotated[:, :1]
        true3d = view.seen(joints)
        predicted3d = output["joints"]
        terms: dict[str, tuple[Tensor, Tensor]] = {
            "3d": (masked_l1(_rooted(predicted3d), _rooted(true3d), rooted) / UNIT, rooted),
            "projected": (masked_l1(output["projected"], true2d, annotated) / size, annotated),
            "bone": (
                bone_loss(predicted3d, true3d, annotated) / UNIT
                + bone_loss(output["projected"], true2d, annotated) / size,
                annotated,
            ),
        }
        if "mano" in self.weighting.names:
            rotations = seen_rotations(batch["mano_rotations"], view, batch["mirrored"])
            known = batch["mano_valid"]
            error = mano_loss(output["rotations"], output["shape"], (rotations, batch["mano_shape"]), known)
            terms["mano"] = (error, known)
        if self.joints2d is not None:
            error = output["joints"].new_zeros(())
            if self.config.l2d != "kl":
                error = error + masked_l1(output["joints2d"], true2d, inside) / size
            if self.config.l2d != "l1":
                error = error + self.joints2d.loss(output, true2d, inside)
            terms["2d"] = (error, inside)
        weighted = self.weighting({name: error for name, (error, valid) in terms.items() if valid.any()})
        lc = self.config.confidence
        if self.joints2d is not None and lc.enabled and not batch["hand"].all():
            weighted["lc"] = contrast_loss(
                output["joints2d"], output["projected"], batch["hand"], size, lc.negative_target, lc.detach_2d
            )
        # a batch without any annotation teaches nothing, and is no error
        return weighted or {"none": output["joints"].sum() * 0.0}


def _rooted(joints: Tensor) -> Tensor:
    return joints - joints[:, WRIST : WRIST + 1]
