"""The samples of an epoch in batches, of all processes together."""

from __future__ import annotations

from numpy.typing import NDArray

from handbench.errors import InvalidError, UsageError
from handbench.methods.base import Method
from handbench.recipe import Train


def batches_of(order: NDArray, train: Train, method: Method, processes: int) -> list[list[int]]:
    """A last batch of one joins the one before it: batch normalisation has nothing to normalise over in a single
    sample, and none is left out. Of several processes each needs two, unless batch normalisation is frozen.

    Raises InvalidError where all batches are too small for it.
    """
    sharing = 1 if train.frozen_batchnorm else processes
    batches = [order[i : i + train.batch].tolist() for i in range(0, len(order), train.batch)]
    if len(batches) > 1 and len(batches[-1]) < 2 * sharing:
        batches[-2:] = [batches[-2] + batches[-1]]
    if not train.frozen_batchnorm and min(map(len, batches)) // sharing * method.views * method.frames < 2:
        if sharing == 1:
            raise InvalidError("A training batch has a single sample.", "Batch normalisation needs train.batch=2.")
        raise InvalidError(
            f"The share of one of {sharing} processes in a training batch is less than two samples.",
            f"Batch normalisation needs train.batch={2 * sharing}, or train.frozen_batchnorm=true.",
        )
    return batches


def check_sharing(train: Train, method: Method, processes: int) -> None:
    """Raises UsageError where several processes have nothing to share, or cannot share it evenly."""
    if processes == 1:
        return
    if not method.descends:
        raise UsageError(
            f"{method.name} takes one pass over its data: there is nothing to share among {processes} processes.",
            "Run it without torchrun.",
        )
    left = train.batch % processes
    if left:
        fitting = [size for size in (train.batch - left, train.batch - left + processes) if size]
        raise UsageError(
            f"train.batch={train.batch} is the batch of all {processes} processes, and cannot be shared evenly.",
            f"Set train.batch={' or '.join(map(str, fitting))}.",
        )
