"""A step's forward pass: the network on this process's share of a batch, the losses on the whole batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from handbench.methods.base import Batch, Method
from handbench.training.gather import whole
from handbench.training.processes import Processes


class Step(nn.Module):
    """What DDP wraps: losses have parameters of their own, and it must see every use of one.

    Each process runs the network on its share. Then outputs and truth are gathered, and all take the losses of the
    whole batch: means over what is annotated, contrasts with all other images, and what is drawn for a loss are those
    of one process, whatever the method is.

    `mixed`: the network runs in half precision where autocast says so; cameras, lengths and losses are single.
    """

    def __init__(self, method: Method, processes: Processes, mixed: bool):
        super().__init__()
        self.method, self.processes, self.mixed = method, processes, mixed

    def forward(
        self, batch: Batch, counts: tuple[int, ...], seed: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], Batch]:
        """This process's share, how many samples (windows, patches) each process has, and a seed of its own ->
        loss terms, outputs (without gradient) and batch, of all processes.
        """
        image = self.method.normalise(batch["image"])
        device = image.device
        with self._own_draws(device, seed), torch.autocast(device.type, torch.bfloat16, enabled=self.mixed):
            output = self.method(image, batch)
        if self.mixed:
            output = {name: value.float() if value.is_floating_point() else value for name, value in output.items()}
        if self.processes.several:
            views = self.method.views
            output = whole(output, counts, self.processes, views)
            batch = Batch(**whole(dict(batch), counts, self.processes, views))  # type: ignore[arg-type, typeddict-item]
        terms = self.method.losses(output, batch)
        return terms, {name: value.detach() for name, value in output.items()}, batch

    @contextmanager
    def _own_draws(self, device: torch.device, seed: int) -> Iterator[None]:
        """Dropout differs between processes. What is drawn for the losses must not: the state that all have in common,
        which `last.pt` keeps, is left as it is.
        """
        if not self.processes.several:
            yield
            return
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            yield


def freeze_batchnorm(method: nn.Module) -> None:
    """Batch norms of a method in training normalise by their running statistics, and leave them as they are."""
    for module in method.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
