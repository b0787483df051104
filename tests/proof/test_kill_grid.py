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


# enough frames that a run lasts longer than its start
KILLED = {
    "freihand": (("--n", "1500"), "train"),
    "ho3d-v3": (("--sequences", "12", "--frames", "40"), "train"),
    "dexycb": (("--sequences", "40", "--frames", "6"), "s0-train"),
}
KILLS, IN_A_ROW = 10, 5


@pytest.mark.parametrize("dataset", KILLED)
def test_prep(tmp_path, keep, dataset):
    sizes, split = KILLED[dataset]
    root = tmp_path / "data" / dataset
    assert start(tmp_path / "a", "synth", dataset, "--out", root, *sizes).wait() == 0
    command = ["prep", dataset, "--partial", "--split", split]
    command += ["--sequence-names", root / "sequence-names.txt"] if dataset == "dexycb" else []
    whole = timed(tmp_path / "whole", *command)
    rng = np.random.default_rng(sorted(KILLED).index(dataset))
    moments = rng.uniform(0.15 * whole, 0.95 * whole, KILLS).tolist()
    name = f"runs/data/{dataset}-{split}.h5"
    uncut = HandsFile(tmp_path / "whole" / name)
    hits = 0
    for k in range(KILLS // IN_A_ROW):
        folder = tmp_path / f"killed{k}"
        hits += killed_until_done(folder, moments[IN_A_ROW * k : IN_A_ROW * (k + 1)], *command)
        killed = HandsFile(folder / name)
        killed.verify()
        assert killed.checksums == uncut.checksums
        left = [path.name for path in (folder / "runs/data").iterdir()]
        assert left == [Path(name).name], "nothing is left beside it"
    assert hits >= KILLS // 2
    what = f"kill -9 during prep {dataset} ({len(uncut):,} samples); afterwards every array equals an uncut run's"
    keep(f"kill-prep-{dataset}", {"what": what, "seconds_uncut": whole, "moments_s": moments, "alive": hits})


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
