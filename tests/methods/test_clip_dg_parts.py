"""The parts of clip-dg that stand alone: prompts, contrast, augmentations, targets, rotations, Branch 2."""

from __future__ import annotations

import colorsys
import math
from collections import Counter

import pytest
import torch

from handbench.methods.blocks.clip_text import count_tokens, load_text
from handbench.methods.clip_dg import prompts
from handbench.methods.clip_dg.augmentations import AUGMENTATIONS, augment, cut_out, sobel, to_hsv, to_rgb
from handbench.methods.clip_dg.branch import Branch2, mix
from handbench.methods.clip_dg.contrast import contrast_loss, farthest
from handbench.methods.clip_dg.losses import heat_loss, heat_targets, pose_loss
from handbench.methods.clip_dg.pose_prior import rotation

# --- prompts --------------------------------------------------------------------------------------------------------


def test_the_prompts_are_those_of_table_2():
    said = prompts.configurations()
    assert len(said) == 7 * 7 * 2 * 20 * 2 == 3920
    assert len(prompts.distinct()) == 3724
    assert len(set(said)) == 3724
    twice = {prompt for prompt, count in Counter(said).items() if count == 2}
    assert len(twice) == 196
    assert all(" with yellow " in prompt for prompt in twice)
    assert said[0] == "a cropped image of white hand with mountain room"
    assert "a photo of right dark brown right hand with sky blue background" in said
    tokens = [count_tokens(prompt) for prompt in prompts.distinct()]
    assert (min(tokens), max(tokens)) == (8, 14)


def test_configurations_are_drawn_uniformly_from_torchs_generator():
    assert [prompts.distinct()[i] for i in prompts.numbers()] == list(prompts.configurations())
    torch.manual_seed(5)
    one = prompts.draw(40_000)
    torch.manual_seed(5)
    assert torch.equal(one, prompts.draw(40_000))
    yellow = torch.tensor([" with yellow " in prompt for prompt in prompts.distinct()])
    # one configuration in ten, though one distinct prompt in nineteen
    assert yellow[one].float().mean().item() == pytest.approx(0.1, abs=0.006)
    assert len(one.unique()) > 3700


@pytest.fixture(scope="module")
def text():
    return load_text("random", layers=1, width=64)


def test_all_prompts_at_once_are_what_the_tower_says_of_each(text):
    features = prompts.encode_all(text)
    assert features.shape == (3724, 512)
    some = [0, 1, 77, 3723]
    alone = text.encode([prompts.distinct()[i] for i in some]).pooled
    torch.testing.assert_close(features[some], alone, atol=1e-4, rtol=1e-4)


def test_features_are_kept_for_a_file_of_weights_and_only_for_that(text, tmp_path, monkeypatch):
    monkeypatch.setenv("HANDBENCH_HOME", str(tmp_path))
    calls = []

    def encode(*given):
        calls.append(given)
        return torch.full((3724, 512), float(len(calls)))

    monkeypatch.setattr(prompts, "encode_all", encode)
    weights = tmp_path / "clip.safetensors"
    weights.write_bytes(b"one")
    first, again = (prompts.prompt_features(text, str(weights)) for _ in range(2))
    assert (first.cached, again.cached, len(calls)) == (False, True, 1)
    assert torch.equal(first.features, again.features)
    assert first.size_bytes == 3724 * 512 * 4
    assert first.seconds > 0
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(kept.read_bytes()[:100])
    assert not prompts.prompt_features(text, str(weights)).cached
    weights.write_bytes(b"two")
    assert prompts.prompt_features(text, str(weights)).features[0, 0] == 3
    assert not prompts.prompt_features(text, "random").cached
    assert len(list((tmp_path / "cache").iterdir())) == 2


# --- contrast -------------------------------------------------------------------------------------------------------


def test_the_negative_is_the_other_sample_whose_true_map_is_farthest():
    """One cell a joint, two joints; predictions 0, 1, 4 and truths 0, 2, 3 in the first, nothing in the second."""
    predicted, true = torch.zeros(3, 2, 1, 1), torch.zeros(3, 2, 1, 1)
    predicted[:, 0, 0, 0] = torch.tensor([0.0, 1.0, 4.0])
    true[:, 0, 0, 0] = torch.tensor([0.0, 2.0, 3.0])
    valid = torch.ones(3, 2, dtype=torch.bool)
    # 0: |0-2|, |0-3|; 1: |1-0|, |1-3|; 2: |4-0|, |4-2|
    assert farthest(predicted, true, valid)[0].tolist() == [2, 2, 0]
    # a hand of which one joint is known counts by that joint: 9 instead of 9/2, and never by what is not annotated
    valid[1, 1] = False
    true[1, 1] = torch.nan
    true[1, 0] = 2.9
    assert farthest(predicted, true, valid)[0].tolist() == [1, 2, 0]
    # nobody but 2 is annotated
    valid[:2] = False
    index, found = farthest(predicted, true, valid)
    assert index[:2].tolist() == [2, 2]
    assert found.tolist() == [True, True, False]


