"""OpenAI's CLIP archive -> safetensors: the one place where a TorchScript file is opened, and only when asked."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from safetensors.torch import save_file

from handbench.errors import InvalidError, MissingError
from handbench.methods.blocks.clip_text import PREFIXES
from handbench.store.atomic import saying_why


def convert_archive(source: Path, target: Path) -> Path:
    """Write the text tower in `source` (ViT-B-32.pt, TorchScript) to `target`, float32; returns `target`.

    Raises MissingError if it is not there, InvalidError if it is no TorchScript archive of CLIP ViT-B/32.
    """
    if not source.is_file():
        raise MissingError(f"There is no CLIP archive {source}.", "It is OpenAI's ViT-B-32.pt.")
    try:
        state = torch.jit.load(str(source), map_location="cpu").state_dict()
    except RuntimeError as error:
        raise InvalidError(f"{source} is not a TorchScript archive.", "Give OpenAI's ViT-B-32.pt as it is.") from error
    text = {name: value.float().contiguous() for name, value in state.items() if name.startswith(PREFIXES)}
    if text.get("positional_embedding", torch.empty(0)).shape != (77, 512):
        raise InvalidError(f"{source} does not hold the text tower of CLIP ViT-B/32.", "Give OpenAI's ViT-B-32.pt.")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    with saying_why(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            save_file(text, part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    return target
