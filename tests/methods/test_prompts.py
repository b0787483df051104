"""Prompts: the order of the joints in words, as it is seen, and never longer than CLIP can read."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError

from handbench.hands.joints import JOINT_NAMES
from handbench.methods.blocks.clip_text import LIMIT, count_tokens
from handbench.methods.clip_hand3d.config import ClipConfig
from handbench.methods.clip_hand3d.prompts import describe, prompt, sample_joints, template_of

# the example of the paper's figure 2: index MCP, thumb fingertip, little PIP, middle DIP, ring fingertip
FIVE = (5, 4, 18, 11, 16)


def test_templates_word_for_word():
    assert prompt(0, FIVE, "paper") == (
        "From left to right, the joints are index MCP, thumb fingertip, little PIP, middle DIP, and ring fingertip."
    )
    assert prompt(1, FIVE[:2], "paper") == "From top to bottom, the joints are index MCP, and thumb fingertip."
    assert prompt(2, FIVE[:3], "paper").startswith("From near to far, the joints are ")
    assert prompt(1, FIVE, "code") == (
        "Order are: index MCP, thumb fingertip, little PIP, middle DIP and ring fingertip."
    )
    assert prompt(2, FIVE[:2], "compact") == "near far index MCP, thumb fingertip"


@pytest.mark.parametrize(("template", "tokens"), [("paper", 83), ("code", 77), ("compact", 75)])
def test_tokens_of_all_21_joints(template, tokens):
    for axis in range(3):
        assert count_tokens(prompt(axis, range(21), template)) == tokens


@pytest.mark.parametrize("n", range(2, 22))
def test_no_prompt_exceeds_clips_limit(n):
    template = template_of(ClipConfig(n_joints=n))
    assert template == ("paper" if n <= 18 else "code")
    # the longest prompt has the longest names, whatever their order
    longest = sorted(range(21), key=lambda j: -count_tokens(JOINT_NAMES[j]))[:n]
    for axis in range(3):
        for allowed in (template, "compact", "code"):
            assert count_tokens(prompt(axis, longest, allowed)) <= LIMIT


def test_the_printed_template_is_refused_where_it_cannot_be_tokenised():
    assert template_of(ClipConfig(template="paper", n_joints=18)) == "paper"
    with pytest.raises(ValidationError, match="77 tokens"):
        ClipConfig(template="paper", n_joints=19)


def test_joints_are_named_from_left_to_right_top_to_bottom_near_to_far():
    joints = torch.zeros(1, 21, 3)
    joints[0, 4] = torch.tensor([-0.1, 0.1, 0.4])  # thumb fingertip: left, bottom, nearest
    joints[0, 5] = torch.tensor([0.1, -0.1, 0.6])  # index MCP: right, top, farthest
    joints[0, 9] = torch.tensor([0.0, 0.0, 0.5])
    x, y, z = describe(joints, torch.zeros(1), [[4, 5, 9]], "compact")
    assert x == ["left right thumb fingertip, middle MCP, index MCP"]
    assert y == ["top bottom index MCP, middle MCP, thumb fingertip"]
    assert z == ["near far thumb fingertip, middle MCP, index MCP"]


def test_words_follow_the_crop_that_augmentation_turned():
    joints = torch.zeros(3, 21, 3)
    joints[:, 5, 0] = 0.1  # index MCP to the right of the wrist
    # clockwise by a quarter, right becomes bottom; by a half, right becomes left
    x, y, z = describe(joints, torch.tensor([0, math.pi / 2, math.pi]), [[0, 5]] * 3, "compact")
    assert x[0] == "left right wrist, index MCP"
    assert y[1] == "top bottom wrist, index MCP"
    assert x[2] == "left right index MCP, wrist"
    assert z == ["near far wrist, index MCP"] * 3


def test_the_turn_is_the_one_that_the_crop_shows(make_batch):
    """Order along x in words = order along x of the projections, where the hand is small and far enough."""
    batch = make_batch(8, seed=4)
    seen = batch["joints"] - batch["joints"][:, :1] * torch.tensor([1.0, 1, 0])
    camera = batch["camera"].clone()
    camera[:, :2, 2] = 0
    pixels = seen @ camera.transpose(1, 2)
    x, y, _ = describe(seen, batch["rotation"], [[4, 20]] * 8, "compact")
    for i in range(8):
        assert (pixels[i, 4, 0] < pixels[i, 20, 0]).item() == x[i].startswith("left right thumb")
        assert (pixels[i, 4, 1] < pixels[i, 20, 1]).item() == y[i].startswith("top bottom thumb")


def test_ties_keep_the_order_of_the_joints():
    x, _, _ = describe(torch.zeros(1, 21, 3), torch.zeros(1), [list(range(21))], "compact")
    assert x[0] == "left right " + ", ".join(JOINT_NAMES)


def test_joints_are_drawn_without_replacement_from_those_that_are_annotated():
    generator = torch.Generator().manual_seed(0)
    valid = torch.ones(4, 21, dtype=torch.bool)
    valid[1, 10:] = False
    valid[2] = False
    counts = torch.zeros(21)
    for _ in range(200):
        chosen = sample_joints(valid, 15, generator)
        assert [len(subset) for subset in chosen] == [15, 10, 0, 15]
        for subset in chosen:
            assert subset == sorted(set(subset))
        assert chosen[1] == list(range(10))
        counts[chosen[0]] += 1
    # 15 of 21, each joint as often as any other: 143 of 200, standard deviation 6.4
    assert (counts - 200 * 15 / 21).abs().max() < 30
    assert sample_joints(valid, 21)[0] == list(range(21))
