"""HandSynth, target domain: the second of two renderings of one fixed set of poses, to test on."""

from __future__ import annotations

import dataclasses

from handbench.datasets import handsynth_source

CARD = dataclasses.replace(
    handsynth_source.CARD,
    name="handsynth-target",
    title="HandSynth, target domain",
    notes=(
        f"Version {handsynth_source.VERSION}. Dark skin before checks and clutter, hard yellow light, a short, noisy "
        "and soft lens. Its training split says how well a method does that has seen the target.",
        *handsynth_source.CARD.notes[1:],
    ),
)
