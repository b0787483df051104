"""Scale and translation: what the official scripts return, what each alignment undoes, and where it has no result."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from handbench.hands.joints import to_fh21
from handbench.metrics import scale_align
from handbench.metrics.align import root_align
from handbench.metrics.curves import auc, pck, thresholds
from handbench.metrics.errors import distances, mean_of_point_means, mean_of_point_medians

SEEDS = st.integers(0, 2**32 - 1)
TIPS = [4, 8, 12, 16, 20]
BY_BONE = {
    "scale-translation": (scale_align.scale_translation, (0, 9), 0),
    "scale-translation-stb": (scale_align.scale_translation_stb, (0, 9), 9),
    "root-scale": (scale_align.root_scale, (9, 10), 0),
}
ALL = {name: entry[0] for name, entry in BY_BONE.items()} | {"centroid-scale": scale_align.centroid_scale}


@pytest.fixture(scope="module")
def numbers():
    with np.load(Path(__file__).parents[1] / "golden" / "scale_align.npz", allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def clouds(seed, n=4):
    generator = np.random.default_rng(seed)
    target = generator.normal(0, 0.05, (n, 21, 3)) + generator.normal(0, 0.5, (n, 1, 3))
    return generator, target, target + generator.normal(0, 0.01, target.shape)


def same_tips(target, points, out, used):
    """The official code's tips, of the samples that it does not drop; ours are NaN where it has none."""
    valid = np.isfinite(target).all(-1)
    found = scale_align.centroid_scale(target, points[:, TIPS], valid)
    np.testing.assert_allclose(found, out, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(np.isfinite(found).all(-1), valid & used[:, None])


class TestOfficialNumbers:
    def test_ho3d(self, numbers):
        target, points, out = (to_fh21(numbers[k], "ho3d") for k in ("ho3d_target", "ho3d_points", "out_ho3d"))
        found = scale_align.scale_translation(target, points)
        np.testing.assert_allclose(found, out, rtol=0, atol=1e-15)

    def test_a_predicted_bone_without_length_is_multiplied_by_the_true_one_in_metres(self, numbers):
        """The official script guards its division and not its multiplication."""
        i = list(numbers["ho3d_case"]).index("ho3d_joint4_equals_wrist")
        target, points, out = (to_fh21(numbers[k][i], "ho3d") for k in ("ho3d_target", "ho3d_points", "out_ho3d"))
        assert np.linalg.norm(points[9] - points[0]) == 0
        ratio = np.linalg.norm(out[20] - out[0]) / np.linalg.norm(points[20] - points[0])
        assert ratio == pytest.approx(np.linalg.norm(target[9] - target[0]), rel=1e-12)

    def test_stb(self, numbers):
        found = scale_align.scale_translation_stb(numbers["target"], numbers["points"])
        np.testing.assert_allclose(found, numbers["out_stb"], rtol=0, atol=1e-15)

    def test_tips(self, numbers):
        assert list(numbers["tips_used"]) == [False, False, True, True, True, True, True]
        same_tips(numbers["tips_target"], numbers["points"], numbers["out_tips"], numbers["tips_used"])

    def test_all_of_ho3d(self, golden):
        g = golden("ho3d")
        target, points, out = (to_fh21(g[k], "ho3d") for k in ("gt_xyz", "pred_xyz", "out_xyz_sc_tr_aligned"))
        found = scale_align.scale_translation(target, points)
        np.testing.assert_allclose(found, out, rtol=0, atol=1e-15)
        at = thresholds(0.0, 0.05, 100)
        for which, name in ((slice(None), "out_xyz_sc_tr_al"), (g["regular46_index"], "regular46_xyz_scale_trans_al")):
            errors = distances(target[which], found[which])
            mean, area = mean_of_point_means(errors), auc(pck(errors, at)[1], at)
            if name.startswith("out"):
                np.testing.assert_allclose(errors, to_fh21(g[f"{name}_err"][..., None], "ho3d")[..., 0], atol=1e-15)
                np.testing.assert_allclose(pck(errors, at)[1], g[f"{name}_pck"], rtol=0, atol=1e-15)
                assert mean == pytest.approx(float(g[f"{name}_mean"]), abs=1e-15)
                assert area == pytest.approx(float(g[f"{name}_auc"]), abs=1e-15)
                assert mean_of_point_medians(errors) == pytest.approx(float(g[f"{name}_median"]), abs=1e-15)
            else:
                assert round(mean * 100, 6) == float(g[f"{name}_mean3d"])
                assert round(float(area), 6) == float(g[f"{name}_auc3d"])

    def test_all_of_minimal_hand(self, golden):
        g = golden("scale_align")
        found = scale_align.scale_translation_stb(g["gt_xyz"], g["pred_xyz"])
        np.testing.assert_allclose(found, g["out_stb_aligned"], rtol=0, atol=1e-15)
        same_tips(g["do_gt_tips"], g["pred_xyz"], g["out_do_tips_aligned"], g["out_do_used"])


class TestByHand:
    @pytest.mark.parametrize("name", BY_BONE)
    def test_a_bone_half_as_long_doubles_the_hand(self, name):
        move, bone, onto = BY_BONE[name]
        target, points = np.zeros((1, 21, 3)), np.zeros((1, 21, 3))
        target[:] = [5.0, 6.0, 7.0]
        target[0, bone[1]] += [0.0, 0.0, 4.0]
        points[0, bone[1]] = [2.0, 0.0, 0.0]
        points[0, 20] = [0.0, 1.0, 0.0]
        found = move(target, points)
        start = target[0, onto] - (np.array([4.0, 0, 0]) if onto == bone[1] else 0.0)
        np.testing.assert_array_equal(found[0, bone[1]], start + [4.0, 0.0, 0.0])
        np.testing.assert_array_equal(found[0, 20], start + [0.0, 2.0, 0.0])
        np.testing.assert_array_equal(found[0, 3], start)

    def test_tips(self):
        """Distances to the centroid 1, 1, 2 against 3, 3, 6: three times as large; the fourth tip does not exist."""
        points = np.array([[[1.0, 0, 0], [1, 0, 0], [-2, 0, 0], [9, 9, 9]]])
        target = np.array([[[10.0, 13, 10], [10, 13, 10], [10, 4, 10], [np.nan] * 3]])
        found = scale_align.centroid_scale(target, points, [[True, True, True, False]])
        np.testing.assert_allclose(found[0, :3], [[13, 10, 10], [13, 10, 10], [4, 10, 10]], rtol=1e-15)
        assert np.isnan(found[0, 3]).all()

    def test_without_a_mask_all_points_count(self):
        points, target = np.array([[[0.0, 0, 0], [2, 0, 0]]]), np.array([[[0.0, 1, 0], [0, 5, 0]]])
        np.testing.assert_array_equal(scale_align.centroid_scale(target, points), [[[-2.0, 3, 0], [2, 3, 0]]])

    @pytest.mark.parametrize("name", ALL)
    def test_single_precision_and_whole_numbers_are_computed_in_double(self, name):
        _, target, points = clouds(23)
        single = target.astype(np.float32), points.astype(np.float32)
        found = ALL[name](*single)
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, ALL[name](*(p.astype(np.float64) for p in single)))
        whole = (target * 1000).astype(int), (points * 1000).astype(int)
        np.testing.assert_array_equal(ALL[name](*whole), ALL[name](*(p.astype(np.float64) for p in whole)))
        valid = np.arange(84).reshape(4, 21) % 15 != 14
        flags = (valid * (1 + np.arange(21) % 2)).tolist()
        np.testing.assert_array_equal(ALL[name](*single, flags), ALL[name](*single, valid))


