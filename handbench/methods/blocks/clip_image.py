"""CLIP's image tower (ViT-B/32), frozen: images -> features. Nothing is ever fetched from a network.

`weights` as for the text tower (`clip_text`): `openai`, a file, or `random`, which keeps every shape and path.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from handbench.errors import InvalidError
from handbench.methods.blocks.clip_text import EMBED, open_clip_module, read_clip, weights_file

PREFIX = "visual."
SIZE, PATCH = 224, 32  # pixels
# of RGB in 0..1, as in CLIP's own preprocessing
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


class FrozenImage:
    """Images -> features. No nn.Module on purpose: frozen weights have no place in a method's checkpoint."""

    def __init__(self, tower: Any):
        self.tower = tower.eval().requires_grad_(False)

    @torch.no_grad()
    def encode(self, image: Tensor, device: torch.device | str | None = None) -> Tensor:
        """RGB in 0..255 (B,3,H,W), uint8 or float -> (B,512) float32; on the image's device if none is named."""
        image = image.to(image.device if device is None else device)
        self.tower.to(image.device)
        with torch.autocast("cuda" if image.is_cuda else "cpu", enabled=False):
            return self.tower(preprocess(image))


def preprocess(image: Tensor) -> Tensor:
    """RGB in 0..255 (B,3,H,W) -> what the tower takes (B,3,224,224): bicubic without aliasing, CLIP's mean and std."""
    pixels = image.float()
    if pixels.shape[-2:] != (SIZE, SIZE):
        pixels = F.interpolate(pixels, (SIZE, SIZE), mode="bicubic", antialias=True).clamp(0, 255)
    mean, std = (pixels.new_tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return (pixels / 255 - mean) / std


def load_image(weights: str, layers: int = 12, width: int = 768, seed: int = 0) -> FrozenImage:
    """The frozen tower; `layers`, `width` and `seed` concern `random` only.

    Raises MissingError if the file is not there, InvalidError if it is a TorchScript archive, a pickle, not CLIP's, or
    has the text tower only.
    """
    path = weights_file(weights)
    if path is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return FrozenImage(_tower(layers, width))
    state = {
        key.removeprefix(PREFIX): value.float() for key, value in read_clip(path).items() if key.startswith(PREFIX)
    }
    tower = _tower(12, 768, meta=True)
    try:
        tower.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise InvalidError(
            f"{path} does not hold the image tower of CLIP ViT-B/32.",
            "Convert again: `handbench prep clip` writes both towers from OpenAI's ViT-B-32.pt.",
        ) from error
    return FrozenImage(tower)


def _tower(layers: int, width: int, meta: bool = False) -> Any:
    """CLIP's vision transformer as in `ViT-B-32-quickgelu`."""
    transformer = open_clip_module("transformer")
    with torch.device("meta" if meta else "cpu"):
        return transformer.VisionTransformer(
            SIZE, PATCH, width, layers, width // 64, 4.0, output_dim=EMBED, act_layer=transformer.QuickGELU
        )
