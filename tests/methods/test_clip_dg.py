"""clip-dg: its size, its geometry, what reaches what, its losses and its recipe. Its parts: test_clip_dg_parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from handbench.errors import MissingError, UsageError
from handbench.inference.crops import mirrored
from handbench.methods import find
from handbench.methods.base import blank_batch
from handbench.methods.clip_dg import ClipDG, ClipDGConfig
from handbench.recipe import load_recipe, variants
from handbench.speed.cost import cost

SIZE = 64
CLIP = {"weights": "random", "random_layers": 1, "random_width": 64}
TINY = {"input": SIZE, "width": 0.125, "dropout": (0.0, 0.0)}
FRAME = torch.tensor([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]])


def build(hand, train: bool = True, **changes) -> ClipDG:
    torch.manual_seed(0)
    clip = {**CLIP, **changes.pop("clip", {})}
    method = ClipDG(ClipDGConfig.model_validate({**TINY, "clip": clip, **changes}), hand, "freihand")
    if train:
        method.begin_training()
    return method.train(train)


def run(method: ClipDG, batch) -> dict[str, torch.Tensor]:
    return method.losses(method(method.normalise(batch["image"]), batch), batch)


def left_hands(batch):
    """The same crops of the same pictures, as they are shown of left hands."""
    affine = np.stack([mirrored(a, SIZE) for a in batch["frame_affine"].numpy()])
    batch = dict(batch)
    batch["frame_affine"] = batch["affine"] = torch.from_numpy(affine).float()
    batch["mirrored"] = ~batch["mirrored"]
    row = torch.tensor([[0.0, 0, 1]]).expand(len(affine), 1, 3)
    batch["camera"] = torch.cat([batch["frame_affine"], row], 1) @ FRAME
    return batch


def test_it_is_found_by_its_name():
    assert find("clip-dg") is ClipDG


# --- size -----------------------------------------------------------------------------------------------------------


def test_parameters_and_macs_are_those_of_hand3d(hand):
    """In millions; multiply-adds of one image at 256, in 10^9. The paper prints none."""
    method = ClipDG(ClipDGConfig(), hand, "freihand")
    found = cost(method)
    assert found["parameters"] / 1e6 == pytest.approx(21.39, abs=0.005)
    assert found["macs"] / 1e9 == pytest.approx(30.27, abs=0.005)
    assert found["parameters_by_stage"]["heat-maps"] / 1e6 == pytest.approx(17.52, abs=0.005)
    for part, millions in (("pose_prior", 1.64), ("viewpoint", 2.24)):
        assert sum(p.numel() for p in getattr(method, part).parameters()) / 1e6 == pytest.approx(millions, abs=0.005)
    assert found["training_only"] == 0


def test_shapes_at_every_stage_boundary(hand):
    method = ClipDG(ClipDGConfig(), hand, "freihand").eval()
    with torch.no_grad():
        maps, encoding = method.pose_net(torch.zeros(1, 3, 256, 256))
        assert [tuple(m.shape) for m in maps] == [(1, 21, 32, 32)] * 3
        assert encoding.shape == (1, 128, 32, 32)
        assert method.pose_prior(maps[-1]).shape == (1, 21, 3)
        assert method.viewpoint(maps[-1]).shape == (1, 3, 3)
        for stream, cells in ((method.pose_prior, 2048), (method.viewpoint, 4096)):
            flat = next(i for i, layer in enumerate(stream.net) if isinstance(layer, torch.nn.Flatten))
            assert stream.net[: flat + 1](maps[-1]).shape == (1, cells)
    # Branch 2 and its inputs
    method = build(hand)
    batch = {**blank_batch(2, SIZE), "image": torch.zeros(2, 3, SIZE, SIZE, dtype=torch.uint8)}
    assert method.clip(batch["image"]).shape == (2, 512)
    output = method(method.normalise(batch["image"]), batch)
    assert output["anchor"].shape == output["positive"].shape == (2, 128)
    assert method.clip.prompts.features.shape == (3724, 512)
    torch.testing.assert_close(output["joints"], output["canonical"] @ output["rotation"])


# --- geometry -------------------------------------------------------------------------------------------------------


def test_lifting_worked_by_hand(hand):
    """A joint one bone right of and two behind the wrist; the bone is 8 cm, the wrist at (0.1, 0.2, 0.7)."""
    method = build(hand, train=False)
    batch = blank_batch(2, SIZE)
    batch["root"], batch["scale"] = torch.tensor([[0.1, 0.2, 0.7]] * 2), torch.tensor([0.08, 0.08])
    # the second is shown mirrored, in a crop twice as large
    batch["frame_affine"] = torch.tensor([[[1.0, 0, 0], [0, 1, 0]], [[-2.0, 0, 63], [0, 2, 0]]])
    joints = torch.tensor([1.0, 0, 2]).expand(2, 21, 3)
    prediction = method.lift({"joints": joints}, batch)
    assert prediction.vertices is None
    assert prediction.joints.dtype == torch.float64
    assert prediction.joints[0, 5].tolist() == pytest.approx([0.18, 0.2, 0.86])
    assert prediction.joints[1, 5].tolist() == pytest.approx([0.02, 0.2, 0.86])


@pytest.mark.parametrize("side", ["right", "left"])
def test_the_true_hand_as_output_costs_nothing_and_is_lifted_to_the_truth(hand, make_batch, side):
    """In crops that augmentation turned, of right and of left hands."""
    batch = make_batch(4, SIZE, rotated=True)
    angle = batch["rotation"].double()
    if side == "left":
        batch = left_hands(batch)
    method = build(hand, train=False)
    bones = (batch["joints"] - batch["joints"][:, :1]).double() / batch["scale"].double()[:, None, None]
    # clockwise as seen, y down; then mirrored
    x, y, z = bones.unbind(-1)
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]
    seen = torch.stack([(cos * x - sin * y) * (-1 if side == "left" else 1), sin * x + cos * y, z], -1)
    maps = torch.zeros(4, 21, 8, 8)
    output = {"joints": seen, "maps0": maps, "maps1": maps, "maps2": maps}
    assert (method.lift(output, batch).joints - batch["joints"]).abs().max() < 1e-6
    output["joints"] = seen.float()
    assert method.losses(output, batch)["pose"].item() == pytest.approx(0, abs=1e-10)
    output["joints"] = seen.float() + 1
    assert method.losses(output, batch)["pose"].item() == pytest.approx(1, rel=1e-4)


def test_target_maps_peak_where_the_joints_are_seen(hand, make_batch):
    batch = left_hands(make_batch(2, SIZE))
    method = build(hand, train=False)
    pixels = batch["joints"] @ batch["camera"].transpose(1, 2)
    pixels = pixels[..., :2] / pixels[..., 2:]
    cell = ((pixels + 0.5) / 8).long().clamp(0, 7)
    at = (torch.arange(8) + 0.5) * 8 - 0.5
    squares = [((at - pixels[..., i, None]) / (25 / 4)) ** 2 for i in (0, 1)]
    maps = (-squares[1][..., :, None] - squares[0][..., None, :]).exp()
    assert torch.equal(maps.flatten(2).argmax(-1), cell[..., 1] * 8 + cell[..., 0])
    output = {f"maps{i}": maps for i in range(3)} | {"joints": torch.zeros(2, 21, 3)}
    assert method.losses(output, batch)["heatmaps"].item() == pytest.approx(0, abs=1e-9)


# --- training -------------------------------------------------------------------------------------------------------

SWITCHES = {
    "full": {},
    "image only": {"clip": {"ratio": 1.0}},
    "text only, added": {"clip": {"ratio": 0.0, "combine": "sum"}},
    "one block": {"contrast": {"share_convblock": True}},
    "augmented": {"contrast": {"positive": "augmented"}},
    "as printed": {"contrast": {"form": "paper", "normalise": False}},
    "baseline": {"contrast": {"positive": "none"}},
}


@pytest.mark.parametrize("name", SWITCHES)
def test_every_parameter_learns_and_nothing_frozen_does(hand, make_batch, name):
    method = build(hand, **SWITCHES[name])
    terms = run(method, make_batch(4, SIZE))
    assert set(terms) == {"heatmaps", "pose"} | (set() if name == "baseline" else {"contrast"})
    sum(terms.values()).backward()
    for key, parameter in method.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.any(), key
    assert not any(key.startswith("clip") for key in method.state_dict())
    if method.clip is None:
        return
    # a tower without weight is not even loaded
    ratio = method.config.clip.ratio
    assert (method.clip.image is None, method.clip.text is None) == (ratio == 0, ratio == 1)
    for tower in (method.clip.image, method.clip.text):
        assert tower is None or not any(p.requires_grad for p in tower.tower.parameters())


def test_what_is_not_annotated_does_not_count_and_teaches_nothing(hand, make_batch):
    batch = make_batch(4, SIZE)
    method = build(hand, contrast={"positive": "none"})
    batch["joints_valid"][:, 7:] = False
    batch["joints_valid"][2] = False
    batch["scale"][1] = torch.nan
    output = method(method.normalise(batch["image"]), batch)
    expected = method.losses(output, batch)
    batch["joints"][:, 7:] = torch.nan
    batch["joints"][2] = -7.0
    again = method.losses(output, batch)
    for term, value in expected.items():
        assert again[term].item() == pytest.approx(value.item(), rel=1e-5), term
    batch["joints_valid"][:] = False
    assert all(value == 0 for value in method.losses(output, batch).values())
    # without its wrist a hand has a picture, and no place in space
    batch["joints_valid"][:, 1:7] = True
    terms = method.losses(output, batch)
    assert terms["heatmaps"] > 0
    assert terms["pose"] == 0


def test_the_weights_of_the_losses_are_lambdas(hand, make_batch):
    batch, terms = make_batch(3, SIZE), {}
    for lambdas in ((1.0, 1.0, 0.1), (2.0, 3.0, 1.0)):
        torch.manual_seed(0)
        method = build(hand, lambdas=lambdas)
        terms[lambdas] = run(method, batch)
    one, two = terms.values()
    ratios = {key: (two[key] / one[key]).item() for key in one}
    assert ratios == pytest.approx({"heatmaps": 2, "pose": 3, "contrast": 10}, rel=1e-4)


def test_an_image_does_not_know_its_batch(hand, make_batch):
    batch = make_batch(4, SIZE)
    method = build(hand, train=False)
    with torch.no_grad():
        together = method.predict(batch).joints
        alone = method.predict({key: value[:1] for key, value in batch.items()}).joints
    torch.testing.assert_close(together[:1], alone, atol=1e-6, rtol=0)


@pytest.mark.parametrize("positive", ["clip", "augmented"])
def test_one_seed_is_one_course_and_another_is_another(hand, make_batch, positive):
    batch, courses = make_batch(3, SIZE), []
    method = build(hand, contrast={"positive": positive})
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        courses.append([run(method, batch)["contrast"].item() for _ in range(2)])
    assert courses[0] == courses[1]
    assert courses[0] != courses[2]
    # other prompts, or other augmentations, at each step
    assert courses[0][0] != courses[0][1]


def test_the_loss_falls(hand, make_batch):
    batch, method = make_batch(8, SIZE), build(hand)
    optimiser = torch.optim.Adam(method.parameters(), 2e-3)
    sums = []
    for _ in range(15):
        terms = run(method, batch)
        sums.append({key: value.item() for key, value in terms.items()})
        optimiser.zero_grad()
        sum(terms.values()).backward()
        optimiser.step()
    assert sum(sums[-1].values()) < 0.7 * sum(sums[0].values())
    assert sums[-1]["pose"] < 0.9 * sums[0]["pose"]


def test_a_checkpoint_of_training_is_read_without_branch_2(hand, make_batch):
    trained = build(hand)
    assert any(key.startswith("branch.") for key in trained.state_dict())
    plain = build(hand, train=False)
    assert plain.branch is None
    plain.load_state_dict(trained.state_dict())
    batch = make_batch(2, SIZE)
    assert torch.equal(plain.predict(batch).joints, trained.eval().predict(batch).joints)
    again = build(hand)
    again.load_state_dict(trained.state_dict())


# --- what is refused, and the recipe --------------------------------------------------------------------------------


def test_bad_beginnings_say_what_would_do(hand, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HANDBENCH_HOME", str(tmp_path))
    with pytest.raises(UsageError, match=r"train\.batch is 1") as caught:
        build(hand).check_batch(1)
    assert "model.contrast.positive=none" in caught.value.hint
    build(hand, contrast={"positive": "none"}).check_batch(1)
    for ratio in (0.0, 1.0):
        with pytest.raises(MissingError, match="clip-vit-b-32") as missing:
            build(hand, clip={"weights": "openai", "ratio": ratio})
        assert "model.clip.weights=random" in missing.value.hint
    # ordinary augmentations need no CLIP
    assert build(hand, clip={"weights": "openai"}, contrast={"positive": "augmented"}).weights == {"clip": "off"}
    assert build(hand).weights == {"clip": "random"}
    with pytest.raises(ValidationError, match="multiple of 64"):
        ClipDGConfig(input=96)
    assert capsys.readouterr().err == ""
    build(hand, contrast={"form": "paper"})
    assert "no lower bound" in capsys.readouterr().err


def test_every_variant_is_a_valid_model_at_every_size():
    for variant in variants("clip-dg"):
        for size in ("full", "small", "tiny"):
            config = ClipDGConfig.model_validate(load_recipe("clip-dg", variant.name, size).model)
            assert (config.clip.weights == "random") == (size != "full")
    full = load_recipe("clip-dg")
    assert ClipDGConfig.model_validate(full.model) == ClipDGConfig()
    assert (full.train.optimiser, full.train.lr) == ("adam", 1e-4)
