"""The `[model]` section of Deformer's recipe. Defaults are the paper's; where it is silent, the released code's."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from handbench.methods.base import ModelConfig
from handbench.methods.blocks.backbone import BackboneConfig


class LossConfig(ModelConfig):
    """Section 3.2."""

    # of 3D points: eq. 5, or the mean of squared distances
    points: Literal["maxmse", "mse"] = "maxmse"
    # eq. 5's weights as constants: as printed they have a gradient, which pushes well-fitted points away
    detach: bool = False
    # `torch`: the mean over coordinates, as torch's MSE has it, a third of that over points
    mse_scale: Literal["point", "torch"] = "point"
    # how many derivatives of the sequence are drawn to nothing; the released code's command has it off
    smooth: Literal[0, 1, 2] = 0
    # on vertices; on MANO's rotations and shape (without, there is no motion discriminator either)
    mesh: bool = True
    mano: bool = True


class DiscriminatorConfig(ModelConfig):
    """Motion discrimination (section 3.2)."""

    enabled: bool = True
    width: int = Field(default=1024, ge=4)
    dropout: float = Field(default=0.2, ge=0, lt=1)


class DeformerConfig(ModelConfig):
    # T, and the frames from one of a window to the next
    frames: int = Field(default=7, ge=3)
    gap: int = Field(default=10, ge=1)
    # warp to the centre frame (a window predicts one frame), or to every frame (it predicts all: stride T)
    fuse: Literal["center", "all"] = "center"
    # whose poses are warped, and by what weights: none, equal ones, by how much is seen, by the learned confidence
    aggregation: Literal["center", "average", "occlusion", "dynamic"] = "dynamic"
    # whether frames see each other in the temporal transformer
    exchange: bool = True
    # pixels; the released code has 512 for hand and object, here the crop follows the hand
    input: int = Field(default=256, ge=64, multiple_of=32)
    backbone: BackboneConfig = BackboneConfig()
    # the hand's region: this share of the crop's side, around its middle; and its cells a side
    region: float = Field(default=0.8, gt=0, le=1)
    grid: int = Field(default=32, ge=4)
    # the transformers
    width: int = Field(default=256, ge=8, multiple_of=4)
    heads: int = Field(default=8, ge=1)
    layers: int = Field(default=3, ge=1)
    feedforward: int = Field(default=256, ge=8)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    # DETR's decoder layers attend to their queries first. Of a single query that is a linear map of itself
    query_attention: bool = False
    # hidden widths of the pose and motion MLP
    hidden: tuple[int, int] = (1024, 512)
    # where the 2D joints go: coordinates to the pose MLP (code), or the heat-map to the decoder's memory (paper)
    joints_to: Literal["mano_mlp", "memory"] = "mano_mlp"
    # L_monocular: frame-wise predictions after the temporal encoder (code), or also from before it (paper)
    mono_head: Literal["temporal", "spatial"] = "temporal"
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    loss: LossConfig = LossConfig()
    # batch norms keep their statistics: for few images in a batch, from pre-trained weights
    freeze_norms: bool = False

    @model_validator(mode="after")
    def _fits(self) -> DeformerConfig:
        if self.frames % 2 == 0:
            raise ValueError("frames is odd, 3 or more: a window has as many frames before its middle as after")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of {self.heads} heads")
        if not self.exchange and self.aggregation != "center":
            raise ValueError("frames that are alone are not fused: set aggregation=center")
        return self

    @property
    def adversarial(self) -> bool:
        return self.discriminator.enabled and self.loss.mano
