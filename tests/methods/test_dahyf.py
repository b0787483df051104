"""DaHyF: its size, its geometry, what reaches what, its losses, its confidence."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from handbench.hands.camera import crop_camera, invert_affine
from handbench.hands.mano import axis_angle_to_matrix
from handbench.inference.crops import mirrored
from handbench.methods import find
from handbench.methods.base import blank_batch
from handbench.methods.dahyf import DaHyF, DaHyFConfig
from handbench.methods.dahyf.direction import DirectionFusion, cell_pixels, global_map, local_map
from handbench.methods.dahyf.joints2d import HeatMaps, SubPixelClassifier, encode
from handbench.methods.dahyf.losses import UncertaintyWeights, bone_loss, confidence, contrast_loss
from handbench.methods.dahyf.regressor import translation
from handbench.methods.dahyf.view import rotations_back, seen_rotations, view_of
from handbench.recipe import load_recipe, variants
from handbench.speed.cost import cost

SIZE = 64
TINY = {"input": SIZE, "backbone": {"name": "resnet10t"}, "width": 32, "dropout": 0.0}
OFF = {"encoding": {"enabled": False}, "confidence": {"enabled": False}}


def build(hand, train: bool = True, **changes) -> DaHyF:
    torch.manual_seed(0)
    method = DaHyF(DaHyFConfig.model_validate({**TINY, **changes}), hand, "freihand")
    return method.train(train)


def run(method: DaHyF, batch) -> dict[str, torch.Tensor]:
    return method.losses(method(method.normalise(batch["image"]), batch), batch)


def with_patches_beside(batch, count: int):
    """The last `count` samples of a batch as patches without a hand."""
    batch = dict(batch)
    for key in ("joints_valid", "mano_valid", "vertices_valid", "hand"):
        batch[key] = batch[key].clone()
        batch[key][-count:] = False
    return batch


def test_it_is_found_by_its_name():
    assert find("dahyf") is DaHyF


def test_a_model_without_any_loss_is_refused():
    with pytest.raises(ValidationError, match="no other is named"):
        DaHyFConfig.model_validate({"joint2d": "none", "losses": ["2d"], **OFF})


# --- size -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "parameters", "macs"),
    [
        ({}, 50.32, 6.05),
        ({"direction": {"fuse": "add"}}, 41.93, 5.64),
        ({"backbone": {"name": "hrnet_w64"}}, 152.83, 30.86),
        ({"joint2d": "none", "direction": {"map": "none"}, **OFF}, 26.88, 4.10),
    ],
)
def test_parameters_and_macs(hand, changes, parameters, macs):
    """Of the whole method, in millions; multiply-adds of one image at 224, in 10^9."""
    found = cost(DaHyF(DaHyFConfig.model_validate(changes), hand, "freihand"))
    assert found["parameters"] / 1e6 == pytest.approx(parameters, abs=0.005)
    assert found["macs"] / 1e9 == pytest.approx(macs, abs=0.006)
    # only the weights of the losses are not of inference
    assert found["training_only"] == (4 if "joint2d" in changes else 5)


def test_shapes_at_every_stage_boundary(hand):
    method = DaHyF(DaHyFConfig(), hand, "freihand").eval()
    batch = blank_batch(2, 224)
    image = torch.zeros(2, 3, 224, 224)
    with torch.no_grad():
        feature = method.backbone(image)
        assert feature.shape == (2, 2048, 7, 7)
        fused = method.fusion(feature, view_of(batch, False))
        assert fused.shape == (2, 2048, 7, 7)
        assert method.joints2d.upsample(fused).shape == (2, 21, 56, 56)
        output = method(image, batch)
    assert output["x"].shape == output["y"].shape == (2, 21, 672)
    assert method._encode(output["joints2d"], view_of(batch, False)).shape == (2, 336)
    assert output["rotations"].shape == (2, 16, 3, 3)
    assert output["vertices"].shape == (2, 778, 3)
    prediction = method.lift(output, batch)
    assert prediction.joints.shape == (2, 21, 3)
    assert prediction.confidence.shape == (2,)


# --- geometry -------------------------------------------------------------------------------------------------------


def test_the_global_map_is_equation_3_for_an_upright_patch():
    """A hand patch of 100 px at (200, 120) of a 640 × 480 frame, f = 500, O = (320, 240), worked by hand."""
    s_i, s_p, s_f, f = 100.0, 224, 7, 500.0
    ulc, o = np.array([200.0, 120.0]), np.array([320.0, 240.0])
    zoom = s_p / s_i
    # from edges to pixel centres: an edge coordinate e is the pixel coordinate e - 0.5
    affine = np.array([[zoom, 0, -0.5 - zoom * (ulc[0] - 0.5)], [0, zoom, -0.5 - zoom * (ulc[1] - 0.5)]])
    camera = np.array([[f, 0, o[0] - 0.5], [0, f, o[1] - 0.5], [0, 0, 1]])
    batch = blank_batch(1, s_p)
    batch["frame_affine"] = torch.from_numpy(affine)[None]
    batch["camera"] = torch.from_numpy(crop_camera(affine, camera))[None]
    got = global_map(view_of(batch, False), s_f, s_p)[0]
    for row, column in ((0, 0), (3, 5), (6, 6)):
        p_l = np.array([column, row]) * (s_p / s_f) + (s_p / s_f) / 2
        expected = (p_l * s_i / s_p + ulc - o) / f
        assert got[:, row, column].numpy() == pytest.approx(expected, abs=1e-12)


def test_moving_the_patch_moves_its_directions_alike(make_batch):
    batch = make_batch(3, SIZE)
    plain = global_map(view_of(batch, False), 4, SIZE)
    # 12 px to the right in the frame: f = 600
    moved = dict(batch)
    by = torch.tensor([[12.0], [0.0]])
    shift = batch["frame_affine"][..., :2] @ by
    moved["frame_affine"] = torch.cat([batch["frame_affine"][..., :2], batch["frame_affine"][..., 2:] - shift], -1)
    frame = torch.tensor([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]])
    row = torch.tensor([0.0, 0, 1]).expand(3, 1, 3)
    moved["camera"] = torch.cat([moved["frame_affine"], row], 1) @ frame
    difference = global_map(view_of(moved, False), 4, SIZE) - plain
    turn = view_of(batch, False).turn[:, :2, :2]
    expected = (turn @ (by / 600))[..., None].expand_as(difference)
    torch.testing.assert_close(difference, expected, atol=1e-5, rtol=1e-3)


def test_a_turned_patch_sees_the_rays_of_a_camera_that_is_rolled_with_it(make_batch):
    batch = make_batch(4, SIZE, rotated=True)
    view = view_of(batch, False)
    cells = cell_pixels(4, SIZE, batch["camera"]).flatten(0, 1).numpy()
    for i in range(4):
        back = invert_affine(batch["frame_affine"][i].double().numpy())
        frame = cells @ back[:, :2].T + back[:, 2]
        rays = (frame - [320.0, 240.0]) / 600.0
        angle = float(batch["rotation"][i])
        roll = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        got = global_map(view, 4, SIZE)[i].flatten(1).T.numpy()
        assert got == pytest.approx(rays @ roll.T, abs=1e-5)


def test_what_is_seen_projects_to_where_it_is_seen_and_comes_back(make_batch):
    batch = make_batch(4, SIZE)
    view = view_of(batch, False)
    seen = view.seen(batch["joints"])
    pixels = batch["joints"] @ batch["camera"].transpose(1, 2)
    torch.testing.assert_close(view.project(seen), pixels[..., :2] / pixels[..., 2:], atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(view.back(seen), batch["joints"])
    # upright in the patch: the seen camera has no skew
    assert view.camera[:, [0, 1], [1, 0]].abs().max() < 1e-3


def test_a_left_hand_is_a_right_one_in_the_mirror(hand, make_batch):
    """The left hand's mesh, seen in the mirror, is the right model under the mirrored rotations."""
    from handbench.synth.hand import synthetic_hand

    left = synthetic_hand("left")
    rng = np.random.default_rng(3)
    pose, shape = rng.normal(0, 0.4, (3, 48)), rng.normal(0, 1, (3, 10))
    vertices, _ = left.forward(pose, shape)
    batch = make_batch(3, SIZE)
    affine = np.stack([mirrored(a, SIZE) for a in batch["frame_affine"].numpy()])
    batch["frame_affine"] = torch.from_numpy(affine).float()
    batch["mirrored"][:] = True
    batch["camera"] = torch.cat([batch["frame_affine"], torch.tensor([[0.0, 0, 1]]).expand(3, 1, 3)], 1) @ torch.tensor(
        [[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]
    )
    view = view_of(batch, False)
    rotations = torch.from_numpy(axis_angle_to_matrix(pose.reshape(3, 16, 3)))
    turned = seen_rotations(rotations, view, batch["mirrored"])
    assert torch.allclose(torch.linalg.det(turned), torch.ones(3, 16, dtype=turned.dtype), atol=1e-6)
    torch.testing.assert_close(rotations_back(turned, view, batch["mirrored"]), rotations, atol=1e-6, rtol=0)
    from handbench.methods.blocks.mano_layer import ManoLayer

    got, _ = ManoLayer(hand, "freihand", torch.float64)(turned, torch.from_numpy(shape))
    root = left.forward(np.zeros((3, 48)), shape)[1][:, :1]
    expected = view.seen(torch.from_numpy(vertices - root))
    mirrored_root = root * [-1.0, 1.0, 1.0]
    # the two templates are mirror images to a few micrometres
    assert (got - torch.from_numpy(mirrored_root) - expected).abs().max() < 1e-5


def test_the_weak_camera_becomes_the_frames_translation(make_batch):
    batch = make_batch(2, SIZE, rotated=False)
    view = view_of(batch, False)
    camera = torch.tensor([[8.0, 0.01, -0.02], [4.0, 0.0, 0.0]])
    b, f = SIZE / view.zoom, 600.0
    c = invert_affine(batch["frame_affine"].numpy()) @ np.array([(SIZE - 1) / 2, (SIZE - 1) / 2, 1.0])
    got = translation(camera, view, SIZE)
    for i in range(2):
        s, tx, ty = camera[i].tolist()
        bs = float(b[i]) * s
        expected = [2 * (c[i, 0] - 320) / bs + tx, 2 * (c[i, 1] - 240) / bs + ty, 2 * f / bs]
        assert got[i].tolist() == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_without_a_camera_the_diagonal_of_the_frame_is_the_focal_length(hand):
    method = build(hand, train=False, camera="diagonal")
    assert method.given == ("box", "side")
    batch = blank_batch(1, SIZE)
    del batch["camera"]
    view = view_of(batch, True)
    assert float(view.focal[0]) == pytest.approx(math.hypot(SIZE, SIZE))
    assert method.predict({**batch, "image": torch.zeros(1, 3, SIZE, SIZE, dtype=torch.uint8)}).joints.isfinite().all()


def test_the_maps_are_copied_to_as_many_channels_as_the_features(make_batch):
    from handbench.methods.dahyf.config import DirectionConfig

    view = view_of(make_batch(2, SIZE), False)
    added = DirectionFusion(6, SIZE, DirectionConfig(fuse="add"))(torch.zeros(2, 6, 2, 2), view)
    expected = global_map(view, 2, SIZE)
    for channel in range(6):
        torch.testing.assert_close(added[:, channel], expected[:, channel // 3])
    raw = local_map(1, 4, False, view.camera)[0]
    assert raw[0].tolist() == [[0, 1, 2, 3]] * 4
    assert raw[1, :, 0].tolist() == [0, 1, 2, 3]
    assert local_map(1, 4, True, view.camera).max() == 0.75


# --- the 2D branch --------------------------------------------------------------------------------------------------


def test_a_sharp_class_is_its_bins_place_in_the_patch():
    head = SubPixelClassifier(8, SIZE, 3, 6.0)
    head.upsample = torch.nn.Identity()
    head.x = head.y = torch.nn.Identity()
    logits = torch.full((1, 21, 3 * SIZE), -50.0)
    logits[..., 100] = 50.0
    joints, _ = head(logits)
    # bin 100 of three a pixel: from 33 1/3 to 33 2/3 of the edge, its middle half a pixel less
    assert joints[0, 0].tolist() == pytest.approx([33.5 - 0.5, 33.5 - 0.5], abs=1e-4)


@pytest.mark.parametrize("kind", ["sjcp", "heatmap"])
def test_the_loss_of_a_right_label_is_least_and_joints_outside_do_not_count(kind):
    true = torch.rand(2, 21, 2) * 40 + 10
    valid = torch.ones(2, 21, dtype=torch.bool)
    if kind == "sjcp":
        head = SubPixelClassifier(8, SIZE, 3, 6.0)
        at = (torch.arange(3 * SIZE) + 0.5) / 3 - 0.5
        output = {a: -0.5 * ((at - true[..., i, None]) * 3 / 6.0) ** 2 for i, a in enumerate("xy")}
    else:
        head = HeatMaps(8, SIZE, 2.0)
        at = (torch.arange(16) + 0.5) * 4 - 0.5
        x, y = ((-0.5 * ((at - true[..., i, None]) / 4 / 2.0) ** 2).exp() for i in range(2))
        maps = y[..., :, None] * x[..., None, :]
        output = {"maps": maps / maps.sum((2, 3), keepdim=True)}
    right = head.loss(output, true, valid)
    assert right < 0.02
    assert head.loss(output, true + 8, valid) > right + 0.3
    some = valid.clone()
    some[:, 10:] = False
    wrong = true.clone()
    wrong[:, 10:] = 1e6
    assert head.loss(output, wrong, some).item() == pytest.approx(head.loss(output, true, some).item(), rel=1e-5)
    assert head.loss(output, wrong, some & False).item() == 0


def test_the_encoding_is_equation_7():
    mu = torch.tensor([0.3, -0.1]).expand(1, 21, 2)
    code = encode(mu, 4)
    assert code.shape == (1, 336)
    expected = [f(2**l * math.pi * 0.3) for l in range(1, 5) for f in (math.sin, math.cos)]
    assert code[0, :8].tolist() == pytest.approx(expected, abs=1e-5)


# --- training -------------------------------------------------------------------------------------------------------

SWITCHES = {
    "full": {},
    "baseline": {"joint2d": "none", "direction": {"map": "none"}, **OFF},
    "heat-maps": {"joint2d": "heatmap"},
    "local map, added": {"direction": {"map": "local", "fuse": "add"}},
    "no encoding": {"encoding": {"enabled": False}},
    "one pass": {"regressor": "mlp"},
    "as printed": {"log_sigma": False, "l2d": "l1"},
}


@pytest.mark.parametrize("name", SWITCHES)
def test_every_parameter_learns(hand, make_batch, name):
    method = build(hand, **SWITCHES[name])
    for norm in method.backbone.modules():
        # timm starts every residual branch at zero
        if isinstance(norm, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(norm.weight)
    terms = run(method, make_batch(6, SIZE))
    expected = {"3d", "projected", "mano", "bone"} | ({"2d"} if name != "baseline" else set())
    assert set(terms) == expected
    sum(terms.values()).backward()
    for key, parameter in method.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.any(), key


def test_true_predictions_cost_nothing(hand, make_batch):
    batch = make_batch(4, SIZE)
    method = build(hand, l2d="l1")
    view = view_of(batch, False)
    pixels = view.project(view.seen(batch["joints"]))
    batch["joints_valid"] = batch["joints_valid"] & ((pixels > 0) & (pixels < SIZE - 1)).all(-1)
    output = {
        "joints": view.seen(batch["joints"]) + 0.3,
        "projected": pixels,
        "joints2d": pixels,
        "rotations": seen_rotations(batch["mano_rotations"], view, batch["mirrored"]),
        "shape": batch["mano_shape"],
        "vertices": batch["vertices"],
    }
    terms = method.losses(output, batch)
    # e^0 L + 0: what is left are the losses; a shift of the whole root-relative hand is none
    for name in ("2d", "3d", "projected", "mano", "bone"):
        assert terms[name].item() == pytest.approx(0.0, abs=1e-4), name


def test_what_is_not_annotated_does_not_count_and_teaches_nothing(hand, make_batch):
    batch = make_batch(4, SIZE)
    method = build(hand).eval()
    batch["joints_valid"][:, 7:] = False
    batch["joints_valid"][2] = False
    batch["mano_valid"][1] = False
    with torch.no_grad():
        output = method(method.normalise(batch["image"]), batch)
        expected = method.losses(output, batch)
        batch["joints"][:, 7:] = torch.nan
        batch["joints"][2] = -7.0
        batch["mano_rotations"][1] = 99.0
        again = method.losses(output, batch)
    for name, value in expected.items():
        assert again[name].item() == pytest.approx(value.item(), rel=1e-5), name
    batch["joints_valid"][:] = False
    batch["mano_valid"][:] = False
    terms = run(build(hand), batch)
    total = sum(terms.values())
    assert total.item() == 0
    total.backward()


def test_a_loss_without_truth_leaves_its_sigma_alone(hand, make_batch):
    batch = make_batch(4, SIZE)
    batch["mano_valid"][:] = False
    method = build(hand)
    terms = run(method, batch)
    assert "mano" not in terms
    sum(terms.values()).backward()
    gradient = dict(zip(method.weighting.names, method.weighting.log_variance.grad.tolist(), strict=True))
    assert gradient["mano"] == 0
    assert gradient["3d"] != 0


def test_with_the_log_term_a_weight_settles_and_without_it_collapses():
    """Minimum of e^(-v) L + v: v = ln L. Without + v the weight e^(-v) goes to nothing."""
    weights = {}
    for log_sigma in (True, False):
        weighting = UncertaintyWeights(["3d"], log_sigma)
        optimiser = torch.optim.Adam(weighting.parameters(), lr=0.05)
        for _ in range(600):
            optimiser.zero_grad()
            weighting({"3d": torch.tensor(0.25)})["3d"].backward()
            optimiser.step()
        weights[log_sigma] = (-weighting.log_variance).exp().item()
    assert weights[True] == pytest.approx(4.0, rel=0.01)
    assert weights[False] < 0.1


def test_bones_of_a_hand_twice_as_large():
    joints = torch.rand(1, 21, 3)
    valid = torch.ones(1, 21, dtype=torch.bool)
    from handbench.hands.joints import BONES

    mean = np.mean([(joints[0, c] - joints[0, p]).norm().item() for p, c in BONES])
    assert bone_loss(2 * joints, joints, valid).item() == pytest.approx(mean, rel=1e-5)
    assert bone_loss(joints + 3, joints, valid).item() == pytest.approx(0, abs=1e-6)


# --- confidence -----------------------------------------------------------------------------------------------------


def test_confidence_is_the_cosine_about_the_middle_of_the_patch():
    joints = torch.rand(2, 21, 2) * SIZE
    middle = (SIZE - 1) / 2
    torch.testing.assert_close(confidence(joints, joints, SIZE), torch.ones(2))
    torch.testing.assert_close(confidence(joints, middle + 3 * (joints - middle), SIZE), torch.ones(2))
    torch.testing.assert_close(confidence(joints, 2 * middle - joints, SIZE), -torch.ones(2))


def test_contrast_draws_hands_together_and_other_patches_apart():
    one, two = torch.rand(3, 21, 2) * SIZE, torch.rand(3, 21, 2) * SIZE
    cosine = confidence(one, two, SIZE)
    hand = torch.tensor([True, True, False])
    expected = ((1 - cosine[0]) ** 2 + (1 - cosine[1]) ** 2 + (cosine[2] + 1) ** 2) / 3
    torch.testing.assert_close(contrast_loss(one, two, hand, SIZE, -1.0, True), expected)
    one.requires_grad_()
    contrast_loss(one, two, hand, SIZE, 0.0, True).backward()
    # beside the hand only the regressor's branch is pushed
    assert one.grad[:2].any()
    assert not one.grad[2].any()


def test_patches_without_a_hand_are_wanted_in_the_last_fifth_only(hand):
    method = build(hand)
    wanted = []
    for epoch in range(10):
        method.schedule = (epoch, 10)
        wanted.append(method.non_hands)
    assert wanted == [0] * 8 + [0.25] * 2
    method.schedule = (0, 1)
    assert method.non_hands == 0.25
    assert build(hand, **OFF).non_hands == 0


def test_of_a_patch_without_a_hand_only_the_contrast_counts(hand, make_batch):
    batch = with_patches_beside(make_batch(5, SIZE), 1)
    method = build(hand).eval()
    output = method(method.normalise(batch["image"]), batch)
    output = {name: value.detach().requires_grad_() for name, value in output.items()}
    terms = method.losses(output, batch)
    assert "lc" in terms
    sum(value for name, value in terms.items() if name != "lc").backward(retain_graph=True)
    for name in ("joints", "projected", "joints2d", "rotations", "shape"):
        assert not output[name].grad[-1].any(), name
        assert output[name].grad[:-1].any(), name
    terms["lc"].backward()
    assert output["projected"].grad[-1].any()


def test_an_image_does_not_know_its_batch(hand, make_batch):
    batch = make_batch(4, SIZE)
    method = build(hand, train=False)
    alone = {key: value[:1] for key, value in batch.items()}
    with torch.no_grad():
        together, single = method.predict(batch), method.predict(alone)
    torch.testing.assert_close(together.joints[:1], single.joints, atol=1e-5, rtol=0)


def test_lifting_gives_the_hand_in_the_frame_of_the_record(hand, make_batch):
    batch = make_batch(4, SIZE)
    method, view = build(hand, train=False), view_of(batch, False)
    output = {
        "joints": view.seen(batch["joints"]),
        "vertices": view.seen(batch["vertices"]),
        "rotations": seen_rotations(batch["mano_rotations"], view, batch["mirrored"]),
        "shape": batch["mano_shape"],
    }
    prediction = method.lift(output, batch)
    assert (prediction.joints - batch["joints"]).abs().max() < 1e-6
    assert (prediction.mano_rotations - batch["mano_rotations"]).abs().max() < 1e-5


# --- the recipe -----------------------------------------------------------------------------------------------------


def test_every_variant_is_a_valid_model_at_every_size():
    for variant in variants("dahyf"):
        for size in ("full", "small", "tiny"):
            recipe = load_recipe("dahyf", variant.name, size)
            config = DaHyFConfig.model_validate(recipe.model)
            assert size == "full" or config.backbone.weights == "none"
    full = load_recipe("dahyf")
    assert DaHyFConfig.model_validate(full.model) == DaHyFConfig(backbone={"weights": "imagenet"})
    assert (full.train.optimiser, full.train.lr, full.train.epochs, full.train.batch) == ("adam", 5e-5, 500, 128)
    assert load_recipe("dahyf", "w64_ho3dv2_ft3").train.epochs == 3


def test_a_model_that_contradicts_itself_is_refused():
    with pytest.raises(ValidationError, match="joint2d=sjcp"):
        DaHyFConfig(joint2d="none")
    with pytest.raises(ValidationError, match="each loss once"):
        DaHyFConfig(losses=("3d", "3d"))
