"""From the official JSON files to the official scores.txt, character by character."""

import numpy as np
import pytest

from handbench.errors import InvalidError
from handbench.evaluation.importing import read_predictions
from handbench.evaluation.official_text import FREIHAND, scores_txt
from handbench.evaluation.scoring import evaluate
from handbench.evaluation.truth import read_truth
from handbench.hands.record import Hands
from handbench.store.hands_file import write_hands


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
    assert scores_txt(result) == str(g["main_scores_txt"])
    means_are_official(result, g)
    assert list(g["case"][result.reflected]) == ["mirrored_x", "mirrored_noise_2mm"]
    np.testing.assert_allclose(result.joint_errors["none"], g["out_xyz_err"] * 1000, rtol=1e-15)
    np.testing.assert_allclose(
        result.joint_errors["procrustes-official"], g["out_xyz_al_err"] * 1000, rtol=0, atol=1e-12
    )
    np.testing.assert_array_equal(result.samples["f@5/none"], g["out_fscore"][:, 0, 0, 0])
    np.testing.assert_array_equal(result.samples["f@15/procrustes-official"], g["out_fscore"][:, 1, 1, 0])
    np.testing.assert_array_equal(result.curves["auc/procrustes-official"][:, 1], g["out_xyz_al_pck"])


def test_what_a_normal_submission_looks_like(golden, official_folder):
    g, regular = golden("freihand"), golden("freihand_regular46")
    folder = official_folder(*arrays(g, regular["index"]))
    result = evaluate(folder, folder / "pred.json")
    assert scores_txt(result) == str(regular["main_scores_txt"])
    means_are_official(result, regular)
    assert not result.reflected.any()


def test_a_mesh_of_another_topology(golden, official_folder):
    g = golden("freihand_nonmano")
    folder = official_folder(*arrays(g))
    result = evaluate(folder, folder / "pred.json")
    assert scores_txt(result) == str(g["main_scores_txt"])
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
    text = scores_txt(evaluate(folder, folder / "pred.json"))
    assert scores_txt(evaluate(truth, predicted)) == text
    assert scores_txt(evaluate(tmp_path / "truth.h5", tmp_path / "pred.h5")) == text
    shuffled = np.random.default_rng(0).permutation(10)
    assert scores_txt(evaluate(tmp_path / "truth.h5", predicted.take(shuffled))) == text


def test_without_goldens_the_text_is_that_of_the_figures(make_hands, noisy):
    truth = make_hands(6)
    result = evaluate(truth, noisy(truth))
    lines = scores_txt(result).splitlines()
    assert [line.split(": ")[0] for line in lines] == list(FREIHAND)
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
    assert "mesh_mean3d: -100.000000" in scores_txt(result)


def test_predictions_in_any_order(make_hands, noisy):
    truth = make_hands(7)
    predicted = noisy(truth)
    whole = evaluate(truth, predicted)
    shuffled = evaluate(truth, predicted.take([3, 1, 4, 0, 6, 5, 2]))
    turned = [5, 0, 2, 6, 1, 3, 4]
    both = evaluate(truth.take(turned), predicted.take([3, 1, 4, 0, 6, 5, 2]))
    for name, values in whole.samples.items():
        np.testing.assert_array_equal(shuffled.samples[name], values)
        np.testing.assert_array_equal(both.samples[name], values[turned])
    assert both.protocol["id"] == whole.protocol["id"]


def test_there_is_no_official_text_without_vertices(make_hands, noisy):
    truth = make_hands(6)
    result = evaluate(truth, noisy(truth).replace(vertices=None))
    with pytest.raises(InvalidError, match=r"no official scores.txt without mesh_mean3d"):
        scores_txt(result)


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
