"""The parts of Deformer by hand: region, spatial softmax, fusion, maxMSE, motions, adversarial losses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from handbench.hands.mano import axis_angle_to_matrix
from handbench.methods.blocks.rotations import matrix_to_axis_angle
from handbench.methods.deformer.config import DeformerConfig, DiscriminatorConfig, LossConfig
from handbench.methods.deformer.discriminator import (
    MotionDiscriminator,
    discriminator_loss,
    generator_loss,
    held,
    motion_of,
)
from handbench.methods.deformer.fusion import Fusion, warped
from handbench.methods.deformer.losses import max_mse, point_loss
from handbench.methods.deformer.pyramid import hand_region, region_grid, to_region
from handbench.methods.deformer.spatial import SpatialSoftmax, SpatialTransformer

# --- where the hand is ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cells", "side"), [(4, 16), (4, 64), (16, 16), (8, 20)])
def test_the_region_of_an_even_slope_is_an_even_slope(cells, side):
    """Features that are their own place, in shares of the map: the region's cells have their middles' places."""
    x = ((torch.arange(side) + 0.5) / side).expand(1, 1, side, side)
    feature = torch.cat([x, x.transpose(2, 3)], 1)
    share = 0.5
    got = hand_region(feature, region_grid(feature.shape[-1], share, cells), cells)
    expected = 0.25 + share * (torch.arange(cells) + 0.5) / cells
    torch.testing.assert_close(got[0, 0], expected.expand(cells, cells))
    torch.testing.assert_close(got[0, 1], expected[:, None].expand(cells, cells))


def test_the_whole_map_at_its_own_size_is_itself():
    feature = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(hand_region(feature, region_grid(8, 1.0, 8), 8), feature)


def test_pixels_of_the_crop_are_shares_of_the_region():
    # a crop of 100 px, its middle half: from the edge at 25 (pixel 24.5) to that at 75
    pixels = torch.tensor([[24.5, 74.5], [49.5, -0.5]])
    assert to_region(pixels, 100, 0.5).tolist() == [[0.0, 1.0], [0.5, -0.5]]


def test_a_joint_is_the_mean_of_the_cells_under_its_map():
    logits = torch.full((1, 21, 4, 4), -1e4)
    # three quarters in row 1, column 2, one quarter in row 3, column 0
    logits[:, :, 1, 2], logits[:, :, 3, 0] = float(np.log(3)), 0.0
    softmax = SpatialSoftmax()
    joints, maps = softmax(logits)
    x, y = 0.75 * 0.625 + 0.25 * 0.125, 0.75 * 0.375 + 0.25 * 0.875
    assert joints[0, 5].tolist() == pytest.approx([x, y], abs=1e-6)
    torch.testing.assert_close(maps.sum((2, 3)), torch.ones(1, 21))
    # a joint of sharpness 2: nine to one
    torch.nn.init.constant_(softmax.sharpness, 2.0)
    assert softmax(logits)[0][0, 5].tolist() == pytest.approx([0.9 * 0.625 + 0.1 * 0.125, 0.9 * 0.375 + 0.1 * 0.875])


@pytest.mark.parametrize(("joints_to", "read"), [("mano_mlp", True), ("memory", False)])
def test_joints_that_only_losses_read_are_not_worked_out_at_inference(joints_to, read):
    config = DeformerConfig(width=32, heads=2, input=64, grid=4, joints_to=joints_to)
    spatial, feature = SpatialTransformer(config), torch.rand(2, 32, 16, 16)
    assert spatial(feature)[1] is not None
    with torch.no_grad():
        vector, joints = spatial.eval()(feature)
        assert (joints is not None) == read
        # and all the rest is as with them
        spatial.reads_joints = True
        torch.testing.assert_close(spatial(feature)[0], vector)


# --- fusion ---------------------------------------------------------------------------------------------------------


def heads(frames: int = 5, **values: torch.Tensor) -> dict[str, torch.Tensor]:
    zero = torch.zeros(2, frames, 96)
    return {"pose": zero, "forward": zero, "backward": zero, "confidence": zero[..., :1], **values}


def fusion(**settings) -> Fusion:
    return Fusion(DeformerConfig(frames=5, **settings))


def test_exact_motions_lead_to_the_neighbours():
    pose = torch.rand(2, 5, 96, dtype=torch.float64)
    forward, backward = torch.rand_like(pose), torch.rand_like(pose)
    forward[:, :-1] = pose[:, 1:] - pose[:, :-1]
    backward[:, 1:] = pose[:, :-1] - pose[:, 1:]
    every = torch.arange(5)
    to_each = warped(pose, forward, backward, every)
    torch.testing.assert_close(to_each, pose[:, :, None].expand_as(to_each))
    # so whatever the confidences, the fused pose is the true one, in the middle and everywhere
    exact = heads(pose=pose, forward=forward, backward=backward, confidence=torch.randn(2, 5, 1).double())
    torch.testing.assert_close(fusion()(exact)[0], pose[:, 2:3])
    torch.testing.assert_close(fusion(fuse="all")(exact)[0], pose)


def test_the_motions_between_two_frames_and_no_others_are_summed():
    """Each motion is a power of two of its own: of three frames, by hand."""
    pose = torch.tensor([1.0, 10.0, 100.0]).view(1, 3, 1)
    forward = torch.tensor([2.0, 4.0, 8.0]).view(1, 3, 1)
    backward = torch.tensor([16.0, 32.0, 64.0]).view(1, 3, 1)
    got = warped(pose, forward, backward, torch.arange(3))[0, ..., 0]
    assert got.tolist() == [[1, 10 + 32, 100 + 64 + 32], [1 + 2, 10, 100 + 64], [1 + 2 + 4, 10 + 4, 100]]


def test_without_motions_and_with_equal_confidences_a_still_hand_stays_as_it_is():
    pose = torch.rand(2, 1, 96).expand(2, 5, 96)
    for aggregation in ("center", "average", "dynamic"):
        fused, weights = fusion(aggregation=aggregation)(heads(pose=pose))
        torch.testing.assert_close(fused, pose[:, 2:3])
        torch.testing.assert_close(weights, torch.full((2, 5), 0.2))
    # a hand that moves is then the mean of the window, where the frame itself is what `center` takes
    moving = torch.rand(2, 5, 96)
    torch.testing.assert_close(fusion()(heads(pose=moving))[0][:, 0], moving.mean(1))
    torch.testing.assert_close(fusion(aggregation="center")(heads(pose=moving))[0], moving[:, 2:3])


def test_a_frame_of_great_confidence_speaks_for_the_rest():
    pose = torch.rand(2, 5, 96)
    confidence = torch.zeros(2, 5, 1)
    confidence[:, 4] = 50.0
    fused, weights = fusion()(heads(pose=pose, confidence=confidence))
    torch.testing.assert_close(fused[:, 0], pose[:, 4])
    assert weights[:, 4].tolist() == pytest.approx([1, 1])


def test_weights_by_occlusion_are_a_softmax_of_what_is_seen():
    visible = torch.tensor([[1.0, 0.5, 0.0, 1.0, 0.5], [torch.nan, 1.0, 0.0, torch.nan, 0.5]])
    _, weights = fusion(aggregation="occlusion")(heads(), visible)
    torch.testing.assert_close(weights[0], visible[0].softmax(0))
    torch.testing.assert_close(weights[1], torch.tensor([0.5, 1.0, 0.0, 0.5, 0.5]).softmax(0))
    _, unknown = fusion(aggregation="occlusion")(heads(), visible * torch.nan)
    torch.testing.assert_close(unknown, torch.full((2, 5), 0.2))
    with pytest.raises(ValueError, match="visible fraction"):
        fusion(aggregation="occlusion")(heads())


# --- maxMSE ---------------------------------------------------------------------------------------------------------


def test_max_mse_by_hand():
    squared = torch.tensor([[1.0, 4.0, 9.0], [2.0, 2.0, 2.0]], dtype=torch.float64)
    assert max_mse(squared).tolist() == pytest.approx([98 / 14, 2.0])
    # eq. 5 of points: errors of 1, 2 and 3 m
    predicted = torch.zeros(1, 3, 3)
    true = torch.tensor([[[1.0, 0, 0], [0, 2.0, 0], [0, 0, -3.0]]])
    every = torch.ones(1, 3, dtype=torch.bool)
    assert point_loss(predicted, true, every, LossConfig()).item() == pytest.approx(7.0)
    assert point_loss(predicted, true, every, LossConfig(points="mse")).item() == pytest.approx(14 / 3)
    literal = LossConfig(points="mse", mse_scale="torch")
    assert point_loss(predicted, true, every, literal).item() == pytest.approx(
        torch.nn.functional.mse_loss(predicted, true).item()
    )
    # at least the mean: equal where all errors are
    some = every.clone()
    some[0, 2] = False
    assert point_loss(predicted, true, some, LossConfig()).item() == pytest.approx(17 / 5)
    assert point_loss(predicted, true, every & False, LossConfig()).item() == 0


def test_max_mse_draws_well_fitted_points_away_and_detached_it_does_not():
    squared = torch.linspace(0.05, 1, 21).square()[None].double().requires_grad_()
    max_mse(squared).sum().backward()
    e, s, q = squared.detach(), squared.detach().sum(), squared.detach().square().sum()
    torch.testing.assert_close(squared.grad, (2 * e * s - q) / s**2)
    # negative for those below half of the loss
    assert torch.equal(squared.grad < 0, e < q / s / 2)
    assert 0 < int((squared.grad < 0).sum()) < 21
    squared.grad = None
    assert max_mse(squared, detach=True).item() == pytest.approx(max_mse(squared).item())
    max_mse(squared, detach=True).sum().backward()
    torch.testing.assert_close(squared.grad, e / s)


def test_max_mse_is_finite_where_nothing_is_wrong():
    predicted = torch.rand(2, 21, 3, requires_grad=True)
    loss = point_loss(predicted, predicted.detach().clone(), torch.ones(2, 21, dtype=torch.bool), LossConfig())
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(predicted.grad, torch.zeros_like(predicted))


# --- motion discrimination ------------------------------------------------------------------------------------------


def test_axis_and_angle_come_back_near_no_turn_and_near_a_half_turn():
    rng = np.random.default_rng(0)
    axis = rng.normal(size=(400, 3))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    angle = np.concatenate([rng.uniform(0, np.pi - 1e-4, 390), [0, 1e-9, 1e-4, 1e-2, 3.14], np.full(5, np.pi - 1e-3)])
    vectors = axis * angle[:, None]
    matrix = torch.from_numpy(axis_angle_to_matrix(vectors)).requires_grad_()
    got = matrix_to_axis_angle(matrix)
    assert got.detach().numpy() == pytest.approx(vectors, abs=1e-7)
    got.sum().backward()
    assert matrix.grad.isfinite().all()


def test_a_motion_is_the_side_and_the_local_pose():
    pose = np.random.default_rng(1).normal(0, 0.4, (6, 16, 3))
    rotations = torch.from_numpy(axis_angle_to_matrix(pose))
    left = torch.tensor([True] * 3 + [False] * 3)
    motion = motion_of(rotations, left, 3)
    assert motion.shape == (2, 3, 46)
    assert motion[..., 0].tolist() == [[1, 1, 1], [0, 0, 0]]
    assert motion[..., 1:].flatten().numpy() == pytest.approx(pose[:, 1:].flatten(), abs=1e-7)


def test_adversarial_losses_on_known_scores():
    predicted, real = torch.tensor([0.0, 1.0, 3.0]), torch.tensor([1.0, 0.0])
    assert generator_loss(predicted).item() == pytest.approx((1 + 0 + 4) / 3)
    assert discriminator_loss(predicted, real).item() == pytest.approx((0 + 1 + 9) / 3 + (0 + 1) / 2)
    # a discriminator that knows, and a generator that deceives it
    assert discriminator_loss(torch.zeros(3), torch.ones(2)) == 0
    assert generator_loss(torch.ones(3)) == 0


def test_the_discriminator_learns_to_tell_still_hands_from_restless_ones():
    torch.manual_seed(0)
    judge = MotionDiscriminator(DiscriminatorConfig(width=16, dropout=0.0))
    still = torch.randn(16, 1, 46).expand(-1, 5, -1) * 0.3
    restless = still + torch.randn(16, 5, 46) * 0.5
    optimiser = torch.optim.Adam(judge.parameters(), lr=1e-2)
    first = last = None
    for _ in range(40):
        optimiser.zero_grad()
        last = discriminator_loss(judge(restless), judge(still))
        last.backward()
        optimiser.step()
        first = last.item() if first is None else first
    assert last.item() < 0.3 * first
    assert judge(still).mean() > judge(restless).mean() + 0.5


def test_its_size_is_that_of_the_released_code():
    judge = MotionDiscriminator(DiscriminatorConfig())
    # 11,692,034 there, with one number that a softmax takes out
    assert sum(p.numel() for p in judge.parameters()) == 11_692_033
    assert judge(torch.zeros(2, 7, 46)).shape == (2,)


def test_what_is_held_is_not_moved_but_passes_the_gradient_on():
    judge = MotionDiscriminator(DiscriminatorConfig(width=8))
    motion = torch.rand(2, 3, 46, requires_grad=True)
    with held(judge):
        generator_loss(judge(motion)).backward()
    assert motion.grad.any()
    assert all(p.grad is None and p.requires_grad for p in judge.parameters())
