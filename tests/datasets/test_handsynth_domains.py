"""HandSynth's two domains: the same hands, seen otherwise; the same everywhere and for ever."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from handbench.datasets import handsynth_source, handsynth_target
from handbench.evaluation.protocol import load
from handbench.preparation.generated import GENERATED, SyntheticSplit
from handbench.store.hands_file import HandsFile
from handbench.synth.dataset import SyntheticHands
from handbench.synth.hand import synthetic_hand
from handbench.synth.look import STREET, STUDIO, Look
from handbench.synth.picture import foreground

GOLDEN = Path(__file__).parents[1] / "golden" / "handsynth_domains.json"
DOMAINS = ("handsynth-source", "handsynth-target")
CHANGED = "A domain has changed: raise their version (datasets/handsynth_source.py) and write these figures anew."
N = 40


def split(name: str, which: str = "test") -> SyntheticSplit:
    made = GENERATED[name]
    return SyntheticSplit(which, made.length(which, None), 0, synthetic_hand("right"), made)


def figures(name: str, which: str, i: int) -> dict:
    scenes = split(name, which).scenes
    return {
        "joints_mm": np.round(1000 * scenes.sample(i).joints, 2).tolist(),
        "image_mean": np.round(scenes.image(i).mean((0, 1)), 1).tolist(),
    }


@pytest.mark.parametrize("name", DOMAINS)
def test_its_samples_are_those_of_version_1(name):
    for which, samples in json.loads(GOLDEN.read_text())[name].items():
        for i, expected in samples.items():
            got = figures(name, which, int(i))
            assert np.allclose(got["joints_mm"], expected["joints_mm"], atol=0.02), CHANGED
            assert np.allclose(got["image_mean"], expected["image_mean"], atol=0.3), CHANGED


def test_sample_i_is_one_hand_in_both():
    source, target = (split(name) for name in DOMAINS)
    for i in range(N):
        a, b = source.scenes.sample(i), target.scenes.sample(i)
        assert np.array_equal(a.mano_pose, b.mano_pose)
        assert np.array_equal(a.mano_shape, b.mano_shape)
        assert np.allclose(a.joints - a.joints[0], b.joints - b.joints[0], atol=1e-12)
        assert a.id.replace("source", "target") == b.id
    # and neither is HandSynth's
    ours = np.array([split("handsynth").scenes.sample(i).mano_pose for i in range(N)])
    theirs = np.array([source.scenes.sample(i).mano_pose for i in range(N)])
    assert np.abs(ours[:, None] - theirs).max(-1).min() > 1e-3


def test_skin_light_background_and_camera_differ():
    scenes = [[split(name).scenes.sample(i) for i in range(N)] for name in DOMAINS]
    source, target = ([foreground(scene) for scene in domain] for domain in scenes)

    skin = [
        np.array([front.colour[scene.hand_mask].mean() for front, scene in zip(fronts, domain, strict=True)])
        for fronts, domain in zip((source, target), scenes, strict=True)
    ]
    assert (skin[0] > skin[1]).all()
    assert skin[0].mean() > 1.7 * skin[1].mean()
    focal = np.array([[scene.camera[0, 0] for scene in domain] for domain in scenes])
    assert focal[0].min() > focal[1].max()
    size = np.array([[np.ptp(scene.box.reshape(2, 2), 0).max() for scene in domain] for domain in scenes])
    assert size[0].mean() > size[1].mean() + 20
    # green cloth or a gradient, against checks and clutter
    mixed = [
        np.mean([split(name).scenes.image(i)[front.alpha[..., 0] == 0].std(0).mean() for i, front in enumerate(few)])
        for name, few in zip(DOMAINS, (source[:12], target[:12]), strict=True)
    ]
    assert mixed[1] > 2 * mixed[0]


def test_a_look_of_the_plain_values_changes_nothing():
    assert STUDIO != STREET
    plain = SyntheticHands(2, seed=3)
    same = SyntheticHands(2, seed=3, look=Look())
    assert np.array_equal(plain.images(), same.images())
    assert not np.array_equal(plain.images(), SyntheticHands(2, seed=3, look=STREET).images())


def test_cards_protocols_and_versions_say_the_same():
    for card in (handsynth_source.CARD, handsynth_target.CARD):
        own = load(card.name)
        protocols = [own] if card is handsynth_source.CARD else [own, load(f"handsynth-source-to-{card.name}")]
        made = split(card.name)
        assert made.meta["version"] == handsynth_source.VERSION == 1
        assert made.meta["source"] == handsynth_source.SOURCE
        assert not made.meta["partial"]
        for protocol in protocols:
            assert protocol.truth == protocol.source == handsynth_source.SOURCE
            assert (protocol.dataset, protocol.split, protocol.count) == (card.name, "test", card.splits["test"])
            assert protocol.official_ids() == [made.name(i) for i in range(len(made))]
            assert protocol.version == handsynth_source.VERSION
            assert [m.name for m in protocol.metrics] == ["mpjpe", "median-pjpe"]
            assert protocol.metrics[0].alignments == ("root-scale", "root", "procrustes")
    assert not np.allclose(
        split(DOMAINS[0]).scenes.sample(0).joints, split(DOMAINS[0], "train").scenes.sample(0).joints
    )


def test_by_command(handbench, home):
    ran = handbench("prep", "handsynth-target", "--split", "test", "--limit", 3, "--workers", 1)
    assert ran.code == 0, ran.err
    with HandsFile(home / "data/handsynth-target-test.h5") as file:
        assert file.meta["version"] == 1
        assert np.abs(file.read(0, 3).joints - split(DOMAINS[1]).read(0, 3).hands.joints).max() < 1e-9
    assert handbench("prep", "handsynth-source", "--seed", 4).code == 2
