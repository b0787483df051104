"""The text branch of CLIP-Hand3D: pose-aware features against encoded prompts (sections 3.1 and 3.3). Training only."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handbench.methods.blocks.clip_text import EMBED, LIMIT, FrozenText
from handbench.methods.blocks.lixel import Lixels
from handbench.methods.blocks.transformer import Axis, Transformer
from handbench.methods.clip_hand3d.config import ClipConfig

TEXT_HEADS = 16


class Contrast(nn.Module):
    """Linear a axis for the pose, text encoder Φ and logit scale a axis for the prompts.

    Pose-aware features are the flattened logits of the joints' own 1-D heat-maps; `bins` of x, y and z.
    """

    def __init__(self, joints: int, bins: tuple[int, int, int], config: ClipConfig, axis: Axis):
        super().__init__()
        self.config = config
        self.pose = nn.ModuleList(nn.Linear(joints * n, EMBED) for n in bins)
        self.phi = nn.ModuleList(Transformer(EMBED, config.encoder_layers, TEXT_HEADS, axis=axis) for _ in bins)
        # eq. 3: the logits are multiplied by s = exp(parameter); one for each axis
        self.log_scale = nn.Parameter(torch.full((3,), math.log(config.logit_init)))

    def scales(self) -> Tensor:
        """(3,) in [1, 100]."""
        return self.log_scale.clamp(0.0, math.log(100.0)).exp()

    def encode_text(self, axis: int, prompts: list[str], text: FrozenText, device: torch.device) -> Tensor:
        """F_t (n, 512) of one axis, eq. 1. With `text_tokens`, Φ reads all tokens and the end token's output counts."""
        phi = self.phi[axis]
        if not self.config.text_tokens:
            return phi(text.pooled(prompts, device)[:, None])[:, 0]
        features = text.encode(prompts, device)
        keep = torch.arange(LIMIT, device=device) <= features.end[:, None]
        rows = torch.arange(len(prompts), device=device)
        return phi(features.tokens, keep)[rows, features.end]

    def forward(self, lixels: Lixels, prompts: list[list[str]], text: FrozenText) -> Tensor:
        """Mean over the axes of eq. 7, for n samples and their 3 · n prompts."""
        losses = []
        for axis, (logits, said) in enumerate(zip(lixels, prompts, strict=True)):
            pose = self.pose[axis](logits.flatten(1))
            words = self.encode_text(axis, said, text, pose.device)
            number = {text: i for i, text in enumerate(dict.fromkeys(said))}
            same = torch.tensor([number[text] for text in said], device=pose.device)
            losses.append(batched_contrastive(pose, words, self.scales()[axis], same, self.config.contrast_batch))
        return torch.stack(losses).mean()


def batched_contrastive(pose: Tensor, text: Tensor, scale: Tensor, prompt: Tensor, size: int) -> Tensor:
    """`contrastive` over sub-batches of `size` pairs, weighted by their pairs: only the negatives change with it."""
    total = pose.new_zeros(())
    for start in range(0, len(pose), size):
        part = slice(start, start + size)
        total = total + contrastive(pose[part], text[part], scale, prompt[part]) * len(pose[part])
    return total / max(len(pose), 1)


def contrastive(pose: Tensor, text: Tensor, scale: Tensor, prompt: Tensor) -> Tensor:
    """Eq. 7 of one axis: cross-entropy over rows plus cross-entropy over columns of s · p̂ t̂ᵀ (eq. 3).

    pose, text (n, c), made unit vectors here; prompt (n,) numbers the texts. Different images may have the same
    prompt; such a pair is no negative and is left out of the denominators (our decision).
    """
    logits = scale * F.normalize(pose.float(), dim=-1) @ F.normalize(text.float(), dim=-1).T
    same = (prompt[:, None] == prompt) & ~torch.eye(len(prompt), dtype=torch.bool, device=prompt.device)
    logits = logits.masked_fill(same, -torch.inf)
    target = torch.arange(len(logits), device=logits.device)
    return F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)
