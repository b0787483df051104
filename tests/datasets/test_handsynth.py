"""HandSynth is the same everywhere and for ever; the small edition is the beginning of the whole one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from handbench.hands.mano import hand_model_bytes
from handbench.preparation.generated import GENERATED, SyntheticSplit
from handbench.store.hands_file import HandsFile
from handbench.synth.hand import synthetic_hand

GOLDEN = Path(__file__).parents[1] / "golden" / "handsynth.json"
SAMPLES = {"train": (0, 1, 7, 399, 1999, 12345, 19999), "test": (0, 3, 299, 1999)}
CHANGED = "HandSynth has changed: raise its version (datasets/handsynth.py) and write these figures anew."


def split(name: str, which: str) -> SyntheticSplit:
    made = GENERATED[name]
    return SyntheticSplit(which, made.length(which, None), 0, synthetic_hand("right"), made)


def figures(which: str, i: int) -> dict:
    scene = split("handsynth", which).scenes.sample(i)
    image = split("handsynth", which).scenes.image(i)
    return {
        "joints_mm": np.round(1000 * scene.joints, 2).tolist(),
        "image_mean": np.round(image.mean((0, 1)), 1).tolist(),
    }


@pytest.mark.parametrize("which", SAMPLES)
def test_its_samples_are_those_of_version_1(which):
    golden = json.loads(GOLDEN.read_text())
    for i in SAMPLES[which]:
        got, expected = figures(which, i), golden[which][str(i)]
        assert np.allclose(got["joints_mm"], expected["joints_mm"], atol=0.02), CHANGED
        assert np.allclose(got["image_mean"], expected["image_mean"], atol=0.3), CHANGED


def test_the_small_edition_is_the_beginning_of_the_whole():
    for which, n in (("train", 2000), ("test", 300)):
        small, whole = split("handsynth-small", which), split("handsynth", which)
        assert len(small) == n
        assert len(whole) == 10 * n if which == "train" else len(whole) == 2000
        for i in (0, n - 1):
            assert small.name(i) == whole.name(i) == f"handsynth/{which}/{i:08d}"
            a, b = small.read(i, i + 1), whole.read(i, i + 1)
            assert np.array_equal(a.hands.vertices, b.hands.vertices)
            assert a.images == b.images


def test_training_and_test_share_no_sample():
    train, test = (split("handsynth", which).scenes for which in ("train", "test"))
    assert not np.allclose(train.sample(0).joints, test.sample(0).joints)


def test_it_is_fixed_whatever_is_asked_or_present(handbench, home):
    home.joinpath("data").mkdir(parents=True)
    hand = synthetic_hand("right")
    bigger = type(hand)(**{**hand.arrays(), "v_template": 1.3 * hand.v_template, "side": "right", "source": "mano"})
    (home / "data/mano-right.npz").write_bytes(hand_model_bytes(bigger))
    ran = handbench("prep", "handsynth-small", "--split", "test", "--limit", "3")
    assert ran.code == 0
    with HandsFile(home / "data/handsynth-small-test.h5") as file:
        assert file.meta["version"] == 1
        assert file.meta["partial"] is True
        assert file.meta["hand_model"] == hand.digest()
        expected = split("handsynth", "test").read(0, 3).hands.joints
        assert np.abs(file.read(0, 3).joints - expected).max() < 1e-9
    assert handbench("prep", "handsynth-small", "--seed", "4").code == 2
    assert handbench("prep", "handsynth", "--masks").code == 2
