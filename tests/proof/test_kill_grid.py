"""kill -9 at many moments of `prep` and of `train`: the next run goes on, and ends in the same arrays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from handbench.inference.checkpoint import read_checkpoint
from handbench.store.hands_file import HandsFile

pytestmark = pytest.mark.proof


def start(folder: Path, *arguments: object) -> subprocess.Popen:
    environment = {**os.environ, "HANDBENCH_HOME": str(folder / "runs"), "HANDBENCH_DATA": str(folder.parent / "data")}
    command = [sys.executable, "-m", "handbench", *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def killed_until_done(folder: Path, moments: list[float], *arguments: object) -> int:
    """Start, kill after each of the moments (s), then let it finish; returns how many kills hit a living process."""
    hits = 0
    for moment in moments:
        running = start(folder, *arguments)
        time.sleep(moment)
        hits += running.poll() is None
        running.send_signal(signal.SIGKILL)
        running.wait()
    assert start(folder, *arguments).wait() == 0
    return hits


@pytest.fixture
def official(tmp_path):
    assert start(tmp_path / "a", "synth", "freihand", "--out", tmp_path / "data/freihand", "--n", "300").wait() == 0
    return tmp_path


def timed(folder: Path, *arguments: object) -> float:
    begun = time.monotonic()
    assert start(folder, *arguments).wait() == 0
    return time.monotonic() - begun


def test_prep(official, keep):
    command = ("prep", "freihand", "--partial")
    whole = timed(official / "whole", *command)
    moments = np.random.default_rng(0).uniform(0.1 * whole, 1.0 * whole, 12).tolist()
    hits = 0
    for k in range(3):
        hits += killed_until_done(official / f"killed{k}", moments[4 * k : 4 * k + 4], *command)
        for split in ("train", "test"):
            name = f"runs/data/freihand-{split}.h5"
            killed, uncut = HandsFile(official / f"killed{k}" / name), HandsFile(official / "whole" / name)
            killed.verify()
            assert killed.checksums == uncut.checksums
        left = {path.name for path in (official / f"killed{k}/runs/data").iterdir()}
        assert left == {"freihand-train.h5", "freihand-test.h5"}
    assert hits >= 6
    what = "kill -9 during prep freihand (1,200 + 150 images); afterwards every array equals an uncut run's"
    keep("kill-prep", {"what": what, "moments_s": moments, "alive": hits})


def test_train(official, keep):
    assert start(official / "whole", "prep", "freihand", "--partial").wait() == 0
    prepared = official / "whole/runs/data/freihand-train.h5"
    sets = ["train.epochs=2", "train.pretrain_epochs=1", "data.limit=64", "train.validate_every=5"]
    command = ("train", "clip-hand3d", "--size", "tiny", "--device", "cpu", "--data", prepared)
    command = (*command, *[word for setting in sets for word in ("--set", setting)])
    whole = timed(official / "whole", *command)
    moments = np.random.default_rng(1).uniform(0.3 * whole, 0.6 * whole, 6).tolist()
    hits = 0
    for k in range(2):
        hits += killed_until_done(official / f"killed{k}", moments[3 * k : 3 * k + 3], *command)
        for name in ("last.pt", "best.pt"):
            killed, uncut = (
                read_checkpoint(official / folder / "runs/train/clip-hand3d/full.tiny/0" / name)
                for folder in (f"killed{k}", "whole")
            )
            assert killed.get("losses") == uncut.get("losses")
            assert all(torch.equal(killed["state"][key], value) for key, value in uncut["state"].items())
    assert hits >= 3
    what = "kill -9 during train clip-hand3d tiny; afterwards losses and weights equal an uncut run's"
    keep("kill-train", {"what": what, "moments_s": moments, "alive": hits})
