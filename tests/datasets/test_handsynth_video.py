"""HandSynth-Video is the same everywhere and for ever; its tracks are smooth, and things pass before the hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from handbench.datasets import handsynth_video, handsynth_video_small
from handbench.datasets.holdout import validation_mask
from handbench.evaluation.buckets import bucket_of
from handbench.evaluation.protocol import load
from handbench.hands.camera import project
from handbench.preparation.generated import GENERATED, SyntheticSplit
from handbench.store.hands_file import HandsFile
from handbench.synth.hand import synthetic_hand

GOLDEN = Path(__file__).parents[1] / "golden" / "handsynth_video.json"
SAMPLES = {"train": (0, 31, 32, 1023, 7679), "test": (0, 100, 255, 1919)}
CHANGED = "HandSynth-Video has changed: raise its version (datasets/handsynth_video.py) and write these figures anew."


def split(name: str, which: str) -> SyntheticSplit:
    made = GENERATED[name]
    return SyntheticSplit(which, made.length(which, None), 0, synthetic_hand("right"), made)


def figures(which: str, i: int) -> dict:
    scenes = split("handsynth-video", which).scenes
    scene = scenes.sample(i)
    return {
        "joints_mm": np.round(1000 * scene.joints, 2).tolist(),
        "visible_fraction": round(scene.visible_fraction, 4),
        "image_mean": np.round(scenes.image(i).mean((0, 1)), 1).tolist(),
    }


@pytest.mark.parametrize("which", SAMPLES)
def test_its_samples_are_those_of_version_1(which):
    golden = json.loads(GOLDEN.read_text())
    for i in SAMPLES[which]:
        got, expected = figures(which, i), golden[which][str(i)]
        assert np.allclose(got["joints_mm"], expected["joints_mm"], atol=0.02), CHANGED
        assert np.allclose(got["image_mean"], expected["image_mean"], atol=0.3), CHANGED
        assert got["visible_fraction"] == pytest.approx(expected["visible_fraction"], abs=0.002), CHANGED


def test_card_and_protocol_say_the_same():
    for card in (handsynth_video.CARD, handsynth_video_small.CARD):
        protocol = load(card.name)
        assert protocol.truth == protocol.source == handsynth_video.SOURCE
        assert (protocol.dataset, protocol.split, protocol.count) == (card.name, "test", card.splits["test"])
        made = split(card.name, "test")
        assert protocol.official_ids() == [made.name(i) for i in range(len(made))]
        assert protocol.buckets


def test_the_small_edition_is_the_beginning_of_the_whole():
    for which, n in (("train", 1024), ("test", 256)):
        small, whole = split("handsynth-video-small", which), split("handsynth-video", which)
        assert len(small) == n
        assert small.name(n - 1) == whole.name(n - 1) == f"handsynth-video/{which}/{n - 1:08d}"
        a, b = small.read(n - 1, n), whole.read(n - 1, n)
        assert np.array_equal(a.hands.vertices, b.hands.vertices)
        assert a.images == b.images


@pytest.fixture(scope="module")
def track():
    """The first track of the test split, and the one after it."""
    scenes = split("handsynth-video", "test").scenes
    return scenes.hands(0, 64, {})


def test_a_track_is_32_frames_at_30_a_second_and_a_capture(track):
    assert track.frame.tolist() == [*range(32)] * 2
    assert (track.fps == 30).all()
    assert len(set(track.track[:32])) == 1
    assert len(set(track.track)) == 2
    assert (track.capture == track.track).all()


def test_the_hand_moves_smoothly_inside_the_picture(track):
    pixels = np.stack([project(j, k) for j, k in zip(track.joints, track.camera, strict=True)])
    assert np.median(np.linalg.norm(np.diff(pixels[:32], axis=0), axis=-1)) > 0.5
    # mm a frame: quick, but no jump
    steps = 1000 * np.linalg.norm(np.diff(track.joints[:32], axis=0), axis=-1)
    assert steps.max() < 60
    assert ((pixels > 0) & (pixels < 224)).mean() > 0.97


def test_the_pose_makes_the_mesh(track):
    hand = synthetic_hand("right")
    vertices, _ = hand.forward(track.mano_pose[:4], track.mano_shape[:4], track.mano_translation[:4])
    assert np.abs(vertices - track.vertices[:4]).max() < 1e-9


def test_all_occlusion_buckets_are_filled_and_the_share_changes_within_a_track():
    scenes = split("handsynth-video-small", "test").scenes
    covered = np.array([1 - scenes.sample(i).visible_fraction for i in range(0, 256, 4)]).reshape(8, 8)
    assert set(bucket_of(covered.ravel())) == {0, 1, 2, 3}
    assert np.ptp(covered, axis=1).max() > 0.5


def test_what_moves_is_smeared():
    track = split("handsynth-video", "test").scenes._track(0)
    still = type(track)(**{**track.__dict__, "vertices": np.repeat(track.vertices[:, 1:2], 3, 1)})

    def sharpness(image):
        return np.square(np.diff(image.astype(float), axis=1)).mean()

    frames = range(0, 32, 8)
    assert sum(sharpness(track.image(t)) for t in frames) < sum(sharpness(still.image(t)) for t in frames)


def test_a_validation_track_is_held_out_whole(handbench, home):
    assert handbench("prep", "handsynth-video-small", "--split", "train", "--limit", "96").code == 0
    with HandsFile(home / "data/handsynth-video-small-train.h5") as file:
        held = validation_mask(file)
        tracks = file.column("track")
        assert held.sum() == 32
        assert len(set(tracks[held])) == 1
        assert file.meta["version"] == 1
        assert file.meta["partial"]
