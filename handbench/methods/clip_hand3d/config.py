"""The `[model]` section of CLIP-Hand3D's recipe. Defaults are the paper's; what else there is stands beside them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from handbench.methods.base import ModelConfig
from handbench.methods.blocks.backbone import BackboneConfig

# the longest N whose prompts fit CLIP's 77 tokens in the printed template, whatever the joints
LONGEST_PAPER_PROMPT = 18


class ClipConfig(ModelConfig):
    """The text branch; all of it exists in training only."""

    enabled: bool = True
    # `openai` (data/clip-vit-b-32.safetensors in HANDBENCH_HOME), `random` or a file
    weights: str = "openai"
    # size of the `random` tower; OpenAI's is 12 × 512
    random_layers: int = Field(default=12, ge=1)
    random_width: int = Field(default=512, ge=64, multiple_of=64)
    # `auto`: the printed one where it fits CLIP's 77 tokens (N <= 18), else the released code's
    template: Literal["auto", "paper", "code", "compact"] = "auto"
    n_joints: int = Field(default=21, ge=2, le=21)
    # how many pairs are contrasted with each other; a larger batch is split
    contrast_batch: int = Field(default=32, ge=2)
    # initial scale of the logits: 1/0.07 as in CLIP's training; the released code starts at 100
    logit_init: float = Field(default=1 / 0.07, ge=1.0, le=100.0)
    # text encoders read CLIP's 77 token features instead of its one sentence feature
    text_tokens: bool = False
    encoder_layers: int = Field(default=2, ge=1)

    @model_validator(mode="after")
    def _fits(self) -> ClipConfig:
        if self.template == "paper" and self.n_joints > LONGEST_PAPER_PROMPT:
            raise ValueError(
                f"the paper's template with {self.n_joints} joints does not fit CLIP's 77 tokens (83 for all 21); "
                "use template code or compact, or n_joints <= 18"
            )
        return self


class ClipHand3DConfig(ModelConfig):
    # pixels; 224 in the paper, 256 in the released code; z and the lifted heat-maps have a quarter of it (56, 64)
    input: int = Field(default=224, ge=64, multiple_of=32)
    backbone: BackboneConfig = BackboneConfig()
    # the paper's text has one, the released code two; with two, x and y have input/8 bins, with one half as many
    deconv_layers: int = Field(default=2, ge=1, le=3)
    # heat-maps that are lifted: the volume, or its three planes
    hm: Literal["3d", "planes"] = "3d"
    # bins; 2.0 in the appendix, 2.5 in the released code
    sigma: float = Field(default=2.0, gt=0)
    # paper: 21/98/389/778 with F3, F2, F1; code: 98/195/389/778 with F4, F3, F2, F1
    mesh_levels: Literal["paper", "code"] = "paper"
    # transformer of each of its stages; heads must divide the narrowest width, 32
    mesh_layers: int = Field(default=2, ge=1)
    mesh_heads: Literal[1, 2, 4, 8, 16] = 8
    # sparse-to-dense; without it the first stage goes to 778 nodes at once
    s2d: bool = True
    # projection of the feature pyramid at the joints
    fproj: bool = True
    # what attends to what; `batch` reproduces the released code's defect
    attn_axis: Literal["nodes", "batch"] = "nodes"
    # what is predicted as joints: J_Reg · V, or the lixel joints
    output_joints: Literal["mesh", "lixel"] = "mesh"
    # losses of vertices, normals and edges, and two views' meshes: without them joints alone train
    mesh_losses: bool = True
    # weight of the 1-D heat-maps' divergence from labels smoothed with `sigma`, beside L_P in pre-training
    pretrain_heatmaps: float = Field(default=0.01, ge=0)
    # two augmented views of each image in training
    consistency: bool = True
    # weights α1..α4 of eq. 8
    alpha: tuple[float, float, float, float] = (1.0, 0.05, 0.1, 0.1)
    clip: ClipConfig = ClipConfig()
