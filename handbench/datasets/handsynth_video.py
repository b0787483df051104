"""HandSynth-Video: fixed tracks of the synthetic hand in motion, things passing before it, made from a seed."""

from __future__ import annotations

from handbench.datasets.card import Card

# Raised whenever any sample changes, in geometry or in colour: `tests/golden/handsynth_video.json` has figures of some.
VERSION = 1
# a seed of its own: its hands are none of HandSynth's
SEED = 20260303
SOURCE = f"handbench HandSynth-Video v{VERSION}"
# frames of a track
LENGTH = 32

CARD = Card(
    name="handsynth-video",
    title="HandSynth-Video",
    splits={"train": 240 * LENGTH, "test": 60 * LENGTH},
    has=(
        *("joints", "vertices", "mano_pose", "mano_shape", "visible_fraction", "camera", "side"),
        *("track", "frame", "fps"),
    ),
    conventions="made by handbench; nothing to convert",
    fingertips="freihand",
    licence="Apache-2.0",
    url="",
    citation=SOURCE,
    notes=(
        f"Version {VERSION}. 240 and 60 tracks of {LENGTH} frames. Always of the synthetic right hand, with or without "
        "MANO; the same samples on every machine, but for the last digits of floating point.",
        "The hand moves and turns; in four tracks of five, one or two solids pass before it. A picture is the mean of "
        "three renderings over the half frame that the shutter is open; truth and covered share are its middle's.",
    ),
    rate=30.0,
    captures="every track is one of its own",
)
