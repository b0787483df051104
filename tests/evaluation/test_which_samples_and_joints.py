"""Protocols that score some samples, some joints, a palm instead of a wrist, or frames in their order."""

import hashlib

import numpy as np
import pytest

from handbench.errors import InvalidError
from handbench.evaluation.scoring import evaluate
from handbench.hands.palm import palm_from_wrist, wrist_from_palm


@pytest.fixture
def film(make_hands):
    """Two runs of ten frames at 30 a second; frame 5 of the second has no annotation."""
    truth = make_hands(20, vertices=False)
    valid = np.ones((20, 21), bool)
    valid[15] = False
    return truth.replace(
        track=np.repeat(["a", "b"], 10),
        frame=np.tile(np.arange(10), 2),
        fps=np.full(20, 30.0),
        joints=np.where(valid[..., None], truth.joints, np.nan),
        joints_valid=valid,
    )


def by_hand(target, points):
    """The acceleration error of ten frames, mm/frame^2."""
    second = [p[:-2] - 2 * p[1:-1] + p[2:] for p in (target, points)]
    return np.linalg.norm(second[0] - second[1], axis=-1).mean(1) * 1000


class TestTime:
    def test_never_across_a_tracks_end_or_a_frame_without_annotation(self, film, noisy):
        predicted = noisy(film.replace(joints=np.nan_to_num(film.joints)))
        result = evaluate(film, predicted, "deformer-dexycb")
        found = result.samples["acceleration/none"]
        known = np.isfinite(found)
        assert list(np.flatnonzero(~known)) == [0, 9, 10, 14, 15, 16, 19]
        np.testing.assert_allclose(found[1:9], by_hand(film.joints[:10], predicted.joints[:10]), rtol=1e-9)
        np.testing.assert_allclose(found[11:14], by_hand(film.joints[10:15], predicted.joints[10:15]), rtol=1e-9)
        rows = {row["metric"]: row for row in result.summary if row["alignment"] == "none"}
        assert rows["acceleration"]["n"] == 13
        assert rows["acceleration"]["unit"] == "mm/frame^2"
        assert rows["acceleration"]["value"] == pytest.approx(np.nanmean(found), rel=1e-9)
        assert rows["acceleration-si"]["unit"] == "m/s^2"
        assert rows["acceleration-si"]["value"] == pytest.approx(np.nanmean(found) * 900 / 1000, rel=1e-9)

    def test_frames_in_any_order_give_the_same(self, film, noisy):
        predicted = noisy(film.replace(joints=np.nan_to_num(film.joints)))
        whole = evaluate(film, predicted, "deformer-dexycb")
        order = np.random.default_rng(0).permutation(20)
        shuffled = evaluate(film.take(order), predicted, "deformer-dexycb")
        assert shuffled.value("acceleration", "root") == pytest.approx(whole.value("acceleration", "root"), rel=1e-12)
        assert shuffled.value("jitter", "root") == pytest.approx(whole.value("jitter", "root"), rel=1e-12)
        assert shuffled.protocol["id"] == whole.protocol["id"]

    def test_a_missing_frame_is_a_gap(self, film, noisy):
        predicted = noisy(film.replace(joints=np.nan_to_num(film.joints)))
        kept = np.arange(20) != 4
        found = evaluate(film.take(kept), predicted.take(kept), "deformer-dexycb").samples["acceleration/none"]
        assert np.isnan(found[[3, 4]]).all()
        assert np.isfinite(found[[1, 2, 5]]).all()

    def test_without_a_rate_acceleration_is_per_frame_alone_and_that_is_said(self, film, noisy):
        predicted = noisy(film.replace(joints=np.nan_to_num(film.joints)))
        result = evaluate(film.replace(fps=None), predicted.replace(fps=None), "deformer-dexycb")
        assert any("no frame rate" in warning and "mm/frame^2" in warning for warning in result.warnings)
        metrics = {row["metric"] for row in result.summary}
        assert "acceleration" in metrics
        assert "acceleration-si" not in metrics

    def test_blocks_do_not_cut_a_track(self, film, noisy, monkeypatch):
        predicted = noisy(film.replace(joints=np.nan_to_num(film.joints)))
        whole = evaluate(film, predicted, "deformer-dexycb").samples
        for size in (1, 2, 3, 7):
            monkeypatch.setattr("handbench.evaluation.scoring.BLOCK_OF_JOINTS", size)
            cut = evaluate(film, predicted, "deformer-dexycb").samples
            for name, values in whole.items():
                np.testing.assert_allclose(cut[name], values, rtol=1e-12, atol=1e-12, err_msg=name)

    def test_jitter_passes_over_a_frame_without_annotation_too(self, film, noisy):
        predicted = noisy(film.replace(joints=np.nan_to_num(film.joints)))
        found = evaluate(film, predicted, "deformer-dexycb").samples["jitter/root"]
        # a window of four frames stands at its second
        assert np.isnan(found[[0, 8, 9, 10, 13, 14, 15, 16]]).all()
        assert np.isfinite(found[[*range(1, 8), 11, 12, 17]]).all()

    def test_without_tracks_it_is_left_out_and_said(self, film, noisy):
        still = film.replace(track=None, frame=None)
        result = evaluate(still, noisy(film.replace(joints=np.nan_to_num(film.joints))), "deformer-dexycb")
        assert "acceleration" not in {row["metric"] for row in result.summary}
        assert any("nothing measured in time" in warning for warning in result.warnings)