class TestWhatEachUndoes:
    @pytest.mark.parametrize("name", ALL)
    @given(seed=SEEDS)
    @settings(max_examples=15, deadline=None)
    def test_scale_and_translation_of_the_prediction(self, name, seed):
        generator, target, points = clouds(seed)
        other = points * generator.uniform(0.3, 3, (4, 1, 1)) + generator.normal(0, 1, (4, 1, 3))
        np.testing.assert_allclose(ALL[name](target, other), ALL[name](target, points), atol=1e-11)

    @pytest.mark.parametrize("name", ALL)
    @given(seed=SEEDS)
    @settings(max_examples=15, deadline=None)
    def test_it_moves_with_the_target(self, name, seed):
        generator, target, points = clouds(seed)
        size, shift = generator.uniform(0.3, 3), generator.normal(0, 1, 3)
        turn = Rotation.random(random_state=int(generator.integers(2**31))).as_matrix()
        found = ALL[name](target @ turn * size + shift, points @ turn)
        np.testing.assert_allclose(found, ALL[name](target, points) @ turn * size + shift, atol=1e-11)

    @pytest.mark.parametrize("name", ALL)
    def test_rotations_and_mirrored_hands_are_not_undone(self, name):
        _, target, points = clouds(3)
        for wrong in (target * [-1.0, 1.0, 1.0], target[..., [1, 2, 0]]):
            assert distances(target, ALL[name](target, wrong)).mean() > 0.02
        np.testing.assert_allclose(ALL[name](target, target), target, atol=1e-15)
        assert distances(target, ALL[name](target, points)).mean() < 0.1

    @pytest.mark.parametrize("name", BY_BONE)
    def test_the_bone_is_as_long_and_the_joint_in_place(self, name):
        move, (a, b), onto = BY_BONE[name]
        _, target, points = clouds(5)
        found = move(target, points)
        np.testing.assert_allclose(found[:, onto], target[:, onto], atol=1e-15)
        lengths = (np.linalg.norm(p[:, b] - p[:, a], axis=-1) for p in (found, target))
        np.testing.assert_allclose(*lengths, rtol=1e-12)

    def test_hand3d_s_prediction_in_units_of_the_bone(self):
        """Wrist at 0, bone 9-10 of length 1, times the true length: compared with a wrist-relative truth."""
        _, target, points = clouds(7)
        unit = points - points[:, :1]
        unit = unit / np.linalg.norm(unit[:, 10] - unit[:, 9], axis=-1)[:, None, None]
        scale = np.linalg.norm(target[:, 10] - target[:, 9], axis=-1)[:, None, None]
        expected = distances(root_align(target, target[:, 0]), unit * scale)
        np.testing.assert_allclose(distances(target, scale_align.root_scale(target, points)), expected, atol=1e-14)
