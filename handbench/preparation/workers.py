"""Who makes the blocks: processes beside this one, or a cluster behind a dask scheduler."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager

import cv2

from handbench.errors import MissingError, UsageError

# seconds that a scheduler has to answer
PATIENCE = 15


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def executor(workers: int, scheduler: str | None = None) -> Iterator[Executor]:
    """Something that runs blocks, by the standard interface. What is still running when the block ends in an exception
    is stopped: parts appear whole or not at all.
    """
    if scheduler is not None:
        with _cluster(scheduler) as pool:
            yield pool
    else:
        with _processes(workers) as pool:
            yield pool


@contextmanager
def _processes(workers: int) -> Iterator[Executor]:
    # a fork has the split opened already, and shares its memory; elsewhere each process opens it
    method = "fork" if sys.platform == "linux" else "spawn"
    # OpenCV's own threads would not survive a fork, and blocks are what runs side by side
    cv2.setNumThreads(0)
    context = multiprocessing.get_context(method)
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(os.getpid(),))
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.kill()
        raise
    pool.shutdown()


def _begin(parent: int) -> None:
    """In a worker: leave Ctrl-C to the parent, and end when it ends, however it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    cv2.setNumThreads(0)
    if sys.platform == "linux":
        death_signal = 1  # PR_SET_PDEATHSIG, prctl(2)
        ctypes.CDLL(None).prctl(death_signal, signal.SIGKILL)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


@contextmanager
def _cluster(address: str) -> Iterator[Executor]:
    """The workers of a dask scheduler. They must see the official folder and the output under the same paths."""
    try:
        from distributed import Client
    except ModuleNotFoundError:
        raise MissingError("--scheduler needs dask.distributed.", "pip install 'handbench[cluster]'") from None
    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, TimeoutError):
        raise MissingError(f"No scheduler answers at {address}.", "Start one: dask scheduler") from None
    except ValueError:
        raise UsageError(f"--scheduler {address!r} is no address.", "For example tcp://127.0.0.1:8786") from None
    with client:
        if not client.scheduler_info()["workers"]:
            raise MissingError(f"The scheduler at {address} has no workers.", f"Start some: dask worker {address}")
        # a fault of the data is not mended by trying again; written parts are whole, whoever wrote them
        yield client.get_executor(pure=False, retries=0)
