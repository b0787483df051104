"""A run that is interrupted, at any step, ends with the weights and losses of one that was not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from handbench.datasets.freihand import open_split
from handbench.datasets.prepare import prepare
from handbench.errors import InvalidError
from handbench.hands.mano import MANO_ARRAYS, HandModel
from handbench.inference.checkpoint import read_checkpoint
from handbench.methods.base import Batch, Method, ModelConfig, Prediction
from handbench.recipe import Data, Recipe, Train
from handbench.training.loop import Trainer
from handbench.training.plan import Plan
from tests.conftest import freihand_layout  # noqa: F401


class Toy(Method):
    """One convolution and dropout: enough to have weights, an optimiser state and random draws."""

    name = "toy"
    given = ("root", "box", "camera")
    input_size = 16
    delay = 0.0

    def __init__(self):
        super().__init__(ModelConfig(), toy_hand(), "freihand")
        self.net = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(3 * 16 * 16, 63))

    def forward(self, image):
        return {"joints": self.net(image).view(-1, 21, 3)}

    def lift(self, output, batch: Batch):
        return Prediction(output["joints"] + batch["root"][:, None], None)

    def losses(self, output, batch: Batch):
        time.sleep(self.delay)
        wanted = batch["joints"] - batch["root"][:, None]
        return {"joints": (output["joints"] - wanted).abs().mean() * (2.0 if self.stage == "pretrain" else 1.0)}


def toy_hand() -> HandModel:
    arrays = {name: np.zeros(shape) for name, shape in MANO_ARRAYS.items()}
    return HandModel(side="right", source="toy", **arrays)


def make_plan(file, folder: Path, seed: int = 0, epochs: int = 3) -> Plan:
    recipe = Recipe(
        method="toy",
        variant="full",
        size="full",
        model={},
        data=Data(rotation=40, scale=0.2, shift=0.1, colour=0.2),
        train=Train(epochs=epochs, pretrain_epochs=1, batch=3, lr=1e-3, lr_decay_every=2, workers=0),
    )
    return Plan(recipe, file, toy_hand(), folder, seed)


def run(plan: Plan, toy: Toy | None = None, begun: bool = False) -> Trainer:
    torch.manual_seed(plan.seed)
    toy = toy or Toy()
    assert plan.begin(restart=False) or begun
    trainer = Trainer(plan, toy, torch.device("cpu"))
    trainer.run()
    return trainer


@pytest.fixture
def file(freihand_layout, tmp_path):  # noqa: F811
    return prepare(open_split(freihand_layout, "train", partial=True, hand=None), tmp_path / "train.h5")


def weights(path: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(path)["state"]


def same_weights(a: Path, b: Path) -> bool:
    first, second = weights(a), weights(b)
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def log(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


class Stop(Toy):
    """Ctrl-C at the n-th step."""

    left = 0

    def losses(self, output, batch):
        self.left -= 1
        if self.left == -1:
            os.kill(os.getpid(), signal.SIGINT)
        return super().losses(output, batch)


@pytest.mark.parametrize("steps", [0, 1, 5, 6, 7, 13, 20])
def test_interrupted_at_any_step_it_resumes_to_the_same_losses_and_weights(file, tmp_path, steps):
    run(make_plan(file, tmp_path / "whole"))
    plan = make_plan(file, tmp_path / "cut")
    torch.manual_seed(0)
    toy = Stop()
    toy.left = steps
    with pytest.raises(KeyboardInterrupt):
        run(plan, toy)
    run(plan, Toy())
    for name in ("last.pt", "best.pt"):
        assert same_weights(tmp_path / "whole" / name, tmp_path / "cut" / name)
    assert log(tmp_path / "whole") == log(tmp_path / "cut")


def test_the_seed_decides_and_nothing_else(file, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run(make_plan(file, tmp_path / name, seed, epochs=1))
    assert same_weights(tmp_path / "a/last.pt", tmp_path / "b/last.pt")
    assert not same_weights(tmp_path / "a/last.pt", tmp_path / "c/last.pt")


def test_training_lowers_the_loss_and_keeps_the_best_epoch(file, tmp_path):
    run(make_plan(file, tmp_path / "a", epochs=12))
    main = [line for line in log(tmp_path / "a") if line["stage"] == "main"]
    assert main[-1]["loss/sum"] < 0.95 * main[0]["loss/sum"]
    assert [line["lr"] for line in main[:5]] == pytest.approx([1e-3, 1e-3, 2.5e-4, 2.5e-4, 6.25e-5])
    best = min(line["validation/pa-mpjpe"] for line in main)
    assert read_checkpoint(tmp_path / "a/last.pt")["best"] == pytest.approx(best)


def test_validation_frames_are_never_trained_on(file, tmp_path):
    plan = make_plan(file, tmp_path / "a")
    captures = file.column("capture")
    assert len(plan.validation_index) == 4
    assert not set(captures[plan.validation_index]) & set(captures[plan.train_index])


def test_another_recipe_or_seed_does_not_resume_this_run(file, tmp_path):
    run(make_plan(file, tmp_path / "a", epochs=1))
    with pytest.raises(InvalidError, match="another recipe"):
        make_plan(file, tmp_path / "a", epochs=2).begin(restart=False)
    with pytest.raises(InvalidError, match="another seed"):
        make_plan(file, tmp_path / "a", seed=1, epochs=1).begin(restart=False)
    assert not make_plan(file, tmp_path / "a", epochs=1).begin(restart=False)
    assert make_plan(file, tmp_path / "a", epochs=2).begin(restart=True)


def test_a_test_split_is_never_trained_on(freihand_layout, tmp_path):  # noqa: F811
    test = prepare(open_split(freihand_layout, "test", partial=True, hand=None), tmp_path / "test.h5")
    with pytest.raises(InvalidError, match="test split"):
        make_plan(test, tmp_path / "a")


def test_a_loss_that_is_not_finite_stops_and_names_the_term(file, tmp_path):
    class Diverges(Toy):
        def losses(self, output, batch):
            return {"joints": output["joints"].mean() * float("nan")}

    with pytest.raises(InvalidError, match=r"not finite at epoch 0, step 0 \(joints nan\)"):
        run(make_plan(file, tmp_path / "a"), Diverges())


SCRIPT = """
import sys, torch
from pathlib import Path
from handbench.store.hands_file import HandsFile
from tests.training import test_loop as t
import handbench.training.loop as loop
loop.SAVE_EVERY_S = 0.05
t.Toy.delay = float(sys.argv[3])
plan = t.make_plan(HandsFile(sys.argv[1]), Path(sys.argv[2]))
torch.manual_seed(0)
t.run(plan, begun=True)
"""


def test_killed_at_several_moments_it_ends_like_a_run_that_was_not(file, tmp_path):
    run(make_plan(file, tmp_path / "whole"))
    root = Path(__file__).parents[2]

    def start(delay: float) -> subprocess.Popen:
        command = [sys.executable, "-c", SCRIPT, str(file.path), str(tmp_path / "killed"), str(delay)]
        return subprocess.Popen(command, cwd=root, stderr=subprocess.DEVNULL)

    last = tmp_path / "killed/last.pt"
    for wait in (0.1, 0.35):
        begun = start(0.05)
        changed = last.stat().st_mtime_ns if last.exists() else 0
        deadline = time.monotonic() + 60
        while (last.stat().st_mtime_ns if last.exists() else 0) == changed and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(wait)
        begun.send_signal(signal.SIGKILL)
        begun.wait()
    assert start(0.0).wait() == 0
    assert same_weights(tmp_path / "whole/last.pt", last)
