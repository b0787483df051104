"""Our metrics give what the official code gave, to the last bit where it says so."""

from pathlib import Path

import numpy as np
import pytest

from handbench.metrics import align
from handbench.metrics.curves import Tally, auc, pck, point_areas, sample_auc, thresholds
from handbench.metrics.errors import distances, mean_of_point_means, mean_of_point_medians, mpjpe
from handbench.metrics.fscore import fscore

FREIHAND = thresholds(0.0, 0.05, 100)
LIMITS = (0.005, 0.015)


def _same_curve(errors, expected, name, exact):
    per_point, curve = pck(errors, FREIHAND)
    assert mean_of_point_means(errors) == pytest.approx(float(expected[f"out_{name}_mean"]), abs=1e-15)
    assert mean_of_point_medians(errors) == pytest.approx(float(expected[f"out_{name}_median"]), abs=1e-15)
    np.testing.assert_array_equal(curve, expected[f"out_{name}_pck"])
    assert auc(per_point, FREIHAND).mean() == pytest.approx(float(expected[f"out_{name}_auc"]), abs=1e-15)
    assert sample_auc(errors, FREIHAND).mean() == pytest.approx(float(expected[f"out_{name}_auc"]), abs=1e-15)
    if exact:
        np.testing.assert_array_equal(errors, expected[f"out_{name}_err"])


class TestWithoutGoldens:
    """On the numbers in tests/golden."""

    def test_joints(self, numbers):
        target, points = numbers["gt_xyz"], numbers["pred_xyz"]
        _same_curve(distances(target, points), numbers, "xyz", exact=False)
        aligned, reflected = align.procrustes_official(target, points)
        _same_curve(distances(target, aligned), numbers, "xyz_al", exact=False)
        np.testing.assert_allclose(mpjpe(target, aligned), numbers["out_xyz_al_sample_mean"], rtol=0, atol=1e-15)
        assert list(numbers["case"][reflected]) == ["mirrored_x", "mirrored_noise_2mm"]

    def test_meshes(self, numbers):
        target, points = numbers["gt_verts"], numbers["pred_verts"]
        aligned, reflected = align.procrustes_official(target, points)
        np.testing.assert_allclose(mpjpe(target, aligned), numbers["out_mesh_al_sample_mean"], rtol=0, atol=1e-15)
        assert list(reflected) == [True, False]
        for i, cloud in enumerate((points, aligned)):
            np.testing.assert_array_equal(np.stack(fscore(target, cloud, LIMITS), -1), numbers["out_fscore"][:, :, i])

    def test_a_mesh_of_another_topology_moves_with_the_joints(self, numbers):
        fit = align.fit_official(numbers["other_gt_xyz"], numbers["other_pred_xyz"])
        moved = align.move_official(fit, numbers["other_pred_verts"])
        expected = numbers["out_other_centre_and_norm"]
        np.testing.assert_allclose(np.r_[moved[0].mean(0), np.linalg.norm(moved[0])], expected, rtol=0, atol=1e-13)
        for i, cloud in enumerate((numbers["other_pred_verts"], moved)):
            found = np.stack(fscore(numbers["other_gt_verts"], cloud, LIMITS), -1)
            np.testing.assert_array_equal(found, numbers["out_other_fscore"][:, :, i])

    def test_without_reflection_it_is_hamers(self, numbers):
        found = mpjpe(numbers["gt_xyz"], align.procrustes(numbers["gt_xyz"], numbers["pred_xyz"])) * 1000
        compared = ~np.isin(numbers["case"], ["all_points_equal", "all_zeros"])
        expected = numbers["out_hamer_pampjpe_mm"]
        np.testing.assert_allclose(found[compared], expected[compared], rtol=0, atol=1e-9)
        mirrored = numbers["case"] == "mirrored_x"
        assert found[mirrored] > 20