ANCHOR = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
POSITIVE = torch.tensor([[1.0, 0.25], [0.0, 1.0]])
EACH_OTHER = (torch.tensor([1, 0]), torch.tensor([True, True]))


def test_both_forms_worked_by_hand():
    """Near: 0.25 and 0; far: 2 and 2."""
    raw = {"normalise": False}
    assert contrast_loss(ANCHOR, POSITIVE, EACH_OTHER, "hinge", 0.5, **raw).item() == pytest.approx(0.125)
    assert contrast_loss(ANCHOR, POSITIVE, EACH_OTHER, "hinge", 3.0, **raw).item() == pytest.approx(0.125 + 1.0)
    assert contrast_loss(ANCHOR, POSITIVE, EACH_OTHER, "paper", 0.5, **raw).item() == pytest.approx(0.125 - 2.0)
    assert contrast_loss(ANCHOR, POSITIVE, EACH_OTHER, "paper", 3.0, **raw).item() == pytest.approx(0.125 - 3.0)
    lonely = (EACH_OTHER[0], torch.tensor([True, False]))
    assert contrast_loss(ANCHOR, POSITIVE, lonely, "hinge", 3.0, **raw).item() == pytest.approx(0.125 + 1.0)
    nobody = (EACH_OTHER[0], torch.tensor([False, False]))
    assert contrast_loss(ANCHOR, POSITIVE, nobody, "paper", 3.0, **raw).item() == pytest.approx(0.125)


def test_unit_vectors_have_no_length():
    expected = contrast_loss(ANCHOR, POSITIVE, EACH_OTHER, "hinge", 3.0).item()
    assert contrast_loss(7 * ANCHOR, 0.1 * POSITIVE, EACH_OTHER, "hinge", 3.0).item() == pytest.approx(expected)


def test_the_printed_form_has_no_lower_bound_and_the_hinge_has_0():
    values = {}
    for form in ("hinge", "paper"):
        values[form] = [
            contrast_loss(s * ANCHOR, s * ANCHOR, EACH_OTHER, form, normalise=False).item() for s in (0.0, 0.1, 1, 1e6)
        ]
    assert values["hinge"] == pytest.approx([0.5, 0.3, 0, 0])
    # below the margin nothing pushes apart, above it nothing ends
    assert values["paper"] == pytest.approx([-0.5, -0.5, -2, -2e6])
    torch.manual_seed(0)
    random = torch.randn(2, 8, 128)
    index, found = torch.arange(8).roll(1), torch.ones(8, dtype=torch.bool)
    assert contrast_loss(*random, (index, found), "hinge") >= 0
    # unit vectors end the other form too
    assert contrast_loss(*random, (index, found), "paper") > -2 * math.sqrt(128)


# --- augmentations --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_each_augmentation_keeps_shape_and_range_and_changes_the_image(name):
    torch.manual_seed(0)
    images = torch.rand(4, 3, 32, 32) * 255
    before = images.clone()
    changed = AUGMENTATIONS[name](images, torch.Generator().manual_seed(0))
    assert changed.shape == images.shape
    assert changed.min() >= -1e-3
    assert changed.max() <= 255 + 1e-3
    # the weakest blur is hardly one
    assert ((changed - images).abs().amax((1, 2, 3)) > 0.1).all()
    assert torch.equal(images, before)


def test_augmentations_do_what_they_are_called():
    generator = torch.Generator().manual_seed(0)
    flat = torch.full((200, 3, 16, 16), 100.0)
    share = (cut_out(flat, generator) == 0).float().mean((1, 2, 3))
    assert share.max() <= 0.2
    assert share.mean().item() == pytest.approx(0.08, abs=0.02)
    assert sobel(flat[:1], generator).abs().max() == 0
    edge = flat[:1].clone()
    edge[..., 8:] = 130.0
    assert sobel(edge, generator)[0, 0, 5].tolist() == [0] * 7 + [120] * 2 + [0] * 7
    for name in ("Gaussian noise", "blur"):
        assert AUGMENTATIONS[name](flat, generator).mean().item() == pytest.approx(100, abs=0.5), name
    noise = AUGMENTATIONS["Gaussian noise"](flat, generator)
    assert noise.std().item() == pytest.approx(25, abs=0.5)
    grey = AUGMENTATIONS["colour drop"](torch.rand(2, 3, 4, 4) * 255, generator)
    assert torch.equal(grey[:, 0], grey[:, 1])


