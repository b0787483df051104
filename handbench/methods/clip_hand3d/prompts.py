"""From 3D joints to prompts: the order of the joints along x, y and z in words (CLIP-Hand3D, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from handbench.hands.joints import JOINT_NAMES
from handbench.methods.clip_hand3d.config import LONGEST_PAPER_PROMPT, ClipConfig
from handbench.methods.clip_hand3d.space import turn

PREFIXES = ("From left to right", "From top to bottom", "From near to far")
SHORT_PREFIXES = ("left right", "top bottom", "near far")


def template_of(config: ClipConfig) -> str:
    """Which template `auto` is: the printed one where all its prompts fit CLIP, else the released code's."""
    if config.template != "auto":
        return config.template
    return "paper" if config.n_joints <= LONGEST_PAPER_PROMPT else "code"


def prompt(axis: int, joints: Sequence[int], template: str) -> str:
    """The prompt of FH21 joints that are already in order along axis 0, 1 or 2.

    `paper`: as printed; 83 tokens for all 21 joints, of which CLIP takes 77. `code`: as in the released code, without
    the axis, 77 tokens. `compact`: ours, with the axis, 75 tokens.
    """
    names = [JOINT_NAMES[j] for j in joints]
    if template == "compact":
        return f"{SHORT_PREFIXES[axis]} {', '.join(names)}"
    head, last = ", ".join(names[:-1]), names[-1]
    if template == "paper":
        return f"{PREFIXES[axis]}, the joints are {head}, and {last}."
    return f"Order are: {head} and {last}."


def sample_joints(valid: Tensor, n: int, generator: torch.Generator | None = None) -> list[list[int]]:
    """Of joints (B,21) that are annotated, n a sample drawn without replacement, ascending (fewer where fewer are)."""
    usable = valid.cpu()
    # a fresh draw for each sample: the n largest of 21 random keys
    keys = torch.rand(usable.shape, generator=generator).masked_fill(~usable, -1.0)
    drawn = keys.argsort(-1, descending=True)[:, :n].tolist()
    return [sorted(j for j in row if usable_row[j]) for row, usable_row in zip(drawn, usable.tolist(), strict=True)]


def describe(joints: Tensor, rotation: Tensor, chosen: Sequence[Sequence[int]], template: str) -> list[list[str]]:
    """Three lists (x, y, z) of B prompts.

    joints (B,21,3) m in the camera frame of the stored image; rotation (B,) rad: how far augmentation turned the
    content of the crop, so that the words say what is seen. Joints at the same place keep the order of their index.
    """
    seen = turn(joints.detach().double().cpu(), rotation.detach().double().cpu())
    prompts: list[list[str]] = [[], [], []]
    for points, subset in zip(seen, chosen, strict=True):
        for axis in range(3):
            order = torch.argsort(points[list(subset), axis], stable=True)
            prompts[axis].append(prompt(axis, [subset[i] for i in order], template))
    return prompts
