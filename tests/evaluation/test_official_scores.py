"""From the official JSON files to the official scores.txt, character by character."""

import numpy as np
import pytest

from handbench.errors import InvalidError, UsageError
from handbench.evaluation.importing import read_predictions
from handbench.evaluation.official_text import FIGURES, scores_txt
from handbench.evaluation.scoring import evaluate
from handbench.evaluation.truth import read_truth
from handbench.hands.joints import from_fh21
from handbench.hands.record import Hands
from handbench.store.hands_writer import write_hands


def text_of(truth, predicted):
    return scores_txt(evaluate(truth, predicted).to_record())


def arrays(g, index=slice(None)):
    return [g[key][index] for key in ("gt_xyz", "gt_verts", "pred_xyz", "pred_verts")]


def means_are_official(result, g):
    for name, metric in (("xyz", "mpjpe"), ("mesh", "mpvpe")):
        for suffix, alignment in (("", "none"), ("_al", "procrustes-official")):
            assert result.value(metric, alignment) == pytest.approx(
                float(g[f"out_{name}{suffix}_mean"]) * 1000, abs=1e-6
            )


def test_special_and_regular_samples(golden, official_folder):
    g = golden("freihand")
    folder = official_folder(*arrays(g))
    result = evaluate(folder, folder / "pred.json")
    assert scores_txt(result.to_record()) == str(g["main_scores_txt"])
    means_are_official(result, g)
    assert list(g["case"][result.reflected]) == ["mirrored_x", "mirrored_noise_2mm"]
    np.testing.assert_allclose(result.joint_errors["none"], g["out_xyz_err"] * 1000, rtol=1e-15)
    np.testing.assert_allclose(
        result.joint_errors["procrustes-official"], g["out_xyz_al_err"] * 1000, rtol=0, atol=1e-9
    )
    np.testing.assert_array_equal(result.samples["f@5/none"], g["out_fscore"][:, 0, 0, 0])
    np.testing.assert_array_equal(result.samples["f@15/procrustes-official"], g["out_fscore"][:, 1, 1, 0])
    np.testing.assert_array_equal(result.curves["auc/procrustes-official"][:, 1], g["out_xyz_al_pck"])


def test_what_a_normal_submission_looks_like(golden, official_folder):
    g, regular = golden("freihand"), golden("freihand_regular46")
    folder = official_folder(*arrays(g, regular["index"]))
    result = evaluate(folder, folder / "pred.json")
    assert scores_txt(result.to_record()) == str(regular["main_scores_txt"])
    means_are_official(result, regular)
    assert not result.reflected.any()


def test_a_mesh_of_another_topology(golden, official_folder):
    g = golden("freihand_nonmano")
    folder = official_folder(*arrays(g))
    result = evaluate(folder, folder / "pred.json")
    assert scores_txt(result.to_record()) == str(g["main_scores_txt"])
    assert result.official["mesh_mean3d"] == -100.0
    assert result.official["mesh_auc3d"] == -1.0
    assert not any(row["metric"] in ("mpvpe", "auc-vertices") for row in result.summary)
    assert any("1,001 vertices" in warning for warning in result.warnings)


def test_the_same_from_hdf5_in_memory_and_json(golden, official_folder, tmp_path):
    g = golden("freihand")
    folder = official_folder(*arrays(g, slice(14, 24)))
    truth, predicted = (
        read_truth(folder),
        read_predictions(folder / "pred.json", [f"freihand/test/{i:08d}" for i in range(10)]),
    )
    write_hands(tmp_path / "truth.h5", truth)
    write_hands(tmp_path / "pred.h5", predicted)
    text = text_of(folder, folder / "pred.json")
    assert text_of(truth, predicted) == text
    assert text_of(tmp_path / "truth.h5", tmp_path / "pred.h5") == text
    shuffled = np.random.default_rng(0).permutation(10)
    assert text_of(tmp_path / "truth.h5", predicted.take(shuffled)) == text


