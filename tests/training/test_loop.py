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

from handbench.errors import InvalidError
from handbench.hands.mano import MANO_ARRAYS, HandModel
from handbench.inference.checkpoint import read_checkpoint
from handbench.methods.base import Batch, Method, ModelConfig, Prediction
from handbench.recipe import Data, Recipe, Train
from handbench.training.loop import Trainer
from handbench.training.plan import Plan
from tests.conftest import freihand_layout  # noqa: F401
from tests.datasets import official


class Toy(Method):
    """One convolution and dropout: enough to have weights, an optimiser state and random draws."""

    name = "toy"
    given = ("root", "box", "camera")
    input_size = 16
    delay = 0.0

    def __init__(self):
        super().__init__(ModelConfig(), toy_hand(), "freihand")
        self.net = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(3 * 16 * 16, 63))

    def forward(self, image, batch=None):
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


def run(plan: Plan, toy: Toy | None = None) -> None:
    torch.manual_seed(plan.seed)
    toy = toy or Toy()
    assert not plan.finished()
    with plan.begun(restart=False):
        Trainer(plan, toy, torch.device("cpu")).run()


@pytest.fixture
def file(freihand_layout, tmp_path):  # noqa: F811
    return official.prepared("freihand", freihand_layout, "train", tmp_path / "train.h5", partial=True)


def weights(path: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(path)["state"]


def same_weights(a: Path, b: Path) -> bool:
    first, second = weights(a), weights(b)
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def log(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def saved_at(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def wait_for_a_save(path: Path, before: int) -> None:
    deadline = time.monotonic() + 60
    while saved_at(path) == before and time.monotonic() < deadline:
        time.sleep(0.02)


class Stop(Toy):
    """Ctrl-C at the n-th step."""

    left = 0

    def losses(self, output, batch):
        self.left -= 1
        if self.left == -1:
            os.kill(os.getpid(), signal.SIGINT)
        return super().losses(output, batch)


@pytest.mark.parametrize("steps", [0, 1, 4, 5, 6, 13, 19])
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
        make_plan(file, tmp_path / "a", epochs=2).finished()
    with pytest.raises(InvalidError, match="another seed"):
        make_plan(file, tmp_path / "a", seed=1, epochs=1).finished()
    assert make_plan(file, tmp_path / "a", epochs=1).finished()
    plan = make_plan(file, tmp_path / "a", epochs=2)
    with plan.begun(restart=True):
        assert not plan.finished()
    run(plan)


def test_two_processes_do_not_train_in_one_folder(file, tmp_path):
    first, second = (make_plan(file, tmp_path / "a").begun(restart=False) for _ in range(2))
    with first, pytest.raises(InvalidError, match="Another process"), second:
        pass


def test_restart_deletes_no_folder_that_is_not_a_run(file, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter1.tex").write_text("years of work")
    with pytest.raises(InvalidError, match="not the folder of a run"), make_plan(file, tmp_path / "thesis").begun(True):
        pass
    assert (tmp_path / "thesis/chapter1.tex").exists()


def test_a_last_batch_of_one_joins_the_one_before_it(file, tmp_path):
    seen = []

    class Counts(Toy):
        def losses(self, output, batch):
            seen.append(batch["index"].tolist())
            return super().losses(output, batch)

    # 16 samples in batches of 3 leave one over
    plan = make_plan(file, tmp_path / "a", epochs=1)
    assert len(plan.train_index) == 16
    run(plan, Counts())
    first_epoch = seen[:5]
    assert sorted(map(len, first_epoch)) == [3, 3, 3, 3, 4]
    assert sorted(i for batch in first_epoch for i in batch) == plan.train_index.tolist()


def test_a_killed_save_leaves_a_run_that_ends_with_the_same_best(file, tmp_path, monkeypatch):
    """Stopped between the two checkpoints of an epoch, wherever that is."""
    import handbench.training.loop as loop

    run(make_plan(file, tmp_path / "whole"))
    save = loop.save_checkpoint
    for stop in range(1, 9):
        folder = tmp_path / f"cut{stop}"
        left = [stop]

        def fails(path, *args, left=left, **kwargs):
            left[0] -= 1
            if left[0] == 0:
                raise SystemExit
            save(path, *args, **kwargs)

        monkeypatch.setattr(loop, "save_checkpoint", fails)
        with pytest.raises(SystemExit):
            run(make_plan(file, folder))
        monkeypatch.setattr(loop, "save_checkpoint", save)
        if not make_plan(file, folder).finished():
            run(make_plan(file, folder))
        for name in ("last.pt", "best.pt"):
            assert same_weights(tmp_path / "whole" / name, folder / name), (stop, name)
        assert log(folder) == log(tmp_path / "whole")


def test_a_log_line_that_was_cut_short_is_dropped(file, tmp_path):
    plan = make_plan(file, tmp_path / "a")
    toy = Stop()
    toy.left = 7
    with pytest.raises(KeyboardInterrupt):
        run(plan, toy)
    with open(tmp_path / "a/log.jsonl", "a") as text:
        text.write('{"stage": "ma')
    run(plan)
    assert [(line["stage"], line["epoch"]) for line in log(tmp_path / "a")] == [
        ("pretrain", 1), ("main", 1), ("main", 2), ("main", 3)
    ]  # fmt: skip


def test_a_signal_to_the_whole_group_saves_and_ends_with_130(file, tmp_path):
    """SLURM and a terminal signal the loader workers too."""
    script = SCRIPT.replace("plan = t", "import handbench.cli; plan = t").replace("t.run(plan)", GROUP)
    command = [sys.executable, "-c", script, str(file.path), str(tmp_path / "a"), "0.05"]
    for number in (signal.SIGTERM, signal.SIGINT):
        before = saved_at(tmp_path / "a/last.pt")
        begun = subprocess.Popen(
            command, cwd=Path(__file__).parents[2], stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        wait_for_a_save(tmp_path / "a/last.pt", before)
        time.sleep(0.1)
        os.killpg(begun.pid, number)
        said = begun.communicate(timeout=60)[1]
        assert begun.returncode == 130, said
        assert said.count("Stopping after this step") == 1
        assert "Saved at" in said
    assert "position" in read_checkpoint(tmp_path / "a/last.pt")


def test_a_test_split_is_never_trained_on(freihand_layout, tmp_path):  # noqa: F811
    test = official.prepared("freihand", freihand_layout, "test", tmp_path / "test.h5", partial=True)
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
t.run(plan)
"""

# with loader workers, and what the command line makes of an interrupt
GROUP = """
object.__setattr__(plan.recipe.train, "workers", 2)
try:
    t.run(plan)
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_killed_at_several_moments_it_ends_like_a_run_that_was_not(file, tmp_path):
    run(make_plan(file, tmp_path / "whole"))
    root = Path(__file__).parents[2]

    def start(delay: float) -> subprocess.Popen:
        command = [sys.executable, "-c", SCRIPT, str(file.path), str(tmp_path / "killed"), str(delay)]
        return subprocess.Popen(command, cwd=root, stderr=subprocess.DEVNULL)

    last = tmp_path / "killed/last.pt"
    for wait in (0.1, 0.35):
        before = saved_at(last)
        begun = start(0.05)
        wait_for_a_save(last, before)
        time.sleep(wait)
        begun.send_signal(signal.SIGKILL)
        begun.wait()
    assert start(0.0).wait() == 0
    for name in ("last.pt", "best.pt"):
        assert same_weights(tmp_path / "whole" / name, tmp_path / "killed" / name)
    assert log(tmp_path / "whole") == log(tmp_path / "killed")
