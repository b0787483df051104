"""CLIP-Hand3D as a whole: its size, what reaches what, what is masked, and that it learns."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch.utils.flop_counter import FlopCounterMode

from handbench.errors import MissingError
from handbench.methods import find, names
from handbench.methods.blocks.lixel import Lixels
from handbench.methods.clip_hand3d import ClipHand3D, ClipHand3DConfig
from handbench.methods.clip_hand3d.mesh import plan
from handbench.methods.clip_hand3d.prompts import describe
from handbench.methods.clip_hand3d.space import to_uvd
from handbench.speed.cost import cost

RECIPE = Path(__file__).parents[2] / "recipes" / "methods" / "clip-hand3d.toml"
SIZE = 64
TINY_CLIP = {"weights": "random", "random_layers": 1, "random_width": 64, "encoder_layers": 1, "n_joints": 6}
TINY = {
    "input": SIZE,
    "backbone": {"name": "resnet10t"},
    "hm": "planes",
    "mesh_layers": 1,
    "mesh_heads": 2,
    "consistency": False,
    "clip": TINY_CLIP,
}


def build(hand, train: bool = True, **changes) -> ClipHand3D:
    torch.manual_seed(0)
    clip = {**TINY_CLIP, **changes.pop("clip", {})}
    method = ClipHand3D(ClipHand3DConfig.model_validate({**TINY, "clip": clip, **changes}), hand, "freihand")
    if train:
        method.begin_training()
    return method.train(train)


def run(method: ClipHand3D, batch) -> dict[str, torch.Tensor]:
    return method.losses(method(method.normalise(batch["image"])), batch)


def test_it_is_found_by_its_name():
    assert "clip-hand3d" in names()
    assert find("clip-hand3d") is ClipHand3D
    assert not set(names()) & {"backbone", "clip-text", "lixel", "transformer", "torchvision-shim"}


# --- size -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "parameters", "macs"),
    [
        # as set; with the one deconvolution of the paper's text; the released code
        ({}, 40.03, 5.78),
        ({"deconv_layers": 1}, 38.98, 5.57),
        ({"input": 256, "deconv_layers": 2, "mesh_levels": "code", "sigma": 2.5}, 41.48, 7.81),
        ({"hm": "planes"}, 39.82, 5.12),
        ({"s2d": False}, 39.73, 6.51),
        ({"fproj": False}, 39.83, 5.77),
    ],
)
def test_parameters_and_macs_at_inference(hand, changes, parameters, macs):
    """All parameters of the model without text branch, in millions; multiply-adds of one image, in 10^9."""
    method = ClipHand3D(ClipHand3DConfig(**changes), hand, "freihand").eval()
    assert sum(p.numel() for p in method.parameters()) / 1e6 == pytest.approx(parameters, abs=0.005)
    size = method.input_size
    # attention is counted on the meta device only
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        method.to("meta")(torch.zeros(1, 3, size, size, device="meta"))
    assert counter.get_total_flops() / 2e9 == pytest.approx(macs, abs=0.006)


def test_parameters_by_stage(hand):
    stages = cost(ClipHand3D(ClipHand3DConfig(), hand, "freihand"))["parameters_by_stage"]
    assert {name: round(count / 1e6, 2) for name, count in stages.items()} == {
        "backbone": 23.51,
        "pose head": 11.86,
        "mesh head": 4.66,
    }
    # the rows of the paper's table 6 are made of whole stages
    assert sorted(stage for group in ClipHand3D.stage_groups.values() for stage in group) == sorted(stages)


def test_the_text_branch_has_the_size_of_the_released_one(hand):
    method = ClipHand3D(ClipHand3DConfig(clip={**TINY_CLIP, "encoder_layers": 2}), hand, "freihand")
    assert method.contrast is None
    method.begin_training()
    assert sum(p.numel() for p in method.contrast.phi.parameters()) / 1e6 == pytest.approx(18.91, abs=0.01)
    assert method.contrast.log_scale.exp().tolist() == pytest.approx([1 / 0.07] * 3, rel=1e-5)


def test_the_two_readings_of_the_levels():
    assert plan("paper", True) == ((21, None), (98, 3), (389, 2), (778, 1))
    assert plan("code", True) == ((98, 4), (195, 3), (389, 2), (778, 1))
    assert plan("paper", False) == ((21, None), (778, 3), (778, 2), (778, 1))
    assert plan("code", False) == ((778, 4), (778, 3), (778, 2), (778, 1))


# --- what comes out -------------------------------------------------------------------------------------------------


def test_shapes_of_outputs_and_prediction(hand, make_batch):
    method, batch = build(hand, train=False), make_batch(3, SIZE)
    output = method(method.normalise(batch["image"]))
    assert {name: tuple(value.shape) for name, value in output.items()} == {
        "joints": (3, 21, 3),
        "vertices": (3, 778, 3),
        "x": (3, 21, 8),
        "y": (3, 21, 8),
        "z": (3, 21, 16),
    }
    prediction = method.predict(batch)
    assert prediction.joints.shape == (3, 21, 3)
    assert prediction.vertices.shape == (3, 778, 3)
    # joints are those of the mesh, fingertips are vertices of the dataset's set
    torch.testing.assert_close(prediction.joints[:, 4], prediction.vertices[:, 744])


def test_lifting_the_truth_gives_the_truth(hand, make_batch):
    batch = make_batch(5, SIZE)
    joints, vertices = batch["joints"].double(), batch["vertices"].double()
    given = [batch[key].double() for key in ("camera", "root_depth", "scale")]
    output = {"joints": to_uvd(joints, *given, SIZE), "vertices": to_uvd(vertices, *given, SIZE)}
    for source in ("mesh", "lixel"):
        prediction = build(hand, train=False, output_joints=source).lift(output, batch)
        assert (prediction.vertices - vertices).abs().max() < 1e-6
        # the truth's 16 joints are regressed from the shaped mesh before posing; the tips are vertices
        which = slice(None) if source == "lixel" else [4, 8, 12, 16, 20]
        assert (prediction.joints - joints)[:, which].abs().max() < 1e-6
    # a prediction takes nothing else from the truth: a different depth of the wrist moves the hand along its rays
    further = {**batch, "root_depth": batch["root_depth"] + 0.1}
    moved = build(hand, train=False).lift(output, further).vertices
    torch.testing.assert_close(moved[..., 2], vertices[..., 2] + 0.1)
    torch.testing.assert_close(moved / moved[..., 2:], vertices / vertices[..., 2:])


def test_at_inference_an_image_does_not_know_its_batch(hand, make_batch):
    batch = make_batch(4, SIZE)
    image = batch["image"].float() / 255
    for changes, alone in (({}, True), ({"attn_axis": "batch"}, False)):
        method = build(hand, train=False, **changes)
        with torch.no_grad():
            together, single = method(image)["vertices"][:1], method(image[:1])["vertices"]
        assert torch.allclose(together, single, atol=1e-4) == alone


def test_a_stage_sees_all_nodes_of_the_stage_before(hand):
    method = build(hand, train=False)
    feature = torch.randn(1, 21, 512, requires_grad=True)
    pyramid = [torch.randn(1, c, 8, 8) for c in method.backbone.channels]
    method.mesh(feature, pyramid, torch.rand(1, 21, 3))[0, 777].sum().backward()
    assert (feature.grad.abs().sum(-1) > 0).all()


def test_the_pyramid_is_looked_at_where_the_joints_are(hand):
    method = build(hand, train=False)
    pyramid = [torch.zeros(1, c, 8, 8) for c in method.backbone.channels]
    pyramid[1][..., 2, 5] = 1.0  # row 2, column 5
    uv = torch.tensor([[[5.5 / 8, 2.5 / 8], [2.5 / 8, 5.5 / 8]]]).repeat(1, 11, 1)[:, :21]
    projection = method.mesh.stages[3].projection
    grid_hit = projection.reduce.weight.sum(1)
    with torch.no_grad():
        projection.reduce.bias.zero_()
        projection.spread.bias.zero_()
        projection.spread.weight.zero_()
        projection.spread.weight[7, 0] = 1.0
        projection.spread.weight[8, 1] = 1.0
        seen = projection(pyramid[1], uv)
    torch.testing.assert_close(seen[0, 7], grid_hit)
    assert not seen[0, 8].any()


def test_coordinates_stay_fine_in_half_precision(hand, make_batch):
    method, batch = build(hand, train=False), make_batch(2, SIZE)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        output = method(method.normalise(batch["image"]))
    with torch.no_grad():
        single = method(method.normalise(batch["image"]))
    for name in ("joints", "vertices"):
        assert output[name].dtype == torch.float32
        # finer than bfloat16 could say
        assert (output[name].bfloat16().float() != output[name]).float().mean() > 0.9
        assert (output[name] - single[name]).abs().max() < 0.1


# --- training -------------------------------------------------------------------------------------------------------

SWITCHES = {
    "plain": {},
    "3d": {"hm": "3d"},
    "code": {"mesh_levels": "code"},
    "one deconvolution": {"deconv_layers": 1},
    "dense": {"s2d": False},
    "no projection": {"fproj": False},
    "no text": {"clip": {"enabled": False}},
    "text tokens": {"clip": {"text_tokens": True}},
    "over the batch": {"attn_axis": "batch"},
    "two views": {"consistency": True},
    "basic blocks": {"backbone": {"name": "resnet18"}},
}


@pytest.mark.parametrize("name", SWITCHES)
def test_every_parameter_learns(hand, make_batch, name):
    method = build(hand, **SWITCHES[name])
    for norm in method.backbone.modules():
        # timm starts every residual branch at zero, where what is before its last norm learns from the second step on
        if isinstance(norm, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(norm.weight)
    assert method.views == (2 if name == "two views" else 1)
    terms = run(method, make_batch(4, SIZE))
    expected = {"joints", "mesh_joints", "vertices", "normals", "edges"}
    expected |= {"consistency_2d", "consistency_3d"} if name == "two views" else set()
    expected |= set() if name == "no text" else {"clip"}
    assert set(terms) == expected
    assert all(term.isfinite() and term > 0 for term in terms.values())
    sum(terms.values()).backward()
    for key, parameter in method.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.any(), key


def test_weights_of_the_terms_are_those_of_equation_8(hand, make_batch):
    batch = make_batch(4, SIZE)
    method = build(hand, consistency=True, alpha=[1, 1, 1, 1]).eval()
    paper = build(hand, consistency=True).eval()
    with torch.no_grad():
        torch.manual_seed(1)
        plain = run(method, batch)
        torch.manual_seed(1)
        weighted = run(paper, batch)
    expected = {"joints": 1, "mesh_joints": 1, "vertices": 1, "normals": 0.05, "edges": 0.05}
    expected |= {"consistency_2d": 0.1, "consistency_3d": 0.1, "clip": 0.1}
    for name, weight in expected.items():
        assert (weighted[name] / plain[name]).item() == pytest.approx(weight, rel=1e-4), name


def test_pre_training_is_encoder_and_joints_only(hand, make_batch):
    method, batch = build(hand), make_batch(4, SIZE)
    method.stage = "pretrain"
    output = method(method.normalise(batch["image"]))
    assert "vertices" not in output
    terms = method.losses(output, batch)
    assert set(terms) == {"joints", "heatmaps"}
    alone = build(hand, pretrain_heatmaps=0)
    alone.stage = "pretrain"
    assert set(run(alone, batch)) == {"joints"}
    sum(terms.values()).backward()
    trained = {key.split(".")[0] for key, p in method.named_parameters() if p.grad is not None}
    assert trained == {"backbone", "lixel"}
    # and what it predicts meanwhile are the joints that it trains
    method.eval()
    prediction = method.predict(batch)
    with torch.no_grad():
        output = method(method.normalise(batch["image"]))
    assert (prediction.joints[:, 0] - method._to_xyz(output["joints"].double(), batch)[:, 0]).abs().max() < 1e-9


def test_true_predictions_cost_nothing(hand, make_batch):
    batch = make_batch(4, SIZE)
    method = build(hand, consistency=True)
    # the same hands seen twice
    batch = {key: torch.cat([value[:2], value[:2]]) for key, value in batch.items()}
    batch["joints"] = method.regressor @ batch["vertices"]
    output = {"joints": method._to_uvd(batch["joints"], batch), "vertices": method._to_uvd(batch["vertices"], batch)}
    output |= {"x": torch.randn(4, 21, 8), "y": torch.randn(4, 21, 8), "z": torch.randn(4, 21, 16)}
    terms = method.losses(output, batch)
    # normals: the truth's own edges lie in its faces
    for name in ("joints", "mesh_joints", "vertices", "normals", "edges", "consistency_2d", "consistency_3d"):
        assert terms[name].item() < 1e-4, name


def test_a_sample_without_mesh_trains_both_sets_of_joints_only(hand, make_batch):
    batch = make_batch(4, SIZE)
    method = build(hand).eval()
    image = method.normalise(batch["image"])

    def gradient(batch, term: str) -> torch.Tensor:
        """(4,): how much of the term's gradient reaches each sample's outputs."""
        output = {name: value.detach().requires_grad_() for name, value in method(image).items()}
        method.losses(output, batch)[term].backward()
        grads = [value.grad.flatten(1).abs().sum(1) for value in output.values() if value.grad is not None]
        return torch.stack(grads).sum(0)

    meshless = {
        **batch,
        "vertices": batch["vertices"].clone(),
        "vertices_valid": torch.tensor([True, False, True, False]),
    }
    meshless["vertices"][[1, 3]] = torch.nan
    for term in ("vertices", "normals", "edges"):
        assert (gradient(meshless, term) > 0).tolist() == [True, False, True, False]
        # masked means divide by what counts
        half = {**batch, "vertices_valid": torch.tensor([True, False, True, False])}
        two = {key: value[[0, 2]] for key, value in batch.items()}
        with torch.no_grad():
            output = method(image)
            masked = method.losses(output, half)[term]
            only = method.losses({k: v[[0, 2]] for k, v in output.items()}, two)[term]
        assert masked.item() == pytest.approx(only.item(), rel=1e-4)
    for term in ("joints", "mesh_joints"):
        assert (gradient(meshless, term) > 0).all()

    none = {**batch, "vertices_valid": torch.zeros(4, dtype=torch.bool)}
    terms = run(build(hand), none)
    assert [terms[name].item() for name in ("vertices", "normals", "edges")] == [0, 0, 0]
    assert terms["mesh_joints"] > 0


def test_joints_that_are_not_annotated_do_not_count(hand, make_batch):
    batch = make_batch(4, SIZE)
    method = build(hand).eval()
    with torch.no_grad():
        output = method(method.normalise(batch["image"]))
        batch["joints_valid"][:, 5:] = False
        batch["joints_valid"][3] = False
        expected = method.losses(output, batch)
        batch["joints"][:, 5:] = torch.nan
        batch["joints"][3] = 7.0
        again = method.losses(output, batch)
    for name in ("joints", "mesh_joints"):
        assert again[name].item() == pytest.approx(expected[name].item(), rel=1e-6)
    assert again["clip"].isfinite()


def test_a_sample_without_scale_or_depth_is_left_out(hand, make_batch):
    batch = make_batch(4, SIZE)
    method = build(hand)
    batch["scale"][1] = torch.nan
    batch["root_depth"][2] = torch.nan
    terms = run(method, batch)
    sum(terms.values()).backward()
    assert all(term.isfinite() for term in terms.values())
    assert all(p.grad.isfinite().all() for p in method.parameters())


def test_the_text_loss_reads_the_heat_maps_and_not_the_mesh(hand, make_batch):
    batch = make_batch(4, SIZE)
    method = build(hand)
    run(method, batch)["clip"].backward()
    trained = {key.split(".")[0] for key, p in method.named_parameters() if p.grad is not None and p.grad.any()}
    assert trained == {"backbone", "lixel", "contrast"}


def test_the_mesh_does_not_move_the_joints(hand, make_batch):
    """Where joints are lifted and looked up, they are detached; the encoder still learns from the mesh."""
    method = build(hand, hm="3d")
    run(method, make_batch(4, SIZE))["vertices"].backward()
    trained = {key.split(".")[0] for key, p in method.named_parameters() if p.grad is not None and p.grad.any()}
    assert trained == {"backbone", "lifting", "mesh"}


def test_the_loss_falls_on_a_handful_of_hands(hand, make_batch):
    batch = make_batch(4, SIZE, seed=2)
    method = build(hand)
    optimiser = torch.optim.AdamW(method.parameters(), lr=2e-3)
    first = last = None
    for _ in range(30):
        terms = run(method, batch)
        optimiser.zero_grad()
        sum(terms.values()).backward()
        optimiser.step()
        last = {name: term.item() for name, term in terms.items()}
        first = first or last
    for name, share in {"joints": 0.5, "mesh_joints": 0.25, "vertices": 0.25, "edges": 0.25}.items():
        assert last[name] < share * first[name], (name, first[name], last[name])


def test_the_text_branch_learns_to_tell_poses_apart(hand, make_batch):
    batch = make_batch(8, SIZE, seed=3)
    method = build(hand, clip={"n_joints": 21})
    lixels = Lixels(torch.randn(8, 21, 8), torch.randn(8, 21, 8), torch.randn(8, 21, 16))
    prompts = describe(batch["joints"], batch["rotation"], [list(range(21))] * 8, "code")
    optimiser = torch.optim.AdamW(method.contrast.parameters(), lr=1e-3)
    losses = []
    for _ in range(40):
        losses.append(method.contrast(lixels, prompts, method.text))
        optimiser.zero_grad()
        losses[-1].backward()
        optimiser.step()
    # chance is ln 8 for the rows and as much for the columns
    assert losses[0].item() == pytest.approx(2 * math.log(8), rel=0.25)
    assert losses[-1].item() < 0.25 * losses[0].item()


# --- weights and checkpoints ----------------------------------------------------------------------------------------


def test_a_checkpoint_of_training_loads_strictly_for_both_uses(hand, make_batch):
    trained = build(hand)
    state = trained.state_dict()
    assert any(key.startswith("contrast.") for key in state)
    # the frozen tower and what the hand gives are not in it
    assert not any("tower" in key or "token" in key or "place" in key or "regressor" in key for key in state)
    keys = set(state)
    inference = build(hand, train=False)
    inference.load_state_dict(state)
    assert set(state) == keys
    assert not any(key.startswith("contrast.") for key in inference.state_dict())
    batch = make_batch(2, SIZE)
    torch.testing.assert_close(inference.predict(batch).vertices, trained.eval().predict(batch).vertices)
    again = build(hand)
    again.load_state_dict(state)
    torch.testing.assert_close(again.contrast.log_scale, trained.contrast.log_scale)
    # strict all the same
    with pytest.raises(RuntimeError, match=r"lixel\.x\.weight"):
        inference.load_state_dict({key: value for key, value in state.items() if key != "lixel.x.weight"})
    with pytest.raises(RuntimeError, match="surprise"):
        inference.load_state_dict({**state, "surprise": torch.zeros(1)})
    with pytest.raises(RuntimeError, match="contrast"):
        again.load_state_dict(inference.state_dict())


def test_weights_are_asked_for_in_training_only(hand, tmp_path, monkeypatch, make_batch):
    monkeypatch.setenv("HANDBENCH_HOME", str(tmp_path))
    needs_clip = ClipHand3D(ClipHand3DConfig.model_validate({**TINY, "clip": {}}), hand, "freihand").eval()
    needs_clip.predict(make_batch(1, SIZE))
    with pytest.raises(MissingError, match="clip-vit-b-32"):
        needs_clip.begin_training()
    backbone = {"name": "resnet10t", "weights": "imagenet"}
    needs_imagenet = ClipHand3D(ClipHand3DConfig.model_validate({**TINY, "backbone": backbone}), hand, "freihand")
    with pytest.raises(MissingError, match="resnet10t-imagenet"):
        needs_imagenet.begin_training()
    without = build(hand, train=False).train()
    with pytest.raises(RuntimeError, match="begin_training"):
        run(without, make_batch(2, SIZE))


def test_the_record_says_which_weights_went_in(hand):
    assert build(hand, train=False).weights == {"clip": "random", "imagenet": "none"}
    changes = {"clip": {"enabled": False}, "backbone": {"name": "resnet10t", "weights": "/somewhere/mine.safetensors"}}
    assert build(hand, train=False, **changes).weights == {"clip": "off", "imagenet": "mine.safetensors"}


def test_no_text_tower_at_inference():
    code = """
