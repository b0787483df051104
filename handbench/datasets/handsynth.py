"""HandSynth: a fixed, versioned set of the synthetic hand, made from its seed wherever it is needed."""

from __future__ import annotations

from handbench.datasets.card import Card

# Raised whenever any sample changes, in geometry or in colour: `tests/golden/handsynth.json` has figures of some.
VERSION = 1
# a seed of its own: its samples are none of those that `synthetic` makes from the usual seeds
SEED = 20260101
SOURCE = f"handbench HandSynth v{VERSION}"

CARD = Card(
    name="handsynth",
    title="HandSynth",
    splits={"train": 20000, "test": 2000},
    has=("joints", "vertices", "mano_pose", "mano_shape", "visible_fraction", "camera", "side"),
    conventions="made by handbench; nothing to convert",
    fingertips="freihand",
    licence="Apache-2.0",
    url="",
    citation=SOURCE,
    notes=(
        f"Version {VERSION}. Always of the synthetic right hand, with or without MANO; the same samples on every "
        "machine, but for the last digits of floating point.",
    ),
    captures="every sample is one of its own",
)
