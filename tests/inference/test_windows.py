"""Windows never leave their run, have their centre in the middle, and repeat what is missing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handbench.inference.windows import runs, tiling, window_index

# samples in any order: a few tracks with frames missing, and sides that change
SAMPLES = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 40), st.booleans()),
    min_size=1,
    max_size=60,
    unique_by=lambda s: s[:2],
)
LENGTHS, GAPS = st.integers(1, 9), st.integers(1, 11)


def arrays(samples):
    track = np.array([f"{name}/camera" for name, _, _ in samples])
    frame = np.array([number for _, number, _ in samples])
    side = np.array(["left" if left and number > 20 else "right" for _, number, left in samples])
    return track, frame, side


def check_inside(windows, track, frame, side, gap):
    """No leak; the frames that are there are whole gaps apart; those that are not repeat one that is."""
    for row, stand_in in zip(windows.index, windows.repeated, strict=True):
        assert len(set(track[row])) == 1
        assert len(set(side[row])) == 1
        low, high = frame[row].min(), frame[row].max()
        between = side[(track == track[row[0]]) & (frame >= low) & (frame <= high)]
        assert len(set(between)) == 1
        there = np.flatnonzero(~stand_in)
        assert len(there)
        assert (np.diff(frame[row[there]]) == np.diff(there) * gap).all()
        for k in np.flatnonzero(stand_in):
            source = there[there < k].max() if (there < k).any() else there[there > k].min()
            assert row[k] == row[source]


@settings(max_examples=150, deadline=None)
@given(SAMPLES, LENGTHS, GAPS)
def test_a_window_stands_about_each_sample_and_stays_in_its_run(samples, length, gap):
    track, frame, side = arrays(samples)
    windows = window_index(runs(track, frame, side), frame, length, gap)
    check_inside(windows, track, frame, side, gap)
    assert (windows.index[:, length // 2] == np.arange(len(samples))).all()
    assert not windows.repeated[:, length // 2].any()
    run = runs(track, frame, side)
    for i, row in enumerate(windows.repeated):
        for k, missing in enumerate(row):
            wanted = frame[i] + (k - length // 2) * gap
            assert missing != ((run == run[i]) & (frame == wanted)).any()


@settings(max_examples=150, deadline=None)
@given(SAMPLES, LENGTHS, GAPS)
def test_a_tiling_has_each_sample_once(samples, length, gap):
    track, frame, side = arrays(samples)
    windows = tiling(runs(track, frame, side), frame, length, gap)
    check_inside(windows, track, frame, side, gap)
    assert sorted(windows.index[~windows.repeated]) == list(range(len(samples)))


def test_a_gap_in_the_frame_numbers_repeats_the_last_frame_before_it():
    frame = np.array([0, 1, 2, 4, 5])
    windows = window_index(np.zeros(5), frame, 5, 1)
    assert frame[windows.index].tolist() == [
        [0, 0, 0, 1, 2],
        [0, 0, 1, 2, 2],
        [0, 1, 2, 2, 4],
        [2, 2, 4, 5, 5],
        [4, 4, 5, 5, 5],
    ]


def test_tracks_shorter_than_a_window_repeat_their_ends():
    windows = window_index(np.array(["a", "a", "b"]), np.array([7, 8, 7]), 7, 1)
    assert windows.index[0].tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert windows.repeated[0].tolist() == [True, True, True, False, False, True, True]
    assert windows.index[2].tolist() == [2] * 7
    assert tiling(np.array(["a", "a", "b"]), np.array([7, 8, 7]), 7, 1).index.shape == (2, 7)


def test_ten_thousand_frames_in_a_tiling_need_no_more_windows_than_they_fill():
    frame = np.arange(7 * 10 * 20)
    windows = tiling(np.zeros(len(frame)), frame, 7, 10)
    assert len(windows) == 200
    assert not windows.repeated.any()


@pytest.mark.parametrize("make", [window_index, tiling])
def test_two_samples_of_one_frame_are_both_predicted(make):
    windows = make(np.zeros(3), np.array([0, 0, 1]), 3, 1)
    own = windows.index[:, 1] if make is window_index else windows.index[~windows.repeated]
    assert sorted(own) == [0, 1, 2]


@pytest.mark.parametrize("make", [window_index, tiling])
def test_no_samples_are_no_windows(make):
    assert make(np.array([], str), np.array([], int), 7, 2).index.shape == (0, 7)
