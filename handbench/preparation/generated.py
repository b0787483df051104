"""Datasets that are made while they are read: which there are, and their splits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from handbench.datasets import (
    handsynth,
    handsynth_small,
    handsynth_target,
    handsynth_video_small,
    synthetic,
)
from handbench.datasets import handsynth_source as domains
from handbench.datasets import handsynth_video as tracks
from handbench.datasets.card import Block, Card
from handbench.hands.mano import HandModel
from handbench.layouts.images import encode_jpeg
from handbench.synth.dataset import SyntheticHands, to_hands
from handbench.synth.look import PLAIN, STREET, STUDIO, Look
from handbench.synth.picture import paint
from handbench.synth.video import SyntheticVideo


@dataclass(frozen=True)
class Generated:
    """A dataset without files.

    ids     the first word of its ids
    source  what its truth is said to be of
    seed    of a fixed set, which has all samples of its card, always of the synthetic hand; None: any seed and number
            may be asked for, of the hand that is present
    look    of its pictures
    video   its samples are the frames of tracks
    """

    card: Card
    ids: str
    source: str
    seed: int | None = None
    version: int | None = None
    look: Look = PLAIN
    video: bool = False

    @property
    def fixed(self) -> bool:
        return self.seed is not None

    def length(self, split: str, limit: int | None) -> int:
        """How many samples the split has to be made with; those of a fixed set are cut as official ones are."""
        count = int(self.card.splits[split] or 0)
        if self.fixed or limit is None:
            return count
        return min(limit, count) if split == "test" else limit


SYNTHETIC = Generated(synthetic.CARD, "synthetic", "handbench synthetic hand")
GENERATED = {
    made.card.name: made
    for made in (
        SYNTHETIC,
        *(
            Generated(card, handsynth.CARD.name, handsynth.SOURCE, handsynth.SEED, handsynth.VERSION)
            for card in (handsynth.CARD, handsynth_small.CARD)
        ),
        *(
            Generated(domain.CARD, domain.CARD.name, domains.SOURCE, domains.SEED, domains.VERSION, look)
            for domain, look in ((domains, STUDIO), (handsynth_target, STREET))
        ),
        *(
            Generated(card, tracks.CARD.name, tracks.SOURCE, tracks.SEED, tracks.VERSION, video=True)
            for card in (tracks.CARD, handsynth_video_small.CARD)
        ),
    )
}


class SyntheticSplit:
    """`n` samples of `hand`, made while they are read. `seed` counts only where the set has none of its own."""

    def __init__(self, split: str, n: int, seed: int, hand: HandModel, made: Generated = SYNTHETIC):
        used = seed if made.seed is None else made.seed
        kind = SyntheticVideo if made.video else SyntheticHands
        self.scenes = kind(n, seed=used, split=split, model=hand, dataset=made.ids, look=made.look)
        card = made.card
        self.meta: dict[str, Any] = {
            "dataset": card.name,
            "split": split,
            "count": card.splits[split],
            "partial": n != card.splits[split] or (not made.fixed and seed != 0),
            "source": made.source,
            "read_from": f"seed {used}",
            "joint_source": "model",
            "fingertips": card.fingertips,
            "validation": card.validation,
            "hand_model": hand.digest(),
        }
        if made.version is not None:
            self.meta["version"] = made.version

    def __len__(self) -> int:
        return len(self.scenes)

    def name(self, i: int) -> str:
        return self.scenes.name(i)

    def read(self, start: int, stop: int) -> Block:
        if isinstance(self.scenes, SyntheticVideo):
            images = [encode_jpeg(self.scenes.image(i)) for i in range(start, stop)]
            return Block(self.scenes.hands(start, stop, self.meta), images)
        scenes = [self.scenes.sample(i) for i in range(start, stop)]
        return Block(to_hands(scenes, self.meta), [encode_jpeg(paint(scene)) for scene in scenes])
