"""Where a training step's time goes, for each recipe, on synthetic data and by the trainer's own code.

    python benchmarks/training.py --steps 10 --json training.json

Without workers (--workers 0) loading is in the training process: every step waits for its data, and `decode` and
`augment` say for what. With workers they are elsewhere, and `waiting` says what is left of them. The first step is not
counted. `rest` is what no part accounts for: the check that the loss is finite, progress, Python.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tabulate import tabulate

from handbench.methods.base import Method
from handbench.preparation.generated import GENERATED, SyntheticSplit
from handbench.recipe import load_recipe
from handbench.store.hands_file import HandsFile
from handbench.store.hands_writer import write_hands
from handbench.store.records import made, write_json
from handbench.synth.hand import synthetic_hand
from handbench.training.loop import Trainer
from handbench.training.plan import Plan
from handbench.training.train import build_method

METHODS = ("clip-hand3d", "clip-hand-s12", "clip-hand-s24", "clip-dg", "dahyf", "deformer")
# of a step; `waiting` is from the end of one to the data of the next
PARTS = ("waiting", "transfer", "forward", "backward", "optimiser")
# of the waiting, where the training process loads
LOADING = ("decode", "augment")
# the parts are the whole step to this share of it, or the table says so
CLOSURE = 0.05
# a step that waits longer than this share of its time waits for its data
WAITS = 0.05


class Timed(Trainer):
    """A trainer that notes the seconds of each part of each step, in `noted`."""

    def __init__(self, plan: Plan, method: Method, device: torch.device):
        super().__init__(plan, method, device)
        self.noted: list[dict[str, float]] = []
        self.spent: dict[str, float] = defaultdict(float)

    def timed(self, owner: Any, name: str, part: str) -> None:
        call: Callable = getattr(owner, name)

        def within(*args: Any, **kwargs: Any) -> Any:
            start = self.now()
            try:
                return call(*args, **kwargs)
            finally:
                self.spent[part] += self.now() - start

        setattr(owner, name, within)

    def now(self) -> float:
        if self.fabric.device.type == "cuda":
            torch.cuda.synchronize(self.fabric.device)
        return time.perf_counter()

    def _begin_stage(self, resumed: dict[str, Any] | None) -> None:
        super()._begin_stage(resumed)
        if not self.train.workers:
            self.data.__getitems__ = self._items  # type: ignore[method-assign]
            self.timed(self.data, "__getitems__", "loading")
            self.timed(self.data, "collate", "loading")
            self.timed(self.data, "decode", "decode")
        for owner, name, part in (
            (self.fabric, "to_device", "transfer"),
            (self.method, "normalise", "forward"),
            (self.method, "forward", "forward"),
            (self.method, "losses", "forward"),
            (self.fabric, "backward", "backward"),
            (self.fabric, "clip_gradients", "optimiser"),
        ):
            self.timed(owner, name, part)
        if self.method.adversary is not None:
            self.timed(self.method, "adversary_loss", "forward")
        for one in self._optimisers().values():
            for name in ("zero_grad", "step"):
                self.timed(one, name, "optimiser")

    def _items(self, items: list[int]) -> list[dict[str, Any]]:
        return [self.data[item] for item in items]

    def _epoch(self) -> None:
        self.begun = self.now()
        super()._epoch()

    def _step(self, batch: Any, counts: tuple[int, ...]) -> None:
        waited = self.now() - self.begun - self.spent["transfer"]
        super()._step(batch, counts)
        end = self.now()
        augment = self.spent["loading"] - self.spent["decode"]
        self.noted.append({**self.spent, "waiting": waited, "augment": augment, "whole": end - self.begun})
        self.spent.clear()
        self.begun = end


def measure(name: str, size: str, steps: int, workers: int, device: torch.device, folder: Path) -> dict[str, Any]:
    """Mean seconds of each part of a step."""
    batch = load_recipe(name, "full", size).train.batch
    data, count = "handsynth-video" if name == "deformer" else "handsynth", batch * (steps + 1)
    path = folder / f"{data}-{count}.h5"
    if not path.exists():
        split = SyntheticSplit("train", count, 0, synthetic_hand("right"), GENERATED[data])
        block = split.read(0, count)
        assert block.hands is not None
        write_hands(path, block.hands, block.images)
    sets = [f"train.workers={workers}", "train.pretrain_epochs=0", "train.epochs=1", "train.validate_every=100000"]
    plan = Plan(load_recipe(name, "full", size, sets), HandsFile(path), synthetic_hand("right"), folder / name)
    # held-out samples train too: nothing is chosen by them here
    plan.train_index, plan.validation_index = np.arange(count), np.arange(0)
    method = build_method(plan)
    plan.take_labels(method.labels)
    method.begin_training(pretrained=False)
    with plan.begun(restart=False):
        trainer = Timed(plan, method, device)
        trainer.run()
    noted = trainer.noted[1:]
    names = (*PARTS, *(() if workers else LOADING), "whole")
    mean = {part: sum(one.get(part, 0.0) for one in noted) / len(noted) for part in names}
    return {
        "method": name,
        "batch": batch,
        "steps": len(noted),
        "seconds": mean,
        "closure": sum(mean[part] for part in PARTS) / mean["whole"],
        "steps_that_wait": sum(one["waiting"] > WAITS * one["whole"] for one in noted) / len(noted),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--only", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--size", default="tiny")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cases = [
            measure(name, asked.size, asked.steps, asked.workers, torch.device(asked.device), Path(folder))
            for name in asked.only
        ]
    shown = (*PARTS, *(() if asked.workers else LOADING), "whole")
    rows = [
        [
            *(case["method"], case["batch"], case["steps"]),
            *(f"{1000 * case['seconds'][part]:.1f}" for part in shown),
            f"{1 - case['closure']:.1%}" + ("" if abs(case["closure"] - 1) <= CLOSURE else " (open)"),
            f"{case['steps_that_wait']:.0%}",
        ]
        for case in cases
    ]
    heads = ("of which " * (part in LOADING) + f"{part}, ms" for part in shown)
    print(tabulate(rows, ("method", "batch", "steps", *heads, "rest", "steps that wait"), tablefmt="github"))
    if asked.json:
        about = {"size": asked.size, "device": asked.device, "workers": asked.workers, "waits": WAITS}
        write_json(asked.json, {**about, "cases": cases, "made": made()})


if __name__ == "__main__":
    main()
