"""`clip-hand3d`: CLIP-Hand3D (Guo et al., ACM MM 2023), from the paper.

A ResNet-50, lixel joints in uvd, their heat-maps lifted to joint features, and a coarse-to-fine mesh regressor. In
training the 1-D heat-maps are also matched, by contrast in CLIP's feature space, to prompts that put the order of
the joints along x, y and z into words. The paper's open points are settled in the docstrings ("our decision").
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from handbench.errors import UsageError
from handbench.hands.hierarchy import build_hierarchy
from handbench.hands.joints import MIDDLE_MCP, WRIST
from handbench.hands.mano import HandModel
from handbench.methods.base import Batch, Method, Need, Prediction, require_others
from handbench.methods.blocks.backbone import ResNet
from handbench.methods.blocks.clip_text import FrozenText, load_text
from handbench.methods.blocks.lixel import LixelHead, Lixels, label_divergence, positions
from handbench.methods.blocks.masked import masked_l1
from handbench.methods.clip_hand3d.config import ClipHand3DConfig
from handbench.methods.clip_hand3d.contrast import Contrast
from handbench.methods.clip_hand3d.heatmaps import Lifting
from handbench.methods.clip_hand3d.losses import (
    consistency_2d,
    consistency_3d,
    edge_loss,
    normal_loss,
)
from handbench.methods.clip_hand3d.mesh import MeshRegressor
from handbench.methods.clip_hand3d.prompts import describe, sample_joints, template_of
from handbench.methods.clip_hand3d.space import to_uvd, to_xyz

JOINTS = 21


class ClipHand3D(Method):
    """Construct it and it is ready for inference: no text branch, no pre-trained file is touched.
    `begin_training()` adds the text branch and loads what training starts from; call it before the optimiser is made.
    """

    name = "clip-hand3d"
    Config = ClipHand3DConfig
    given: ClassVar[tuple[str, ...]] = ("root depth", "scale", "box", "camera")
    training_only: ClassVar[tuple[str, ...]] = ("contrast",)
    stages: ClassVar[dict[str, tuple[str, ...]]] = {
        "backbone": ("backbone",),
        "pose head": ("lixel",),
        "mesh head": ("lifting", "mesh"),
    }
    # table 6: the joint projection is part of the mesh stages that look at the pyramid
    stage_groups: ClassVar[dict[str, tuple[str, ...]]] = {
        "Pose Feature Generation": ("backbone", "pose head"),
        "Mesh Regressor": ("mesh head",),
    }
    config: ClipHand3DConfig
    faces: Tensor
    regressor: Tensor
    regressor64: Tensor

    def __init__(self, config: ClipHand3DConfig, hand: HandModel, fingertips: str):
        super().__init__(config, hand, fingertips)
        self.views = 2 if config.consistency else 1
        self.backbone = ResNet(config.backbone.name)
        channels = self.backbone.channels
        self.lixel = LixelHead(channels[4], JOINTS, config.deconv_layers, depth_bins=config.input // 4)
        self.lifting = Lifting(channels[0], JOINTS, config.input // 4, config.sigma, config.hm)
        regressor = torch.from_numpy(hand.regressor21(fingertips)).float()
        self.mesh = MeshRegressor(
            channels,
            _places(hand, regressor),
            config.mesh_levels,
            config.s2d,
            config.fproj,
            config.attn_axis,
            config.mesh_layers,
            config.mesh_heads,
        )
        self.contrast: Contrast | None = None
        # a frozen part that no checkpoint carries
        self.text: FrozenText | None = None
        # made from the hand model and the fingertips at hand, so they are no weights
        self.register_buffer("faces", torch.from_numpy(hand.f), persistent=False)
        self.register_buffer("regressor", regressor, persistent=False)
        self.register_buffer("regressor64", regressor.double(), persistent=False)

    @property
    def input_size(self) -> int:
        return self.config.input

    @property
    def joint_source(self) -> str:
        return "regressed" if self.config.output_joints == "mesh" else "model"

    @property
    def weights(self) -> dict[str, str]:
        clip, imagenet = self.config.clip, self.config.backbone.weights
        return {
            "clip": _shown(clip.weights) if clip.enabled else "off",
            "imagenet": _shown(imagenet),
        }

    def knows_vertices(self, in_training: bool) -> bool:
        return in_training and self.config.mesh_losses

    def needs(self) -> list[Need]:
        mesh = Need(("vertices",), "the losses of the mesh", "model.mesh_losses=false")
        return [mesh] if self.config.mesh_losses else []

    def check_batch(self, size: int) -> None:
        pairs, clip = size * self.views, self.config.clip
        if not clip.enabled:
            return
        require_others(size, "model.clip.enabled=false")
        if clip.contrast_batch > pairs:
            raise UsageError(
                f"A batch has {pairs} pairs of image and prompt, fewer than model.clip.contrast_batch = "
                f"{clip.contrast_batch}.",
                f"Set model.clip.contrast_batch={pairs}, or train.batch={-(-clip.contrast_batch // self.views)}.",
            )

    def begin_training(self, pretrained: bool = True) -> None:
        """Load the backbone's weights and add the text branch. Raises MissingError for weights that are not there."""
        if pretrained:
            self.backbone.load(self.config.backbone.weights)
        clip = self.config.clip
        if clip.enabled and self.contrast is None:
            self.text = load_text(clip.weights, clip.random_layers, clip.random_width)
            side = (self.config.input // 32) * 2**self.config.deconv_layers
            bins = (side, side, self.config.input // 4)
            self.contrast = Contrast(JOINTS, bins, clip, self.config.attn_axis).to(self.regressor.device)

    def forward(self, image: Tensor, batch: Batch | None = None) -> dict[str, Tensor]:
        """Image (B,3,S,S) -> `joints` (B,21,3) and `vertices` (B,778,3) in uvd, and `x`, `y`, `z`: the logits of the
        1-D heat-maps (B,21,bins). In pre-training there is no mesh yet.
        """
        pyramid = self.backbone(image)
        lixels = self.lixel(pyramid.f4)
        joints = positions(lixels)
        output = {"joints": joints, **lixels._asdict()}
        if not (self.training and self.stage == "pretrain"):
            output["vertices"] = self.mesh(self.lifting(joints, pyramid.f0), pyramid, joints)
        return output

    def lift(self, output: dict[str, Tensor], batch: Batch) -> Prediction:
        """To the camera frame with the given depth of the wrist, bone length and camera of the crop; float64.

        While pre-training there is no trained mesh, and the lixel joints are the prediction.
        """
        vertices = self._to_xyz(output["vertices"].double(), batch)
        if self.config.output_joints == "mesh" and self.stage != "pretrain":
            return Prediction(self.regressor64 @ vertices, vertices)
        return Prediction(self._to_xyz(output["joints"].double(), batch), vertices)

    def losses(self, output: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Eq. 8, term by term. Without a mesh in the truth, a sample trains both sets of joints and no mesh."""
        batch, known = _replace_unknown(batch)
        a1, a2, a3, a4 = self.config.alpha
        annotated = batch["joints_valid"] & known[:, None]
        joints = torch.where(annotated[..., None], batch["joints"], 1.0)
        true = self._to_uvd(joints, batch)
        terms = {"joints": a1 * masked_l1(output["joints"], true, annotated)}
        if self.stage == "pretrain":
            if self.config.pretrain_heatmaps:
                each = [
                    label_divergence(output[axis], true[..., i], annotated, self.config.sigma)
                    for i, axis in enumerate(("x", "y", "z"))
                ]
                terms["heatmaps"] = self.config.pretrain_heatmaps * torch.stack(each).mean()
            return terms

        xyz = self._to_xyz(output["vertices"], batch)
        from_mesh = self.regressor @ xyz
        terms["mesh_joints"] = a1 * masked_l1(self._to_uvd(from_mesh, batch), true, annotated)
        # normals, lengths and turns mean something in space only: in bone lengths around the wrist (our decision)
        rooted = (xyz - from_mesh[:, :1]) / batch["scale"][:, None, None]
        if self.config.mesh_losses:
            meshed = batch["vertices_valid"] & known
            vertices = torch.where(meshed[:, None, None], batch["vertices"], 1.0)
            terms["vertices"] = a1 * masked_l1(
                output["vertices"], self._to_uvd(vertices, batch), meshed[:, None].expand(-1, vertices.shape[1])
            )
            rooted_true = vertices / batch["scale"][:, None, None]
            terms["normals"] = a2 * normal_loss(rooted, rooted_true, self.faces, meshed)
            terms["edges"] = a2 * edge_loss(rooted, rooted_true, self.faces, meshed)
        if self.config.consistency:
            terms["consistency_2d"] = a3 * consistency_2d(
                output["joints"][..., :2], batch["affine"], self.input_size, torch.ones_like(known)
            )
            if self.config.mesh_losses:
                terms["consistency_3d"] = a3 * consistency_3d(rooted, batch["rotation"], known)
        if self.config.clip.enabled:
            terms["clip"] = a4 * self._clip_loss(output, batch, joints, annotated)
        return terms

    def _clip_loss(self, output: dict[str, Tensor], batch: Batch, joints: Tensor, annotated: Tensor) -> Tensor:
        if self.contrast is None or self.text is None:
            raise RuntimeError("begin_training() comes before the optimiser: without it there is no text branch")
        chosen = sample_joints(annotated, self.config.clip.n_joints)
        # an order takes two
        rows = [i for i, subset in enumerate(chosen) if len(subset) > 1]
        lixels = Lixels(*(output[axis][rows] for axis in ("x", "y", "z")))
        prompts = describe(
            joints[rows], batch["rotation"][rows], [chosen[i] for i in rows], template_of(self.config.clip)
        )
        return self.contrast(lixels, prompts, self.text) if rows else output["x"].sum() * 0.0

    def _to_uvd(self, xyz: Tensor, batch: Batch) -> Tensor:
        camera, depth, scale = (batch[key].to(xyz.dtype) for key in ("camera", "root_depth", "scale"))
        return to_uvd(xyz, camera, depth, scale, self.input_size)

    def _to_xyz(self, uvd: Tensor, batch: Batch) -> Tensor:
        camera, depth, scale = (batch[key].to(uvd.dtype) for key in ("camera", "root_depth", "scale"))
        return to_xyz(uvd, camera, depth, scale, self.input_size)


def _places(hand: HandModel, regressor: Tensor) -> dict[int, Tensor]:
    """The template of each level and its joints, in bone lengths around the wrist."""
    hierarchy = build_hierarchy(hand.v_template, hand.f, (389, 195, 98))
    template = torch.from_numpy(hand.v_template).float()
    joints = regressor @ template
    bone = (joints[MIDDLE_MCP] - joints[WRIST]).norm()
    template, joints = (template - joints[WRIST]) / bone, (joints - joints[WRIST]) / bone
    levels = {len(level.vertices): template[torch.from_numpy(level.vertices)] for level in hierarchy.levels}
    return {JOINTS: joints, **levels}


def _shown(weights: str) -> str:
    """A file by its name: a record says what went in, not where it lay."""
    return Path(weights).name if weights else weights


def _replace_unknown(batch: Batch) -> tuple[Batch, Tensor]:
    """The batch with stand-ins for wrist depths and bone lengths that are not known; which samples (B,) have both."""
    known = batch["root_depth"].isfinite() & batch["scale"].isfinite() & (batch["scale"] > 0)
    depth, scale = (torch.where(known, given, 1.0) for given in (batch["root_depth"], batch["scale"]))
    return Batch(**{**batch, "root_depth": depth, "scale": scale}), known
