"""Poses that a hand can take."""

from __future__ import annotations

import numpy as np
import pytest
from mesh_geometry import self_intersections

from handbench.errors import UsageError
from handbench.hands.mano import axis_angle_to_matrix
from handbench.synth.hand import synthetic_hand
from handbench.synth.poses import (
    GESTURES,
    LIMITS,
    gesture,
    gesture_angles,
    mirror_pose,
    penetration,
    sample_poses,
    sequence,
    to_angles,
    to_pose,
)

SIDES = ("right", "left")


def joints(name, side="right"):
    model = synthetic_hand(side)
    return model.joints21(*model.forward(gesture(name, side)[None], np.zeros((1, 10))), "freihand")[0]


def assert_within_limits(angles):
    assert (angles >= LIMITS[..., 0] - 1e-6).all()
    assert (angles <= LIMITS[..., 1] + 1e-6).all()


@pytest.mark.parametrize("side", SIDES)
def test_angles_survive_the_way_to_a_pose_and_back(side):
    angles = np.random.default_rng(0).uniform(LIMITS[..., 0], LIMITS[..., 1], (200, 15, 3))
    pose = to_pose(angles, side)
    assert pose.shape == (200, 48)
    assert not pose[:, :3].any()
    assert np.allclose(to_angles(pose, side), angles, atol=1e-9)


def test_flexion_turns_about_one_axis_by_that_many_degrees():
    angles = np.zeros((1, 15, 3))
    angles[0, 4, 0] = 70
    pose = to_pose(angles)[0].reshape(16, 3)
    assert np.rad2deg(np.linalg.norm(pose[5])) == pytest.approx(70)
    assert not np.delete(pose, 5, 0).any()


@pytest.mark.parametrize("side", SIDES)
def test_random_poses_stay_within_the_limits_of_the_joints(side):
    poses = sample_poses(400, np.random.default_rng(1), side)
    angles = to_angles(poses, side)
    assert_within_limits(angles)
    # They use the room they have: fingers from stretched to bent.
    assert (np.percentile(angles[:, :12, 0][:, ::3], 95, 0) > 60).all()
    assert (np.percentile(angles[:, :12, 0][:, 1::3], 5, 0) < 15).all()


def test_random_poses_depend_on_nothing_but_the_generator():
    one, two = (sample_poses(5, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(one, two)
    assert not np.allclose(one, sample_poses(5, np.random.default_rng(8)))


def test_fingers_seldom_run_into_each_other():
    angles = to_angles(sample_poses(400, np.random.default_rng(2)))
    depth = penetration(angles)
    assert np.percentile(depth, 95) < 0.002
    assert depth.max() < 0.008
    # The measure sees a finger in a finger: index and middle swung into each other.
    crossed = gesture_angles("palm")[None].copy()
    crossed[0, 0, 1], crossed[0, 3, 1] = -14, 14
    assert penetration(crossed)[0] > 0.004


def test_there_are_nineteen_gestures_each_within_the_limits_and_free_of_gross_penetration():
    assert len(GESTURES) == 19
    for name in GESTURES:
        assert_within_limits(gesture_angles(name))
        assert penetration(gesture_angles(name)[None])[0] < 0.0015, name


def test_gestures_without_touching_fingers_do_not_cut_the_skin():
    model = synthetic_hand()
    for name in ("palm", "stop", "relax", "grip"):
        vertices, _ = model.forward(gesture(name)[None], np.zeros((1, 10)))
        assert len(self_intersections(vertices[0], model.f)) == 0, name


@pytest.mark.parametrize("side", SIDES)
def test_gestures_mean_what_they_say(side):
    def reach(name):
        j = joints(name, side)
        return np.linalg.norm(j[[8, 12, 16, 20]] - j[0], axis=1) / np.linalg.norm(j[[5, 9, 13, 17]] - j[0], axis=1)

    stretched = {
        "palm": (1, 1, 1, 1), "stop": (1, 1, 1, 1), "four": (1, 1, 1, 1), "fist": (0, 0, 0, 0), "like": (0, 0, 0, 0),
        "one": (1, 0, 0, 0), "point": (1, 0, 0, 0), "peace": (1, 1, 0, 0), "two_up": (1, 1, 0, 0),
        "three": (1, 1, 1, 0), "call": (0, 0, 0, 1), "rock": (1, 0, 0, 1), "ok": (0, 1, 1, 1),
    }  # fmt: skip
    for name, want in stretched.items():
        assert (reach(name) > 1.6).astype(int).tolist() == list(want), name
    for name in ("ok", "pinch"):
        j = joints(name, side)
        assert np.linalg.norm(j[4] - j[8]) < 0.016, name
    spread = [np.linalg.norm(joints(name, side)[8] - joints(name, side)[12]) for name in ("peace", "two_up")]
    assert spread[0] > 1.5 * spread[1]


def test_an_unknown_gesture_is_refused_with_the_known_ones():
    with pytest.raises(UsageError) as error:
        gesture("wave")
    assert "peace" in error.value.hint


def test_a_sequence_is_smooth_and_within_the_limits():
    poses = sequence(240, np.random.default_rng(3), hold=24)
    angles = to_angles(poses)
    assert_within_limits(angles)
    speed = np.abs(np.diff(angles, axis=0)).max()
    assert 2 < speed < 12  # degrees a frame: moving, not jumping
    jerk = np.abs(np.diff(angles, n=2, axis=0)).max()
    assert jerk < 2.0


def test_a_pose_in_the_mirror_turns_like_a_mirrored_rotation():
    pose = np.random.default_rng(4).standard_normal((3, 48))
    flip = np.diag([-1.0, 1, 1])
    want = flip @ axis_angle_to_matrix(pose.reshape(3, 16, 3)) @ flip
    assert np.allclose(axis_angle_to_matrix(mirror_pose(pose).reshape(3, 16, 3)), want, atol=1e-12)
