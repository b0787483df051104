"""Real images in, real errors out: the set of Ge et al., frames 0-465 for training, 466-582 for testing."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
import torch

from handbench.evaluation.compare import compare
from handbench.evaluation.result_file import read_result
from handbench.inference.checkpoint import build, read_checkpoint
from handbench.inference.crops import Crops
from handbench.inference.predict import predict_in_memory
from handbench.metrics.align import procrustes
from handbench.metrics.errors import mpjpe
from handbench.store.hands_file import HandsFile

pytestmark = pytest.mark.proof
# the set has joints only, and no hand model of its own
JOINTS = ("--size", "tiny", "--data", "ge-realworld", "--device", "cpu", "--hand", "synthetic")
TINY = (*JOINTS, "--set", "model.output_joints=lixel", "--set", "model.mesh_losses=false")


def processor_minutes() -> float:
    """Of this process and of the loader workers that have ended."""
    return sum(os.times()[:4]) / 60


@pytest.fixture
def prepared(handbench, home, real_data):
    assert handbench("prep", "ge-realworld", real_data / "ge_realworld").code == 0
    return home


def test_a_tiny_model_beats_the_mean_pose_on_unseen_frames(handbench, prepared, keep):
    settings = ("train.epochs=14", "train.pretrain_epochs=16", "train.lr_decay_every=8")
    sets = [word for setting in settings for word in ("--set", setting)]
    assert handbench("train", "mean-pose", "--data", "ge-realworld").code == 0
    begun, cpu = time.perf_counter(), processor_minutes()
    assert handbench("train", "clip-hand3d", *TINY, *sets).code == 0
    minutes, cpu = (time.perf_counter() - begun) / 60, processor_minutes() - cpu
    assert handbench("predict", "mean-pose", "--protocol", "ge-realworld").code == 0
    assert handbench("predict", "clip-hand3d", "--size", "tiny", "--protocol", "ge-realworld").code == 0
    ran = handbench("eval", "--protocol", "ge-realworld")
    assert ran.code == 0
    assert "given: root depth, scale, box, camera" in ran.out

    results = prepared / "results/ge-realworld"
    tiny, mean = (read_result(results / f"{row}.h5") for row in ("clip-hand3d-full.tiny-0", "mean-pose-full-0"))
    assert mean.value("mpjpe", "root") == pytest.approx(52.57, abs=0.005)
    assert mean.value("mpjpe", "procrustes") == pytest.approx(23.55, abs=0.005)
    rows = {(row.metric, row.alignment): row for row in compare(tiny, mean, anyway=True).rows if row.metric == "mpjpe"}
    keep(
        "ge-realworld",
        {
            "what": "clip-hand3d tiny, trained from scratch, against mean-pose; 117 unseen frames; paired differences",
            "settings": settings,
            "training_minutes": minutes,
            "processor_minutes": cpu,
            "threads": torch.get_num_threads(),
            "rows": [
                {
                    "metric": f"{metric}/{alignment}",
                    "clip-hand3d": row.a,
                    "mean-pose": row.b,
                    "difference": row.difference,
                    "low": row.low,
                    "high": row.high,
                }
                for (metric, alignment), row in rows.items()
            ],
            "given": tiny.given,
        },
    )
    assert cpu <= 20
    for alignment in ("root", "procrustes"):
        assert rows["mpjpe", alignment].high < 0, rows["mpjpe", alignment]


def test_dahyf_on_unseen_frames(handbench, prepared, keep):
    """Whatever the numbers are: it is given neither root nor scale."""
    settings = ('model.losses=["2d","3d","projected","bone"]', "train.epochs=14", "train.lr_decay_every=11")
    sets = [word for setting in settings for word in ("--set", setting)]
    assert handbench("train", "mean-pose", "--data", "ge-realworld").code == 0
    assert handbench("train", "dahyf", *JOINTS, *sets).code == 0
    assert handbench("predict", "mean-pose", "--protocol", "ge-realworld").code == 0
    assert handbench("predict", "dahyf", "--size", "tiny", "--protocol", "ge-realworld").code == 0
    assert handbench("eval", "--protocol", "ge-realworld").code == 0
    results = prepared / "results/ge-realworld"
    rows = {name: read_result(results / f"{name}.h5") for name in ("dahyf-full.tiny-0", "mean-pose-full-0")}
    figures = {
        name: {alignment: row.value("mpjpe", alignment) for alignment in ("none", "root", "procrustes")}
        for name, row in rows.items()
    }
    keep("ge-realworld-dahyf", {"what": "117 unseen frames, mpjpe in mm", "settings": settings, "rows": figures})
    assert all(np.isfinite(value) for row in figures.values() for value in row.values())


def test_it_overfits_32_images(handbench, prepared, keep):
    still = [f"data.{name}=0" for name in ("rotation", "scale", "shift", "colour")]
    still += ["data.limit=32", "model.clip.enabled=false", "train.validate_every=1000"]
    still += ["train.epochs=160", "train.pretrain_epochs=60", "train.lr_decay_every=60"]
    assert handbench("train", "clip-hand3d", *TINY, *[w for s in still for w in ("--set", s)]).code == 0
    # the last epoch, not the best on validation frames: what is asked is whether it can fit
    method = build(read_checkpoint(prepared / "train/clip-hand3d/full.tiny/0/last.pt"))
    with HandsFile(prepared / "data/ge-realworld-train.h5") as file:
        crops = Crops(file, method.input_size, 1.3, method.given, np.arange(32))
        predicted = predict_in_memory(method, crops, torch.device("cpu"), 16, 0)
        truth = file.read(0, 32)
    error = 1000 * float(mpjpe(truth.joints, procrustes(truth.joints, predicted.joints)).mean())
    keep("overfit-32", {"what": "32 real training images, mpjpe/procrustes in mm", "value": error, "settings": still})
    assert error < 5
