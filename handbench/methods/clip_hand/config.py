"""The `[model]` section of CLIP-Hand's recipes. Defaults are the paper's; what else there is stands beside them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from handbench.methods.base import ModelConfig

Positive = Annotated[int, Field(gt=0)]
Four = tuple[Positive, Positive, Positive, Positive]
Hop = Annotated[int, Field(ge=0)]
Hops = tuple[Hop, Hop, Hop, Hop]


class PatConfig(ModelConfig):
    """The backbone; its depths are `model.pat`."""

    dims: Four = (64, 128, 320, 512)
    # `none`, `imagenet` (data/potter-s12-imagenet.safetensors or -s24- in HANDBENCH_HOME) or a file
    weights: str = "none"
    # how much of each block there is at first; POTTER's, with which a network without pre-training hardly begins
    layer_scale: float = Field(default=1e-5, gt=0)


class HfaConfig(ModelConfig):
    """High-resolution feature aggregation (section 3.2)."""

    enabled: bool = True
    # the paper concatenates; only adding gives its multiply-adds
    fuse: Literal["add", "concat"] = "add"


class MhfConfig(ModelConfig):
    """Multi-scale heat-maps (section 3.3) and the targets of their loss."""

    enabled: bool = True
    # residual blocks of each of the three heads
    blocks: int = Field(default=2, ge=1)
    target: Literal["onehot", "gauss"] = "onehot"
    # cells of the target's Gaussian (`gauss` only); a cell is two pixels
    sigma: float = Field(default=2.0, gt=0)


class MtedConfig(ModelConfig):
    """The transformer (section 3.4). `enabled=false`: one plain pass of FastMETRO-S, without masks, in one width."""

    enabled: bool = True
    # of the second transformer; the first has the width of the backbone's last stage
    width: int = Field(default=128, ge=8)
    heads: int = Field(default=8, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    # edges of the coarse mesh over which vertices see each other, in the four passes of a decoder
    hops: Hops = (7, 5, 3, 1)
    # the second transformer is handed the first one's image tokens as they were before its encoder
    pass_raw: bool = False


class ClipConfig(ModelConfig):
    """The CLIP module (section 3.5); all of it exists in training only."""

    enabled: bool = True
    # `openai`, `random` or a file
    weights: str = "openai"
    # size of the `random` towers; OpenAI's are 12 × 512 (text) and 12 × 768 (image)
    random_layers: int = Field(default=12, ge=1)
    random_width: int = Field(default=512, ge=64, multiple_of=64)
    # not given in the paper; 0.5 in PeCLR, whose pairs it takes
    temperature: float = Field(default=0.5, gt=0)


class PjConfig(ModelConfig):
    """Predefined joints (section 3.6)."""

    enabled: bool = True
    # `synthetic`: those that handbench ships; or a JSON file of the same form
    templates: str = "synthetic"
    width: int = Field(default=64, ge=4)
    heads: int = Field(default=4, ge=1)


class LossConfig(ModelConfig):
    """Weights of eq. 1; L_hp is `bce` and `dice` together."""

    vertices: float = Field(default=1000.0, ge=0)
    joints: float = Field(default=1000.0, ge=0)
    joints2d: float = Field(default=100.0, ge=0)
    bce: float = Field(default=1000.0, ge=0)
    dice: float = Field(default=1.0, ge=0)
    contrast: float = Field(default=10.0, ge=0)


class ClipHandConfig(ModelConfig):
    # pixels
    input: int = Field(default=224, ge=64, multiple_of=32)
    # blocks of the backbone's four stages
    pat: Four = (2, 2, 6, 2)
    backbone: PatConfig = PatConfig()
    hfa: HfaConfig = HfaConfig()
    mhf: MhfConfig = MhfConfig()
    mted: MtedConfig = MtedConfig()
    clip: ClipConfig = ClipConfig()
    pj: PjConfig = PjConfig()
    # `auto`: the refined joint tokens where there are predefined joints, else joints regressed from the mesh
    output_joints: Literal["auto", "tokens", "mesh"] = "auto"
    # false: joints alone train, for a dataset without vertices
    mesh_losses: bool = True
    loss: LossConfig = LossConfig()

    @model_validator(mode="after")
    def _fits(self) -> ClipHandConfig:
        if any(dim % 32 for dim in self.backbone.dims):
            raise ValueError("backbone.dims are multiples of 32: pooling attention lays channels out in 32 rows")
        if self.mhf.enabled and not self.hfa.enabled:
            raise ValueError("heat-maps need the high-resolution features: set hfa.enabled=true, or mhf.enabled=false")
        for width in (self.backbone.dims[-1], self.mted.width):
            if width % self.mted.heads or width % 4:
                raise ValueError(f"a transformer of width {width} does not divide into {self.mted.heads} heads")
        if self.pj.width % self.pj.heads:
            raise ValueError(f"pj.width {self.pj.width} is no multiple of pj.heads {self.pj.heads}")
        return self


class ClipHandS24Config(ClipHandConfig):
    pat: Four = (4, 4, 12, 4)
