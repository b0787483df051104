"""CLIP-Hand as a `Method`, for both sizes of its backbone."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from handbench.hands.hierarchy import build_hierarchy
from handbench.hands.joints import FINGERTIPS, WRIST
from handbench.hands.mano import HandModel
from handbench.methods.base import Batch, Method, Need, Prediction, require_others
from handbench.methods.blocks.backbone import imagenet_normalised
from handbench.methods.blocks.clip_image import FrozenImage, load_image
from handbench.methods.blocks.clip_text import FrozenText, load_text
from handbench.methods.blocks.masked import masked_l1
from handbench.methods.blocks.pinhole import pixels_of
from handbench.methods.blocks.seen import patch_turn, seen, unseen
from handbench.methods.clip_hand.config import ClipHandConfig
from handbench.methods.clip_hand.heatmaps import HeatMaps
from handbench.methods.clip_hand.high_resolution import HighResolution
from handbench.methods.clip_hand.language import Contrast, describe, known_labels
from handbench.methods.clip_hand.losses import heatmap_losses, heatmap_targets, masked_mse, project
from handbench.methods.clip_hand.mted import Transformer, hop_mask
from handbench.methods.clip_hand.pat import Pat
from handbench.methods.clip_hand.templates import JOINTS, JointTemplates

COARSE = 195


class ClipHand(Method):
    """Construct it and it is ready for inference: no CLIP, no pre-trained file is touched. `begin_training()` adds the
    CLIP module and loads weights and templates; call it before the optimiser is made.

    Predictions are wrist-relative, in metres and in the seen frame: the record's camera frame, turned (and mirrored)
    as the patch is. The coarse mesh and its hops are made from the template at hand, never loaded, so they cannot
    belong to another.
    """

    given: ClassVar[tuple[str, ...]] = ("root", "box", "side")
    mirrors_left = True
    labels: tuple[str, ...] = ("background", "gesture")
    training_only: ClassVar[tuple[str, ...]] = ("contrast",)
    stages: ClassVar[dict[str, tuple[str, ...]]] = {
        "backbone": ("backbone",),
        "high resolution": ("high_resolution",),
        "heat-maps": ("heatmaps",),
        "transformer": ("transformer",),
        "joint templates": ("templates",),
    }
    config: ClipHandConfig
    up: Tensor
    coarse: Tensor
    regressor: Tensor
    left_regressor: Tensor

    def __init__(self, config: ClipHandConfig, hand: HandModel, fingertips: str):
        super().__init__(config, hand, fingertips)
        dims, side, mted = config.backbone.dims, config.input // 32, config.mted
        level = build_hierarchy(hand.v_template, hand.f, (COARSE,)).at(COARSE)
        assert level.up is not None
        if not config.clip.enabled:
            self.labels = ()
        self.backbone = Pat(config.pat, dims, config.backbone.layer_scale)
        self.high_resolution: HighResolution | None = None
        if config.hfa.enabled:
            self.high_resolution = HighResolution(
                dims, config.backbone.layer_scale, config.hfa.fuse, fold=not config.mhf.enabled
            )
        self.heatmaps: HeatMaps | None = None
        if config.mhf.enabled:
            self.heatmaps = HeatMaps(dims[0], dims[-1], side**2, JOINTS, COARSE, config.mhf.blocks)
        learned = 0 if config.mhf.enabled else 1 + JOINTS + COARSE
        masks = None
        if mted.enabled:
            masks = np.stack([hop_mask(level.adjacency(), hops, 1 + JOINTS) for hops in mted.hops])
        self.transformer = Transformer(
            dims[-1], mted.width, side, learned, masks, mted.heads, mted.dropout, mted.pass_raw
        )
        self.templates: JointTemplates | None = None
        if config.pj.enabled:
            self.templates = JointTemplates(config.pj.width, config.pj.heads)
        self.contrast: Contrast | None = None
        # frozen parts that no checkpoint carries
        self.text: FrozenText | None = None
        self.image: FrozenImage | None = None
        # made from the hand model and the fingertips at hand, so they are no weights
        left = f"{fingertips}-left" if f"{fingertips}-left" in FINGERTIPS else fingertips
        for name, array in (
            ("up", level.up.toarray().astype(np.float32)),
            ("coarse", level.vertices),
            ("regressor", hand.regressor21(fingertips).astype(np.float32)),
            ("left_regressor", hand.regressor21(left).astype(np.float32)),
        ):
            self.register_buffer(name, torch.from_numpy(array), persistent=False)

    @property
    def input_size(self) -> int:
        return self.config.input

    @property
    def joint_source(self) -> str:
        chosen = self.config.output_joints
        if chosen == "auto":
            chosen = "tokens" if self.config.pj.enabled else "mesh"
        return "model" if chosen == "tokens" else "regressed"

    @property
    def weights(self) -> dict[str, str]:
        clip, imagenet, pj = self.config.clip, self.config.backbone.weights, self.config.pj
        found = {"clip": Path(clip.weights).name if clip.enabled else "off", "imagenet": Path(imagenet).name}
        return found | ({"templates": Path(pj.templates).name} if pj.enabled else {})

    def knows_vertices(self, in_training: bool) -> bool:
        return in_training and self.config.mesh_losses

    def needs(self) -> list[Need]:
        mesh = Need(("vertices",), "the losses of the mesh", "model.mesh_losses=false")
        return [mesh] if self.config.mesh_losses else []

    def check_batch(self, size: int) -> None:
        if self.config.clip.enabled:
            require_others(size, "model.clip.enabled=false")

    def begin_training(self, pretrained: bool = True) -> None:
        """Load weights and templates, and add the CLIP module. Raises MissingError for files that are not there."""
        if pretrained:
            self.backbone.load(self.config.backbone.weights)
            if self.templates is not None:
                self.templates.load(self.config.pj.templates)
        clip = self.config.clip
        if clip.enabled and self.contrast is None:
            self.text = load_text(clip.weights, clip.random_layers, clip.random_width)
            self.image = load_image(clip.weights, clip.random_layers, clip.random_width)
            self.contrast = Contrast(self.config.backbone.dims[-1], clip.temperature).to(self.up.device)

    def normalise(self, image: Tensor) -> Tensor:
        return imagenet_normalised(image)

    def forward(self, image: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Image (B,3,S,S) -> camera (B,3) = (s, tx, ty), see `losses.project`; joints (B,21,3), the tokens', refined
        where there are templates; coarse (B,195,3), vertices (B,778,3) and, in training or where they are the
        prediction, mesh_joints (B,21,3), regressed from them: m, wrist-relative, seen frame. With heat-maps, maps
        (B,216,S/4,S/4), joints first: logits. In training with the CLIP module, tokens (B,(S/32)²,512): the global
        features.
        """
        pyramid = self.backbone(image)
        feature, last = (pyramid.f1, pyramid.f4) if self.high_resolution is None else self.high_resolution(pyramid)
        tokens = last.flatten(2).transpose(1, 2)
        output: dict[str, Tensor] = {}
        queries = None
        if self.heatmaps is not None:
            queries, output["maps"] = self.heatmaps(feature, tokens)
        if self.contrast is not None and self.training:
            output["tokens"] = tokens
        camera, points = self.transformer(tokens, queries)
        joints, coarse = points.split([JOINTS, COARSE], 1)
        with torch.autocast("cuda" if image.is_cuda else "cpu", enabled=False):
            if self.templates is not None:
                joints = self.templates(joints, self._template_turn(batch))
            vertices = self.up @ coarse
            if self.training or self.joint_source == "regressed":
                output["mesh_joints"] = self._regress(vertices, batch["mirrored"])
        return output | {"camera": camera, "joints": joints, "coarse": coarse, "vertices": vertices}

    def _regress(self, vertices: Tensor, mirrored: Tensor) -> Tensor:
        """(B,21,3); the fingertips of a left hand are those of the left set."""
        regressor = torch.where(mirrored[:, None, None], self.left_regressor, self.regressor)
        return regressor @ vertices

    @staticmethod
    def _template_turn(batch: Batch) -> Tensor:
        """(B,3,3): how far augmentation has turned the right-looking hand; the identity at inference."""
        turn, _ = patch_turn(batch["frame_affine"])
        sign = torch.where(batch["mirrored"], -1.0, 1.0).to(turn.dtype)
        return torch.cat([turn[..., :1] * sign[:, None, None], turn[..., 1:]], -1)

    def lift(self, output: dict[str, Tensor], batch: Batch) -> Prediction:
        """To the camera frame of the record, at the given wrist; float64."""
        turn, _ = patch_turn(batch["frame_affine"].double())
        root = batch["root"].double()[:, None]
        joints = output["joints" if self.joint_source == "model" else "mesh_joints"]
        return Prediction(
            unseen(joints.double(), turn) + root,
            unseen(output["vertices"].double(), turn) + root,
        )

    def losses(self, output: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Eq. 1, term by term, each the mean over what is annotated (our decision).

        The 2D loss is of the mesh's joints, as shares of half the patch; the truth is projected by the true camera.
        """
        weight = self.config.loss
        turn, _ = patch_turn(batch["frame_affine"])
        annotated = batch["joints_valid"]
        joints = torch.where(annotated[..., None], batch["joints"], 1.0)
        wrist = joints[:, WRIST : WRIST + 1]
        pixels = pixels_of(joints, batch["camera"])
        true3d, rooted = seen(joints - wrist, turn), annotated & annotated[:, WRIST : WRIST + 1]
        true2d = (pixels + 0.5) * (2 / self.input_size) - 1
        projected = project(output["mesh_joints"], output["camera"])
        terms = {
            "joints": weight.joints * masked_mse(output["joints"], true3d, rooted),
            "mesh_joints": weight.joints * masked_mse(output["mesh_joints"], true3d, rooted),
            "joints2d": weight.joints2d * masked_l1(projected, true2d, annotated),
        }
        meshed = batch["vertices_valid"] & self.config.mesh_losses
        vertices = torch.where(meshed[:, None, None], batch["vertices"], 1.0)
        if self.config.mesh_losses:
            true = seen(vertices - wrist, turn)
            known = (meshed & annotated[:, WRIST])[:, None]
            fine = masked_l1(output["vertices"], true, known.expand(-1, true.shape[1]))
            coarse = masked_l1(output["coarse"], true[:, self.coarse], known.expand(-1, COARSE))
            terms["vertices"] = weight.vertices * 0.5 * (fine + coarse)
        if "maps" in output:
            places = torch.cat([pixels, pixels_of(vertices[:, self.coarse], batch["camera"])], 1)
            known = torch.cat([annotated, meshed[:, None].expand(-1, COARSE)], 1)
            inside = known & (places > -0.5).all(-1) & (places < self.input_size - 0.5).all(-1)
            mhf, cells = self.config.mhf, 2 * output["maps"].shape[-1]
            places = torch.where(inside[..., None], places, 0.0)
            target = heatmap_targets(places, self.input_size, cells, mhf.target, mhf.sigma)
            bce, dice = heatmap_losses(output["maps"], target, inside)
            terms |= {"heatmaps_bce": weight.bce * bce, "heatmaps_dice": weight.dice * dice}
        if self.config.clip.enabled:
            terms["contrast"] = weight.contrast * self._contrast_loss(output, batch)
        return terms

    def _contrast_loss(self, output: dict[str, Tensor], batch: Batch) -> Tensor:
        """A sample without colour or class has no prompt and takes no part."""
        if self.contrast is None or self.text is None or self.image is None:
            raise RuntimeError("begin_training() comes before the optimiser: without it there is no CLIP module")
        tokens = output["tokens"]
        rows = known_labels(batch["background"], batch["gesture"]).nonzero()[:, 0]
        if len(rows) < 2:
            # a pair without negatives teaches nothing
            return tokens.sum() * 0.0
        said = describe(batch["background"][rows].tolist(), batch["gesture"][rows].tolist())
        image = self.image.encode(batch["image"][rows], tokens.device)
        return self.contrast(tokens[rows], image, self.text.pooled(said, tokens.device))
