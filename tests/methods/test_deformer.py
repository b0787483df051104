"""Deformer: its size, its shapes, whom a prediction depends on, its geometry."""

from __future__ import annotations

import csv

import pytest
import torch
from pydantic import ValidationError

from handbench import places
from handbench.methods import find
from handbench.methods.base import blank_batch
from handbench.methods.deformer import Deformer, DeformerConfig
from handbench.methods.deformer.losses import truth_of
from handbench.methods.deformer.pyramid import hand_region, region_grid
from handbench.recipe import load_recipe, variants
from handbench.sections import validated
from handbench.speed.cost import cost
from tests.methods.deformer_tiny import FRAMES, SIZE, build, perfect, run, windows


def test_it_is_found_by_its_name():
    assert find("deformer") is Deformer


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"frames": 4}, "odd"),
        ({"frames": 1}, "greater than or equal to 3"),
        ({"exchange": False}, "aggregation=center"),
        ({"heads": 7}, "no multiple of 7 heads"),
        ({"loss": {"points": "max"}}, "maxmse"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes, words):
    with pytest.raises(ValidationError, match=words):
        DeformerConfig.model_validate(changes)


# --- size -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "parameters", "macs"),
    [
        ({}, 30.95, 11.62),
        # the released code's decoder layers; and its crops
        ({"query_attention": True}, 32.53, 11.62),
        ({"input": 512}, 30.95, 36.40),
        ({"joints_to": "memory"}, 30.98, 11.70),
        ({"aggregation": "center"}, 30.85, 11.62),
    ],
)
def test_parameters_and_macs(hand, changes, parameters, macs):
    """At inference, in millions; multiply-adds of one frame in 10^9. The paper prints 31 M."""
    found = cost(Deformer(DeformerConfig.model_validate(changes), hand, "freihand"))
    assert found["parameters"] / 1e6 == pytest.approx(parameters, abs=0.005)
    assert found["macs"] / 1e9 == pytest.approx(macs, abs=0.006)
    assert found["training_only"] == 0


def test_parameters_by_stage(hand):
    stages = cost(Deformer(DeformerConfig(), hand, "freihand"))["parameters_by_stage"]
    found = {name: round(count / 1e6, 2) for name, count in stages.items()}
    expected = {"backbone": 25.08, "spatial transformer": 2.51, "temporal transformer": 2.38, "dynamic fusion": 0.98}
    assert found == {**expected, "MANO": 0}


def test_shapes_at_every_stage_boundary(hand):
    method = Deformer(DeformerConfig(input=128, frames=3, backbone={"name": "resnet10t"}), hand, "freihand").eval()
    batch = blank_batch(6, 128)
    image = torch.zeros(6, 3, 128, 128)
    with torch.no_grad():
        feature = method.pyramid(method.backbone(image))
        assert feature.shape == (6, 256, 32, 32)
        assert hand_region(feature, region_grid(feature.shape[-1], 0.8, 32), 32).shape == (6, 256, 32, 32)
        vector, joints2d = method.spatial(feature)
        assert vector.shape == (6, 256)
        assert joints2d.shape == (6, 21, 2)
        enhanced, shape = method.temporal(vector.unflatten(0, (2, 3)))
        assert enhanced.shape == (2, 3, 256)
        assert shape.shape == (2, 10)
        heads = method.heads(enhanced.flatten(0, 1), joints2d)
        sizes = {"pose": 96, "forward": 96, "backward": 96, "confidence": 1}
        assert {name: value.shape for name, value in heads.items()} == {n: (6, size) for n, size in sizes.items()}
        output = method(image, batch)
    assert output["rotations"].shape == (2, 16, 3, 3)
    prediction = method.lift(output, batch)
    assert prediction.joints.shape == (2, 21, 3)
    assert prediction.vertices.shape == (2, 778, 3)
    assert prediction.confidence.shape == (2,)
    assert prediction.joints.dtype == torch.float64


