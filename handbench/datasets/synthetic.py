"""The synthetic hand as a dataset: no files are read, `preparation.generated.SyntheticSplit` makes its samples."""

from __future__ import annotations

from handbench.datasets.card import Card

CARD = Card(
    name="synthetic",
    title="The synthetic hand",
    splits={"train": 2000, "test": 200},
    has=("joints", "vertices", "mano_pose", "mano_shape", "visible_fraction", "camera", "side"),
    conventions="made by handbench; nothing to convert",
    fingertips="freihand",
    licence="Apache-2.0",
    url="",
    citation="handbench",
    captures="every sample is one of its own",
)
