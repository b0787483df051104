"""The text prompts of table 2: 3,920 configurations, 3,724 different texts, and their features."""

from __future__ import annotations

import functools
import hashlib
import itertools
import time
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from handbench import places
from handbench.methods.blocks.clip_text import EMBED, FrozenText, count_tokens, weights_file
from handbench.store.atomic import replacing

HEADS = (
    "a cropped image of",
    "a image of",
    "a cropped photo of",
    "a picture of",
    "one",
    "a photo of",
    "a photo of right",
)
SKINS = ("white", "dark brown", "peach", "brown", "pale yellow", "light beige", "black")
HANDS = ("hand with", "right hand with")
# both columns of the table's "color"; yellow is in it twice
COLOURS = (
    *("mountain", "bright", "green", "white", "sky blue", "orange", "blue", "gray", "pink", "dotted"),
    *("lake", "dark", "purple", "yellow", "black", "red", "yellow", "beige", "brown", "flower"),
)
BACKGROUNDS = ("room", "background")
CHUNK = 64


@functools.cache
def configurations() -> tuple[str, ...]:
    """The 3,920 prompts, in the order of the table's columns."""
    return tuple(" ".join(words) for words in itertools.product(HEADS, SKINS, HANDS, COLOURS, BACKGROUNDS))


@functools.cache
def distinct() -> tuple[str, ...]:
    """The 3,724 different ones, in order of first appearance."""
    return tuple(dict.fromkeys(configurations()))


@functools.cache
def numbers() -> Tensor:
    """(3920,): which of the distinct prompts each configuration is."""
    number = {prompt: i for i, prompt in enumerate(distinct())}
    return torch.tensor([number[prompt] for prompt in configurations()])


def draw(n: int) -> Tensor:
    """(n,) numbers of distinct prompts, drawn uniformly over the configurations (twice as often where yellow)."""
    return numbers()[torch.randint(len(configurations()), (n,))]


def encode_all(text: FrozenText, device: torch.device | str = "cpu") -> Tensor:
    """(3724,512) features of all distinct prompts, computed now."""
    prompts = distinct()
    longest = max(count_tokens(prompt) for prompt in prompts)
    chunks = [prompts[i : i + CHUNK] for i in range(0, len(prompts), CHUNK)]
    return torch.cat([text.encode(chunk, device, longest).pooled for chunk in chunks])


class PromptFeatures(NamedTuple):
    """features (3724,512); the seconds that they took; whether they came from the cache on disk."""

    features: Tensor
    seconds: float
    cached: bool

    @property
    def size_bytes(self) -> int:
        return self.features.numel() * self.features.element_size()


def prompt_features(text: FrozenText, weights: str, device: torch.device | str = "cpu") -> PromptFeatures:
    """`encode_all`, once for a file of weights: kept in HANDBENCH_HOME/cache under the digest of file and prompts.

    `random` weights are small in trials and are not kept.
    """
    start = time.perf_counter()
    source = weights_file(weights)
    kept = None if source is None else places.home() / "cache" / f"clip-prompts-{_digest(source)}.safetensors"
    features = _read(kept)
    cached = features is not None
    if features is None:
        features = encode_all(text, device).cpu()
        if kept is not None:
            with replacing(kept) as part:
                part.write_bytes(save({"features": features}))
    return PromptFeatures(features.to(device), time.perf_counter() - start, cached)


def _read(kept: Path | None) -> Tensor | None:
    """What is kept; None where nothing is, or nothing that can be used."""
    if kept is None or not kept.is_file():
        return None
    try:
        features = load_file(kept)["features"]
    # safetensors raises its own kind of error for a file that was cut
    except Exception:
        return None
    return features if features.shape == (len(distinct()), EMBED) and features.isfinite().all() else None


def _digest(source: Path) -> str:
    digest = hashlib.sha256("\n".join(distinct()).encode())
    with source.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:12]
