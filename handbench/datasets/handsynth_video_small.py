"""The small edition of HandSynth-Video, for CPUs: the first tracks of each split of the whole one, ids and all."""

from __future__ import annotations

import dataclasses

from handbench.datasets import handsynth_video

CARD = dataclasses.replace(
    handsynth_video.CARD,
    name="handsynth-video-small",
    title="HandSynth-Video, small edition",
    splits={"train": 32 * handsynth_video.LENGTH, "test": 8 * handsynth_video.LENGTH},
    notes=(
        *handsynth_video.CARD.notes,
        "Its 32 and 8 tracks are the first of each split of `handsynth-video`, under the same ids.",
    ),
)