class TestFreihand:
    def test_alignment(self, golden):
        g = golden("freihand")
        for name in ("xyz", "verts"):
            aligned, _ = align.procrustes_official(g[f"gt_{name}"], g[f"pred_{name}"])
            # the hand shrunk a thousandfold magnifies its last bits as much; all others agree to 3e-15 m
            tiny = g["case"] == "tiny_scale_1e-3"
            np.testing.assert_allclose(aligned[~tiny], g[f"out_{name}_aligned"][~tiny], rtol=0, atol=1e-14)
            np.testing.assert_allclose(aligned[tiny], g[f"out_{name}_aligned"][tiny], rtol=0, atol=1e-11)

    def test_degenerate_samples_go_where_the_official_code_puts_them(self, golden):
        g = golden("freihand")
        aligned, reflected = align.procrustes_official(g["gt_xyz"], g["pred_xyz"])
        for name in ("all_points_equal", "all_zeros", "collinear", "coplanar"):
            i = list(g["case"]).index(name)
            assert np.abs(aligned[i] - g["out_xyz_aligned"][i]).max() < 1e-14, name
            assert not reflected[i], name

    @pytest.mark.parametrize(
        ("name", "key"), [("xyz", "xyz"), ("xyz_al", "xyz"), ("mesh", "verts"), ("mesh_al", "verts")]
    )
    def test_errors_and_curves(self, golden, name, key):
        g = golden("freihand")
        points = g[f"out_{key}_aligned"] if name.endswith("_al") else g[f"pred_{key}"]
        errors = distances(g[f"gt_{key}"], points)
        _same_curve(errors, g, name, exact=True)
        regular = golden("freihand_regular46")
        _same_curve(errors[regular["index"]], regular, name, exact=False)

    def test_fscores_are_bit_equal(self, golden):
        g = golden("freihand")
        aligned, _ = align.procrustes_official(g["gt_verts"], g["pred_verts"])
        for i, cloud in enumerate((g["pred_verts"], aligned)):
            found = np.stack(fscore(g["gt_verts"], cloud, LIMITS), -1)
            np.testing.assert_array_equal(found, g["out_fscore"][:, :, i])

    def test_another_topology(self, golden):
        g = golden("freihand_nonmano")
        moved = align.move_official(align.fit_official(g["gt_xyz"], g["pred_xyz"]), g["pred_verts"])
        np.testing.assert_allclose(moved, g["out_verts_aligned"], rtol=0, atol=1e-14)
        for i, cloud in enumerate((g["pred_verts"], moved)):
            found = np.stack(fscore(g["gt_verts"], cloud, LIMITS), -1)
            np.testing.assert_array_equal(found, g["out_fscore"][:, :, i])


class TestExactThresholds:
    def test_pck_counts_an_error_equal_to_the_threshold(self, golden):
        g = golden("edge_freihand")
        per_point, curve = pck(distances(g["gt_xyz"], g["pred_xyz"]), FREIHAND)
        np.testing.assert_array_equal(FREIHAND, g["out_thresholds"])
        np.testing.assert_array_equal(curve, g["out_pck"])
        assert auc(per_point, FREIHAND).mean() == pytest.approx(float(g["out_auc"]), abs=1e-15)

    def test_fscore_does_not(self, golden):
        g = golden("edge_freihand")
        target = np.repeat(g["gt_verts"][None], len(g["pred_verts"]), 0)
        found = np.stack(fscore(target, g["pred_verts"], LIMITS), -1)
        np.testing.assert_array_equal(found, g["out_fscore"])

    def test_nor_does_ho3ds(self, golden):
        g = golden("edge_ho3d")
        target = np.repeat(g["gt_verts"][None], len(g["pred_verts"]), 0)
        np.testing.assert_array_equal(np.stack(fscore(target, g["pred_verts"], LIMITS), -1), g["out_fscore"])


