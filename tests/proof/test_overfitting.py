"""Each method fits 16 images to under 3 mm: it can learn what it is asked to."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from handbench.datasets.holdout import validation_mask
from handbench.inference.checkpoint import build, read_checkpoint
from handbench.inference.predict import crops_for, predict_in_memory
from handbench.metrics.align import procrustes
from handbench.metrics.errors import mpjpe
from handbench.store.hands_file import HandsFile

pytestmark = pytest.mark.proof

STILL = ("data.rotation=0", "data.scale=0", "data.shift=0", "data.colour=0", "data.limit=16")
SETTINGS = {
    "dahyf": (
        *("train.epochs=300", "train.lr=1e-3", "train.lr_decay_every=200"),
        *("model.confidence.enabled=false", "model.dropout=0"),
    ),
    "clip-hand3d": (
        *("train.epochs=300", "train.pretrain_epochs=100", "train.lr_decay_every=120"),
        "model.clip.enabled=false",
    ),
    "clip-hand-s24": (
        *("train.epochs=400", "train.batch=16", "train.lr=1e-3", "train.lr_decay_every=300"),
        *("model.clip.enabled=false", "model.mted.dropout=0"),
    ),
    "clip-dg": (
        *("train.epochs=1200", "train.lr=1e-3", "train.lr_decay_every=900"),
        *('model.contrast.positive="none"', "model.dropout=[0,0]"),
    ),
}


@pytest.mark.parametrize("method", SETTINGS)
def test_it_fits_16_images(handbench, home, keep, method):
    assert handbench("prep", "handsynth-small", "--split", "train", "--limit", "40").code == 0
    settings = (*STILL, *SETTINGS[method], "train.validate_every=1000", "train.workers=0")
    sets = [word for setting in settings for word in ("--set", setting)]
    ran = handbench("train", method, "--size", "tiny", "--data", "handsynth-small", "--device", "cpu", *sets)
    assert ran.code == 0, ran.err
    model = build(read_checkpoint(home / f"train/{method}/full.tiny/0/last.pt"))
    with HandsFile(home / "data/handsynth-small-train.h5") as file:
        index = np.flatnonzero(~validation_mask(file))[:16]
        predicted = predict_in_memory(model, crops_for(model, file, 1.3, index), torch.device("cpu"), 16, 0)
        truth = np.concatenate([file.read(i, i + 1).joints for i in index])
    error = 1000 * float(mpjpe(truth, procrustes(truth, predicted.joints)).mean())
    keep(f"overfit-16-{method}", {"what": "16 images, mpjpe/procrustes in mm", "value": error, "settings": settings})
    assert error < 3
