"""Scale and translation where points cannot decide, and what is refused."""

import numpy as np
import pytest

from handbench.errors import InvalidError
from handbench.metrics import scale_align

TIPS = [4, 8, 12, 16, 20]
BY_BONE = {
    "scale-translation": (scale_align.scale_translation, (0, 9), 0),
    "scale-translation-stb": (scale_align.scale_translation_stb, (0, 9), 9),
    "root-scale": (scale_align.root_scale, (9, 10), 0),
}
ALL = {name: entry[0] for name, entry in BY_BONE.items()} | {"centroid-scale": scale_align.centroid_scale}


def clouds(seed, n=4):
    generator = np.random.default_rng(seed)
    target = generator.normal(0, 0.05, (n, 21, 3)) + generator.normal(0, 0.5, (n, 1, 3))
    return generator, target, target + generator.normal(0, 0.01, target.shape)


class TestDegenerate:
    @pytest.mark.parametrize("name", ["scale-translation-stb", "root-scale"])
    def test_points_whose_bone_has_no_length_keep_their_size(self, name):
        move, (a, b), onto = BY_BONE[name]
        _, target, points = clouds(9)
        points[:, b] = points[:, a]
        np.testing.assert_allclose(move(target, points), points - points[:, [onto]] + target[:, [onto]], atol=1e-15)
        target[:, b] = target[:, a]
        np.testing.assert_allclose(move(target, points), points - points[:, [onto]] + target[:, [onto]], atol=1e-15)

    @pytest.mark.parametrize("name", BY_BONE)
    def test_a_true_bone_without_length_shrinks_the_hand_to_a_point(self, name):
        move, (a, b), onto = BY_BONE[name]
        _, target, points = clouds(9)
        target[:, b] = target[:, a]
        np.testing.assert_array_equal(move(target, points), np.broadcast_to(target[:, [onto]], target.shape))

    def test_tips_in_one_place_go_to_the_true_centroid(self):
        """0.1 * 3 / 3 is not 0.1: what rounding leaves of a spread must not be blown up."""
        _, target, _ = clouds(11, n=3)
        points = np.full((3, 5, 3), 0.1)
        points[2] = 0.0
        valid = np.array([[True] * 5, [True, True, True, False, False], [True] * 5])
        found = scale_align.centroid_scale(target[:, TIPS], points, valid)
        centre = target[0, TIPS].mean(0), target[1, TIPS[:3]].mean(0)
        np.testing.assert_allclose(found[0], np.tile(centre[0], (5, 1)), atol=1e-15)
        np.testing.assert_allclose(found[1, :3], np.tile(centre[1], (3, 1)), atol=1e-15)
        assert np.isnan(found[1, 3:]).all()
        np.testing.assert_allclose(found[2], np.tile(target[2, TIPS].mean(0), (5, 1)), atol=1e-15)

    def test_a_small_spread_is_a_size(self):
        """A hand of a micrometre, a metre away, is scaled up."""
        _, target, points = clouds(13)
        tips = points[:, TIPS] - points[:, TIPS].mean(1, keepdims=True)
        found = scale_align.centroid_scale(target[:, TIPS], tips * 1e-5 + 1.0)
        np.testing.assert_allclose(found, scale_align.centroid_scale(target[:, TIPS], tips), atol=1e-9)
        far = np.concatenate([tips * 1e-7, points[:, TIPS] + 1e7])
        beside = scale_align.centroid_scale(np.tile(target[:, TIPS], (2, 1, 1)), far)
        np.testing.assert_allclose(beside[:4], scale_align.centroid_scale(target[:, TIPS], tips), atol=1e-9)
        at_the_origin = scale_align.centroid_scale(target[:1, :2], [[[1e-100, 0, 0], [-1e-100, 0, 0]]])
        assert np.linalg.norm(at_the_origin[0, 0] - at_the_origin[0, 1]) > 0

    def test_two_tips_are_needed(self):
        _, target, points = clouds(15, n=3)
        valid = np.zeros((3, 5), bool)
        valid[1, 2], valid[2, 3:] = True, True
        found = scale_align.centroid_scale(target[:, TIPS], points[:, TIPS], valid)
        np.testing.assert_array_equal(np.isfinite(found).all(-1), valid & [[False], [False], [True]])

    @pytest.mark.parametrize("name", BY_BONE)
    def test_a_deciding_joint_that_is_not_annotated_leaves_no_result(self, name):
        move, bone, onto = BY_BONE[name]
        _, target, points = clouds(17, n=21)
        valid = ~np.eye(21, dtype=bool)
        target[~valid] = np.nan
        found = move(target, points, valid)
        for i in range(21):
            if i in (*bone, onto):
                assert np.isnan(found[i]).all()
            else:
                expected = move(target[[i]], points[[i]], valid[[i]])
                np.testing.assert_array_equal(found[[i]], expected)
                assert np.isfinite(found[i]).all()
        whole = move(np.where(valid[..., None], target, 0.0), points)
        np.testing.assert_array_equal(found[20], whole[20])


class TestRefusals:
    @pytest.mark.parametrize("name", ALL)
    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_nan_and_infinity_name_the_sample(self, name, value):
        _, target, points = clouds(19)
        bad = points.copy()
        bad[2, 6, 1] = bad[3, 0, 0] = value
        with pytest.raises(
            InvalidError, match=r"^Sample 2 of the points has NaN or infinity \(2 such samples\)\.$"
        ) as e:
            ALL[name](target, bad)
        assert e.value.hint == "Every point needs three finite coordinates."
        with pytest.raises(InvalidError, match=r"^Sample 2 of the target has"):
            ALL[name](bad, points)
        valid = np.ones((4, 21), bool)
        valid[2, 6] = valid[3, 0] = False
        ALL[name](bad, points, valid)

    @pytest.mark.parametrize("name", ALL)
    def test_shapes(self, name):
        one = np.zeros((2, 21, 3))
        for other in (np.zeros((3, 21, 3)), np.zeros((2, 20, 3)), np.zeros((21, 3)), np.zeros((2, 21, 2))):
            with pytest.raises(InvalidError, match=r"^Cannot align points \(.*\) to \(2, 21, 3\)\.$") as e:
                ALL[name](one, other)
            assert e.value.hint == "Both must be (samples, points, 3)."
        for bad in (np.zeros((21, 3)), np.zeros((2, 21, 2))):
            with pytest.raises(InvalidError, match=r"^Cannot align points "):
                ALL[name](bad, bad)

    @pytest.mark.parametrize(("name", "enough"), [("scale-translation", 10), ("root-scale", 11)])
    def test_too_few_points_have_no_such_bone(self, name, enough):
        _, target, points = clouds(21)
        ALL[name](target[:, :enough], points[:, :enough])
        with pytest.raises(InvalidError, match=f"^Cannot scale {enough - 1} points by a bone") as e:
            ALL[name](target[:, : enough - 1], points[:, : enough - 1])
        assert e.value.hint == "Give the 21 joints in FH21 order."


def test_samples_without_any_point_divide_by_nothing():
    _, target, points = clouds(22)
    valid = np.zeros((4, 21), bool)
    valid[0], valid[1, 3] = True, True
    with np.errstate(all="raise", under="ignore"):
        found = scale_align.centroid_scale(target, points, valid)
    np.testing.assert_array_equal(np.isnan(found).all((1, 2)), [False, True, True, True])
