"""A bad input gets one sentence, a hint and its exit code, never a traceback; what was there stays."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from tests.conftest import hands_in_view


def refused(ran, code: int, *words: str) -> None:
    assert ran.code == code, ran.err
    assert "Traceback" not in ran.err
    assert ran.out == ""
    for word in words:
        assert word in ran.err, ran.err
    lines = [line for line in ran.err.splitlines() if line.startswith(("error: ", "hint: "))]
    assert [line.split(":")[0] for line in lines] == ["error", "hint"], ran.err


@pytest.fixture
def prepared(handbench, freihand_layout, home):
    assert handbench("prep", "freihand", freihand_layout, "--partial").code == 0
    return home / "data/freihand-test.h5"


def write_pred(path, joints, vertices=()):
    path.write_text(json.dumps([np.asarray(joints).tolist(), np.asarray(vertices).tolist()]))
    return path


def test_missing_folder(handbench, tmp_path):
    refused(handbench("prep", "freihand", tmp_path / "nowhere"), 3, "nowhere does not exist")


def test_missing_file_in_the_folder(handbench, freihand_layout):
    (freihand_layout / "training_K.json").unlink()
    refused(handbench("prep", "freihand", freihand_layout), 3, "training_K.json", "FreiHAND_pub_v2.zip")


def test_unknown_dataset_gets_a_suggestion(handbench):
    refused(handbench("prep", "frehand"), 2, "frehand", "'freihand'")


def test_too_few_annotations_without_partial(handbench, freihand_layout, home):
    refused(handbench("prep", "freihand", freihand_layout), 4, "5 entries", "32,560", "--partial")
    assert not (home / "data/freihand-train.h5").exists()


def test_a_cut_json(handbench, freihand_layout):
    path = freihand_layout / "training_xyz.json"
    path.write_bytes(path.read_bytes()[:-30])
    refused(handbench("prep", "freihand", freihand_layout, "--partial"), 4, "training_xyz.json is not valid JSON")


def test_a_cut_jpeg_leaves_the_earlier_file(handbench, freihand_layout, prepared):
    before = prepared.read_bytes()
    image = freihand_layout / "evaluation/rgb/00000001.jpg"
    image.write_bytes(image.read_bytes()[:500])
    # an image changed, the lists did not: the same plan, and the earlier file stays as it was
    refused(
        handbench("prep", "freihand", freihand_layout, "--partial", "--split", "test"), 4, "00000001.jpg is cut short"
    )
    assert prepared.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "word"),
    [(lambda x: 1000 * x, "millimetres"), (lambda x: x * [1, -1, -1], "OpenGL"), (lambda x: x[:, ::-1], "order")],
)
def test_truth_that_contradicts_its_layout(handbench, freihand_layout, change, word):
    path = freihand_layout / "training_xyz.json"
    path.write_text(json.dumps(change(np.array(json.loads(path.read_text()))).tolist()))
    refused(handbench("prep", "freihand", freihand_layout, "--partial"), 4, "contradicts its layout", word)


class Evil:
    def __reduce__(self):
        return (open, ("ran", "w"))


def test_a_pickle_that_runs_code(handbench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "MANO_RIGHT.pkl"
    path.write_bytes(pickle.dumps({"v_template": Evil()}, protocol=2))
    refused(handbench("prep", "mano", path), 4, "MANO_RIGHT.pkl", "open")
    assert not (tmp_path / "ran").exists()


def test_a_wrong_mano_shape(handbench, tmp_path):
    path = tmp_path / "MANO_RIGHT.pkl"
    arrays = {"v_template": np.zeros((6890, 3)), "f": np.zeros((13776, 3), np.uint32)}
    path.write_bytes(pickle.dumps(arrays, protocol=2))
    refused(handbench("prep", "mano", path), 4)


def test_predictions_with_another_count(handbench, prepared, tmp_path):
    pred = write_pred(tmp_path / "pred.json", hands_in_view(2))
    ran = handbench("import", pred, "--name", "mine")
    refused(ran, 4, "2", "3")


def test_predictions_with_a_nan_name_the_sample(handbench, prepared, tmp_path):
    joints = hands_in_view(3, 2)
    joints[1, 5, 0] = np.nan
    pred = write_pred(tmp_path / "pred.json", joints)
    refused(handbench("eval", "--protocol", "freihand", "--pred", pred), 4, "freihand/test/00000001")
    refused(handbench("import", pred, "--name", "mine"), 4, "freihand/test/00000001")


def test_predictions_in_ho3d_order_are_warned_of_with_both_figures(handbench, prepared, tmp_path):
    truth = np.array(json.loads((prepared.parents[2] / "FreiHAND_pub_v2/evaluation_xyz.json").read_text()))
    ho3d = truth[:, [0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3, 4, 8, 12, 16, 20]]
    pred = write_pred(tmp_path / "pred.json", ho3d + np.random.default_rng(0).normal(0, 0.003, ho3d.shape))
    ran = handbench("eval", "--protocol", "freihand", "--pred", pred)
    assert ran.code == 0
    assert "HO-3D" in ran.err or "ho3d" in ran.err
    assert ran.err.count(" mm") >= 2
    refused(handbench("eval", "--protocol", "freihand", "--pred", pred, "--strict"), 4, "ho3d")
    ran = handbench("import", pred, "--name", "mine", "--order", "ho3d")
    assert ran.code == 0
    assert "ho3d" not in ran.err.lower().replace("--order ho3d", "")


def test_missing_predictions(handbench, prepared, tmp_path):
    refused(handbench("eval", "--protocol", "freihand", "--pred", tmp_path / "no.json"), 3, "no.json")


def test_nothing_prepared_names_the_command(handbench):
    refused(handbench("train", "mean-pose"), 3, "handbench prep freihand")
    refused(handbench("predict", "mean-pose"), 3, "handbench prep freihand")


def test_not_trained_names_the_command(handbench, prepared):
    refused(handbench("predict", "mean-pose"), 3, "handbench train mean-pose")


@pytest.mark.parametrize("keep", [200, 0.6])
def test_a_half_written_hdf5(handbench, prepared, keep):
    data = prepared.read_bytes()
    prepared.write_bytes(data[: keep if isinstance(keep, int) else int(keep * len(data))])
    refused(handbench("predict", "mean-pose"), 4, "freihand-test.h5")


def test_an_unknown_recipe_key(handbench, prepared):
    refused(handbench("train", "mean-pose", "--set", "train.epoch=3"), 2, "train.epoch", "'epochs'")


def test_an_unknown_option_is_usage(handbench):
    assert handbench("train", "mean-pose", "--nonsense").code == 2


def test_a_checkpoint_of_another_method(handbench, prepared, home):
    assert handbench("train", "mean-pose").code == 0
    checkpoint = home / "train/mean-pose/full/0/best.pt"
    ran = handbench("predict", "clip-hand3d", "--checkpoint", checkpoint)
    refused(ran, 4, "mean-pose, not of clip-hand3d")


def test_a_checkpoint_that_runs_code(handbench, prepared, tmp_path, monkeypatch):
    import torch

    monkeypatch.chdir(tmp_path)
    torch.save({"format": "handbench-checkpoint-1", "state": Evil()}, tmp_path / "evil.pt")
    refused(handbench("predict", "mean-pose", "--checkpoint", tmp_path / "evil.pt"), 4, "evil.pt")
    assert not (tmp_path / "ran").exists()


def test_cuda_without_one(handbench, prepared):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has one")
    refused(handbench("train", "mean-pose", "--device", "cuda"), 3, "cuda")
    refused(handbench("speed", "mean-pose", "--device", "cuda"), 3, "cuda")


def test_an_unknown_table_or_protocol_gets_a_suggestion(handbench):
    refused(handbench("eval", "--table", "clip-hand3d.11"), 2, "clip-hand3d.1")
    refused(handbench("eval", "--protocol", "frei-hand"), 2, "freihand")


def test_nothing_to_score(handbench):
    refused(handbench("eval"), 2, "--table 1")


def test_a_place_that_cannot_be_written(handbench, freihand_layout, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HANDBENCH_HOME", str(tmp_path / "file"))
    refused(handbench("prep", "freihand", freihand_layout, "--partial"), 3)