def test_hue_saturation_and_value_are_pythons():
    torch.manual_seed(0)
    image = torch.rand(1, 3, 5, 5)
    image[..., 0, :] = 0.5
    image[..., 1, 0] = 0.0
    hue, saturation, value = to_hsv(image)
    for i in range(5):
        for j in range(5):
            expected = colorsys.rgb_to_hsv(*image[0, :, i, j].tolist())
            assert (hue[0, i, j].item(), saturation[0, i, j].item(), value[0, i, j].item()) == pytest.approx(
                expected, abs=1e-5
            )
    torch.testing.assert_close(to_rgb(hue, saturation, value), image, atol=1e-6, rtol=0)


def test_augmenting_is_drawn_from_torchs_generator_image_by_image():
    image = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8).expand(8, -1, -1, -1)
    torch.manual_seed(1)
    one = augment(image)
    torch.manual_seed(1)
    assert torch.equal(one, augment(image))
    assert not torch.equal(one, augment(image))
    assert len({tuple(i.flatten().tolist()) for i in one}) > 4


# --- targets, rotations, Branch 2 -----------------------------------------------------------------------------------


def test_a_target_is_a_gaussian_of_peak_1_in_pixels_of_the_crop():
    # centre of cell (column 3, row 5) of cells 8 px wide
    points = torch.tensor([[[3.5 * 8 - 0.5, 5.5 * 8 - 0.5]]])
    target = heat_targets(points, 32, 256, 25.0)[0, 0]
    assert target[5, 3] == 1
    assert target[5, 6].item() == pytest.approx(math.exp(-((24 / 25) ** 2)), rel=1e-5)
    assert target[9, 6].item() == pytest.approx(math.exp(-(24**2 + 32**2) / 625), rel=1e-5)


def test_losses_are_means_over_what_is_annotated():
    valid = torch.tensor([[True, False], [True, True]])
    true = torch.zeros(2, 2, 4, 4)
    maps = [torch.full((2, 2, 4, 4), value) for value in (1.0, 2.0)]
    maps[0][0, 1] = 1e6
    assert heat_loss(maps, true, valid).item() == pytest.approx(1 + 4)
    predicted = torch.zeros(2, 2, 3)
    predicted[1, 0] = torch.tensor([3.0, 0, 0])
    predicted[0, 1] = 1e6
    assert pose_loss(predicted, torch.zeros(2, 2, 3), valid).item() == pytest.approx(9 / 3 / 3)
    assert pose_loss(predicted, torch.zeros(2, 2, 3), valid & False).item() == 0


def test_a_viewpoint_is_a_rotation_also_at_nothing():
    torch.manual_seed(0)
    vectors = torch.cat([torch.randn(20, 3) * 3, torch.zeros(1, 3)]).double().requires_grad_()
    turned = rotation(vectors)
    eye = torch.eye(3, dtype=torch.float64).expand(21, 3, 3)
    torch.testing.assert_close(turned @ turned.transpose(1, 2), eye, atol=1e-6, rtol=0)
    torch.testing.assert_close(torch.linalg.det(turned), torch.ones(21, dtype=torch.float64), atol=1e-6, rtol=0)
    torch.testing.assert_close(turned[-1], eye[0], atol=1e-5, rtol=0)
    # a quarter turn about z takes x to y
    quarter = rotation(torch.tensor([[0.0, 0, math.pi / 2]]))[0]
    torch.testing.assert_close(quarter @ torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1, 0]), atol=1e-6, rtol=0)
    turned[:, 0, 1].sum().backward()
    assert vectors.grad.isfinite().all()
    assert vectors.grad[-1].any()


def test_the_ratio_is_between_unit_vectors():
    image, text = torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 20.0]])
    assert mix(image, text, 0.6)[0].tolist() == pytest.approx([0.6, 0.4])
    assert mix(image, None, 1.0)[0].tolist() == pytest.approx([1, 0])
    assert mix(None, text, 0.0)[0].tolist() == pytest.approx([0, 1])


@pytest.mark.parametrize(
    ("combine", "share", "parameters"),
    [("concat", False, 5007232), ("concat", True, 4896512), ("sum", False, 4745088), (None, False, 2536704)],
)
def test_branch_2_in_each_shape(combine, share, parameters):
    branch = Branch2(128, 32, combine, share=share)
    assert sum(p.numel() for p in branch.parameters()) == parameters
    encoding = torch.randn(2, 128, 32, 32)
    assert branch.block1(encoding).shape == (2, 64 * 8 * 8)
    assert branch.fc1(branch.block1(encoding)).shape == (2, 512)
    assert branch(encoding).shape == (2, 128)
    if combine:
        shifted = branch(encoding, torch.randn(2, 512))
        assert shifted.shape == (2, 128)
        assert not torch.allclose(shifted, branch(encoding, torch.randn(2, 512)))
