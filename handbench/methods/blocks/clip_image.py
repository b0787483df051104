"""CLIP's image tower (ViT-B/32), frozen: images -> features. A random stand-in; no weights are read yet."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from handbench.errors import MissingError
from handbench.methods.blocks.clip_text import EMBED


class FrozenImage:
    """Images -> features. No nn.Module on purpose: frozen weights have no place in a method's checkpoint."""

    def __init__(self, matrix: Tensor):
        self.matrix = matrix

    @torch.no_grad()
    def encode(self, image: Tensor, device: torch.device | str = "cpu") -> Tensor:
        """uint8 RGB (B,3,H,W) -> (B,512)."""
        small = F.adaptive_avg_pool2d(image.to(device).float() / 255.0 - 0.5, 7).flatten(1)
        return small @ self.matrix.to(device)


def load_image(weights: str, layers: int = 12, width: int = 768, seed: int = 0) -> FrozenImage:
    """The frozen tower. Raises MissingError if its file is not there."""
    if weights != "random":
        raise MissingError("There is no image tower of CLIP.", "Go without: model.clip.weights=random.")
    generator = torch.Generator().manual_seed(seed)
    return FrozenImage(torch.randn(3 * 49, EMBED, generator=generator) / 7)