class TestOtherCodesAlignment:
    @pytest.mark.parametrize(("code", "suffix"), [("hamer", "_f64"), ("handoccnet", "")])
    def test_errors(self, golden, code, suffix):
        g = golden("pa_variants")
        compared = ~np.isin(g["case"], ["all_points_equal", "all_zeros"])
        found = mpjpe(g["gt_xyz"], align.procrustes(g["gt_xyz"], g["pred_xyz"])) * 1000
        expected = g[f"out_{code}_pampjpe_mm{suffix}"]
        np.testing.assert_allclose(found[compared], expected[compared], rtol=0, atol=1e-9)

    def test_in_single_precision(self, golden):
        g = golden("pa_variants")
        compared = ~np.isin(g["case"], ["all_points_equal", "all_zeros"])
        found = mpjpe(g["gt_xyz"], align.procrustes(g["gt_xyz"], g["pred_xyz"])) * 1000
        np.testing.assert_allclose(found[compared], g["out_hamer_pampjpe_mm_f32"][compared], rtol=0, atol=1e-3)


def _visible_errors(g, target="gt_root_rel_m", points="pred_root_rel_m", visible="vis"):
    return distances(g[target], g[points], g[visible])


def _same_as_hand3d(g, errors):
    at = thresholds(0.0, 0.05, 20)
    np.testing.assert_array_equal(at, g["out_thresholds"])
    per_point, curve = pck(errors, at)
    assert np.isnan(per_point[:, 20]).all()
    assert mean_of_point_means(errors) == pytest.approx(float(g["out_mean"]), abs=1e-15)
    assert mean_of_point_medians(errors) == pytest.approx(float(g["out_median"]), abs=1e-15)
    np.testing.assert_allclose(curve, g["out_pck"], rtol=0, atol=1e-15)
    assert np.nanmean(auc(per_point, at)) == pytest.approx(float(g["out_auc"]), abs=1e-15)


def _same_over_every_range(g, errors):
    ranges = [tuple(map(int, key.split("_")[-3:])) for key in g if key.startswith("out_auc_mm_")]
    assert len(ranges) == 8
    for low, high, steps in ranges:
        at = thresholds(low, high, steps)
        tally = Tally(at)
        for block in np.array_split(errors * 1000, 3):
            tally.add(block)
        np.testing.assert_allclose(tally.pck(), g[f"out_pck_mm_{low}_{high}_{steps}"], rtol=0, atol=1e-12)
        expected = float(g[f"out_auc_mm_{low}_{high}_{steps}"])
        assert tally.auc() == pytest.approx(expected, abs=1e-12)
        assert np.mean(point_means(point_areas(errors * 1000, at))) == pytest.approx(expected, abs=1e-12)


def point_means(values):
    """Means of the columns that are not NaN throughout."""
    return np.nanmean(values[:, ~np.isnan(values).all(0)], axis=0)


def _same_over_hand3d_s_20_to_50(g, errors):
    """The last 12 of 20 thresholds over 0-50 mm: 21.05-50, and another number than over 20-50."""
    at = thresholds(0.0, 0.05, 20, skip=8)
    curve = pck(errors, at)[1]
    expected = float(g["out_auc_subset_20_50"])
    assert auc(curve, at) == pytest.approx(expected, abs=1e-12)
    assert auc(curve, at * 1000) == pytest.approx(expected, abs=1e-12)
    assert expected != pytest.approx(float(g["out_auc_mm_20_50_20"]), abs=1e-3)


class TestVisibilityAndRanges:
    def test_a_joint_that_is_never_visible_is_left_out(self, golden):
        g = golden("zimeval_vis")
        _same_as_hand3d(g, _visible_errors(g))

    def test_eight_ranges(self, golden):
        g = golden("zimeval_vis")
        _same_over_every_range(g, _visible_errors(g))

    def test_hand3d_s_20_to_50(self, golden):
        g = golden("zimeval_vis")
        _same_over_hand3d_s_20_to_50(g, _visible_errors(g))

    def test_without_goldens(self):
        with np.load(Path(__file__).parents[1] / "golden" / "curves.npz", allow_pickle=False) as file:
            g = {key: file[key] for key in file.files}
        errors = _visible_errors(g, "target", "points", "visible")
        _same_as_hand3d(g, errors)
        _same_over_every_range(g, errors)
        _same_over_hand3d_s_20_to_50(g, errors)
