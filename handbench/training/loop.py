"""The training loop: epochs of batches, a validation after each, a checkpoint that resumes to the same losses."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from handbench.console import progress, say
from handbench.errors import InvalidError
from handbench.inference.checkpoint import save_checkpoint
from handbench.methods.base import Method
from handbench.training.batches import batches_of
from handbench.training.interrupt import deferred_interrupt, leave_signals_to_the_trainer
from handbench.training.plan import STAGES, Plan
from handbench.training.processes import launched, processes
from handbench.training.step import Step, freeze_batchnorm
from handbench.training.validate import Validation
from handbench.training.windows import training_crops

# a killed run loses no more than this many seconds
SAVE_EVERY_S = 60.0
# what the loss of `Method.adversary` is logged as
ADVERSARY = "adversary"


class Trainer:
    """One run of a `Plan` in its folder: `last.pt` (resumes), `best.pt` (best validation), `events.*` (TensorBoard).

    Of several processes (`processes`) each makes one, and all make the same steps; the first one writes and validates.
    """

    def __init__(self, plan: Plan, method: Method, device: torch.device):
        self.plan = plan
        self.train = plan.recipe.train
        self.method = method
        self.processes = processes()
        self.fabric = launched(device, self.processes)
        # where the run stands: what `last.pt` keeps beside weights and optimiser
        self.stage, self.epoch, self.step = "pretrain" if self.train.pretrain_epochs else "main", 0, 0
        self.epochs = {"pretrain": self.train.pretrain_epochs, "main": self.train.epochs}
        self.best = math.inf
        # of the epoch so far: the sum at each step, and the terms at the last one
        self.losses: list[float] = []
        self.terms: dict[str, float] = {}

    @property
    def last(self) -> Path:
        return self.plan.folder / "last.pt"

    def run(self) -> Path:
        """Train to the end; returns `best.pt`. An interrupted run saves first (KeyboardInterrupt goes on)."""
        from torch.utils.tensorboard import SummaryWriter

        resumed = self._read_last()
        self.validation = Validation(self.plan, self.method)
        plan = self.plan
        self.data = training_crops(plan, self.method, plan.train_index, plan.recipe.data)
        self.data.processes = self.processes
        self.per_epoch = len(self._batches(np.arange(len(self.data))))
        total, done = self.per_epoch * sum(self.epochs.values()), self._steps_done()
        self.writer = SummaryWriter(str(self.plan.folder), purge_step=done) if self.processes.first else None
        self._begin_stage(resumed)
        # on a CPU, gradients of indexed points are otherwise summed in the order in which threads come
        torch.use_deterministic_algorithms(self.fabric.device.type == "cpu")
        try:
            with (
                progress(f"train {self.method.name}", total, "steps", done) as self.advance,
                deferred_interrupt() as self.interrupt,
            ):
                while True:
                    while self.epoch < self.epochs[self.stage]:
                        self._epoch()
                    if self.stage == "main":
                        break
                    self.stage, self.epoch, self.best = "main", 0, math.inf
                    self._begin_stage(None)
        except KeyboardInterrupt:
            self._save(self.last)
            say(f"Saved at epoch {self.epoch}, step {self.step}: the same command goes on from there.")
            raise
        finally:
            torch.use_deterministic_algorithms(False)
            if self.writer is not None:
                self.writer.close()
        if not (self.plan.folder / "best.pt").exists():
            # no validation score was ever finite
            self._save(self.plan.folder / "best.pt", state=False)
        self._save(self.last, finished=True)
        # the others leave when all is written
        self.fabric.barrier()
        return self.plan.folder / "best.pt"

    def _begin_stage(self, resumed: dict[str, Any] | None) -> None:
        """Fresh optimisers and schedule for the stage, or those of the checkpoint."""
        self.method.stage = self.stage
        train, adversary = self.train, self.method.adversary
        opposed = set() if adversary is None else set(adversary.parameters())
        parameters = [p for p in self.method.parameters() if p.requires_grad and p not in opposed]
        kind = torch.optim.AdamW if train.optimiser == "adamw" else torch.optim.Adam
        optimiser = kind(parameters, lr=train.lr, weight_decay=train.weight_decay)
        step = Step(self.method, self.processes, self.train.precision == "bf16-mixed")
        # DDP leaves out what has no gradient while it is made: the adversary has a step of its own
        for parameter in opposed:
            parameter.requires_grad_(False)
        self.model, self.optimiser = self.fabric.setup(step, optimiser)
        for parameter in opposed:
            parameter.requires_grad_(True)
        self.adversary_optimiser: Any = None
        if adversary is not None:
            own = kind(adversary.parameters(), lr=train.adversary_lr, weight_decay=train.weight_decay)
            self.adversary_optimiser = self.fabric.setup_optimizers(own)
        if resumed:
            # after the model went to its device: the state follows its parameters there
            for key, one in self._optimisers().items():
                one.load_state_dict(resumed[key])
            torch.set_rng_state(resumed["rng"])
        else:
            torch.manual_seed(self.plan.seed)

    def _optimisers(self) -> dict[str, Any]:
        """What `last.pt` keeps them as -> the optimisers there are."""
        found = {"optimiser": self.optimiser, "adversary_optimiser": self.adversary_optimiser}
        return {key: one for key, one in found.items() if one is not None}

    def _set_rates(self) -> float:
        """The learning rates of this epoch; returns the method's."""
        decay = self.train.lr_decay ** (self.epoch // self.train.lr_decay_every)
        for one, rate in zip(self._optimisers().values(), (self.train.lr, self.train.adversary_lr), strict=False):
            for group in one.param_groups:
                group["lr"] = rate * decay
        return self.train.lr * decay

    def _epoch(self) -> None:
        self.method.train()
        if self.train.frozen_batchnorm:
            freeze_batchnorm(self.method)
        rate = self._set_rates()
        self.method.schedule = (self.epoch, self.epochs[self.stage])
        self.data.non_hands = self.method.non_hands
        stage_number = STAGES.index(self.stage)
        self.data.epoch = self.epoch + 100_000 * stage_number
        order = np.random.default_rng([self.plan.seed, stage_number, self.epoch]).permutation(len(self.data))
        # an epoch interrupted after its last step has none left, but its end is still to come
        rest = self._batches(order)[self.step :]
        # no persistent workers: each epoch's workers see its own `data.epoch`
        loader = DataLoader(
            self.data,
            batch_sampler=rest,
            num_workers=self.train.workers,
            collate_fn=self.data.collate,
            worker_init_fn=leave_signals_to_the_trainer,
            # its own generator: loading draws nothing from the state that `last.pt` keeps
            generator=torch.Generator().manual_seed(0),
        )
        if self.step == 0:
            self.losses = []
        saved = time.monotonic()
        for batch, items in zip(loader, rest, strict=True):
            self._step(self.fabric.to_device(batch), self.processes.counts(self.data.entries(len(items))))
            self.step += 1
            self.advance(1, note=f"{self.stage} epoch {self.epoch + 1} loss {np.mean(self.losses):.4f} lr {rate:.1e}")
            self._check_interrupt()
            if time.monotonic() - saved > SAVE_EVERY_S:
                self._save(self.last)
                saved = time.monotonic()
        self._end_of_epoch(rate)

    def _step(self, batch: Any, counts: tuple[int, ...]) -> None:
        """One step of the method, and then one of what is trained against it. `batch` is this process's share, `counts`
        are those of all.
        """
        own = (self.plan.seed, STAGES.index(self.stage), self.epoch, self.step, self.processes.rank)
        terms, output, batch = self.model(batch, counts, int(np.random.default_rng(own).integers(2**62)))
        loss = torch.stack(list(terms.values())).sum()
        self._require_finite(loss, terms)
        self.optimiser.zero_grad()
        self.fabric.backward(loss)
        if self.train.clip_grad:
            self.fabric.clip_gradients(self.model, self.optimiser, max_norm=self.train.clip_grad)
        self.optimiser.step()
        self.losses.append(loss.item())
        self.terms = {name: term.item() for name, term in terms.items()}
        if self.adversary_optimiser is not None:
            loss = self.method.adversary_loss(output, batch)
            self._require_finite(loss, {ADVERSARY: loss})
            # what its last step left
            self.adversary_optimiser.zero_grad()
            self.fabric.backward(loss)
            self._share_gradients(self.method.adversary)
            self.adversary_optimiser.step()
            self.terms[ADVERSARY] = loss.item()

    def _share_gradients(self, part: Any) -> None:
        """All processes have the same, of a loss of the whole batch, but for the last digits of sums on a GPU."""
        if self.processes.several:
            for parameter in part.parameters():
                if parameter.grad is not None:
                    parameter.grad.copy_(self.fabric.all_reduce(parameter.grad))

    def _check_interrupt(self) -> None:
        """Raises KeyboardInterrupt if one was asked for: in all processes at the same step, whichever was asked."""
        asked = self.interrupt.asked
        if self.processes.several:
            asked = bool(self.fabric.all_reduce(torch.tensor(int(asked), device=self.fabric.device), reduce_op="max"))
        if asked:
            raise KeyboardInterrupt

    def _require_finite(self, loss: Tensor, terms: dict[str, Tensor]) -> None:
        if not torch.isfinite(loss):
            values = ", ".join(f"{name} {term.item():.3g}" for name, term in terms.items())
            raise InvalidError(
                f"The loss is not finite at epoch {self.epoch}, step {self.step} ({values}).",
                "Lower train.lr or set train.clip_grad; the last checkpoint before it is kept.",
            )

    def _batches(self, order: NDArray) -> list[list[int]]:
        return batches_of(order, self.train, self.method, self.processes.count)

    def _steps_done(self) -> int:
        """Steps since the run began, over both stages."""
        before = self.epochs["pretrain"] if self.stage == "main" else 0
        return self.per_epoch * (before + self.epoch) + self.step

    def _end_of_epoch(self, rate: float) -> None:
        self.epoch, self.step = self.epoch + 1, 0
        if self.processes.first:
            self._conclude(rate)
        # the others wait here for the first one's validation, and go on from what it left of the random state
        torch.set_rng_state(self.fabric.broadcast(torch.get_rng_state()))
        self._check_interrupt()

    def _conclude(self, rate: float) -> None:
        """Validate, log and save."""
        assert self.writer is not None
        at = self._steps_done()
        mean = float(np.mean(self.losses))
        scalars = {"loss/sum": mean, "lr": rate, **{f"loss/{name}": value for name, value in self.terms.items()}}
        score = None
        if self.epoch % self.train.validate_every == 0 or self.epoch == self.epochs[self.stage]:
            errors = self.validation.errors(self.method, self.fabric.device)
            scalars |= {f"validation/{name}": value for name, value in errors.items()}
            # without a validation sample the last epoch counts as the best
            score = next(iter(errors.values()), -float(self.epoch))
        for name, value in scalars.items():
            self.writer.add_scalar(name, value, at)
        self.plan.log(stage=self.stage, epoch=self.epoch, **scalars)
        # `last.pt` knows the best score: it comes second, so that a kill between the two costs nothing
        if self.stage == "main" and score is not None and score < self.best:
            self.best = score
            self._save(self.plan.folder / "best.pt", state=False)
        self._save(self.last)

    def _save(self, path: Path, *, state: bool = True, finished: bool = False) -> None:
        if not self.processes.first:
            return
        progress_state = {
            **{key: one.state_dict() for key, one in self._optimisers().items()},
            "rng": torch.get_rng_state(),
            "position": {"stage": self.stage, "epoch": self.epoch, "step": self.step},
            "best": self.best,
            "losses": self.losses,
            "terms": self.terms,
            "finished": finished,
        }
        save_checkpoint(path, self.method, self.plan.hand, self.plan.about, **(progress_state if state else {}))

    def _read_last(self) -> dict[str, Any] | None:
        """Continue the run of `last.pt`, if it is there."""
        if not self.last.exists():
            if self.processes.first:
                self.plan.forget_after(STAGES[0], 0)
            return None
        record = self.plan.read_own(self.last)
        self.method.load_state_dict(record["state"])
        self.stage, self.epoch, self.step = (record["position"][key] for key in ("stage", "epoch", "step"))
        self.best, self.losses, self.terms = record["best"], record["losses"], record["terms"]
        if self.processes.first:
            self.plan.forget_after(self.stage, self.epoch)
        if not record["finished"]:
            say(f"Going on from {self.last}: {self.stage}, epoch {self.epoch}, step {self.step}.")
        return record
