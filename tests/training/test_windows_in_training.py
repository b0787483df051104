"""Training on windows: one draw a window, nothing held out in it, and an adversary that resumes too."""

from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest
import torch

from handbench.errors import InvalidError
from handbench.inference.checkpoint import read_checkpoint
from handbench.recipe import Data, Recipe, Train
from handbench.training.loop import Trainer
from handbench.training.plan import Plan
from handbench.training.train import _check
from handbench.training.windows import AugmentedWindows, training_crops
from tests.training.test_loop import log, same_weights
from tests.video_file import ToyWindows, toy_hand, video_file

VARIED = Data(rotation=40, scale=0.2, shift=0.1, colour=0.2)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return video_file(tmp_path_factory.mktemp("video") / "video.h5", (6, 7, 5), missing=(3,))


def make_plan(file, folder, **train) -> Plan:
    settings = {"epochs": 2, "pretrain_epochs": 1, "batch": 3, "lr_decay_every": 1, "workers": 0, **train}
    recipe = Recipe(method="toy-windows", variant="full", size="full", model={}, data=VARIED, train=Train(**settings))
    return Plan(recipe, file, toy_hand(), folder)


def run(plan: Plan, toy: ToyWindows) -> None:
    with plan.begun(restart=False):
        Trainer(plan, toy, torch.device("cpu")).run()


def opposed() -> ToyWindows:
    torch.manual_seed(0)
    return ToyWindows(opposed=True)


class Stop(ToyWindows):
    """Ctrl-C at the n-th step."""

    left = 0

    def losses(self, output, batch):
        self.left -= 1
        if self.left == -1:
            os.kill(os.getpid(), signal.SIGINT)
        return super().losses(output, batch)


def test_a_window_is_augmented_as_one(file):
    data = AugmentedWindows(file, VARIED, np.arange(len(file)), ToyWindows(), 0)
    first, again = data[8], data[8]
    assert all(np.array_equal(first[key], again[key]) for key in first)
    assert len(set(first["rotation"].tolist())) == 1
    assert abs(first["rotation"][0]) > 0
    size = np.linalg.norm(first["affine"][:, :, 0], axis=1)
    assert np.allclose(size, size[0])
    assert set(first["index"]) != {first["index"][0]}
    data.epoch = 1
    assert data[8]["rotation"][0] != first["rotation"][0]


def test_the_truth_stays_with_its_frame(file):
    data = AugmentedWindows(file, VARIED, np.arange(len(file)), ToyWindows(), 0)
    window = data[6]
    assert np.allclose(window["joints"], file.column("joints")[window["index"]])
    assert np.allclose(window["visible_fraction"], file.column("visible_fraction")[window["index"]])
    batch = data.collate([data[0], data[6]])
    assert torch.equal(batch["joints"][3:], torch.as_tensor(window["joints"]))


def test_nothing_that_is_held_out_is_in_a_window(file, tmp_path):
    plan = make_plan(file, tmp_path / "a")
    data = training_crops(plan, ToyWindows(), plan.train_index, VARIED)
    assert set(data.windows.index.ravel()) == set(plan.train_index)


def test_a_frame_without_annotation_inside_a_window_is_missing(tmp_path):
    joints = np.random.default_rng(0).normal(0, 0.05, (5, 21, 3)) + [0, 0, 0.6]
    valid = np.ones((5, 21), bool)
    joints[2], valid[3] = np.nan, False
    file = video_file(tmp_path / "video.h5", (5,), joints=joints, joints_valid=valid)
    data = AugmentedWindows(file, Data(), np.arange(5), ToyWindows(), 0)
    assert data.index.tolist() == [0, 1, 4]
    assert data.windows.index.tolist() == [[0, 0, 0], [1, 1, 1], [4, 4, 4]]


def test_the_adversary_is_trained_by_its_own_optimiser_alone(file, tmp_path):
    toy = opposed()
    trainer = Trainer(make_plan(file, tmp_path / "a", adversary_lr=0.5, lr_decay=0.5), toy, torch.device("cpu"))
    run_before = {name: value.clone() for name, value in toy.state_dict().items()}
    with trainer.plan.begun(restart=False):
        trainer.run()
    theirs = {id(p) for p in toy.adversary.parameters()}
    groups = [{id(p) for g in one.param_groups for p in g["params"]} for one in trainer._optimisers().values()]
    assert groups[0] == {id(p) for p in toy.net.parameters()}
    assert groups[1] == theirs
    assert [one.param_groups[0]["lr"] for one in trainer._optimisers().values()] == [5e-4, 0.25]
    assert any(not torch.equal(run_before[f"judge.{name}"], value) for name, value in toy.judge.state_dict().items())
    lines = [json.loads(line) for line in (tmp_path / "a/log.jsonl").read_text().splitlines()]
    assert all("loss/adversary" in line and "loss/fooled" in line for line in lines)


@pytest.mark.parametrize("steps", [0, 1, 3, 4, 7, 10])
def test_interrupted_at_any_step_both_resume_to_the_same_weights(file, tmp_path, steps):
    run(make_plan(file, tmp_path / "whole"), opposed())
    torch.manual_seed(0)
    toy = Stop(opposed=True)
    toy.left = steps
    with pytest.raises(KeyboardInterrupt):
        run(make_plan(file, tmp_path / "cut"), toy)
    assert "adversary_optimiser" in read_checkpoint(tmp_path / "cut/last.pt")
    run(make_plan(file, tmp_path / "cut"), opposed())
    for name in ("last.pt", "best.pt"):
        assert same_weights(tmp_path / "whole" / name, tmp_path / "cut" / name)
    assert log(tmp_path / "whole") == log(tmp_path / "cut")


def test_an_adversary_that_diverges_is_named(file, tmp_path):
    class Diverges(ToyWindows):
        def adversary_loss(self, output, batch):
            return self.judge(output["joints"].flatten(1)).mean() * float("nan")

    with pytest.raises(InvalidError, match=r"adversary nan"):
        run(make_plan(file, tmp_path / "a"), Diverges(opposed=True))


def test_training_on_data_without_tracks_is_refused_at_its_start(tmp_path):
    bare = video_file(tmp_path / "bare.h5", (3, 3), track=None, frame=None)
    with pytest.raises(InvalidError, match=r"has no tracks, and toy-windows looks at several frames"):
        _check(ToyWindows(), make_plan(bare, tmp_path / "a"))
