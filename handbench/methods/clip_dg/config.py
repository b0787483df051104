"""The `[model]` section of clip-dg's recipe. Defaults are the paper's; what else there is stands beside them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from handbench.methods.base import ModelConfig

Share = Annotated[float, Field(ge=0, lt=1)]
Weight = Annotated[float, Field(ge=0)]


class ClipConfig(ModelConfig):
    """f^CLIP, eq. w IE(x) + (1 - w) TE(t); in training only."""

    # `openai` (data/clip-vit-b-32.safetensors in HANDBENCH_HOME), `random` or a file
    weights: str = "openai"
    # w: 1 reads the image only, 0 the text only. The paper chooses 0.6 for STB and 0.9 for RHD
    ratio: float = Field(default=0.6, ge=0, le=1)
    # how it meets the features of Branch 2: beside them before the last layer, or added to that layer's 512 numbers
    combine: Literal["concat", "sum"] = "concat"
    # size of both `random` towers; OpenAI's are 12 × 512 (text) and 12 × 768 (image)
    random_layers: int = Field(default=12, ge=1)
    random_width: int = Field(default=512, ge=64, multiple_of=64)


class ContrastConfig(ModelConfig):
    """L^Con, eq. 4, and Branch 2; in training only."""

    # the second view: mixed with CLIP's features, or of an ordinarily augmented image; or no Branch 2 at all
    positive: Literal["clip", "augmented", "none"] = "clip"
    # `hinge`: |e1 - e2| + max(0, margin - |e1 - e_neg|); `paper`: |e1 - e2| - max(margin, |e1 - e_neg|), as printed
    form: Literal["hinge", "paper"] = "hinge"
    margin: float = Field(default=0.5, ge=0)
    # e' as unit vectors: without it a length of the features says nothing; not in the paper
    normalise: bool = True
    # one ConvBlock for e1 and e2; the paper applies "ConvBlock" to both and shares the projection head
    share_convblock: bool = False
    # of each of the six augmentations, image by image (`augmented` only); not in the paper
    probability: float = Field(default=0.5, gt=0, le=1)


class ClipDGConfig(ModelConfig):
    # pixels; heat-maps have an eighth of it
    input: int = Field(default=256, ge=64, multiple_of=64)
    # multiplies every channel number of the networks below; 1 is the paper's size
    width: float = Field(default=1.0, gt=0, le=2)
    # pixels at input 256: a joint's target is exp(-d²/σ²)
    sigma: float = Field(default=25.0, gt=0)
    # of the canonical pose's and the viewpoint's hidden layers
    dropout: tuple[Share, Share] = (0.2, 0.25)
    # λ1..λ3 of eq. 1: heat-maps, pose, contrast
    lambdas: tuple[Weight, Weight, Weight] = (1.0, 1.0, 0.1)
    clip: ClipConfig = ClipConfig()
    contrast: ContrastConfig = ContrastConfig()