def test_without_goldens_the_text_is_that_of_the_figures(make_hands, noisy):
    truth = make_hands(6)
    result = evaluate(truth, noisy(truth))
    lines = scores_txt(result.to_record()).splitlines()
    assert [line.split(": ")[0] for line in lines] == list(FIGURES["freihand"])
    assert lines[0] == f"xyz_mean3d: {result.value('mpjpe', 'none') / 10:.6f}"
    errors = np.linalg.norm(truth.joints - noisy(truth).joints, axis=-1)
    assert result.official["xyz_mean3d"] == pytest.approx(errors.mean() * 100)


def test_without_goldens_another_topology_is_marked_as_the_official_script_marks_it(make_hands, noisy):
    truth = make_hands(6)
    predicted = noisy(truth)
    result = evaluate(truth, predicted.replace(vertices=predicted.vertices[:, :40]))
    official = result.official
    assert (official["mesh_mean3d"], official["mesh_al_mean3d"]) == (-100.0, -100.0)
    assert (official["mesh_auc3d"], official["mesh_al_auc3d"]) == (-1.0, -1.0)
    assert official["f_score_15"] > 0
    assert "mesh_mean3d: -100.000000" in scores_txt(result.to_record())


def test_predictions_in_any_order(make_hands, noisy):
    truth = make_hands(7)
    predicted = noisy(truth)
    whole = evaluate(truth, predicted)
    shuffled = evaluate(truth, predicted.take([3, 1, 4, 0, 6, 5, 2]))
    turned = [5, 0, 2, 6, 1, 3, 4]
    both = evaluate(truth.take(turned), predicted.take([3, 1, 4, 0, 6, 5, 2]))
    for name, values in whole.samples.items():
        # where a sample stands in memory moves the last bit of a product of matrices
        np.testing.assert_allclose(shuffled.samples[name], values, rtol=1e-12)
        np.testing.assert_allclose(both.samples[name], values[turned], rtol=1e-12)
    assert both.protocol["id"] == whole.protocol["id"]


def test_there_is_no_official_text_without_vertices(make_hands, noisy):
    truth = make_hands(6)
    result = evaluate(truth, noisy(truth).replace(vertices=None))
    with pytest.raises(InvalidError, match=r"no official scores.txt without mesh_mean3d"):
        scores_txt(result.to_record())


def test_zeros_are_a_bad_model_and_not_a_bad_file(make_hands):
    truth = make_hands(6)
    zeros = Hands(id=truth.id, joints=np.zeros((6, 21, 3)), vertices=np.zeros((6, 60, 3)))
    result = evaluate(truth, zeros, strict=True)
    assert result.value("mpjpe", "none") == pytest.approx(np.linalg.norm(truth.joints, axis=-1).mean() * 1000)
    centred = truth.joints - truth.joints.mean(1, keepdims=True)
    expected = np.linalg.norm(centred, axis=-1).mean() * 1000
    assert result.value("mpjpe", "procrustes-official") == pytest.approx(expected, abs=1e-4)
    assert result.value("f@5", "none") == 0.0
    assert result.warnings == ["6 of 3,960 samples: not comparable with the full protocol."]


