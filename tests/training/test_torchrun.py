"""Two processes by torchrun train as one does: the same losses, step by step, and the same weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from handbench.hands.colours import COLOURS
from handbench.hands.gestures import GESTURES
from handbench.inference.checkpoint import read_checkpoint
from handbench.preparation.labels import labels_file
from handbench.store.hands_file import HandsFile
from tests.training import commands_in_turn
from tests.video_file import video_file

# two tracks, of which the first is held out
LENGTHS = (3, 7)
# batches of 4 and 3 samples: shares of 2 and 2, of 1 and 2
BATCH = 4
COMMON = ("train.epochs=1", "train.workers=0", "train.frozen_batchnorm=true", "model.input=64")
# what a network draws within itself is drawn otherwise by two: dropout, and clip-dg's prompts
METHODS = {
    # two views of each image
    "clip-hand3d": (
        "train.pretrain_epochs=1",
        "model.consistency=true",
        "model.clip.contrast_batch=4",
        "model.clip.n_joints=5",
    ),
    "clip-hand-s12": ("model.mted.dropout=0.0",),
    "clip-dg": ("model.dropout=[0.0,0.0]", "model.clip.ratio=1.0"),
    "dahyf": ("model.dropout=0.0",),
    "deformer": ("model.gap=1", "model.dropout=0.0", "model.discriminator.dropout=0.0"),
}
# this one stops after its second step, and goes on
RESUMED = "dahyf-resumed"
REFUSED = {
    "odd": (("dahyf", "train.batch=3"), 2, "Set train.batch=2 or 4"),
    "one-each": (("dahyf", "train.batch=2", "train.frozen_batchnorm=false"), 4, "or train.frozen_batchnorm=true"),
    "no-other": (("clip-dg", "data.limit=1"), 2, "takes its negative from the other images"),
    "fitted": (("mean-pose",), 2, "Run it without torchrun"),
}


def masked_file(path: Path) -> HandsFile:
    """A video of which joints, meshes, hand models and labels are known here and there."""
    hands = video_file(path.with_name("whole.h5"), LENGTHS).read(0, sum(LENGTHS))
    n, draw = len(hands), np.random.default_rng(3)
    valid = draw.random((n, 21)) < draw.uniform(0.3, 1.0, (n, 1))
    joints, vertices, pose = (np.array(getattr(hands, name)) for name in ("joints", "vertices", "mano_pose"))
    joints[~valid] = np.nan
    vertices[[4, 7]] = np.nan
    pose[[5]] = np.nan
    file = video_file(path, LENGTHS, joints=joints, joints_valid=valid, vertices=vertices, mano_pose=pose)
    labels = [f"{name},{COLOURS[i]},{GESTURES[i] if i != 6 else ''}" for i, name in enumerate(file.ids)]
    labels_file(path).write_text("\n".join(["id,background,gesture", *labels]) + "\n")
    return file


def command(out: Path, data: Path, method: str, *sets: str, batch: int = BATCH) -> list[str]:
    fixed = ("--data", str(data), "--size", "tiny", "--device", "cpu", "--hand", "synthetic", "--out", str(out))
    own = () if method == "mean-pose" else (f"train.batch={batch}", *COMMON)
    return ["train", method, *fixed, *(word for setting in (*own, *sets) for word in ("--set", setting))]


class Ran:
    def __init__(self, folder: Path, data: HandsFile, done: subprocess.CompletedProcess):
        self.folder, self.data, self.done = folder, data, done
        assert (folder / "found1.pt").exists(), done.stderr
        self.found = [torch.load(folder / f"found{rank}.pt", weights_only=True) for rank in (0, 1)]

    def last(self, count: str, name: str) -> dict:
        return read_checkpoint(self.folder / count / name / "last.pt")


def torchrun(script: list[str], root: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", *script]
    begun = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, err = begun.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        # unlike SIGKILL, it reaches the processes that torchrun started
        begun.terminate()
        out, err = begun.communicate()
    return subprocess.CompletedProcess(command, begun.returncode, out, err)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Every command alone, here, and all by one torchrun; the last of them ends with a process killed."""
    folder = tmp_path_factory.mktemp("torchrun")
    data = masked_file(folder / "video.h5")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HANDBENCH_HOME", str(folder / "home"))
        patch.setenv("OMP_NUM_THREADS", "1")
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        trained = {name: (name, *sets) for name, sets in METHODS.items()}
        alone = [{"arguments": command(folder / "one" / name, data.path, *line)} for name, line in trained.items()]
        assert commands_in_turn.run_all(alone) == [0] * len(alone)
        torch.set_num_threads(before)
        two = [{"arguments": command(folder / "two" / name, data.path, *line)} for name, line in trained.items()]
        again = command(folder / "two" / RESUMED, data.path, *trained["dahyf"])
        two += [{"arguments": again, "signal": "SIGINT"}, {"arguments": again}]
        two += [
            {"arguments": command(folder / "two" / name, data.path, *line)} for name, (line, _, _) in REFUSED.items()
        ]
        killed = command(folder / "two" / "killed", data.path, *trained["dahyf"])
        (folder / "commands.json").write_text(json.dumps([*two, {"arguments": killed, "signal": "SIGKILL"}]))
        script = [commands_in_turn.__file__, str(folder / "commands.json"), str(folder)]
        root = Path(__file__).parents[2]
        patch.setenv("PYTHONPATH", os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")]))
        done = torchrun(script, root)
    return Ran(folder, data, done)


def test_the_two_have_unequal_shares_of_what_is_annotated(ran):
    """Or a mean of means would be the mean."""
    trained = np.arange(LENGTHS[0], sum(LENGTHS))
    order = np.random.default_rng([0, 1, 0]).permutation(len(trained))
    for batch, share in ((order[:BATCH], 2), (order[BATCH:], 1)):
        hands = [ran.data.read(int(at), int(at) + 1) for at in trained[batch]]
        joints, mesh = (
            [int(np.isfinite(getattr(hand, name)).all(-1).sum()) for hand in hands] for name in ("joints", "vertices")
        )
        assert np.mean(joints[:share]) != np.mean(joints[share:])
        assert np.mean(mesh[:share]) != np.mean(mesh[share:])


@pytest.mark.parametrize("name", [*METHODS, RESUMED])
def test_losses_of_each_step_and_weights_are_those_of_one_process(ran, name):
    one, two = ran.last("one", name.removesuffix("-resumed")), ran.last("two", name)
    assert two["finished"]
    assert len(two["losses"]) == 2
    assert two["losses"] == pytest.approx(one["losses"], rel=1e-5)
    assert two["terms"] == pytest.approx(one["terms"], rel=1e-4, abs=1e-6)
    weights = {key: value.double() for key, value in one["state"].items()}
    apart = sum((two["state"][key].double() - value).square().sum() for key, value in weights.items())
    assert (apart / sum(value.square().sum() for value in weights.values())).sqrt() < 1e-4
    if name == "deformer":
        assert "adversary" in two["terms"]
    if "clip" in name:
        assert two["terms"].keys() & {"clip", "contrast"}


@pytest.mark.parametrize("name", METHODS)
def test_the_first_process_alone_writes_and_speaks(ran, name):
    folder = ran.folder / "two" / name
    assert len(list(folder.glob("events.*"))) == 1
    alone = (ran.folder / "one" / name / "log.jsonl").read_text().splitlines()
    assert len((folder / "log.jsonl").read_text().splitlines()) == len(alone)
    assert ran.done.stdout.count(f"{folder / 'best.pt'}\n") == 1
    # one line a command, of what it trains on
    assert ran.done.stderr.count("cpu, 2 processes, hand model") == len(METHODS) + 2 + len(REFUSED) + 1


def test_both_stop_at_the_same_step_whichever_is_asked(ran):
    codes = [found["codes"][len(METHODS) : len(METHODS) + 2] for found in ran.found]
    assert codes == [[130, 0], [130, 0]]
    assert ran.done.stderr.count("Saved at epoch 0, step 2") == 1


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_shared_is_refused_with_what_can(ran, name):
    _, code, hint = REFUSED[name]
    at = len(METHODS) + 2 + list(REFUSED).index(name)
    assert [found["codes"][at] for found in ran.found] == [code, code]
    assert hint in ran.done.stderr


def test_a_run_of_which_a_process_was_killed_ends(ran):
    """Whether the other one, or torchrun before it, notices first."""
    assert ran.done.returncode == 1
    assert "SIGKILL" in ran.done.stderr
    assert not read_checkpoint_is_finished(ran.folder / "two" / "killed" / "last.pt")


def read_checkpoint_is_finished(path: Path) -> bool:
    return path.exists() and bool(read_checkpoint(path).get("finished"))


def test_gathered_rows_have_the_gradient_that_they_have_in_one_process(ran):
    images, weights, scale, valid = commands_in_turn.inputs()
    commands_in_turn.contrast(images @ weights, scale, valid).backward()
    for found in ran.found:
        assert torch.allclose(found["gradients"][0], weights.grad, rtol=1e-5)
        assert torch.allclose(found["gradients"][1], scale.grad, rtol=1e-5)