def test_a_window_predicts_its_centre_or_all_its_frames(hand, make_batch):
    batch = windows(make_batch, 2)
    centre = build(hand, train=False)
    assert (centre.frames, centre.gap, centre.stride) == (3, 10, 1)
    every = build(hand, train=False, fuse="all")
    assert every.stride == FRAMES
    every.load_state_dict(centre.state_dict())
    one, all_of_them = centre.predict(batch), every.predict(batch)
    assert len(one.joints) == 2
    assert len(all_of_them.joints) == 6
    torch.testing.assert_close(all_of_them.joints[1::3], one.joints)
    torch.testing.assert_close(all_of_them.confidence.view(2, 3).sum(1), torch.ones(2))
    torch.testing.assert_close(one.joints[:, 0], batch["root"][1::3].double(), atol=1e-6, rtol=0)


def test_what_it_is_given(hand):
    assert build(hand, train=False).given == ("box", "side", "root")
    by_occlusion = build(hand, train=False, aggregation="occlusion")
    assert by_occlusion.given == ("box", "side", "root", "occlusion")
    assert not by_occlusion.trusts


# --- whom a prediction depends on -----------------------------------------------------------------------------------


def test_windows_do_not_see_each_other(hand, make_batch):
    method, batch = build(hand, train=False), windows(make_batch, 3)
    together = method.predict(batch)
    alone = method.predict({key: value[3:6] for key, value in batch.items()})
    torch.testing.assert_close(alone.joints[0], together.joints[1], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(alone.confidence[0], together.confidence[1], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "seen"), [({}, True), ({"aggregation": "center"}, True), ({"exchange": False}, False)]
)
def test_frames_of_a_window_see_each_other_but_in_the_baseline(hand, make_batch, changes, seen):
    method = build(hand, train=False, **{"aggregation": "center" if "exchange" in changes else "dynamic", **changes})
    batch = windows(make_batch, 1)
    first = method.predict(batch)
    batch["image"][0] = 255 - batch["image"][0]
    apart = (method.predict(batch).vertices - first.vertices).abs().max()
    assert (apart > 1e-6) == seen


def test_weights_by_occlusion_follow_what_is_seen(hand, make_batch):
    method, batch = build(hand, train=False, aggregation="occlusion"), windows(make_batch, 2)
    first = method.predict(batch)
    batch["visible_fraction"] = 1 - batch["visible_fraction"]
    assert (method.predict(batch).joints - first.joints).abs().max() > 1e-7


def test_one_seed_is_one_model(hand, make_batch):
    batch = windows(make_batch, 2)
    one, two = (run(build(hand), batch)[1] for _ in range(2))
    assert {name: value.item() for name, value in one.items()} == {name: value.item() for name, value in two.items()}


def test_a_checkpoint_of_training_fits_a_model_for_inference(hand, make_batch):
    trained = build(hand, mono_head="spatial")
    for parameter in trained.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    plain = build(hand, train=False, mono_head="spatial")
    assert plain.discriminator is None
    plain.load_state_dict(trained.state_dict())
    batch = windows(make_batch, 1)
    assert torch.equal(plain.predict(batch).joints, trained.eval().predict(batch).joints)
    again = build(hand, mono_head="spatial")
    again.load_state_dict(trained.state_dict())
    assert torch.equal(again.discriminator.score.weight, trained.discriminator.score.weight)


def test_frozen_norms_keep_their_statistics(hand, make_batch):
    for frozen in (False, True):
        method = build(hand, freeze_norms=frozen)
        before = method.backbone.bn1.running_mean.clone()
        run(method, windows(make_batch, 1))
        assert torch.equal(method.backbone.bn1.running_mean, before) == frozen


# --- geometry -------------------------------------------------------------------------------------------------------


