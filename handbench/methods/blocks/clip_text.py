"""CLIP's text tower (ViT-B/32), frozen: prompts -> features. Nothing is ever fetched from a network.

`openai`  `data/clip-vit-b-32.safetensors` in HANDBENCH_HOME, written by `handbench prep clip`
a file    safetensors or a plain state dict, OpenAI's or open_clip's names
`random`  a frozen, randomly initialised tower over CLIP's real BPE tokens, the same for the same seed. It keeps every
          shape and every path of the losses, and says nothing about a method that was published with CLIP.
"""

from __future__ import annotations

import functools
import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from handbench import places
from handbench.errors import InvalidError
from handbench.methods.blocks.backbone import read_state
from handbench.methods.blocks.torchvision_shim import ensure_torchvision

CHUNK = 16
LIMIT = 77  # tokens of a prompt, start and end included
EMBED = 512  # ViT-B/32
CONVERT = "`handbench prep clip` converts OpenAI's TorchScript archive to safetensors."
PREFIXES = ("token_embedding.", "positional_embedding", "transformer.", "ln_final.", "text_projection")


class TextFeatures(NamedTuple):
    """pooled (n, 512): the projected feature of the end token; tokens (n, 77, 512): of every token, projected too;
    end (n,): where the end token stands.
    """

    pooled: Tensor
    tokens: Tensor
    end: Tensor


class FrozenText:
    """Prompts -> features. No nn.Module on purpose: frozen weights have no place in a method's checkpoint."""

    def __init__(self, tower: Any, cache: int = 16384):
        self.tower = tower.eval().requires_grad_(False)
        self.tower.output_tokens = True
        self.cache = cache
        self._pooled: OrderedDict[str, Tensor] = OrderedDict()

    @torch.no_grad()
    def encode(self, prompts: Sequence[str], device: torch.device | str = "cpu", length: int = LIMIT) -> TextFeatures:
        """Features of the prompts, computed now. Raises InvalidError for a prompt of more than 77 tokens.

        Only the first `length` tokens are run, which must reach every prompt's end: what follows reaches no feature.
        """
        tokens = tokenize(prompts).to(device)[:, :length]
        self.tower.to(device)
        mask = self.tower.attn_mask
        self.tower.attn_mask = mask[:length, :length]
        try:
            pooled, each = self.tower(tokens)
        finally:
            self.tower.attn_mask = mask
        return TextFeatures(pooled, each @ self.tower.text_projection, tokens.argmax(-1))

    def pooled(self, prompts: Sequence[str], device: torch.device | str = "cpu") -> Tensor:
        """(n, 512) features of the prompts; each text goes through the tower once, the last `cache` are kept."""
        new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._pooled]
        for start in range(0, len(new), CHUNK):
            chunk = new[start : start + CHUNK]
            # always as many at once: the last digits of a feature depend on the size of the product it came from, and
            # must not depend on what was met before (a resumed run starts with nothing kept)
            padded = chunk + [chunk[-1]] * (CHUNK - len(chunk))
            features = self.encode(padded, device).pooled[: len(chunk)]
            self._pooled.update(zip(chunk, features.unbind(), strict=True))
        for prompt in prompts:
            self._pooled.move_to_end(prompt)
        features = torch.stack([self._pooled[prompt].to(device) for prompt in prompts])
        while len(self._pooled) > self.cache:
            self._pooled.popitem(last=False)
        return features


def weights_file(weights: str) -> Path | None:
    """The file that `clip.weights` means; None for `random`."""
    if weights == "random":
        return None
    return places.home() / "data" / "clip-vit-b-32.safetensors" if weights == "openai" else Path(weights)


def read_clip(path: Path) -> dict[str, Tensor]:
    """Both towers by name. Raises MissingError if the file is not there, InvalidError if it is no plain state dict."""
    hint = "`handbench prep clip` writes it from OpenAI's ViT-B-32.pt; or go without: model.clip.weights=random."
    return read_state(path, hint, CONVERT)


def load_text(weights: str, layers: int = 12, width: int = 512, seed: int = 0) -> FrozenText:
    """The frozen tower; `layers`, `width` and `seed` concern `random` only.

    Raises MissingError if the file is not there, InvalidError if it is a TorchScript archive, a pickle or not CLIP's.
    """
    path = weights_file(weights)
    if path is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return FrozenText(_tower(layers, width))
    state = {key.removeprefix("text."): value for key, value in read_clip(path).items()}
    state = {key: value.float() for key, value in state.items() if key.startswith(PREFIXES)}
    tower = _tower(12, 512, meta=True)
    try:
        tower.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise InvalidError(f"{path} does not hold the text tower of CLIP ViT-B/32.", CONVERT) from error
    tower.attn_mask = tower.build_causal_mask()
    return FrozenText(tower)


def _tower(layers: int, width: int, meta: bool = False) -> Any:
    """CLIP's text transformer as in `ViT-B-32-quickgelu`: OpenAI's weights need QuickGELU, plain ViT-B-32 has GELU."""
    transformer = open_clip_module("transformer")
    with torch.device("meta" if meta else "cpu"):
        return transformer.TextTransformer(
            width=width, layers=layers, heads=width // 64, output_dim=EMBED, act_layer=transformer.QuickGELU
        )


def open_clip_module(module: str) -> Any:
    # set before the import: open_clip and timm would otherwise try the hub
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    ensure_torchvision()
    return __import__(f"open_clip.{module}", fromlist=[module])


@functools.cache
def _tokenizer() -> Any:
    return open_clip_module("tokenizer").SimpleTokenizer()


def count_tokens(prompt: str) -> int:
    """CLIP's tokens of a prompt, start and end token included."""
    return len(_tokenizer().encode(prompt)) + 2


def tokenize(prompts: Sequence[str]) -> Tensor:
    """(n, 77) tokens; a prompt that is too long raises InvalidError where open_clip would cut it in silence."""
    tokenizer = _tokenizer()
    tokens = torch.zeros(len(prompts), LIMIT, dtype=torch.long)
    for row, prompt in zip(tokens, prompts, strict=True):
        ids = [tokenizer.sot_token_id, *tokenizer.encode(prompt), tokenizer.eot_token_id]
        if len(ids) > LIMIT:
            raise InvalidError(
                f"A prompt has {len(ids)} tokens, CLIP takes {LIMIT}: {prompt!r}.", "Shorten the template."
            )
        row[: len(ids)] = torch.tensor(ids)
    return tokens
