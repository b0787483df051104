"""Commands of handbench in one process, one after the other, as torchrun starts it: a start takes longer than they do.

`python commands_in_turn.py FILE FOLDER`: FILE is a list of what `run_all` takes, FOLDER is for what is found.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest
import torch

from handbench.cli import main
from handbench.training.gather import gathered
from handbench.training.loop import Trainer
from handbench.training.processes import processes

# the rows of each process
COUNTS = (1, 3)


def run_all(commands: list[dict]) -> list[int]:
    """Exit codes. `arguments` are the command's; with `signal`, this signal comes to process 1 at its second step."""
    codes = []
    for command in commands:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["handbench", *command["arguments"]])
            if "signal" in command and processes().rank == 1:
                patch.setattr(Trainer, "_step", signalled(signal.Signals[command["signal"]]))
            try:
                main()
                codes.append(0)
            except SystemExit as stop:
                codes.append(stop.code or 0)
    return codes


def signalled(number: signal.Signals):
    step = Trainer._step

    def stepped(trainer: Trainer, *arguments) -> None:
        if trainer.step == 1:
            os.kill(os.getpid(), number)
        step(trainer, *arguments)

    return stepped


def contrast(rows: torch.Tensor, scale: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Of rows (n,c): each against all others, and a mean over some."""
    apart = (scale * rows @ rows.T).log_softmax(-1).diagonal()
    return -apart.mean() + rows.square().sum(-1)[valid].mean()


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Images (4,5), weights (5,3) before and a scale after the gathering, and a mask (4,)."""
    draw = torch.Generator().manual_seed(0)
    images, weights = torch.randn(4, 5, generator=draw), torch.randn(5, 3, generator=draw, requires_grad=True)
    return images, weights, torch.tensor(0.7, requires_grad=True), torch.tensor([False, True, True, False])


def gather_gradients() -> list[torch.Tensor]:
    """Of weights and scale, as DDP leaves them: the mean over the processes."""
    images, weights, scale, valid = inputs()
    rank = processes().rank
    own = torch.arange(len(images)).split(COUNTS)[rank]
    contrast(gathered(images[own] @ weights, COUNTS, rank), scale, gathered(valid[own], COUNTS, rank)).backward()
    for tensor in (weights, scale):
        torch.distributed.all_reduce(tensor.grad)
    return [weights.grad / len(COUNTS), scale.grad / len(COUNTS)]


if __name__ == "__main__":
    todo, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    *most, last = todo
    found = {"codes": run_all(most), "gradients": gather_gradients()}
    torch.save(found, folder / f"found{processes().rank}.pt")
    # it ends this process or the other
    run_all([last])