class TestHo3d:
    """From folders in OpenGL axes and HO-3D's joint order, as its server took them."""

    @pytest.mark.parametrize("version", ["v2", "v3"])
    def test_special_samples(self, golden, official_folder, version):
        g = golden("ho3d")
        folder = official_folder(*arrays(g))
        result = evaluate(folder, folder / "pred.json", f"ho3d-{version}")
        assert scores_txt(result.to_record()) == str(g["main_scores_txt"])
        for alignment, name in (
            ("none", "xyz"),
            ("procrustes-official", "xyz_al"),
            ("scale-translation", "xyz_sc_tr_al"),
        ):
            ours = from_fh21(result.joint_errors[alignment][..., None], "ho3d")[..., 0]
            np.testing.assert_allclose(ours, g[f"out_{name}_err"] * 1000, rtol=0, atol=1e-9)
            assert result.value("mpjpe", alignment) == pytest.approx(float(g[f"out_{name}_mean"]) * 1000, abs=1e-6)
            assert result.value("auc", alignment) == pytest.approx(float(g[f"out_{name}_auc"]), abs=1e-9)
            np.testing.assert_array_equal(result.curves[f"auc/{alignment}"][:, 1], g[f"out_{name}_pck"])
        for t, threshold in enumerate((5, 15)):
            for a, alignment in enumerate(("none", "procrustes-official")):
                found = result.samples[f"f@{threshold}/{alignment}"]
                np.testing.assert_array_equal(found, g["out_fscore"][:, t, a, 0])

    def test_what_a_normal_submission_looks_like(self, golden, official_folder):
        g = golden("ho3d")
        folder = official_folder(*arrays(g, g["regular46_index"]))
        result = evaluate(folder, folder / "pred.json", "ho3d-v2")
        assert scores_txt(result.to_record()) == str(g["regular46_scores_txt"])
        assert not result.suspicions

    def test_without_goldens_the_text_has_its_fourteen_lines(self, make_hands, noisy):
        truth = make_hands(6)
        lines = scores_txt(evaluate(truth, noisy(truth), "ho3d-v2").to_record()).splitlines()
        assert [line.split(": ")[0] for line in lines] == list(FIGURES["ho3d"])
        assert len(lines) == 14
        assert lines[4].startswith("xyz_scale_trans_al_mean3d: ")


class TestDexYcb:
    def test_the_figures_of_hpe_eval(self, golden):
        g = golden("dexycb_hpe")
        valid = g["expected_valid"]
        ids = np.array([f"dexycb/s0-test/{i:08d}" for i in np.flatnonzero(valid)])
        truth = Hands(id=ids, joints=g["joint_3d_label_m_f32"][valid], meta={"dataset": "dexycb"})
        predicted = Hands(id=ids, joints=g["pred_mm"][valid] / 1000)
        result = evaluate(truth, predicted, "dexycb-s0")
        for ours, theirs in (("none", "ab"), ("root", "rr"), ("procrustes-official", "pa")):
            expected = g[f"out_{theirs}_err_mm"]
            np.testing.assert_allclose(result.joint_errors[ours], expected, rtol=0, atol=1e-9)
            assert result.value("mpjpe", ours) == pytest.approx(float(g[f"out_{theirs}_mean"]), abs=1e-9)
            assert result.value("auc", ours) == pytest.approx(float(g[f"out_{theirs}_auc"]), abs=1e-12)
            np.testing.assert_array_equal(result.curves[f"auc/{ours}"][:, 1], g[f"out_{theirs}_pck"])
        for ours, theirs in (("root", "rr"), ("procrustes-official", "pa")):
            assert result.value("median-pjpe", ours) == pytest.approx(float(g[f"out_{theirs}_median"]), abs=1e-9)
        for name in ("absolute", "root-relative", "procrustes"):
            assert result.official[f"{name}_mpjpe"] == pytest.approx(float(g[f"eval_{name}_mpjpe"]), abs=1e-9)
            assert result.official[f"{name}_auc"] == pytest.approx(float(g[f"eval_{name}_auc"]), abs=1e-12)

    def test_the_truth_is_multiplied_in_single_precision(self, make_hands):
        """As the toolkit does: 6e-5 mm from doing it in double."""
        truth = make_hands(6, vertices=False)
        single = truth.replace(joints=truth.joints.astype(np.float32))
        predicted = truth.replace(joints=single.joints.astype(np.float64))
        found = evaluate(single, predicted, "dexycb-s1").joint_errors["none"]
        expected = (single.joints * np.float32(1000)).astype(np.float64) - predicted.joints * 1000
        np.testing.assert_allclose(found, np.linalg.norm(expected, axis=-1), rtol=0, atol=1e-12)
        assert found.max() > 1e-6

    def test_it_writes_no_scores_txt(self, make_hands, noisy):
        truth = make_hands(6, vertices=False)
        with pytest.raises(UsageError, match=r"no official scores.txt for dexycb-s0") as caught:
            scores_txt(evaluate(truth, noisy(truth), "dexycb-s0").to_record())
        assert "--json" in caught.value.hint
