"""The `[model]` section of DaHyF's recipe. Defaults are the paper's ablation model's; the rest stands beside."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from handbench.methods.base import ModelConfig
from handbench.methods.blocks.backbone import BackboneConfig

LossName = Literal["2d", "3d", "projected", "mano", "bone"]


class DirectionConfig(ModelConfig):
    """Which direction map is fused with the features, and how (section 3.2)."""

    map: Literal["none", "local", "global"] = "global"
    # "concatenation of F and L_m" for the local map; of the global one only the channel number is said
    fuse: Literal["concat", "add"] = "concat"
    # the local map's rows and columns as shares of the map; as printed they are raw indices, 0..s_f
    local_norm: bool = True


class EncodingConfig(ModelConfig):
    """Sinusoidal encoding of the 2D joints (eq. 6 and 7). Without it the regressor reads the coordinates themselves."""

    enabled: bool = True
    octaves: int = Field(default=4, ge=1)
    # eq. 6 puts pixels of the patch over the frame's focal length; `frame` scales them to the frame first
    coords: Literal["patch", "frame"] = "patch"


class ConfidenceConfig(ModelConfig):
    """Contrastive confidence (section 3.4)."""

    enabled: bool = True
    # the last 100 of 500 epochs
    share: float = Field(default=0.2, gt=0, le=1)
    # patches without a hand for each one with a hand; not given in the paper
    ratio: float = Field(default=0.25, gt=0, le=4)
    # the cosine that a non-hand patch is drawn to; "as far away as possible" would be -1
    negative_target: float = Field(default=0.0, ge=-1, le=1)
    # a patch without a hand has no right 2D joints: only the regressor's branch is pushed
    detach_2d: bool = True


class DaHyFConfig(ModelConfig):
    # pixels, s_p
    input: int = Field(default=224, ge=64, multiple_of=32)
    # HRNet-W64 in the paper's tables 1 to 3, ResNet-50 in its ablation
    backbone: BackboneConfig = BackboneConfig()
    direction: DirectionConfig = DirectionConfig()
    # `sjcp`, sub-pixel classification, or heat-maps with an integral, or no 2D branch
    joint2d: Literal["none", "heatmap", "sjcp"] = "sjcp"
    # s: bins a pixel of the classifier
    split: int = Field(default=3, ge=1)
    # bins: the 1-D Gaussian that smooths a label; not given, SimCC has 4 to 6 at two bins a pixel
    sigma: float = Field(default=6.0, gt=0)
    # cells of the 2D heat-map's Gaussian (`heatmap` only)
    heatmap_sigma: float = Field(default=2.0, gt=0)
    encoding: EncodingConfig = EncodingConfig()
    # `iterative`: three corrections of the mean hand, as in CLIFF; `mlp`: one
    regressor: Literal["iterative", "mlp"] = "iterative"
    width: int = Field(default=1024, ge=8)
    dropout: float = Field(default=0.5, ge=0, lt=1)
    # the frame's camera, or f = √(H² + W²) and the middle of the frame where it is not known
    camera: Literal["given", "diagonal"] = "given"
    losses: tuple[LossName, ...] = ("2d", "3d", "projected", "mano", "bone")
    # section 3.3 trains the classifier by KL divergence, eq. 11's text by L1
    l2d: Literal["l1", "kl", "both"] = "both"
    # the log term of the uncertainty weighting, which eq. 11 leaves out: without it the weights collapse to nothing
    log_sigma: bool = True
    confidence: ConfidenceConfig = ConfidenceConfig()

    @model_validator(mode="after")
    def _fits(self) -> DaHyFConfig:
        if self.joint2d == "none":
            for name, part in (("encoding", self.encoding), ("confidence", self.confidence)):
                if part.enabled:
                    raise ValueError(f"without 2D joints there is no {name}: set {name}.enabled=false, or joint2d=sjcp")
        if not self.losses or len(set(self.losses)) != len(self.losses):
            raise ValueError("losses names each loss once, and at least one")
        if self.joint2d == "none" and self.losses == ("2d",):
            raise ValueError("without 2D joints there is no loss 2d, and no other is named: add 3d")
        return self
