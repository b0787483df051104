"""The CLIP module (CM, section 3.5) and its prompts (section 4.1 and tables 1 and 2). Training only."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handbench.hands.colours import COLOURS
from handbench.hands.gestures import GESTURES
from handbench.methods.blocks.clip_text import EMBED

# what the contrast compares
PROJECTED = 128


def prompt(background: int, gesture: int) -> str:
    """The prompt of a background colour and a gesture class, by their numbers in COLOURS and GESTURES."""
    name = GESTURES[gesture].replace("_", " ")
    return f"an image of a hand on a {COLOURS[background]} background in a gesture that means {name}"


def prompts() -> list[str]:
    """All 380."""
    return [prompt(i, j) for i in range(len(COLOURS)) for j in range(len(GESTURES))]


def known_labels(background: Tensor, gesture: Tensor) -> Tensor:
    """(B,) bool: samples with a colour and a class; the others have no prompt, and none is made up."""
    return (background >= 0) & (gesture >= 0)


def describe(background: Sequence[int], gesture: Sequence[int]) -> list[str]:
    return [prompt(i, j) for i, j in zip(background, gesture, strict=True)]


class Contrast(nn.Module):
    """Global tokens (n,T,D), and features (n,512) of their images and prompts from CLIP -> the contrastive loss.

    The two features side by side (1024) become D by a Linear and are added to every token of a copy. Both copies go
    through one head: mean of the tokens, Linear, ReLU, Linear. The head's sizes, and what is a pair (the two copies of
    an image; all else in the batch is a negative), are our decisions after PeCLR ([42]).
    """

    def __init__(self, width: int, temperature: float):
        super().__init__()
        self.temperature = temperature
        self.fuse = nn.Linear(2 * EMBED, width)
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(inplace=True), nn.Linear(width, PROJECTED))

    def forward(self, tokens: Tensor, image: Tensor, text: Tensor) -> Tensor:
        clip = self.fuse(torch.cat([image, text], 1).to(self.fuse.weight.dtype))
        one, two = (self.head(copy.mean(1)) for copy in (tokens, tokens + clip[:, None]))
        return nt_xent(one.float(), two.float(), self.temperature)


def nt_xent(one: Tensor, two: Tensor, temperature: float) -> Tensor:
    """NT-Xent ([44]; SimCLR) of n pairs (n,D): cross-entropy of each vector's cosines, over τ, to the 2n - 1 others,
    of which its pair is the right one; the mean of all 2n.
    """
    both = F.normalize(torch.cat([one, two]), dim=-1)
    logits = both @ both.T / temperature
    logits = logits.masked_fill(torch.eye(len(both), dtype=torch.bool, device=both.device), -torch.inf)
    return F.cross_entropy(logits, torch.arange(len(both), device=both.device).roll(len(one)))
