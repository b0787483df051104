"""Timing one call again and again: warm-up by stationarity, synchronised iterations (HB-Speed 1)."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from handbench.errors import UsageError

WINDOW = 50


@dataclass(frozen=True)
class Effort:
    """How long to warm up and to measure (iterations and seconds: both must be reached)."""

    name: str
    warm_iterations: int
    warm_seconds: float
    give_up_seconds: float
    iterations: int
    seconds: float
    # of the pass with a clock around each stage
    stage_iterations: int
    # distinct inputs
    pool: int = 256


STANDARD = Effort("standard", 50, 3.0, 60.0, 1000, 10.0, 200)
STRICT = Effort("strict", 50, 3.0, 60.0, 1000, 600.0, 200)
QUICK = Effort("quick", 10, 0.5, 5.0, 100, 1.0, 30, 32)
EFFORTS = {effort.name: effort for effort in (STANDARD, STRICT, QUICK)}


def effort_of(quick: bool, strict: bool) -> Effort:
    """Raises UsageError where both are asked for."""
    if quick and strict:
        raise UsageError("--quick and --strict exclude each other.", "Choose one, or neither: the protocol's 10 s.")
    return QUICK if quick else STRICT if strict else STANDARD


class Clock:
    """The host's time, and how to wait for a device. Tests put one of their own in its place."""

    def __init__(self, device: torch.device):
        self.device = device
        # whether the device runs behind the host and has a time of its own
        self.apart = device.type == "cuda"

    def now(self) -> float:
        """Seconds on the host."""
        return time.perf_counter()

    def synchronise(self) -> None:
        """Wait until the device has done all that it was told."""
        if self.apart:
            torch.cuda.synchronize(self.device)

    def mark(self) -> Any:
        """A point in the device's own work; on a CPU, the host's time."""
        if not self.apart:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def between(self, start: Any, end: Any) -> float:
        """Milliseconds between two marks, read after `synchronise`."""
        return float(start.elapsed_time(end)) if self.apart else 1000 * (end - start)


class Once(NamedTuple):
    """One iteration, ms: on the host's clock from before the call until the device has done it; `host`, until the call
    returned; `device`, between the device's marks around it, gaps between its launches included. The last two are None
    on a CPU.
    """

    wall: float
    host: float | None = None
    device: float | None = None


@dataclass(frozen=True)
class Timing:
    """wall_ms, host_ms, device_ms (n,): each iteration's times, as in `Once` (the last two None on a CPU).

    measured_s: all of them together, with what lies between.
    """

    wall_ms: NDArray
    host_ms: NDArray | None
    device_ms: NDArray | None
    first_ms: float
    warm_up_iterations: int
    stationary: bool
    measured_s: float


def measure(
    call: Callable[[int], object], clock: Clock, effort: Effort, *watches: AbstractContextManager[object]
) -> Timing:
    """Time `call(i)`, i counting up through the pool of inputs. Synchronised before and after every iteration.

    watches: open while it is measured, and not before (neither at the first call nor in the warm-up).
    """
    first_ms = _once(call, 0, clock).wall
    count, stationary = _warm_up(call, clock, effort)
    each: list[Once] = []
    with ExitStack() as stack:
        for watch in watches:
            stack.enter_context(watch)
        start = clock.now()
        while len(each) < effort.iterations or clock.now() - start < effort.seconds:
            each.append(_once(call, count + len(each), clock))
        took = clock.now() - start
    wall, host, device = (np.array(times) for times in zip(*each, strict=True))
    apart = clock.apart
    return Timing(wall, host if apart else None, device if apart else None, first_ms, count, stationary, took)


def _warm_up(call: Callable[[int], object], clock: Clock, effort: Effort) -> tuple[int, bool]:
    """Until the median of a window moves by less than 1 % three times running; returns iterations, and whether so."""
    start = clock.now()
    count, calm = 1, 0
    previous = np.inf
    window = min(WINDOW, effort.warm_iterations)
    while True:
        median = float(np.median([_once(call, count + i, clock).wall for i in range(window)]))
        count += window
        calm = calm + 1 if abs(median - previous) < 0.01 * previous else 0
        previous = median
        elapsed = clock.now() - start
        if calm >= 3 and count >= effort.warm_iterations and elapsed >= effort.warm_seconds:
            return count, True
        if elapsed > effort.give_up_seconds:
            return count, False


def _once(call: Callable[[int], object], i: int, clock: Clock) -> Once:
    clock.synchronise()
    start = clock.now()
    if not clock.apart:
        call(i)
        clock.synchronise()
        return Once(1000 * (clock.now() - start))
    before = clock.mark()
    call(i)
    told = clock.now()
    after = clock.mark()
    clock.synchronise()
    done = clock.now()
    return Once(1000 * (done - start), 1000 * (told - start), clock.between(before, after))