def test_perfect_output_is_the_truth_in_the_frame_of_the_record(hand, make_batch):
    """Through turned crops and back; and it costs nothing."""
    method, batch = build(hand), windows(make_batch, 2)
    output = perfect(method, batch)
    prediction = method.lift(output, batch)
    torch.testing.assert_close(prediction.joints, batch["joints"][1::3].double(), atol=2e-6, rtol=0)
    torch.testing.assert_close(prediction.vertices, batch["vertices"][1::3].double(), atol=2e-6, rtol=0)
    torch.testing.assert_close(prediction.mano_rotations, batch["mano_rotations"][1::3].double(), atol=1e-5, rtol=0)
    terms = method.losses(output, batch)
    assert all(terms[name].item() < 1e-6 for name in set(terms) - {"adversarial"}), terms


def test_the_2d_truth_is_where_the_joints_are_in_the_crop(make_batch):
    batch = windows(make_batch, 1)
    truth = truth_of(batch, SIZE, 1.0)
    pixels = batch["joints"] @ batch["camera"].transpose(1, 2)
    pixels = pixels[..., :2] / pixels[..., 2:]
    torch.testing.assert_close(truth.joints2d * SIZE - 0.5, pixels, atol=1e-3, rtol=0)
    # of a smaller region, fewer joints lie inside
    assert truth_of(batch, SIZE, 0.5).joints2d_valid.sum() < truth.joints2d_valid.sum()


def test_a_left_hand_is_a_right_one_in_the_mirror(hand, make_batch):
    """The scene mirrored, its hand a left one: the same crops, losses and, in the mirror, predictions."""
    method, batch = build(hand), windows(make_batch, 2)
    flip = torch.diag(torch.tensor([-1.0, 1.0, 1.0]))
    left = dict(batch)
    for key in ("root", "joints", "vertices"):
        left[key] = batch[key] @ flip
    left["mano_rotations"] = flip @ batch["mano_rotations"] @ flip
    left["camera"] = batch["camera"] @ flip
    affine = batch["frame_affine"].clone()
    affine[..., 0] *= -1
    affine[..., 2] += batch["frame_affine"][..., 0] * 639
    left["frame_affine"] = affine
    left["mirrored"] = torch.ones(6, dtype=torch.bool)
    output, terms = run(method, batch)
    found = method.losses(output, left)
    for name in set(terms) - {"adversarial"}:
        assert found[name].item() == pytest.approx(terms[name].item(), rel=1e-4), name
    right, mirrored = method.lift(output, batch), method.lift(output, left)
    torch.testing.assert_close(mirrored.joints @ flip.double(), right.joints)
    torch.testing.assert_close(mirrored.mano_rotations, flip.double() @ right.mano_rotations @ flip.double())


# --- the recipe -----------------------------------------------------------------------------------------------------


def test_the_rows_of_the_paper_are_variants_and_the_other_way_round():
    with places.shipped("results", "published", "deformer.csv").open() as file:
        printed = {(row["table"].removeprefix("T"), row["method"].split(" | ")[-1]) for row in csv.DictReader(file)}
    named = {(row.table, row.row) for variant in variants("deformer") for row in variant.rows}
    assert named <= printed
    assert {row for row in printed if row[0] in "456" or "Ours" in row[1] or "stride" in row[1]} == named
    assert all(variant.rows or variant.note for variant in variants("deformer"))


@pytest.mark.parametrize("variant", ["full", *[v.name for v in variants("deformer")]])
def test_every_variant_takes_a_step_at_size_tiny(hand, make_batch, variant):
    recipe = load_recipe("deformer", variant, "tiny")
    config = validated(Deformer.Config, recipe.model, "The recipe", "model")
    torch.manual_seed(0)
    method = Deformer(config, hand, "freihand")
    method.begin_training()
    batch = windows(make_batch, 1, config.frames, config.input)
    output, terms = run(method.train(), batch)
    torch.stack(list(terms.values())).sum().backward()
    assert (method.adversary is None) == ("nodisc" in variant)
    if method.adversary is not None:
        method.adversary_loss(output, batch).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in method.parameters())
