"""Untrusted frames repeat the last trusted pose of their own track, and the record says which."""

from __future__ import annotations

import numpy as np
import pytest

from handbench.errors import InvalidError, UsageError
from handbench.hands.record import Hands
from handbench.inference.hold import held_from, hold, require_holdable
from handbench.store.hands_file import HandsFile
from handbench.store.hands_writer import write_hands


def test_a_frame_repeats_the_last_trusted_one_of_its_track():
    confidence = np.array([0.2, 0.9, 0.1, 0.4, 0.8, 0.3, 0.5])
    track = np.array(["a", "a", "a", "b", "b", "b", "a"])
    frame = np.array([0, 1, 2, 0, 1, 2, 3])
    # the first of each track has nothing before it; 0.5 itself is trusted
    assert held_from(confidence, track, frame, 0.5).tolist() == [0, 1, 1, 3, 4, 4, 6]


def test_order_is_by_frame_not_by_place_in_the_file():
    source = held_from(np.array([0.1, 0.9, 0.8]), np.array(["a"] * 3), np.array([2, 0, 1]), 0.5)
    assert source.tolist() == [2, 1, 2]


@pytest.fixture
def files(tmp_path):
    n = 6
    rng = np.random.default_rng(0)
    common = {"id": np.array([f"x/{i}" for i in range(n)]), "joints": rng.normal(size=(n, 21, 3))}
    track, frame = np.array(["a"] * 4 + ["b"] * 2), np.array([0, 1, 2, 3, 0, 1])
    confidence = np.array([0.9, 0.1, 0.2, 0.9, 0.1, 0.9])
    truth = Hands(**common, track=track, frame=frame, meta={"dataset": "x"})
    mine = Hands(
        **{**common, "joints": common["joints"] + 1},
        vertices=rng.normal(size=(n, 778, 3)),
        confidence=confidence,
        meta={"method": "dahyf", "variant": "full"},
    )
    paths = tmp_path / "truth.h5", tmp_path / "predictions.h5"
    write_hands(paths[0], truth, None)
    write_hands(paths[1], mine, None)
    return HandsFile(paths[0]), HandsFile(paths[1])


def test_the_file_says_which_frames_it_held(files, tmp_path):
    truth, predictions = files
    file = hold(predictions, truth, 0.5, tmp_path / "held.h5")
    own, got = predictions.read(0, 6), file.read(0, 6)
    assert got.held.tolist() == [False, True, True, False, False, False]
    assert file.meta["frames_held"] == 2
    assert file.meta["hold"] == 0.5
    for i, j in enumerate([0, 0, 0, 3, 4, 5]):
        assert np.array_equal(got.joints[i], own.joints[j])
        assert np.array_equal(got.vertices[i], own.vertices[j])
    # what was thought of each frame is kept
    assert np.array_equal(got.confidence, own.confidence)


class Method:
    name = "dahyf"
    trusts = True


def test_it_is_refused_where_there_is_nothing_to_hold(files, tmp_path):
    truth, _ = files
    require_holdable(Method(), "full", truth)
    still = truth.read(0, 6).replace(track=None, frame=None)
    write_hands(tmp_path / "still.h5", still, None)
    with pytest.raises(InvalidError, match="no tracks"):
        require_holdable(Method(), "full", HandsFile(tmp_path / "still.h5"))
    silent = Method()
    silent.trusts = False
    with pytest.raises(UsageError, match="dahyf gdm gives no confidence"):
        require_holdable(silent, "gdm", truth)
