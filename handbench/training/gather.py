"""What processes computed, each of its share of a batch, put together again: the batch that one process would have."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed
from torch import Tensor

from handbench.training.processes import Processes


class _Gather(torch.autograd.Function):
    """Own rows (counts[rank],...) -> those of all processes (Σ counts,...), in their order."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, counts: tuple[int, ...], rank: int) -> Tensor:
        ctx.counts, ctx.rank = counts, rank
        # all send as much
        padded = own.new_zeros(max(counts), *own.shape[1:])
        padded[: len(own)] = own
        parts = [torch.empty_like(padded) for _ in counts]
        torch.distributed.all_gather(parts, padded)
        return torch.cat([part[:n] for part, n in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        start = sum(ctx.counts[: ctx.rank])
        return len(ctx.counts) * grad[start : start + ctx.counts[ctx.rank]], None, None


def gathered(own: Tensor, counts: tuple[int, ...], rank: int) -> Tensor:
    """The rows of all processes: own (counts[rank],...) -> (Σ counts,...).

    For a loss that every process takes of the same gathered rows. The gradient by one's own rows is that of the sum of
    all these equal losses, so that DDP's mean over the processes is the gradient of one loss: for parameters before the
    gathering as for those after it.
    """
    if own.dtype == torch.bool:
        # gloo knows no bool
        return gathered(own.view(torch.uint8), counts, rank).view(torch.bool)
    return _Gather.apply(own.contiguous(), counts, rank)


def whole(values: dict[str, Tensor], counts: tuple[int, ...], group: Processes, views: int) -> dict[str, Tensor]:
    """A batch, or what a method makes of it, from all processes' shares.

    counts: samples (or windows) of each process; every tensor has a whole number of rows for each, views outermost: all
    first views, then all second ones.
    """
    # a stand-in runs where there is nothing to run
    ran = max(1, counts[group.rank])
    found = {}
    for name, value in values.items():
        rows = value.unflatten(0, (views, ran, -1)).transpose(0, 1)
        found[name] = gathered(rows[: counts[group.rank]], counts, group.rank).transpose(0, 1).flatten(0, 2)
    return found