import sys
import torch
from handbench.methods import find
from handbench.synth.hand import synthetic_hand
cls = find("clip-hand3d")
method = cls(cls.Config(input=64, backbone={"name": "resnet10t"}, mesh_layers=1), synthetic_hand(), "freihand").eval()
method.predict({"image": torch.zeros(1, 3, 64, 64, dtype=torch.uint8), "camera": torch.eye(3)[None],
                "root_depth": torch.ones(1), "scale": torch.ones(1)})
assert "open_clip" not in sys.modules, "open_clip was imported"
"""
    pytest.importorskip("handbench.synth.hand")
    environment = {**os.environ, "HANDBENCH_HOME": "/nonexistent", "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=environment)


# --- the recipe -----------------------------------------------------------------------------------------------------


def test_the_recipe_states_the_papers_settings_and_every_ablation_is_a_valid_one():
    recipe = tomllib.loads(RECIPE.read_text())

    def merged(*overlays: dict) -> ClipHand3DConfig:
        model = dict(recipe["model"])
        for overlay in overlays:
            for key, value in overlay.get("model", {}).items():
                model[key] = {**model[key], **value} if isinstance(value, dict) else value
        return ClipHand3DConfig.model_validate(model)

    full = merged()
    expected = ClipHand3DConfig(backbone={"weights": "imagenet"})
    assert full.model_copy(update={"clip": expected.clip}) == expected
    assert full.clip == expected.clip
    variants = recipe["variants"]
    changed = {
        "full": {},
        "baseline": {"s2d": False, "fproj": False, "clip.enabled": False},
        "wo_clip": {"clip.enabled": False},
        "wo_feature_projection": {"fproj": False},
        "wo_sparse_to_dense": {"s2d": False},
        "B8": {"clip.contrast_batch": 8},
        "B16": {"clip.contrast_batch": 16},
        "B32": {},
        "N10": {"clip.n_joints": 10},
        "N15": {"clip.n_joints": 15},
        "N21": {},
        # table 6 times parts of the full model
        "speed_full": {},
        "speed_pose": {},
        "speed_mesh": {},
        "attn_batch": {"attn_axis": "batch"},
    }
    assert set(variants) == set(changed)
    for name, differences in changed.items():
        flat = {**full.model_dump(), **{f"clip.{k}": v for k, v in full.clip.model_dump().items()}}
        other = merged(variants[name])
        varied = {**other.model_dump(), **{f"clip.{k}": v for k, v in other.clip.model_dump().items()}}
        assert {k: varied[k] for k in flat if k != "clip" and varied[k] != flat[k]} == differences, name
        for size in recipe["sizes"].values():
            small = merged(size, variants[name])
            assert small.clip.weights == "random"
            assert small.backbone.weights == "none"


def test_an_unknown_key_is_an_error():
    with pytest.raises(ValidationError, match="aux_mask"):
        ClipHand3DConfig.model_validate({"aux_mask": True})
    with pytest.raises(ValidationError, match="multiple of 32"):
        ClipHand3DConfig(input=100)
