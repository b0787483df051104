"""Train a recipe: build the method, then descend or fit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from handbench.console import progress, say
from handbench.errors import InvalidError
from handbench.inference.checkpoint import read_checkpoint, save_checkpoint
from handbench.inference.windows import require_tracks
from handbench.methods import find
from handbench.methods.base import Method
from handbench.sections import validated
from handbench.training.batches import check_sharing
from handbench.training.loop import Trainer
from handbench.training.plan import Plan
from handbench.training.processes import in_turn, processes
from handbench.training.windows import training_crops

# one pass over the samples as they are
STILL = {"rotation": 0.0, "scale": 0.0, "shift": 0.0, "colour": 0.0}


def build_method(plan: Plan) -> Method:
    """The untrained method of a plan; its random initial weights depend on the seed."""
    cls = find(plan.recipe.method)
    config = validated(cls.Config, plan.recipe.model, "The recipe", "model")
    torch.manual_seed(plan.seed)
    return cls(config, plan.hand, plan.about["fingertips"])


def _load_weights(method: Method, plan: Plan, resumes: bool) -> None:
    """What training starts from: the method's pre-trained parts, or a whole checkpoint."""
    method.begin_training(pretrained=not plan.init and not resumes)
    if plan.init:
        state = read_checkpoint(plan.init, method=plan.recipe.method)["state"]
        try:
            method.load_state_dict(state)
        except RuntimeError:
            raise InvalidError(
                f"The weights in {plan.init} do not fit this recipe.", "Start from a checkpoint of the same size."
            ) from None


def _check(method: Method, plan: Plan) -> None:
    """Raises InvalidError where the data lack what a loss, or a method of windows, needs, UsageError where a batch is
    too small for a loss.
    """
    if method.frames > 1:
        require_tracks(plan.file, method.name)
    for need in method.needs():
        missing = [name for name in need.fields if name not in plan.file.fields]
        if missing:
            without = f"Do without: --set '{need.without}'." if need.without else "Train on a dataset that has them."
            raise InvalidError(
                f"{plan.file.path} has no {' and no '.join(missing)}, which {need.purpose} of {method.name} needs.",
                without,
            )
    if method.descends:
        method.check_batch(min(plan.recipe.train.batch, len(plan.train_index)))


def train(plan: Plan, device: torch.device, *, restart: bool = False) -> Path:
    """Train to the end, going on from an interrupted run; returns the checkpoint to predict with (`best.pt`).

    Where torchrun started several processes, each calls this with the same plan.
    """
    method, group = build_method(plan), processes()
    check_sharing(plan.recipe.train, method, group.count)
    # from here on all processes are there
    trainer = Trainer(plan, method, device) if method.descends else None
    # the first one makes labels where there are none
    with in_turn(trainer.fabric) if trainer is not None else nullcontext():
        plan.take_labels(method.labels)
    best = plan.folder / "best.pt"
    if not restart and plan.finished():
        say(f"{best} is trained already (--restart begins anew).")
        return best
    # what could fail comes before an earlier run is deleted
    _check(method, plan)
    _load_weights(method, plan, resumes=not restart and (plan.folder / "last.pt").exists())
    with plan.begun(restart) if group.first else nullcontext():
        if trainer is not None:
            trainer.fabric.barrier()
            return trainer.run()
        plan.about["samples"], plan.about["validation_samples"] = len(plan.every_index), 0
        method.fit(_truth_batches(plan, method))
        for path in (best, plan.folder / "last.pt"):
            save_checkpoint(path, method, plan.hand, plan.about, finished=True)
    return best


def _truth_batches(plan: Plan, method: Method) -> Iterator[Any]:
    """One pass over the training split, not augmented: held-out frames too, since nothing is chosen by them."""
    still = plan.recipe.data.model_copy(update=STILL)
    data = training_crops(plan, method, plan.every_index, still)
    with progress(f"train {method.name}", len(data), "images") as advance:
        loader = DataLoader(data, plan.recipe.train.batch, num_workers=0, collate_fn=data.collate)
        for batch in loader:
            yield batch
            advance(len(batch["index"]))
