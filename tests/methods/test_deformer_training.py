"""Deformer in training: what reaches what, what is left out, and that it learns."""

from __future__ import annotations

import pytest
import torch

from handbench.errors import InvalidError
from handbench.recipe import Data, Recipe, Train
from handbench.training.plan import Plan
from handbench.training.train import _check
from tests.methods.deformer_tiny import build, perfect, run, windows
from tests.video_file import video_file

SWITCHES = {
    "full": {},
    "to every frame": {"fuse": "all"},
    "center": {"aggregation": "center"},
    "average": {"aggregation": "average"},
    "occlusion": {"aggregation": "occlusion"},
    "frames alone": {"aggregation": "center", "exchange": False},
    "as in the text": {"joints_to": "memory", "mono_head": "spatial", "loss": {"smooth": 2}},
    "plain squares": {"loss": {"points": "mse"}, "discriminator": {"enabled": False}},
    "decoders of DETR": {"query_attention": True},
}
# attention among one: the weight is 1, whatever asks; and what DETR's first layer attends to is zero
UNMOVED = {
    "frames alone": "temporal.decoder.query",
    "decoders of DETR": "decoder.layers.0.own",
}
FUSION = ("forward_head", "backward_head", "confidence_head")


def own(method) -> dict[str, torch.nn.Parameter]:
    """What the main optimiser has."""
    return {name: p for name, p in method.named_parameters() if not name.startswith("discriminator.")}


