"""HandSynth by the commands, whatever else is present, and what card, protocol and file say of it. (Figures of its
samples are held in tests/datasets/test_handsynth.py.)"""

from __future__ import annotations

import dataclasses
import json

import cv2
import numpy as np
import pytest

from handbench import places
from handbench.datasets import handsynth, handsynth_small
from handbench.datasets.card import Wanted
from handbench.datasets.holdout import validation_mask
from handbench.evaluation.protocol import load
from handbench.hands.mano import hand_model_bytes
from handbench.preparation.generated import GENERATED, SyntheticSplit
from handbench.preparation.source import find_sources
from handbench.store.hands_file import HandsFile
from handbench.synth.hand import synthetic_hand

EDITIONS = ("handsynth", "handsynth-small")
CARDS = (handsynth.CARD, handsynth_small.CARD)
# of version 1; a mesh may change where no joint shows it
HAND = "1ca10755f642"


def split_of(dataset, split):
    made = GENERATED[dataset]
    return SyntheticSplit(split, made.length(split, None), 0, synthetic_hand("right"), made)


def test_card_protocol_and_version_say_the_same():
    for card in CARDS:
        protocol = load(card.name)
        assert protocol.truth == protocol.source == handsynth.SOURCE
        assert protocol.version == handsynth.VERSION
        assert (protocol.dataset, protocol.split, protocol.count) == (card.name, "test", card.splits["test"])
        split = split_of(card.name, "test")
        assert protocol.official_ids() == [split.name(i) for i in range(len(split))]
    whole, small = (load(name).official_ids() for name in EDITIONS)
    assert small == whole[:300]


def test_what_is_said_of_it():
    for card in CARDS:
        for split, count in card.splits.items():
            meta = split_of(card.name, split).meta
            assert meta["version"] == 1
            assert meta["hand_model"] == HAND, "the hand has changed: raise HandSynth's version (datasets/handsynth.py)"
            assert meta["source"] == "handbench HandSynth v1"
            assert meta["count"] == count
            assert not meta["partial"]


def test_training_and_test_share_no_sample_nor_does_the_synthetic_set():
    sets = [split_of("handsynth", split) for split in ("train", "test")] + [split_of("synthetic", "train")]
    joints = [np.array([one.scenes.sample(i).joints for i in range(40)]).reshape(40, 63) for one in sets]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(joints[a][:, None] - joints[b]).max(-1).min() > 1e-3
    assert len(np.unique(joints[0].round(6), axis=0)) == 40


@dataclasses.dataclass
class Names:
    """A prepared training split, as far as the rule of validation looks."""

    names: np.ndarray
    meta: dict
    fields: tuple = ("id", "capture")

    def __len__(self):
        return len(self.names)

    def column(self, name):
        return self.names


@pytest.mark.parametrize("dataset", EDITIONS)
def test_a_tenth_of_the_training_samples_is_held_out(dataset):
    split = split_of(dataset, "train")
    names = np.array([split.name(i) for i in range(len(split))])
    assert split.meta["validation"] == "hash"
    assert validation_mask(Names(names, split.meta)).sum() == len(split) // 10


def test_by_command_from_a_limited_file_to_scores(handbench, home, tmp_path):
    ran = handbench("prep", "handsynth-small", "--limit", 8, "--workers", 2)
    assert ran.code == 0, ran.err
    assert ran.out.split() == [str(home / f"data/handsynth-small-{split}.h5") for split in ("train", "test")]
    assert "8 samples, partial" in ran.err
    truth = home / "data/handsynth-small-test.h5"
    assert handbench("prep", "verify", truth).code == 0
    with HandsFile(truth) as file:
        assert file.meta["partial"]
        assert file.meta["count"] == 300
        assert file.ids.tolist() == [f"handsynth/test/{i:08d}" for i in range(8)]
        image = cv2.imdecode(np.frombuffer(file.image(0), np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (224, 224, 3)
    assert "is prepared already" in handbench("prep", "handsynth-small", "--limit", 8).err
    record = tmp_path / "result.json"
    ran = handbench("eval", "--protocol", "handsynth-small", "--truth", truth, "--pred", truth, "--json", record)
    assert ran.code == 0, ran.err
    assert "8 of 300 samples" in ran.err
    found = json.loads(record.read_text())
    assert not found["protocol"]["complete"]
    errors = {r["metric"]: r["value"] for r in found["summary"] if r["metric"] in ("mpjpe", "mpvpe", "epe-2d")}
    assert set(errors) == {"mpjpe", "mpvpe", "epe-2d"}
    assert max(errors.values()) < 1e-5


def test_a_mano_file_changes_nothing(handbench, home):
    words = ("prep", "handsynth-small", "--limit", 4, "--split", "test", "--out")
    assert handbench(*words, home / "without.h5").code == 0
    right = synthetic_hand("right")
    path = places.hand_model_file("right")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(hand_model_bytes(dataclasses.replace(right, source="mano", v_template=right.v_template * 1.2)))
    assert handbench(*words, home / "with.h5").code == 0
    without, with_mano = (HandsFile(home / f"{name}.h5") for name in ("without", "with"))
    assert without.checksums == with_mano.checksums
    assert without.meta["hand_model"] == with_mano.meta["hand_model"] == right.digest()
    # which the other set does take
    (source,) = find_sources("synthetic", home, "test", Wanted(), limit=1)
    assert source.open().meta["hand_model"] != right.digest()


@pytest.mark.parametrize("dataset", EDITIONS)
def test_what_a_fixed_set_does_not_take(handbench, dataset):
    ran = handbench("prep", dataset, "--seed", 3)
    assert ran.code == 2
    assert f"--seed is for `synthetic`: the samples of {dataset} are fixed." in ran.err
    for word in ("--masks", "--depth", "--lossless"):
        ran = handbench("prep", dataset, word)
        assert ran.code == 2
        assert "JPEG images only" in ran.err


def test_results_of_two_machines_share_an_id_and_those_of_another_truth_do_not():
    """The last digits of floating point differ from machine to machine, and with them the digest of the file."""
    protocol = load("handsynth-small")
    ids = protocol.official_ids()
    assert protocol.identity(ids, handsynth.SOURCE, "one digest") == protocol.identity(ids, handsynth.SOURCE, "another")
    assert protocol.identity(ids, "handbench HandSynth v2", "one digest") != protocol.identity(ids)
    assert protocol.identity(ids, "official files") != protocol.identity(ids)
    assert protocol.identity(ids[:8], handsynth.SOURCE) != protocol.identity(ids)
