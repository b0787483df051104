"""The small edition of HandSynth, for CPUs: the first samples of each split of the whole one, ids and all."""

from __future__ import annotations

import dataclasses

from handbench.datasets import handsynth

CARD = dataclasses.replace(
    handsynth.CARD,
    name="handsynth-small",
    title="HandSynth, small edition",
    splits={"train": 2000, "test": 300},
    notes=(*handsynth.CARD.notes, "Its samples are the first of each split of `handsynth`, under the same ids."),
)
