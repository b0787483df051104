"""A bad file stops with the sample named; a bad model scores; what looks like a slip is said with both figures."""

import os
import subprocess
import sys

import numpy as np
import pytest

from handbench.errors import InvalidError, MissingError, UsageError
from handbench.evaluation.protocol import load
from handbench.evaluation.scoring import evaluate
from handbench.hands.joints import from_fh21
from handbench.hands.record import Hands
from handbench.store.hands_file import HandsFile
from handbench.store.hands_writer import write_hands


def test_missing_samples_are_named(make_hands, noisy):
    truth = make_hands(12)
    with pytest.raises(InvalidError, match=r"5 of 12 .*no prediction: .*00000000, .*00000001, .*00000002 and 2 more"):
        evaluate(truth, noisy(truth).take(slice(5, None)))


def test_unknown_and_repeated_samples_are_named(make_hands, noisy):
    truth = make_hands(12)
    predicted = noisy(truth)
    with pytest.raises(InvalidError, match=r"1 predictions are for samples .*: freihand/test/00000011"):
        evaluate(truth.take(slice(0, 11)), predicted)
    twice = predicted.replace(id=np.r_[predicted.id[:11], predicted.id[:1]])
    with pytest.raises(InvalidError, match="1 id is more than once in the predictions: freihand/test/00000000"):
        evaluate(truth, twice)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e200])
@pytest.mark.parametrize("field", ["joints", "vertices"])
def test_nan_and_infinity_stop(make_hands, noisy, field, bad):
    truth = make_hands(300)
    predicted = noisy(truth)
    getattr(predicted, field)[270, 3, 2] = bad
    with pytest.raises(InvalidError, match=rf"Sample 270 \(freihand/test/00000270\) .* in its {field}"):
        evaluate(truth, predicted)


def test_a_truth_that_contradicts_itself_stops(make_hands, noisy):
    truth = make_hands(6)
    predicted = noisy(truth)
    truth.joints[4, 2] = np.nan
    with pytest.raises(InvalidError, match=r"Sample 4 \(freihand/test/00000004\) of the truth"):
        evaluate(truth, predicted)


def test_joints_that_are_not_annotated_are_left_out(make_hands, noisy):
    truth = make_hands(6)
    predicted = noisy(truth)
    whole = evaluate(truth, predicted)
    valid = np.ones((6, 21), bool)
    valid[2, 5:9] = False
    valid[3] = False
    truth = truth.replace(joints=np.where(valid[..., None], truth.joints, np.nan), joints_valid=valid)
    result = evaluate(truth, predicted)
    assert np.isnan(result.joint_errors["none"][~valid]).all()
    np.testing.assert_array_equal(result.joint_errors["none"][valid], whole.joint_errors["none"][valid])
    assert np.isnan(result.samples["mpjpe/procrustes"][3])
    row = next(row for row in result.summary if row["metric"] == "mpjpe")
    assert row["n"] == 5


def test_two_joints_are_too_few_to_align_and_no_root_no_root_alignment(make_hands, noisy):
    truth = make_hands(6)
    valid = np.ones((6, 21), bool)
    valid[1, 2:] = False
    valid[2, 0] = False
    # zeros where nothing is annotated must not matter
    result = evaluate(
        truth.replace(joints=np.where(valid[..., None], truth.joints, 0.0), joints_valid=valid), noisy(truth)
    )
    scored = {name: list(np.isfinite(result.samples[f"mpjpe/{name}"][1:3])) for name in ("none", "root", "procrustes")}
    assert scored == {"none": [True, True], "root": [True, False], "procrustes": [False, True]}
    assert np.isnan(result.samples["mpvpe/root"][2])
    assert np.isfinite(result.samples["mpvpe/procrustes"]).all()
    assert np.isfinite([row["value"] for row in result.summary]).all()


def test_no_joints_no_file_wrong_dataset(make_hands, noisy, tmp_path):
    truth = make_hands(6)
    with pytest.raises(InvalidError, match="predictions have no joints"):
        evaluate(truth, noisy(truth).replace(joints=None))
    with pytest.raises(InvalidError, match="truth has no joints"):
        evaluate(truth.replace(joints=None), noisy(truth))
    with pytest.raises(MissingError, match="no true hands"):
        evaluate(tmp_path / "none.h5", noisy(truth))
    with pytest.raises(InvalidError, match="for dataset 'freihand', the truth is of 'ho3d'"):
        evaluate(make_hands(6, dataset="ho3d"), noisy(truth))