class TestSamples:
    def test_right_hands_only(self, make_hands, noisy):
        truth = make_hands(10, vertices=False)
        side = np.array(["right", "left"] * 5)
        truth = truth.replace(side=side)
        predicted = noisy(truth)
        both, right = (evaluate(truth, predicted, f"dexycb-s0{which}") for which in ("", "-right"))
        assert list(right.ids) == list(truth.id[::2])
        np.testing.assert_array_equal(right.samples["mpjpe/root"], both.samples["mpjpe/root"][::2])
        assert right.protocol["id"] != both.protocol["id"]
        assert any("5 predictions are of samples that dexycb-s0-right does not score" in w for w in right.warnings)
        only = evaluate(truth, predicted.take(slice(0, None, 2)), "dexycb-s0-right")
        assert only.value("mpjpe", "root") == right.value("mpjpe", "root")
        with pytest.raises(InvalidError, match="does not say the side"):
            evaluate(truth.replace(side=None), predicted, "dexycb-s0-right")
        with pytest.raises(InvalidError, match="no sample that dexycb-s0-right scores"):
            evaluate(truth.replace(side=np.full(10, "left")), predicted, "dexycb-s0-right")

    def test_files_of_only_what_is_scored_and_of_everything(self, make_hands, noisy, tmp_path):
        truth = make_hands(10, vertices=False).replace(side=np.array(["right", "left"] * 5))
        predicted = noisy(truth)
        expected = evaluate(truth, predicted, "dexycb-s0-right").value("mpjpe", "root")
        for name, which in (("all", slice(None)), ("right", slice(None, None, 2))):
            lines = [
                f"{name.rpartition('/')[2].lstrip('0') or 0}," + ",".join(f"{v:.9f}" for v in joints.ravel() * 1000)
                for name, joints in zip(truth.id[which], predicted.joints[which], strict=True)
            ]
            (tmp_path / f"{name}.txt").write_text("\n".join(lines))
            np.savez(tmp_path / f"{name}.npz", joints=predicted.joints[which])
            for file in (f"{name}.txt", f"{name}.npz"):
                found = evaluate(truth, tmp_path / file, "dexycb-s0-right")
                assert found.value("mpjpe", "root") == pytest.approx(expected, abs=1e-6), file
        np.savez(tmp_path / "odd.npz", joints=predicted.joints[:7])
        with pytest.raises(InvalidError, match="5 are expected"):
            evaluate(truth, tmp_path / "odd.npz", "dexycb-s0-right")

    def test_without_an_official_list_entries_are_in_the_order_of_the_truth(self, make_hands, tmp_path):
        truth = make_hands(12, vertices=False)
        truth = truth.replace(id=np.array([f"s/{i}" for i in range(12)]))
        np.savez(tmp_path / "pred.npz", joints=truth.joints)
        assert evaluate(truth, tmp_path / "pred.npz", "synthetic").value("mpjpe", "none") == 0.0

    def test_the_ablation_scores_the_frames_held_out_of_training(self, make_hands, noisy):
        truth = make_hands(40).replace(capture=np.array([f"c{i % 20}" for i in range(40)]))
        result = evaluate(truth, noisy(truth), "clip-hand3d-ablation")
        ranked = sorted({f"c{i}" for i in range(20)}, key=lambda c: hashlib.sha256(f"validation:{c}".encode()).digest())
        expected = [truth.id[i] for i in range(40) if f"c{i % 20}" in ranked[:2]]
        assert list(result.ids) == expected
        assert len(expected) == 4


