"""Training in several processes, as torchrun starts them: who this one is, its share of a batch, its device."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import TorchElasticEnvironment
from lightning_fabric.strategies import DDPStrategy

from handbench.console import speaks
from handbench.errors import EXIT_INTERRUPTED, MissingError, UsageError
from handbench.inference.device import choose_device

# what torchrun tells each process
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
# so long a process waits with an error that the first one may have too; torchrun ends it as soon as the first has ended
PATIENCE_S = 2.0
# how a collective call says that a partner is gone
GONE = ("gloo", "Connection closed", "Connection reset", "Broken pipe", "NCCL")


@dataclass(frozen=True)
class Processes:
    """This is process `rank` of `count`, and `local_rank` of the `local_count` on this machine."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1

    @property
    def several(self) -> bool:
        return self.count > 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes, validates and speaks."""
        return self.rank == 0

    def counts(self, total: int) -> tuple[int, ...]:
        """How many of `total` samples each process has: as equal as can be."""
        ends = [rank * total // self.count for rank in range(self.count + 1)]
        return tuple(end - start for start, end in pairwise(ends))

    def share(self, total: int) -> range:
        """Which of `total` samples are this one's: a stretch, rank by rank. Where there are fewer samples than
        processes, one that has none runs the first as a stand-in (`gather.whole` leaves it out).
        """
        start = self.rank * total // self.count
        return range(start, start + self.counts(total)[self.rank]) or range(1)


def processes() -> Processes:
    """From torchrun's variables; alone where they are not there."""
    if not all(name in os.environ for name in VARIABLES) or int(os.environ["WORLD_SIZE"]) < 2:
        return Processes()
    rank, count, local_rank, local_count = (int(os.environ[name]) for name in VARIABLES)
    return Processes(rank, count, local_rank, local_count)


def own_device(name: str) -> torch.device:
    """As `choose_device`; of several processes on GPUs each has its own.

    Raises UsageError for the name of one GPU, MissingError where there are fewer GPUs than processes.
    """
    group = processes()
    if not group.several:
        return choose_device(name)
    if name.startswith("cuda:"):
        raise UsageError(
            f"{name} is a single GPU, and torchrun started {group.count} processes.",
            "--device cuda gives each process its own.",
        )
    gpus = torch.cuda.device_count()
    if name not in ("auto", "cuda") or not gpus:
        return choose_device(name)
    if gpus < group.local_count:
        raise MissingError(
            f"torchrun started {group.local_count} processes on this machine, and the GPUs that torch sees are {gpus}.",
            f"Use --nproc-per-node {gpus}, or --device cpu.",
        )
    return choose_device(f"cuda:{group.local_rank}")


def launched(device: torch.device, group: Processes) -> Fabric:
    """Fabric on this device; of several processes it returns when all are there."""
    if not group.several:
        fabric = Fabric(accelerator=device.type, devices=1 if device.type == "cpu" else [device.index or 0])
    else:
        # who takes part, in a box of lines
        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
        # some kernels of convolutions lay their gradients out otherwise, which costs a copy
        warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
        fabric = Fabric(
            accelerator=device.type,
            devices=group.local_count,
            num_nodes=group.count // group.local_count,
            # a stage may leave parts of a method out
            strategy=DDPStrategy(find_unused_parameters=True),
            plugins=TorchElasticEnvironment(),
        )
    fabric.launch()
    return fabric


@contextmanager
def in_turn(fabric: Fabric) -> Iterator[None]:
    """The first process goes through the block, and then the others, to the same error where it met one."""
    if not fabric.is_global_zero:
        fabric.barrier()
    try:
        yield
    finally:
        if fabric.is_global_zero:
            fabric.barrier()


@contextmanager
def one_answer() -> Iterator[None]:
    """Around a run: an interrupt, or an error that all processes have, is said once, by the first of them; and a
    process that cannot go on because another has ended says so in a sentence (MissingError).
    """
    try:
        yield
    except KeyboardInterrupt:
        if not speaks():
            raise SystemExit(EXIT_INTERRUPTED) from None
        raise
    except Exception as error:
        if not speaks():
            time.sleep(PATIENCE_S)
        if processes().several and isinstance(error, RuntimeError) and any(word in str(error) for word in GONE):
            raise MissingError(
                "Another process of this run has ended, and this one cannot go on alone.",
                "The same command goes on from the last checkpoint; what ended it stands among torchrun's lines.",
            ) from error
        raise
