"""The network space uvd and the losses of CLIP-Hand3D, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from handbench.hands.joints import MIDDLE_MCP, WRIST
from handbench.methods.blocks.masked import masked_l1
from handbench.methods.clip_hand3d.contrast import batched_contrastive, contrastive
from handbench.methods.clip_hand3d.heatmaps import lines, planes, volumes
from handbench.methods.clip_hand3d.losses import (
    consistency_2d,
    consistency_3d,
    edge_loss,
    normal_loss,
)
from handbench.methods.clip_hand3d.space import DEPTH, to_uvd, to_xyz, turn

S = 64


def test_there_and_back_is_the_same_hand_under_rotation_and_crop(make_batch):
    batch = make_batch(6, S)
    given = [batch[key].double() for key in ("camera", "root_depth", "scale")]
    for points in (batch["joints"].double(), batch["vertices"].double()):
        uvd = to_uvd(points, *given, S)
        assert (to_xyz(uvd, *given, S) - points).abs().max() < 1e-9
    in_single = [g.float() for g in given]
    again = to_xyz(to_uvd(batch["joints"], *in_single, S), *in_single, S)
    assert (again - batch["joints"]).abs().max() < 1e-6


def test_the_wrist_is_at_half_depth_and_hands_fit_the_range(make_batch, hand):
    batch = make_batch(32, S)
    uvd = to_uvd(batch["joints"], batch["camera"], batch["root_depth"], batch["scale"], S)
    torch.testing.assert_close(uvd[:, WRIST, 2], torch.full((32,), 0.5))
    assert uvd.min() > 0
    assert uvd.max() < 1
    # a straight hand along the optical axis, either way
    joints = torch.from_numpy(hand.regressor21("freihand") @ hand.v_template)
    reach = (joints - joints[WRIST]).norm(dim=-1).max() / (joints[MIDDLE_MCP] - joints[WRIST]).norm()
    assert 1.8 < reach < DEPTH / 2 - 0.1


def test_uv_counts_from_edge_to_edge_of_the_crop():
    camera = torch.tensor([[[100.0, 0, 31.5], [0, 100, 31.5], [0, 0, 1]]])
    uvd = to_uvd(
        torch.tensor([[[0.0, 0, 0.5], [-0.16, 0.16, 0.5]]]), camera, torch.tensor([0.5]), torch.tensor([0.1]), S
    )
    torch.testing.assert_close(uvd[0], torch.tensor([[0.5, 0.5, 0.5], [0.0, 1.0, 0.5]]))


def test_turn_is_clockwise_in_the_image():
    right = torch.tensor([[[1.0, 0, 5]]])
    torch.testing.assert_close(
        turn(right, torch.tensor([math.pi / 2])), torch.tensor([[[0.0, 1, 5]]]), atol=1e-6, rtol=0
    )


def test_gaussians_peak_where_the_joint_is():
    uvd = torch.tensor([[[2.5 / 8, 5.5 / 8, 7.5 / 8]]])
    volume = volumes(uvd, 8, 2.0)[0].view(8, 8, 8)
    assert volume[7, 5, 2] == 1
    # one bin beside in x, two in y: exp(-(1 + 4) / (2 · 4))
    assert volume[7, 3, 1].item() == pytest.approx(math.exp(-5 / 8), abs=1e-6)
    xy, xz, yz = planes(uvd, 8, 2.0)[0]
    torch.testing.assert_close(xy, volume[7])
    torch.testing.assert_close(xz, volume[:, 5])
    torch.testing.assert_close(yz, volume[:, :, 2])
    assert [tuple(line.shape) for line in lines(torch.rand(2, 21, 3), 16, 2.0)] == [(2, 21, 16)] * 3


def test_masked_l1_is_the_mean_over_what_is_valid():
    predicted = torch.tensor([[[1.0, 2.0], [100.0, 100.0]]], requires_grad=True)
    loss = masked_l1(predicted, torch.zeros(1, 2, 2), torch.tensor([[True, False]]))
    assert loss.item() == pytest.approx(1.5)
    loss.backward()
    assert predicted.grad[0].tolist() == [[0.5, 0.5], [0, 0]]
    nothing = masked_l1(predicted, torch.zeros(1, 2, 2), torch.zeros(1, 2, dtype=torch.bool))
    assert nothing.item() == 0


TRIANGLE = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]])
FACE = torch.tensor([[0, 1, 2]])
YES = torch.tensor([True])


def test_normal_loss_by_hand():
    assert normal_loss(TRIANGLE, TRIANGLE, FACE, YES).item() == 0
    # tip lifted: its two edges leave the plane by 45 degrees and by asin(1/sqrt(3))
    lifted = TRIANGLE.clone()
    lifted[0, 2, 2] = 1.0
    expected = (0 + 1 / math.sqrt(3) + 1 / math.sqrt(2)) / 3
    assert normal_loss(lifted, TRIANGLE, FACE, YES).item() == pytest.approx(expected, abs=1e-6)
    # the size of the predicted mesh does not matter
    assert normal_loss(7 * lifted, TRIANGLE, FACE, YES).item() == pytest.approx(expected, abs=1e-6)
    assert normal_loss(lifted, TRIANGLE, FACE, ~YES).item() == 0


def test_edge_loss_by_hand():
    stretched = TRIANGLE * torch.tensor([2.0, 1, 1])
    expected = (1 + (math.sqrt(5) - math.sqrt(2)) + 0) / 3
    assert edge_loss(stretched, TRIANGLE, FACE, YES).item() == pytest.approx(expected, abs=1e-6)
    both = edge_loss(stretched.repeat(2, 1, 1), TRIANGLE.repeat(2, 1, 1), FACE, torch.tensor([True, False]))
    assert both.item() == pytest.approx(expected, abs=1e-6)


def two_views(make_batch):
    """Two differently turned and cropped views of the same four hands."""
    one, two = make_batch(4, S, seed=1, rotated=False), make_batch(4, S, seed=1, rotated=True)
    return {key: torch.cat([one[key], two[key]]) for key in one}


def test_views_of_the_same_hand_agree(make_batch):
    batch = two_views(make_batch)
    valid = torch.ones(8, dtype=torch.bool)
    uvd = to_uvd(batch["joints"], batch["camera"], batch["root_depth"], batch["scale"], S)
    assert consistency_2d(uvd[..., :2], batch["affine"], S, valid).item() < 1e-4
    # one of the two turned back: the crops differ
    assert consistency_2d(uvd[..., :2], batch["affine"][:4].repeat(2, 1, 1), S, valid).item() > 0.02
    xyz = to_xyz(uvd, batch["camera"], batch["root_depth"], batch["scale"], S)
    rooted = xyz - xyz[:, :1]
    assert consistency_3d(rooted, batch["rotation"], valid).item() < 1e-5
    mixed = torch.cat([rooted[:4], rooted[4:].roll(1, 0)])
    assert consistency_3d(mixed, batch["rotation"], valid).item() > 1e-3


def test_consistency_is_measured_in_the_second_view():
    """eq. 6: |Aff(P1) - P2| where view 2 is twice as large as view 1 and shifted."""
    affine = torch.tensor([[[1.0, 0, 0], [0, 1, 0]], [[2, 0, 3], [0, 2, -1]]])
    pixels = torch.tensor([[[10.0, 10.0]], [[25.0, 20.0]]])
    loss = consistency_2d((pixels + 0.5) / S, affine, S, torch.tensor([True, True]))
    # view 1's joint is at (23, 19) of view 2: off by 2 and 1 pixels
    assert loss.item() == pytest.approx((2 + 1) / 2 / S, abs=1e-6)
    assert consistency_2d((pixels + 0.5) / S, affine, S, torch.tensor([True, False])).item() == 0
    # they differ by (0.5, 0.5, 0), which view 2, turned by 45 degrees, sees as (0, 0.707, 0)
    rooted = torch.tensor([[[1.0, 0, 0]], [[1.5, 0.5, 0]]])
    for first in (0.0, 1.0):
        angles = torch.tensor([first, math.pi / 4])
        assert consistency_3d(rooted, angles, torch.tensor([True, True])).item() == pytest.approx(
            math.sqrt(0.5) / 3, abs=1e-6
        )


def test_contrastive_loss_of_two_pairs_by_hand():
    # lengths do not count: unit vectors at 0 and 90 degrees, texts at 0 and 60 degrees
    pose = torch.tensor([[3.0, 0], [0, 0.2]])
    text = torch.tensor([[5.0, 0], [0.5, math.sqrt(0.75)]])
    s = 2.0
    logits = [[s * 1.0, s * 0.5], [s * 0.0, s * math.sqrt(0.75)]]
    rows = sum(math.log(sum(math.exp(v) for v in logits[i])) - logits[i][i] for i in range(2)) / 2
    columns = sum(math.log(sum(math.exp(logits[j][i]) for j in range(2))) - logits[i][i] for i in range(2)) / 2
    loss = contrastive(pose, text, torch.tensor(s), torch.tensor([0, 1]))
    assert loss.item() == pytest.approx(rows + columns, abs=1e-6)


def test_equal_prompts_are_no_negatives():
    pose, text = torch.randn(3, 8), torch.randn(3, 8)
    text[1] = text[0]
    one = torch.tensor(1.0)
    # two pairs that share a text: nothing is left to tell apart
    assert contrastive(pose[:2], text[:2], one, torch.tensor([0, 0])).item() == pytest.approx(0, abs=1e-6)
    assert contrastive(pose[:2], text[:2], one, torch.tensor([0, 1])).item() > 0.1
    masked = contrastive(pose, text, one, torch.tensor([0, 0, 1]))
    assert masked.isfinite()
    assert masked < contrastive(pose, text, one, torch.tensor([0, 2, 1]))


def test_sub_batches_change_the_negatives_only():
    pose, text, prompt = torch.randn(8, 4), torch.randn(8, 4), torch.arange(8)
    s = torch.tensor(3.0)
    halves = [contrastive(pose[i : i + 4], text[i : i + 4], s, prompt[i : i + 4]) for i in (0, 4)]
    torch.testing.assert_close(batched_contrastive(pose, text, s, prompt, 4), (halves[0] + halves[1]) / 2)
    torch.testing.assert_close(batched_contrastive(pose, text, s, prompt, 32), contrastive(pose, text, s, prompt))
    # what is left over counts by its pairs
    parts = [contrastive(pose[i : i + 6], text[i : i + 6], s, prompt[i : i + 6]) for i in (0, 6)]
    torch.testing.assert_close(batched_contrastive(pose, text, s, prompt, 6), (6 * parts[0] + 2 * parts[1]) / 8)