def suspicion(truth, predicted, about):
    found = [warning for warning in evaluate(truth, predicted).warnings if warning.startswith(about)]
    with pytest.raises(InvalidError, match=about):
        evaluate(truth, predicted, strict=True)
    assert len(found) == 1
    return found[0]


def test_good_and_bad_predictions_raise_no_suspicion(make_hands, noisy):
    truth = make_hands(40)
    for mm in (0.0, 5.0, 30.0, 200.0, 320.0, 500.0):
        evaluate(truth, noisy(truth, mm), strict=True)
    one_for_all = np.broadcast_to(truth.joints[:1], truth.joints.shape)
    assert len(evaluate(truth, truth.replace(joints=one_for_all), strict=True).warnings) == 1


@pytest.mark.parametrize(("unit", "factor"), [("dm", 10), ("cm", 100), ("mm", 1000)])
def test_a_suspected_unit_is_said_with_both_figures(make_hands, noisy, unit, factor):
    truth = make_hands(20)
    predicted = noisy(truth)
    as_is = evaluate(truth, predicted).value("mpjpe", "none")
    enlarged = predicted.replace(joints=predicted.joints * factor, vertices=predicted.vertices * factor)
    text = suspicion(truth, enlarged, "Unit")
    assert f"--unit {unit}" in text
    assert f"{as_is:.1f} mm divided by {factor}" in text
    assert f"{evaluate(truth, enlarged).value('mpjpe', 'none'):.1f} mm as they are" in text


def test_too_small_is_said_too(make_hands, noisy):
    truth = make_hands(20)
    assert "1000 times too small" in suspicion(truth, noisy(truth).replace(joints=truth.joints / 1000), "Unit")


@pytest.mark.parametrize("order", ["ho3d", "rhd", "stb"])
def test_another_joint_order_is_recognised(make_hands, noisy, order):
    truth = make_hands(20)
    predicted = noisy(truth)
    text = suspicion(truth, predicted.replace(joints=from_fh21(predicted.joints, order)), "Joint order")
    assert f"--order {order}" in text
    right = evaluate(truth, predicted).value("mpjpe", "procrustes-official")
    assert f"{right:.1f} mm read in that order" in text


@pytest.mark.parametrize("order", ["ho3d", "rhd", "stb"])
def test_another_joint_order_is_recognised_in_a_poor_model_too(make_hands, noisy, order):
    truth = make_hands(40)
    poor = noisy(truth, 15.0).joints
    assert f"--order {order}" in suspicion(truth, truth.replace(joints=from_fh21(poor, order)), "Joint order")


def test_a_poor_model_of_the_other_hand_is_recognised(make_hands, noisy):
    truth = make_hands(40)
    poor = noisy(truth, 15.0).joints * [-1.0, 1, 1]
    assert "other hand" in suspicion(truth, truth.replace(joints=poor), "Side")


def test_a_third_of_other_hands_is_recognised(make_hands, noisy):
    truth = make_hands(40)
    joints = noisy(truth, 1.0).joints
    joints[::3] *= [-1.0, 1, 1]
    assert "Side: 35%" in suspicion(truth, truth.replace(joints=joints), "Side")


def test_opengl_axes_are_recognised(make_hands, noisy):
    truth = make_hands(20)
    predicted = noisy(truth)
    text = suspicion(truth, predicted.replace(joints=predicted.joints * [1.0, -1, -1]), "Axes")
    assert f"{evaluate(truth, predicted).value('mpjpe', 'root'):.1f} mm with y and z negated" in text


def test_several_slips_at_once_are_each_said(make_hands, noisy):
    """HO-3D's own convention, in millimetres."""
    truth = make_hands(20)
    joints = from_fh21(noisy(truth).joints * [1000.0, -1000, -1000], "ho3d")
    warnings = evaluate(truth, Hands(id=truth.id, joints=joints)).warnings
    assert [w.split(":")[0] for w in warnings if w.split(":")[0] in ("Unit", "Joint order", "Axes", "Side")] == [
        "Unit",
        "Joint order",
        "Axes",
    ]


