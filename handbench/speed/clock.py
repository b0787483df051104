"""Timing one call again and again: warm-up by stationarity, synchronised iterations, percentiles with an interval."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

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


STANDARD = Effort("standard", 50, 3.0, 60.0, 1000, 10.0, 200)
QUICK = Effort("quick", 10, 0.5, 5.0, 100, 1.0, 30)


@dataclass(frozen=True)
class Timing:
    """wall_ms, device_ms (n,): each iteration's time on the host's clock, and on the device's (None on a CPU)."""

    wall_ms: NDArray
    device_ms: NDArray | None
    first_ms: float
    warm_up_iterations: int
    stationary: bool

    def summary(self, seed: int = 0) -> dict[str, float | int | list[float]]:
        """n, min, p50 with its 95 % block-bootstrap interval, p90, p95, p99, max, mean; milliseconds."""
        ms = self.wall_ms
        p50, p90, p95, p99 = (float(v) for v in np.percentile(ms, (50, 90, 95, 99)))
        return {
            "n": len(ms),
            "min_ms": float(ms.min()),
            "p50_ms": p50,
            "p50_interval_ms": list(median_interval(ms, seed)),
            "p90_ms": p90,
            "p95_ms": p95,
            "p99_ms": p99,
            "max_ms": float(ms.max()),
            "mean_ms": float(ms.mean()),
        }


def median_interval(ms: NDArray, seed: int = 0, block: int = WINDOW, resamples: int = 1000) -> tuple[float, float]:
    """95 % interval of the median from whole blocks of neighbouring iterations: they are not independent."""
    count = max(1, len(ms) // block)
    blocks = np.array_split(ms, count)
    draw = np.random.default_rng(seed)
    medians = [np.median(np.concatenate([blocks[i] for i in draw.integers(0, count, count)])) for _ in range(resamples)]
    low, high = np.percentile(medians, (2.5, 97.5))
    return float(low), float(high)


def measure(call: Callable[[int], object], device: torch.device, effort: Effort) -> Timing:
    """Time `call(i)`, i counting up through the pool of inputs. Synchronised before and after every iteration."""
    first_ms, _ = _once(call, 0, device)
    count, stationary = _warm_up(call, device, effort)
    wall: list[float] = []
    events: list[float] = []
    start = time.perf_counter()
    while len(wall) < effort.iterations or time.perf_counter() - start < effort.seconds:
        host, on_device = _once(call, count + len(wall), device)
        wall.append(host)
        if on_device is not None:
            events.append(on_device)
    return Timing(np.array(wall), np.array(events) if events else None, first_ms, count, stationary)


def _warm_up(call: Callable[[int], object], device: torch.device, effort: Effort) -> tuple[int, bool]:
    """Until the median of a window moves by less than 1 % three times running; returns iterations, and whether so."""
    start = time.perf_counter()
    count, calm = 1, 0
    previous = np.inf
    window = min(WINDOW, effort.warm_iterations)
    while True:
        median = float(np.median([_once(call, count + i, device)[0] for i in range(window)]))
        count += window
        calm = calm + 1 if abs(median - previous) < 0.01 * previous else 0
        previous = median
        elapsed = time.perf_counter() - start
        if calm >= 3 and count >= effort.warm_iterations and elapsed >= effort.warm_seconds:
            return count, True
        if elapsed > effort.give_up_seconds:
            return count, False


def _once(call: Callable[[int], object], i: int, device: torch.device) -> tuple[float, float | None]:
    """Milliseconds on the host's clock and, on CUDA, between two device events."""
    if device.type != "cuda":
        start = time.perf_counter()
        call(i)
        return 1000 * (time.perf_counter() - start), None
    before, after = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize(device)
    start = time.perf_counter()
    before.record()
    call(i)
    after.record()
    torch.cuda.synchronize(device)
    return 1000 * (time.perf_counter() - start), before.elapsed_time(after)
