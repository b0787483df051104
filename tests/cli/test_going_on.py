"""What is finished is not made again; what is interrupted goes on; what was changed is made anew."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from handbench.store.hands_file import HandsFile


@pytest.fixture
def prepared(handbench, freihand_layout, home):
    assert handbench("prep", "freihand", freihand_layout, "--partial").code == 0
    return home / "data"


def test_a_prepared_split_is_not_prepared_again_unless_something_changed(handbench, freihand_layout, prepared):
    before = (prepared / "freihand-train.h5").stat().st_mtime_ns
    ran = handbench("prep", "freihand", freihand_layout, "--partial")
    assert "prepared already" in ran.err
    assert (prepared / "freihand-train.h5").stat().st_mtime_ns == before
    xyz = freihand_layout / "training_xyz.json"
    moved = np.array(json.loads(xyz.read_text())) + [0, 0, 0.001]
    xyz.write_text(json.dumps(moved.tolist()))
    assert handbench("prep", "freihand", freihand_layout, "--partial").code == 0
    with HandsFile(prepared / "freihand-train.h5") as file:
        assert np.array_equal(file.read().joints[:5], moved)


def test_predictions_are_made_once_and_never_scored_against_another_truth(handbench, freihand_layout, prepared, home):
    assert handbench("train", "mean-pose").code == 0
    assert handbench("predict", "mean-pose").code == 0
    assert "predicted already" in handbench("predict", "mean-pose").err
    assert handbench("eval", "--protocol", "freihand").code == 0
    xyz = freihand_layout / "evaluation_xyz.json"
    xyz.write_text(json.dumps((np.array(json.loads(xyz.read_text())) + [0, 0, 0.01]).tolist()))
    assert handbench("prep", "freihand", freihand_layout, "--partial").code == 0
    ran = handbench("eval", "--table", "1")
    assert ran.code == 0
    assert "made for another truth" in ran.err
    assert "| mean-pose" not in ran.out
    assert handbench("predict", "mean-pose").code == 0
    ran = handbench("eval", "--table", "1")
    assert "| mean-pose" in ran.out


def test_a_trained_method_is_not_trained_again(handbench, prepared):
    assert handbench("train", "mean-pose").code == 0
    assert "trained already" in handbench("train", "mean-pose").err


def test_a_changed_recipe_is_said_in_the_table_and_not_ranked(handbench, prepared):
    assert handbench("train", "mean-pose", "--set", "data.limit=8").code == 0
    assert handbench("predict", "mean-pose").code == 0
    out = handbench("eval", "--table", "1").out
    assert "Not the recipe as it is, and not ranked: data.limit=8" in out
    assert "Trained on freihand/train (partial), 8 samples" in out


def test_an_import_never_replaces_our_own_row(handbench, prepared, tmp_path):
    assert handbench("train", "mean-pose").code == 0
    assert handbench("predict", "mean-pose").code == 0
    (tmp_path / "pred.json").write_text(json.dumps([np.zeros((3, 21, 3)).tolist(), []]))
    ran = handbench("import", tmp_path / "pred.json", "--name", "mean-pose-full-0")
    assert ran.code == 4
    assert "of our own" in ran.err
    for name in ("../../x", ".hidden", "a/b"):
        assert handbench("import", tmp_path / "pred.json", "--name", name).code == 2
    assert handbench("import", tmp_path / "pred.json", "--name", "zero", "--given", "nothing").code == 0
    assert handbench("import", tmp_path / "pred.json", "--name", "zero").code == 0


def test_verify_finds_a_changed_number(handbench, prepared):
    import h5py

    path = prepared / "freihand-test.h5"
    assert "every checksum holds" in handbench("prep", "verify", path).out
    with h5py.File(path, "r+") as file:
        file["hands/joints"][0, 0, 0] += 1e-6
    ran = handbench("prep", "verify", path)
    assert ran.code == 4
    assert "hands/joints" in ran.err


def test_blocks_of_different_fields_are_never_joined(tmp_path):
    from handbench.errors import InvalidError
    from handbench.store.parts import Parts
    from tests.store.test_hands_file import some_hands

    hands, _ = some_hands(6)
    with Parts(tmp_path / "a.h5", len(hands), {}, block=3) as parts:
        parts.write(0, hands.take(slice(0, 3)).replace(vertices=None), None)
        parts.write(3, hands.take(slice(3, 6)), None)
        with pytest.raises(InvalidError, match="different fields"):
            parts.finish({})
    assert not (tmp_path / "a.h5").exists()


def test_ctrl_c_says_so_and_ends_with_130(tmp_path):
    command = [sys.executable, "-m", "handbench", "synth", "freihand", "--out", "x", "--n", "2000"]
    running = subprocess.Popen(
        command,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # a suite that a shell runs in the background ignores Ctrl-C, and so would what it starts
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "x/training/rgb").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGINT)
    said = running.communicate(timeout=60)[1]
    assert running.returncode == 130
    assert said.startswith("interrupted")


def test_what_is_accepted_is_not_ignored(handbench, tmp_path):
    for words in (
        ("eval", "--protocol", "freihand", "--scores-txt", tmp_path / "s.txt"),
        ("eval", "--protocol", "freihand", "--format", "latex"),
        ("eval", "--table", "1", "--protocol", "ge-realworld"),
        ("prep", "freihand", tmp_path, "--lossless"),
        ("prep", "freihand", tmp_path, "--depth"),
        ("prep", "freihand", tmp_path, "--sequence-names", tmp_path / "names.txt"),
        ("prep", "freihand", tmp_path, "--workers", "2", "--scheduler", "tcp://127.0.0.1:9"),
        ("prep", "synthetic", "--masks"),
        ("prep", "freihand", tmp_path, "--out", tmp_path / "a.h5"),
        ("synth", "ho3d-v3", "--out", tmp_path / "a", "--n", "3"),
        ("synth", "freihand", "--out", tmp_path / "a", "--frames", "3"),
        ("synth", "frihand", "--out", tmp_path / "a"),
    ):
        assert handbench(*words).code == 2, words


def test_files_that_are_not_there_or_not_files(handbench, prepared, tmp_path):
    for words, code in (
        (("train", "mean-pose", "--init", tmp_path / "no.pt"), 3),
        (("train", "mean-pose", "--recipe", tmp_path / "no.toml"), 3),
        (("prep", "mano", tmp_path / "no.pkl"), 3),
        (("prep", "clip", tmp_path / "no.pt"), 3),
        (("speed", "mean-pose", "--data", tmp_path / "no.h5", "--device", "cpu"), 3),
        (("compare", tmp_path / "a.h5", tmp_path / "b.h5"), 3),
    ):
        ran = handbench(*words)
        assert ran.code == code, (words, ran.err)
        assert "Traceback" not in ran.err
        assert "hint: " in ran.err


def test_the_mean_pose_of_prepared_hands_is_their_mean(handbench, prepared, home):
    """The whole chain against arithmetic: the root-relative mean of the training joints, at each test wrist."""
    assert handbench("train", "mean-pose").code == 0
    assert handbench("predict", "mean-pose").code == 0
    with HandsFile(prepared / "freihand-train.h5") as file:
        train = file.read().joints
    with HandsFile(prepared / "freihand-test.h5") as file:
        test = file.read().joints
    with HandsFile(home / "predictions/freihand/mean-pose-full-0.h5") as file:
        predicted = file.read().joints
        assert file.meta["given"] == ["root"]
    expected = (train - train[:, :1]).mean(0) + test[:, :1]
    assert np.abs(predicted - expected).max() < 1e-7