def test_the_other_hand_is_recognised_and_counted(make_hands, noisy):
    truth = make_hands(20)
    predicted = noisy(truth, 1.0)
    mirrored = predicted.replace(joints=predicted.joints * [-1.0, 1, 1], vertices=predicted.vertices * [-1.0, 1, 1])
    text = suspicion(truth, mirrored, "Side")
    assert text.startswith("Side: 100% of the samples")
    result = evaluate(truth, mirrored)
    assert result.reflected.all()
    assert result.to_record()["reflected"] == 20
    assert result.value("mpjpe", "procrustes-official") < 2.0
    assert result.value("mpjpe", "procrustes") > 3 * result.value("mpjpe", "procrustes-official")
    assert any("20 of 20 samples were mirrored" in warning for warning in result.warnings)


def test_a_partial_truth_is_said_and_has_another_id(make_hands, noisy):
    truth = make_hands(60)
    result = evaluate(truth, noisy(truth))
    assert "60 of 3,960 samples: not comparable with the full protocol." in result.warnings
    protocol = load("freihand")
    assert result.protocol["id"] != protocol.identity(protocol.official_ids())
    assert result.protocol["complete"] is False


def test_a_synthetic_truth_never_shares_the_official_id(make_hands, noisy):
    truth, synthetic = make_hands(6), make_hands(6, source="handbench synthetic hand")
    ours, theirs = evaluate(synthetic, noisy(truth)), evaluate(truth, noisy(truth))
    assert ours.protocol["id"] != theirs.protocol["id"]
    assert any("handbench synthetic hand" in warning for warning in ours.warnings)


@pytest.mark.parametrize("without", ["truth", "predictions"])
def test_without_vertices_there_are_no_mesh_figures_and_it_is_said(make_hands, noisy, without):
    truth = make_hands(6)
    predicted = noisy(truth)
    if without == "truth":
        truth = truth.replace(vertices=None)
    else:
        predicted = predicted.replace(vertices=None)
    result = evaluate(truth, predicted)
    assert any(f"The {without} ha" in w and "no vertices" in w for w in result.warnings)
    assert {row["metric"] for row in result.summary} == {"mpjpe", "auc"}
    assert set(result.official) == {"xyz_mean3d", "xyz_auc3d", "xyz_al_mean3d", "xyz_al_auc3d"}


def test_what_was_given_beyond_the_protocol_is_said(make_hands, noisy):
    truth = make_hands(6)
    allowed = evaluate(truth, noisy(truth, given=["camera"]))
    assert allowed.given == ["camera"]
    assert not any("given" in w for w in allowed.warnings)
    beyond = evaluate(truth, noisy(truth, given=["camera", "root"]))
    assert any("given root" in w for w in beyond.warnings)


def test_predictions_for_another_prepared_truth_stop(make_hands, noisy, tmp_path):
    truth = make_hands(6)
    write_hands(tmp_path / "truth.h5", truth)
    right = HandsFile(tmp_path / "truth.h5").digest()
    assert evaluate(tmp_path / "truth.h5", noisy(truth, truth_digest=right)).n == 6
    with pytest.raises(InvalidError, match="made for another truth"):
        evaluate(tmp_path / "truth.h5", noisy(truth, truth_digest="0" * 12))
    # official files as they are have no digest
    assert evaluate(truth, noisy(truth, truth_digest="0" * 12)).n == 6


def test_predictions_that_say_they_are_of_the_other_hand(make_hands, noisy):
    truth = make_hands(6)
    sides = np.array(["right"] * 6), np.array(["right"] * 4 + ["left"] * 2)
    truth, predicted = truth.replace(side=sides[0]), noisy(truth).replace(side=sides[1])
    assert "2 of 6 predictions" in suspicion(truth, predicted, "Side")
    assert not evaluate(truth, predicted.replace(side=sides[0])).suspicions