@pytest.mark.parametrize("name", SWITCHES)
def test_every_parameter_learns_and_the_discriminator_from_its_own_loss_alone(hand, make_batch, name):
    method = build(hand, **SWITCHES[name])
    for norm in method.backbone.modules():
        # timm starts every residual branch at zero
        if isinstance(norm, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(norm.weight)
    batch = windows(make_batch, 4, method.frames)
    output, terms = run(method, batch)
    expected = {"joints", "vertices", "rotations", "shape", "joints2d"}
    if name not in ("center", "frames alone"):
        expected |= {"fused", "motion_forward", "motion_backward"}
    if name != "plain squares":
        expected |= {"adversarial"}
    if name == "as in the text":
        expected |= {"monocular", "smooth"}
    assert set(terms) == expected
    torch.stack(list(terms.values())).sum().backward()
    for key, parameter in own(method).items():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.any() or UNMOVED.get(name, "no name") in key, key
    assert (method.adversary is not None) == ("adversarial" in expected)
    if method.adversary is None:
        return
    assert all(parameter.grad is None for parameter in method.adversary.parameters())
    before = {key: parameter.grad.clone() for key, parameter in own(method).items()}
    method.adversary_loss(output, batch).backward()
    for key, parameter in method.adversary.named_parameters():
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.any(), key
    assert all(torch.equal(parameter.grad, before[key]) for key, parameter in own(method).items())


def test_the_adversarial_term_moves_the_poses_and_nothing_of_the_fusion(hand, make_batch):
    method = build(hand)
    _, terms = run(method, windows(make_batch, 2))
    terms["adversarial"].backward()
    moved = {name for name, parameter in own(method).items() if parameter.grad is not None and parameter.grad.any()}
    assert "heads.heads.pose_head.weight" in moved
    # frame-wise poses, before fusion
    assert not any(head in name for head in FUSION for name in moved)


# --- what is left out -----------------------------------------------------------------------------------------------


def test_what_is_not_annotated_and_what_repeats_teaches_nothing(hand, make_batch):
    batch = windows(make_batch, 3)
    method = build(hand, loss={"smooth": 2}).eval()
    batch["joints_valid"][:, 7:9] = False
    batch["joints_valid"][1] = False
    batch["vertices_valid"][3] = False
    batch["mano_valid"][4] = False
    # the third window is at the end of its track
    batch["repeated"][8] = True
    with torch.no_grad():
        output, expected = run(method, batch)
        batch["joints"][:, 7:9] = torch.nan
        batch["joints"][1] = -7.0
        batch["vertices"][3] = torch.nan
        batch["mano_rotations"][4] = 99.0
        for key in ("joints", "vertices", "mano_rotations", "mano_shape"):
            batch[key][8] = torch.nan
        again = method.losses(output, batch)
    for name, value in expected.items():
        assert again[name].item() == pytest.approx(value.item(), rel=1e-5), name
    batch["repeated"][:] = True
    output, terms = run(build(hand), batch)
    total = torch.stack([value for name, value in terms.items() if name != "adversarial"]).sum()
    assert total.item() == 0
    total.backward()


def test_a_step_to_or_from_a_repeated_frame_is_no_motion(hand, make_batch):
    """An output that is right but for one motion: it costs something only where both of its frames are real."""
    method, batch = build(hand, discriminator={"enabled": False}), windows(make_batch, 1)
    output = perfect(method, batch)
    output["forward"] = output["forward"].clone()
    output["forward"][0] += 0.3
    assert method.losses(output, batch)["motion_forward"].item() > 0.01
    for frame in (0, 1):
        batch["repeated"][:] = False
        batch["repeated"][frame] = True
        assert method.losses(output, batch)["motion_forward"].item() < 1e-6
    batch["repeated"][:] = False
    batch["repeated"][2] = True
    assert method.losses(output, batch)["motion_forward"].item() > 0.01


def test_real_motions_are_windows_that_are_annotated_throughout(hand, make_batch):
    method, batch = build(hand), windows(make_batch, 2)
    output, _ = run(method, batch)
    both = method.adversary_loss(output, batch).item()
    batch["mano_valid"][4] = False
    first = method.adversary_loss(output, batch).item()
    assert first != both
    batch["mano_rotations"][3:] = torch.eye(3)
    assert method.adversary_loss(output, batch).item() == first
    batch["mano_valid"][:] = False
    nothing = method.adversary_loss(output, batch)
    nothing.backward()
    assert nothing.item() == 0


def test_without_a_truth_its_losses_are_left_out(hand, make_batch):
    method, batch = build(hand, loss={"mano": False, "mesh": False}), windows(make_batch, 2)
    assert method.adversary is None
    assert set(run(method, batch)[1]) == {"joints", "joints2d", "fused", "motion_forward", "motion_backward"}
    assert method.needs() == []
    needs = build(hand).needs()
    assert [need.without for need in needs] == ["model.loss.mesh=false", "model.loss.mano=false"]


def test_weights_by_occlusion_are_trained_only_where_it_is_known(hand, tmp_path):
    method = build(hand, train=False, aggregation="occlusion", loss={"mano": False, "mesh": False})
    data = {"known": video_file(tmp_path / "known.h5", (3, 3))}
    data["not"] = video_file(tmp_path / "not.h5", (3, 3), visible_fraction=None)
    recipe = Recipe(method="deformer", variant="full", size="full", model={}, data=Data(), train=Train())
    plans = {name: Plan(recipe, file, hand, tmp_path / name) for name, file in data.items()}
    _check(method, plans["known"])
    with pytest.raises(
        InvalidError, match="has no visible_fraction, which the aggregation by occlusion of deform"
    ) as e:
        _check(method, plans["not"])
    assert "model.aggregation=average" in e.value.hint


def test_smoothness_is_of_the_first_or_also_of_the_second_difference(hand, make_batch):
    batch = windows(make_batch, 1)
    found = []
    for orders in (1, 2):
        method = build(hand, loss={"smooth": orders})
        found.append(run(method, batch)[1]["smooth"].item())
    assert 0 < found[0] < found[1]
    # a still hand is smooth
    for key in ("image", "frame_affine", "camera"):
        batch[key][1:] = batch[key][:1].clone()
    method = build(hand, loss={"smooth": 2}, exchange=False, aggregation="center").eval()
    assert run(method, batch)[1]["smooth"].item() == pytest.approx(0, abs=1e-6)


# --- it learns ------------------------------------------------------------------------------------------------------


def test_the_loss_falls_in_fifteen_steps_of_both_optimisers(hand, make_batch):
    method, batch = build(hand), windows(make_batch, 2)
    main = torch.optim.AdamW(own(method).values(), lr=1e-3)
    other = torch.optim.AdamW(method.adversary.parameters(), lr=1e-3)
    totals, judged = [], []
    for _ in range(15):
        output, terms = run(method, batch)
        main.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        main.step()
        other.zero_grad()
        judge = method.adversary_loss(output, batch)
        judge.backward()
        other.step()
        totals.append(sum(value.item() for name, value in terms.items() if name != "adversarial"))
        judged.append(judge.item())
    assert totals[-1] < 0.7 * totals[0]
    assert judged[-1] < judged[0]


def test_it_trains_in_half_precision(hand, make_batch):
    method, batch = build(hand), windows(make_batch, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = method(method.normalise(batch["image"]), batch)
    terms = method.losses(output, batch)
    torch.stack(list(terms.values())).sum().backward()
    assert output["joints"].dtype == torch.float32
    assert all(p.grad.isfinite().all() for p in own(method).values())
