"""Which training frames of FreiHAND are held out is a committed list, and the rule gives that list."""

from __future__ import annotations

import numpy as np

from handbench import places
from handbench.datasets.holdout import validation_mask


class WholeTrainingSplit:
    """FreiHAND's 32,560 frames with their four backgrounds, as prep stores them: sample i shows frame i % 32,560."""

    meta = {"dataset": "freihand", "validation": "hash"}  # noqa: RUF012
    fields = ("id", "capture")

    def __len__(self) -> int:
        return 4 * 32560

    def column(self, name: str) -> np.ndarray:
        assert name == "capture"
        return np.array([f"freihand/train/{i % 32560:08d}" for i in range(len(self))])


def test_the_committed_list_is_what_is_held_out():
    listed = places.shipped("recipes", "splits", "freihand-validation.txt").read_text().split()
    assert len(listed) == len(set(listed)) == 3256
    split = WholeTrainingSplit()
    held = validation_mask(split)
    assert held.sum() == 4 * 3256
    assert set(split.column("capture")[held]) == set(listed)
    # all four backgrounds of a frame together
    assert (held.reshape(4, 32560).all(0) == held.reshape(4, 32560).any(0)).all()