def test_a_truth_that_does_not_say_where_it_is_from_is_not_the_official_one(make_hands, noisy):
    truth = make_hands(6)
    unsaid = truth.replace(meta={})
    result = evaluate(unsaid, noisy(truth))
    assert result.protocol["id"] != evaluate(truth, noisy(truth)).protocol["id"]
    assert result.protocol["complete"] is False
    assert any("does not say where it is from" in warning for warning in result.warnings)


def test_a_true_mesh_is_whole_or_missing_and_never_averaged_away(make_hands, noisy):
    truth = make_hands(6)
    predicted = noisy(truth)
    truth.vertices[3, 7, 1] = np.nan
    with pytest.raises(InvalidError, match=r"Sample 3 \(freihand/test/00000003\) .* some of its vertices"):
        evaluate(truth, predicted)
    truth.vertices[3] = np.nan
    result = evaluate(truth, predicted)
    assert np.isnan(result.samples["mpvpe/none"][3])
    assert not any(name.startswith(("mesh", "f_")) for name in result.official)
    assert "xyz_mean3d" in result.official
    assert any("1 of 6 samples has no mpvpe/none" in warning for warning in result.warnings)


def test_nothing_that_could_be_scored_stops(make_hands, noisy):
    truth = make_hands(6, vertices=False).replace(joints_visible=np.zeros((6, 21), bool))
    with pytest.raises(InvalidError, match="No sample has anything that rhd scores"):
        evaluate(truth, noisy(truth), "rhd")


def test_integers_are_numbers(make_hands):
    truth = make_hands(6, vertices=False)
    whole = truth.replace(joints=np.round(truth.joints * 1000).astype(np.int64))
    assert "--unit mm" in evaluate(truth, whole).suspicions[0]


def test_an_input_is_never_written_over(make_hands, noisy, tmp_path):
    truth = make_hands(6)
    write_hands(tmp_path / "truth.h5", truth)
    write_hands(tmp_path / "pred.h5", noisy(truth))
    before = (tmp_path / "pred.h5").read_bytes()
    for out in ("truth.h5", "pred.h5"):
        with pytest.raises(UsageError, match="is an input"):
            evaluate(tmp_path / "truth.h5", tmp_path / "pred.h5", out=tmp_path / out)
    assert (tmp_path / "pred.h5").read_bytes() == before


def test_what_is_no_hands_is_said(make_hands):
    with pytest.raises(UsageError, match="The predictions are a ndarray"):
        evaluate(make_hands(6), np.zeros((6, 21, 3)))
    with pytest.raises(UsageError, match="`written` has no 'foo'"):
        evaluate(make_hands(6), make_hands(6), written={"foo": "x"})


def test_what_was_given_can_be_told_where_the_file_does_not_say(make_hands, noisy):
    truth = make_hands(6)
    assert evaluate(truth, noisy(truth)).given is None
    told = evaluate(truth, noisy(truth), given=["box", "root"])
    assert told.given == ["box", "root"]
    assert any("given box, root" in warning for warning in told.warnings)
    assert evaluate(truth, noisy(truth), given=[]).given == []
    with pytest.raises(UsageError, match="say themselves"):
        evaluate(truth, noisy(truth, given=["box"]), given=["root"])
    with pytest.raises(UsageError, match="Unknown --given 'roots'"):
        evaluate(truth, noisy(truth), given=["roots"])


def test_figures_do_not_depend_on_the_process_they_were_made_in(tmp_path):
    """Captures are numbered as they come, not by a hash that differs each time."""
    script = """
import numpy as np
from handbench import evaluate, Hands
rng = np.random.default_rng(0)
joints = rng.normal(0, 0.03, (60, 21, 3)) + [0, 0, 0.6]
capture = np.array([f"take {i % 13}" for i in range(60)])
truth = Hands(id=np.array([f"s/{i}" for i in range(60)]), joints=joints, capture=capture)
pred = Hands(id=truth.id, joints=joints + rng.normal(0, 0.005, joints.shape))
print([(row["value"], row["interval"]) for row in evaluate(truth, pred, "synthetic").summary])
"""
    said = {
        subprocess.run(
            [sys.executable, "-c", script], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True
        ).stdout
        for seed in "123"
    }
    assert len(said) == 1
    assert said != {""}