class TestJoints:
    def test_only_visible_joints_count(self, make_hands, noisy):
        truth = make_hands(12, vertices=False)
        visible = np.random.default_rng(3).random((12, 21)) < 0.7
        visible[:, 20] = False
        predicted = noisy(truth)
        result = evaluate(truth.replace(joints_visible=visible), predicted, "rhd")
        errors = np.linalg.norm(
            (truth.joints - truth.joints[:, :1]) - (predicted.joints - predicted.joints[:, :1]), axis=-1
        )
        masked = np.where(visible, errors, np.nan)[:, :20] * 1000
        assert result.value("mpjpe", "root") == pytest.approx(np.nanmean(masked, axis=0).mean(), rel=1e-12)
        assert result.value("median-pjpe", "root") == pytest.approx(np.nanmedian(masked, axis=0).mean(), rel=1e-12)
        row = next(r for r in result.summary if (r["metric"], r["alignment"]) == ("mpjpe", "root"))
        assert row["interval"][0] < row["value"] < row["interval"][1]
        with pytest.raises(InvalidError, match="does not say which joints are visible"):
            evaluate(truth, predicted, "rhd")

    def test_a_hand_of_which_nothing_is_visible_counts_nowhere_and_is_said(self, make_hands, noisy):
        truth = make_hands(12, vertices=False)
        visible = np.ones((12, 21), bool)
        visible[7] = False
        result = evaluate(truth.replace(joints_visible=visible), noisy(truth), "rhd")
        assert np.isnan(result.samples["mpjpe/root"][7])
        assert any("1 of 12 samples has no mpjpe/root-scale, mpjpe/root" in warning for warning in result.warnings)

    def test_the_true_scale_and_root_are_put_in(self, make_hands):
        truth = make_hands(6, vertices=False).replace(joints_visible=np.ones((6, 21), bool))
        shrunk = truth.replace(joints=truth.joints * 0.5 + [0.1, 0.2, 0.3])
        result = evaluate(truth, shrunk, "rhd")
        assert result.value("mpjpe", "root-scale") == pytest.approx(0.0, abs=1e-9)
        assert result.value("mpjpe", "root") > 10

    def test_hand3ds_20_to_50_begins_at_21(self, make_hands, noisy):
        truth = make_hands(6, vertices=False).replace(joints_visible=np.ones((6, 21), bool))
        result = evaluate(truth, noisy(truth), "rhd")
        curve = result.curves["auc@hand3d/root"]
        assert len(curve) == 12
        assert curve[0, 0] == pytest.approx(50 * 8 / 19)
        assert len(result.curves["auc@20-50/root"]) == 20

    def test_only_the_annotated_tips_count(self, make_hands, noisy):
        truth = make_hands(6, vertices=False)
        tips = [4, 8, 12, 16, 20]
        valid = np.isin(np.arange(21), tips) & np.ones((6, 1), bool)
        valid[1, [4, 8, 12, 16]] = False
        truth = truth.replace(joints=np.where(valid[..., None], truth.joints, np.nan), joints_valid=valid)
        predicted = noisy(make_hands(6, vertices=False))
        result = evaluate(truth, predicted, "dexter-object")
        assert list(np.isfinite(result.joint_errors["none"][0])) == [i in tips for i in range(21)]
        assert np.isnan(result.samples["mpjpe/centroid-scale"][1])
        assert any("1 of 6 samples has no mpjpe/centroid-scale" in warning for warning in result.warnings)
        assert result.value("mpjpe", "centroid-scale") < result.value("mpjpe", "none")

    def test_hand3ds_palm_is_joint_0_of_both(self, make_hands, noisy):
        truth = make_hands(6, vertices=False).replace(joints_visible=np.ones((6, 21), bool))
        predicted = noisy(truth)
        result = evaluate(truth, predicted, "rhd-palm")
        moved = [p - palm_from_wrist(p)[:, :1] for p in (truth.joints, predicted.joints)]
        expected = np.linalg.norm(moved[0] - moved[1], axis=-1)
        np.testing.assert_allclose(result.joint_errors["root"][:, 1:], expected[:, 1:] * 1000, rtol=1e-9)

    def test_the_unit_is_doubted_where_only_tips_are_annotated(self, make_hands, noisy):
        truth = make_hands(12, vertices=False)
        valid = np.isin(np.arange(21), [4, 8, 12, 16, 20]) & np.ones((12, 1), bool)
        truth = truth.replace(joints=np.where(valid[..., None], truth.joints, 0.0), joints_valid=valid)
        predicted = noisy(make_hands(12, vertices=False))
        assert not evaluate(truth, predicted, "dexter-object").suspicions
        large = predicted.replace(joints=predicted.joints * 1000)
        assert "--unit mm" in evaluate(truth, large, "dexter-object").suspicions[0]
        with pytest.raises(InvalidError, match="1000 times too large"):
            evaluate(truth, large, "dexter-object", strict=True)


class TestPalm:
    @pytest.mark.parametrize("recipe", ["ge", "bihand", "bihand-mean"])
    def test_the_palms_centre_of_the_truth_becomes_a_wrist(self, make_hands, noisy, recipe):
        truth = make_hands(6, vertices=False)
        name = "stb" if recipe == "ge" else f"stb-{recipe}"
        predicted = noisy(truth)
        result = evaluate(truth, predicted, name)
        wrists = wrist_from_palm(truth.joints, recipe)[:, 0]
        expected = np.linalg.norm(
            (truth.joints - wrists[:, None]) - (predicted.joints - predicted.joints[:, :1]), axis=-1
        )
        np.testing.assert_allclose(result.joint_errors["root"][:, 1:], expected[:, 1:] * 1000, rtol=1e-9)
        np.testing.assert_allclose(result.joint_errors["root"][:, 0], 0, atol=1e-12)

    def test_or_the_predictions_wrist_becomes_a_palm(self, make_hands, noisy):
        truth = make_hands(6, vertices=False)
        predicted = noisy(truth)
        result = evaluate(truth, predicted, "stb-palm")
        palms = palm_from_wrist(predicted.joints)[:, 0]
        expected = np.linalg.norm((truth.joints - truth.joints[:, :1]) - (predicted.joints - palms[:, None]), axis=-1)
        np.testing.assert_allclose(result.joint_errors["root"][:, 1:], expected[:, 1:] * 1000, rtol=1e-9)
