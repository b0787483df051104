"""Scenes: the masks are exact, the annotations belong to the picture, and every sample stands alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from handbench.errors import UsageError
from handbench.hands.camera import project
from handbench.synth.bodies import SHAPES, boundary_loop, forearm, solid
from handbench.synth.dataset import SyntheticHands
from handbench.synth.hand import synthetic_hand
from handbench.synth.picture import foreground, paint
from handbench.synth.scene import OCCLUDER_CHANCE, join

trimesh = pytest.importorskip("trimesh")
pytest.importorskip("embreex")


@pytest.fixture(scope="module")
def scenes():
    data = SyntheticHands(40, seed=1, image_size=96)
    return [data.sample(i) for i in range(40)]


def nearest(body, camera, size):
    """Depth (H, W) by ray casts."""
    vertices, faces = body
    mesh = trimesh.Trimesh(vertices * 10, faces, process=False)
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    rays = np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3) @ np.linalg.inv(camera).T
    points, ray, _ = mesh.ray.intersects_location(np.zeros_like(rays), rays, multiple_hits=False)
    depth = np.full(len(rays), np.inf)
    depth[ray] = points[:, 2] / 10
    return depth.reshape(size[1], size[0])


def test_masks_and_visible_fraction_agree_with_ray_casts(scenes):
    hidden = 0
    for scene in scenes[:14]:
        hand = nearest((scene.vertices, scene.model.f), scene.camera, scene.image_size)
        others = nearest(join([scene.arm, *scene.occluders]), scene.camera, scene.image_size)
        amodal = np.isfinite(hand)
        visible = amodal & (hand <= others)
        # At the wrist, hand and forearm share their edge: a ray in single precision may take either.
        assert (amodal != scene.amodal_mask).sum() <= 4
        assert (visible != scene.hand_mask).sum() <= 12
        assert scene.visible_fraction == pytest.approx(visible.sum() / amodal.sum(), abs=0.008)
        hidden += scene.visible_fraction < 0.9
    assert hidden >= 3


def test_visible_is_part_of_amodal_and_all_of_it_without_occluders():
    data = SyntheticHands(12, seed=1, image_size=96, occluders=False)
    for i in range(12):
        scene = data.sample(i)
        assert not scene.occluders
        assert not (scene.hand_mask & ~scene.amodal_mask).any()
        alone = dataclasses.replace(scene, arm=(scene.arm[0] + [0, 0, 50.0], scene.arm[1]))
        assert alone.visible_fraction == 1.0


def test_a_wall_before_the_hand_hides_exactly_what_is_behind_it():
    scene = SyntheticHands(1, image_size=128, occluders=False).sample(0)
    near = scene.vertices[:, 2].min() - 0.05
    edge = (63.5 - scene.camera[0, 2]) / scene.camera[0, 0] * near  # between columns 63 and 64
    # The wall's front face is its nearest: its edge there is the silhouette's.
    wall = solid("box", np.array([1.0, 1.0, 1e-4]), np.eye(3), np.array([edge - 1.0, 0, near + 1e-4]))
    hidden = dataclasses.replace(scene, occluders=(wall,), arm=(scene.arm[0] + [0, 0, 50.0], scene.arm[1]))
    assert not hidden.hand_mask[:, :64].any()
    assert np.array_equal(hidden.hand_mask[:, 64:], scene.amodal_mask[:, 64:])
    assert hidden.visible_fraction == scene.amodal_mask[:, 64:].sum() / scene.amodal_mask.sum()
    columns = np.rint(project(scene.joints, scene.camera)[:, 0])
    assert not hidden.joints_visible[columns < 64].any()


def test_a_hidden_joint_is_covered_and_a_visible_one_is_not(scenes):
    """By ray casts: a joint is inside the hand, so that something lies before it; a lot does if it is hidden."""
    seen = []
    for scene in scenes[:14]:
        everything = join([(scene.vertices, scene.model.f), scene.arm, *scene.occluders])
        mesh = trimesh.Trimesh(everything[0] * 10, everything[1], process=False)
        pixels = np.rint(project(scene.joints, scene.camera))
        inside = ((pixels >= 0) & (pixels < scene.image_size)).all(1)
        rays = np.column_stack([pixels, np.ones(21)]) @ np.linalg.inv(scene.camera).T
        points, ray, _ = mesh.ray.intersects_location(np.zeros_like(rays), rays, multiple_hits=False)
        front = np.full(21, np.inf)
        front[ray] = points[:, 2] / 10
        above = scene.joints[:, 2] - front
        assert not (scene.joints_visible & ~inside).any()
        assert (above[scene.joints_visible] < 0.031).all()
        assert (above[~scene.joints_visible & inside] > 0.009).all()
        seen.append(scene.joints_visible.mean())
    assert 0.3 < np.mean(seen) < 0.95


def test_a_sample_depends_only_on_seed_split_and_its_number():
    whole = SyntheticHands(20, seed=3, image_size=64)
    again = SyntheticHands(500, seed=3, image_size=64)
    for i in (0, 7, 19):
        assert np.array_equal(whole.image(i), again.image(i))
    assert np.array_equal(whole.images(5, 7)[1], again.image(6))
    assert whole.images(5, 5).shape == (0, 64, 64, 3)
    one_by_one = [whole.hands(i, i + 1).vertices for i in (5, 6, 7)]
    assert np.array_equal(whole.hands(5, 8).vertices, np.concatenate(one_by_one))
    poses = {
        tuple(data.sample(4).mano_pose.round(6))
        for data in (whole, SyntheticHands(20, 4, 64), SyntheticHands(20, 3, 64, split="test"))
    }
    assert len(poses) == 3


def test_a_block_of_hands_tells_one_story(scenes):
    data = SyntheticHands(40, seed=1, image_size=96)
    hands = data.hands(0, 10)
    assert hands.id[3] == "synthetic/train/00000003"
    assert len(set(hands.capture)) == 10
    model = synthetic_hand()
    vertices, joints16 = model.forward(hands.mano_pose, hands.mano_shape, hands.mano_translation)
    assert np.allclose(vertices, hands.vertices, atol=1e-12)
    assert np.allclose(model.joints21(vertices, joints16, "freihand"), hands.joints, atol=1e-12)
    pixels = project(hands.joints, hands.camera)
    assert np.allclose(hands.box, np.concatenate([pixels.min(1), pixels.max(1)], 1))
    assert (hands.image_size == 96).all()
    assert (hands.side == "right").all()
    assert hands.joints_valid.all()
    for i, scene in enumerate(scenes[:10]):
        assert np.array_equal(scene.joints, hands.joints[i])
        assert scene.visible_fraction == hands.visible_fraction[i]


def test_hands_stand_as_freihands_do(scenes):
    data = SyntheticHands(120, seed=2)
    scenes = [data.sample(i) for i in range(120)]
    depth = np.array([s.joints[9, 2] for s in scenes])
    focal = np.array([s.camera[0, 0] for s in scenes])
    fill = np.array([(s.box[2:] - s.box[:2]).max() / 224 for s in scenes])
    assert ((depth > 0.2) & (depth < 1.1)).all()
    assert 0.4 < np.median(depth) < 0.75
    assert 440 < np.median(focal) < 540
    assert 0.55 < np.median(fill) < 0.8
    assert 0.3 < fill.min() < fill.max() < 0.95
    # Any orientation: palm and back of the hand, up and down.
    normal = np.array([np.cross(s.joints[5] - s.joints[0], s.joints[17] - s.joints[0]) for s in scenes])
    assert 0.3 < (normal[:, 2] > 0).mean() < 0.7
    up = np.array([s.joints[9, 1] - s.joints[0, 1] for s in scenes])
    assert 0.3 < (up > 0).mean() < 0.7
    assert min(s.visible_fraction for s in scenes) >= 0.15
    chance = np.mean([len(s.occluders) > 0 for s in scenes])
    assert abs(chance - OCCLUDER_CHANCE) < 0.15


def test_the_picture_shows_the_hand_where_the_mask_says():
    data = SyntheticHands(3, seed=5, occluders=False)
    for i in range(3):
        scene = data.sample(i)
        image = paint(scene)
        assert image.shape == (224, 224, 3)
        assert image.dtype == np.uint8
        front = foreground(scene)
        covered = scene.amodal_mask | np.isfinite(scene.others_depth)
        assert (front.alpha[..., 0][covered] > 0.2).mean() > 0.995
        assert (front.alpha[..., 0][~covered] < 0.8).mean() > 0.995
        partial = (front.alpha > 0.01) & (front.alpha < 0.99)
        assert partial.sum() > 100  # edges are smooth
        # Another background, the same hand.
        other = paint(scene, "studio").astype(int) - image
        solid_hand = front.alpha[..., 0] == 1
        assert np.abs(other)[solid_hand].mean() < 6
        assert np.abs(other)[front.alpha[..., 0] == 0].mean() > 20


def test_people_differ_in_skin_and_light():
    data = SyntheticHands(16, seed=6, image_size=96, occluders=False)
    means = []
    for i in range(16):
        scene = data.sample(i)
        means.append(paint(scene, "studio")[scene.hand_mask].mean(0))
    means = np.array(means)
    assert means.mean(1).std() > 20
    assert (means[:, 0] > means[:, 2]).mean() > 0.9  # skin is redder than blue


@pytest.mark.parametrize("shape", SHAPES)
def test_solids_are_closed_and_turned_outwards(shape):
    body = solid(shape, np.array([1.0, 2.0, 3.0]), np.eye(3), np.zeros(3))
    mesh = trimesh.Trimesh(*body, process=True, merge_norm=True, merge_tex=True)
    mesh.update_faces(mesh.nondegenerate_faces())
    assert mesh.is_watertight
    want = {"box": 48.0, "ellipsoid": 4 / 3 * np.pi * 6, "cylinder": np.pi * 2 * 6}[shape]
    assert mesh.volume == pytest.approx(want, rel=0.06)


def test_hand_and_forearm_close_each_other():
    for side in ("right", "left"):
        model = synthetic_hand(side)
        loop = boundary_loop(model.f)
        sign = 1.0 if side == "right" else -1.0
        arm = forearm(model.v_template[loop], np.array([sign, 0, 0]), np.zeros(3))
        mesh = trimesh.Trimesh(*join([(model.v_template, model.f), arm]), process=True)
        assert mesh.is_watertight
        assert mesh.is_winding_consistent
        assert mesh.volume > 6e-4
        assert np.abs(arm[0][:, 0]).max() > 0.3


def test_left_hands_are_left():
    data = SyntheticHands(4, model=synthetic_hand("left"), image_size=64)
    hands = data.hands()
    assert (hands.side == "left").all()
    assert data.image(1).shape == (64, 64, 3)


def test_what_cannot_be_made_is_refused():
    with pytest.raises(UsageError, match="sample 5"):
        SyntheticHands(5, image_size=64).sample(5)
    with pytest.raises(UsageError, match="manomano"):
        SyntheticHands(5, fingertips="manomano")
    with pytest.raises(UsageError, match="-1 samples"):
        SyntheticHands(-1)
