"""f^CLIP (section 3.2): frozen features of the image, shifted towards a prompt drawn at random. Training only."""

from __future__ import annotations

import torch
from torch import Tensor

from handbench.methods.blocks.clip_image import FrozenImage, load_image
from handbench.methods.blocks.clip_text import FrozenText, load_text
from handbench.methods.clip_dg.branch import mix
from handbench.methods.clip_dg.config import ClipConfig
from handbench.methods.clip_dg.prompts import PromptFeatures, draw, prompt_features


class ClipShift:
    """No nn.Module on purpose: frozen weights have no place in a checkpoint. Towers without weight are not loaded.

    `prompts`: the features of all prompts, from the first step on.
    """

    def __init__(self, config: ClipConfig):
        self.config = config
        size = (config.weights, config.random_layers, config.random_width)
        self.image: FrozenImage | None = load_image(*size) if config.ratio > 0 else None
        self.text: FrozenText | None = load_text(*size) if config.ratio < 1 else None
        self.prompts: PromptFeatures | None = None

    def __call__(self, image: Tensor) -> Tensor:
        """RGB 0..255 (B,3,S,S) -> f^CLIP(x,t) (B,512), a fresh prompt t for each image from torch's generator."""
        text = None
        if self.text is not None:
            if self.prompts is None:
                # what is kept on disk is single, whatever the training's precision is
                with torch.autocast("cuda" if image.is_cuda else "cpu", enabled=False):
                    self.prompts = prompt_features(self.text, self.config.weights, image.device)
            text = self.prompts.features[draw(len(image)).to(image.device)]
        return mix(None if self.image is None else self.image.encode(image), text, self.config.ratio)
