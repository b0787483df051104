"""OpenAI's CLIP archive -> safetensors: the one place where a TorchScript file is opened, and only when asked."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save

from handbench.errors import InvalidError, MissingError
from handbench.methods.blocks.clip_image import PREFIX
from handbench.methods.blocks.clip_text import PREFIXES
from handbench.store.atomic import replacing

# one tensor of each tower that no other CLIP has in this shape
SHAPES = {"text": ("positional_embedding", (77, 512)), "image": (f"{PREFIX}conv1.weight", (768, 3, 32, 32))}


def convert_archive(source: Path, target: Path) -> Path:
    """Write both towers in `source` (ViT-B-32.pt, TorchScript) to `target`, float32; returns `target`.

    Raises MissingError if it is not there, InvalidError if it is no TorchScript archive of CLIP ViT-B/32.
    """
    if not source.is_file():
        raise MissingError(f"There is no CLIP archive {source}.", "It is OpenAI's ViT-B-32.pt.")
    try:
        state = torch.jit.load(str(source), map_location="cpu").state_dict()
    except RuntimeError as error:
        raise InvalidError(f"{source} is not a TorchScript archive.", "Give OpenAI's ViT-B-32.pt as it is.") from error
    towers = {name: value.float().contiguous() for name, value in state.items() if name.startswith((PREFIX, *PREFIXES))}
    for tower, (name, shape) in SHAPES.items():
        if towers.get(name, torch.empty(0)).shape != shape:
            raise InvalidError(
                f"{source} does not hold the {tower} tower of CLIP ViT-B/32.", "Give OpenAI's ViT-B-32.pt."
            )
    with replacing(target) as part:
        part.write_bytes(save(towers))
    return target
