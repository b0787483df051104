"""HandSynth, source domain: the first of two renderings of one fixed set of poses, to train on."""

from __future__ import annotations

import dataclasses

from handbench.datasets import handsynth

# Raised whenever any sample of either domain changes: `tests/golden/handsynth_domains.json` has figures of some.
VERSION = 1
# one for both domains: sample i has one pose in the two
SEED = 20260202
SOURCE = f"handbench HandSynth domains v{VERSION}"

CARD = dataclasses.replace(
    handsynth.CARD,
    name="handsynth-source",
    title="HandSynth, source domain",
    splits={"train": 2000, "test": 300},
    citation=SOURCE,
    notes=(
        f"Version {VERSION}. Light skin before plain studio walls, soft light, a long lens. Sample i has the pose, "
        "turn and shape of sample i of `handsynth-target`: what is lost from one to the other is the rendering's.",
        "Always of the synthetic right hand, with or without MANO.",
    ),
)
