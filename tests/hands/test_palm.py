"""STB's palm and wrist, and its cameras."""

from pathlib import Path

import numpy as np
import pytest

from handbench.datasets import names
from handbench.errors import InvalidError, UsageError
from handbench.hands.camera import project
from handbench.hands.joints import to_fh21
from handbench.hands.palm import RECIPES, palm_from_wrist, wrist_from_palm
from handbench.layouts import stb_frames

OUT = {
    "ge": "out_wrist_ring2p0_ge_zb",
    "bihand": "out_wrist_mid2p2_bihand",
    "bihand-mean": "out_wrist_avg2p25_bihand_alt",
}


def same_as_published(numbers):
    labels, palm = numbers["handPara_mm"], numbers["out_bb_fh21_m"]
    found = stb_frames.joints_of(labels)
    np.testing.assert_allclose(found / 1000, palm, rtol=0, atol=1e-16)
    np.testing.assert_allclose(stb_frames.SK_ROTATION, numbers["out_sk_rot"], rtol=0, atol=1e-15)
    colour = stb_frames.depth_to_colour(found)
    np.testing.assert_allclose(colour, to_fh21(numbers["out_sk_color_xyz_mm"], "stb"), rtol=0, atol=1e-12)
    np.testing.assert_allclose(colour / 1000, numbers["out_sk_color_fh21_m"], rtol=0, atol=1e-15)
    for recipe, key in OUT.items():
        np.testing.assert_allclose(wrist_from_palm(palm, recipe), numbers[key], rtol=0, atol=1e-15)


def test_published_numbers():
    with np.load(Path(__file__).parents[1] / "golden" / "stb.npz", allow_pickle=False) as file:
        same_as_published({key: file[key] for key in file.files})


def test_all_published_numbers(golden):
    same_as_published(golden("stb"))


@pytest.mark.parametrize(
    ("recipe", "wrist"),
    [("ge", [2, 2, 0]), ("bihand", [2.2, 1, 0]), ("bihand-mean", [2.25, 1.5, 0]), ("palm", [1, 1, 0])],
)
def test_recipes_by_hand(recipe, wrist):
    """Palm at (1, 1, 0); MCPs at y = 0.4, 1, 0, 1, mean 0.6: 0.6 + 2.25 * 0.4 = 1.5. Other joints do not matter."""
    joints = np.full((2, 21, 3), 7.0)
    joints[:, 0] = [1.0, 1.0, 0.0]
    joints[:, [5, 9, 13, 17]] = 0.0
    joints[:, [5, 9, 13, 17], 1] = [0.4, 1.0, 0.0, 1.0]
    found = wrist_from_palm(joints, recipe)
    np.testing.assert_allclose(found[:, 0], [wrist] * 2, rtol=1e-15)
    np.testing.assert_array_equal(found[:, 1:], joints[:, 1:])
    np.testing.assert_array_equal(joints[:, 0], [[1.0, 1.0, 0.0]] * 2)
    np.testing.assert_array_equal(wrist_from_palm(joints[0], recipe), found[0])


def test_the_recipes_are_millimetres_apart():
    with np.load(Path(__file__).parents[1] / "golden" / "stb.npz", allow_pickle=False) as file:
        palm = file["out_bb_fh21_m"]
    wrists = {recipe: wrist_from_palm(palm, recipe)[:, 0] for recipe in RECIPES}
    assert list(wrists) == ["ge", "bihand", "bihand-mean", "palm"]
    for a in wrists:
        for b in wrists:
            assert a == b or np.linalg.norm(wrists[a] - wrists[b], axis=-1).mean() > 0.01


def test_an_unknown_recipe_is_refused():
    with pytest.raises(UsageError, match=r"^Unknown wrist recipe 'mano'\.$") as e:
        wrist_from_palm(np.zeros((21, 3)), "mano")
    assert e.value.hint == "Known recipes: ge, bihand, bihand-mean, palm."


def test_the_palm_of_a_prediction_is_halfway_to_the_middle_mcp():
    joints = np.arange(63.0).reshape(1, 21, 3)
    found = palm_from_wrist(joints)
    np.testing.assert_array_equal(found[0, 0], [13.5, 14.5, 15.5])
    np.testing.assert_array_equal(found[0, 1:], joints[0, 1:])
    np.testing.assert_array_equal(joints[0, 0], [0.0, 1.0, 2.0])
    np.testing.assert_array_equal(palm_from_wrist(joints[0]), found[0])


def test_single_precision_and_whole_numbers_are_computed_in_double():
    whole = np.random.default_rng(0).integers(0, 100, (2, 21, 3))
    for joints in (whole, whole.tolist(), whole.astype(np.float32) / np.float32(3)):
        double = np.array(joints, np.float64)
        for recipe in RECIPES:
            found = wrist_from_palm(joints, recipe)
            assert found.dtype == np.float64
            np.testing.assert_array_equal(found, wrist_from_palm(double, recipe))
        assert palm_from_wrist(joints).dtype == np.float64
        np.testing.assert_array_equal(palm_from_wrist(joints), palm_from_wrist(double))
    single = whole.astype(np.float32) / np.float32(3)
    for function in (stb_frames.depth_to_colour, stb_frames.left_to_right):
        np.testing.assert_array_equal(function(single), function(single.astype(np.float64)))
    labels = single.transpose(2, 1, 0)
    assert stb_frames.joints_of(labels).dtype == np.float64


class TestFrames:
    def test_the_right_camera_sees_points_further_left(self):
        points = np.array([[[120.054, 5.0, 600.0]]])
        np.testing.assert_array_equal(stb_frames.left_to_right(points), [[[0.0, 5.0, 600.0]]])
        left, right = (project(p, stb_frames.BB_CAMERA)[0, 0] for p in (points, stb_frames.left_to_right(points)))
        assert left[0] - right[0] == pytest.approx(822.79041 * 120.054 / 600, rel=1e-12)
        assert left[1] == right[1]

    def test_the_place_of_the_colour_camera(self):
        """The translation is the colour camera's place in the depth camera's frame; lengths stay."""
        origin = [-24.0381, -0.4563, -1.2326]
        np.testing.assert_array_equal(stb_frames.depth_to_colour(origin), np.zeros(3))
        moved = stb_frames.depth_to_colour(np.add(origin, [3.0, 4.0, 0.0]))
        assert np.linalg.norm(moved) == pytest.approx(5.0)

    def test_cameras(self):
        expected = {
            "BB_CAMERA": (822.79041, 822.79041, 318.47345, 250.31296),
            "SK_COLOUR_CAMERA": (607.92271, 607.88192, 314.78337, 236.42484),
            "SK_DEPTH_CAMERA": (475.62768, 474.77709, 336.41179, 238.77962),
        }
        for name, (fx, fy, cx, cy) in expected.items():
            np.testing.assert_array_equal(getattr(stb_frames, name), [[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
            with pytest.raises(ValueError, match="read-only"):
                getattr(stb_frames, name)[0, 0] = 1.0

    def test_labels_of_another_shape_are_refused(self):
        for bad in (np.zeros((21, 3, 5)), np.zeros((3, 20, 5)), np.zeros((3, 21))):
            with pytest.raises(InvalidError, match=r"^STB's labels have shape \(") as e:
                stb_frames.joints_of(bad)
            assert e.value.hint == "handPara must be (3, 21, frames)."

    def test_it_is_no_dataset(self):
        assert "stb-frames" not in names()
