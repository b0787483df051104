"""Each method fits 16 images, or 8 windows of video, to under 3 mm: it can learn what it is asked to."""

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
from handbench.store.hands_writer import write_hands

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
        *("train.epochs=1500", "train.batch=16", "train.lr=5e-4", "train.lr_decay=0.3", "train.lr_decay_every=650"),
        *("model.clip.enabled=false", "model.mted.dropout=0", "model.input=64"),
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
        truth = [file.read(i, i + 1) for i in index]
    joints = np.concatenate([one.joints for one in truth])
    error = 1000 * float(mpjpe(joints, procrustes(joints, predicted.joints)).mean())
    found = {"what": "16 images, mpjpe/procrustes in mm", "value": error, "settings": settings}
    if predicted.vertices is not None:
        mesh = np.concatenate([one.vertices for one in truth])
        found["mpvpe/procrustes"] = 1000 * float(mpjpe(mesh, procrustes(mesh, predicted.vertices)).mean())
    keep(f"overfit-16-{method}", found)
    assert error < 3


# the tracks of handsynth-video-small of which one is held out, and the frames of each that are kept
TRACKS, LENGTH, KEPT = 3, 32, (1, 11, 21, 31)
WINDOWS = (
    *("data.rotation=0", "data.scale=0", "data.shift=0", "data.colour=0"),
    *("train.epochs=360", "train.batch=8", "train.lr=1e-3", "train.lr_decay=0.2", "train.lr_decay_every=260"),
    *("model.input=64", "model.dropout=0", "train.validate_every=1000", "train.workers=0"),
)


def test_deformer_fits_8_windows(handbench, home, keep):
    """Four frames of each of two tracks, ten apart: each is the centre of a window of three."""
    name = "handsynth-video-small"
    assert handbench("prep", name, "--split", "train", "--limit", TRACKS * LENGTH).code == 0
    path = home / f"data/{name}-train.h5"
    with HandsFile(path) as file:
        rows = np.add.outer(LENGTH * np.arange(TRACKS), KEPT).ravel()
        kept, images = file.read().take(rows), [file.image(int(i)) for i in rows]
    write_hands(path, kept, images)
    sets = [word for setting in WINDOWS for word in ("--set", setting)]
    ran = handbench("train", "deformer", "--size", "tiny", "--data", name, "--device", "cpu", *sets)
    assert ran.code == 0, ran.err
    model = build(read_checkpoint(home / "train/deformer/full.tiny/0/last.pt"))
    with HandsFile(path) as file:
        index = np.flatnonzero(~validation_mask(file))
        assert len(index) == 8
        predicted = predict_in_memory(model, crops_for(model, file, 1.5, index), torch.device("cpu"), 24, 0)
        truth = np.concatenate([file.read(i, i + 1).joints for i in index])
    error = 1000 * float(mpjpe(truth, procrustes(truth, predicted.joints)).mean())
    what = "8 windows of 3 frames of 2 tracks, mpjpe/procrustes in mm"
    keep("overfit-8-windows-deformer", {"what": what, "value": error, "settings": WINDOWS})
    assert error < 3
