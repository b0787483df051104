"""HB-Speed 1 of one method: a record a tier at batch 1, eager fp32, and one for each further mode.

FPS = 1000 / p50, derived once, from milliseconds. A call of a method that sees windows is one window; its FPS counts
the frames that the window predicts, one or all (`frames_per_call`), and `ms_per_frame` is p50 over them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from handbench.console import say
from handbench.errors import HandbenchError
from handbench.inference.crops import Crops
from handbench.methods.base import Method
from handbench.speed.clock import Clock, Effort, Timing, measure
from handbench.speed.cost import cost
from handbench.speed.flags import flags
from handbench.speed.machine import OtherWork, machine
from handbench.speed.memory import memory, start_counting
from handbench.speed.modes import COMPARED, HEADLINE, MODES, Mode, call_in_mode, drift, full_precision, why_mode_failed
from handbench.speed.percentiles import summary
from handbench.speed.sensors import Sensors
from handbench.speed.stages import stage_record, time_stages
from handbench.speed.throughput import sweep
from handbench.speed.tiers import TIERS, Pool, as_call, make_pool, steps_of
from handbench.store.records import made

PROTOCOL = "HB-Speed 1"


def time_method(
    method: Method,
    crops: Crops,
    device: torch.device,
    effort: Effort,
    *,
    modes: Sequence[str] = (),
    throughput: bool = False,
    trained: bool = True,
    clock: Clock | None = None,
) -> Iterator[dict[str, Any]]:
    """The records of a method, as they are made: T0, T1 and T2; with `throughput`, T1's once more, which then has it;
    then T1 in each of `modes`. Raises MissingError where torch cannot run a mode here.
    """
    clock = clock or Clock(device)
    start = clock.now()
    method = method.eval().to(device)
    clock.synchronise()
    loading: float | None = clock.now() - start
    pool = make_pool(method, crops, device, effort.pool)
    about: dict[str, Any] = {
        "pool": len(pool),
        "pool_from": str(crops.file.meta["dataset"]),
        "input_size": method.input_size,
        "frames": method.frames,
        "gap": method.gap,
        "frames_per_call": method.stride,
    }
    records = {}
    with full_precision():
        for tier in TIERS:
            steps = steps_of(tier, method, pool, device)
            record = timed(as_call(steps), method, clock, effort, f"{method.name} {tier}", loading)
            # the network has been called: no other tier's first call is a first one
            loading = None
            about["cost"] = about.get("cost") or cost(method)
            if tier != "T0":
                stages = time_stages(method, steps, clock, effort.stage_iterations)
                record["stages"] = stage_record(stages, method.stage_groups, record["p50_ms"])
            if tier == "T2":
                record["decode_ms"] = _decoding(crops, effort.stage_iterations)
            records[tier] = record
            yield completed(record, tier, HEADLINE, about)
        if throughput:
            say(f"{method.name} T1: throughput in batches.")
            swept = sweep(method, pool, device, clock, effort)
            yield completed({**records["T1"], "throughput": swept}, "T1", HEADLINE, about)
    for name in modes:
        yield _in_mode(name, method, pool, clock, effort, about, trained)


def _in_mode(
    name: str, method: Method, pool: Pool, clock: Clock, effort: Effort, about: dict[str, Any], trained: bool
) -> dict[str, Any]:
    """T1 in a mode. Raises MissingError where torch cannot run it here."""
    try:
        start = clock.now()
        with call_in_mode(name, method, pool, clock.device) as call:
            preparing = clock.now() - start
            record = timed(call, method, clock, effort, f"{method.name} T1 {name}", preparing)
            # a graph answers into the same memory every time
            others = [call(i).joints.double().clone() for i in range(min(COMPARED, len(pool)))]
    except HandbenchError:
        raise
    except Exception as error:
        raise why_mode_failed(name, error) from error
    with full_precision():
        headline = as_call(steps_of("T1", method, pool, clock.device))
        record["drift"] = drift(headline, others, trained)
    return completed(record, "T1", MODES[name], about)


def timed(
    call: Callable[[int], Any], module: nn.Module, clock: Clock, effort: Effort, what: str, preparing: float | None
) -> dict[str, Any]:
    """One call's times, the memory that `module` took for it, and the machine meanwhile.

    preparing: seconds spent before the first call; None where the network was called before, so that there is no first.
    """
    before = start_counting(clock.device)
    say(f"{what}: {_expected(effort)}.")
    sensors, others = Sensors(clock.device), OtherWork()
    timing = measure(call, clock, effort, sensors, others)
    taken = memory(module, clock.device, before)
    return {
        "effort": effort.name,
        "processes": 1,
        **summary([timing.wall_ms]),
        "cold_start_s": None if preparing is None else preparing + timing.first_ms / 1000,
        "first_ms": None if preparing is None else timing.first_ms,
        "warm_up_iterations": timing.warm_up_iterations,
        "stationary": timing.stationary,
        "measured_s": timing.measured_s,
        "host_p50_ms": None if timing.host_ms is None else float(np.median(timing.host_ms)),
        "device_p50_ms": None if timing.device_ms is None else float(np.median(timing.device_ms)),
        "memory": taken,
        "machine": {**machine(clock.device), **others.record(), "sensors": sensors.record()},
        **_samples(timing),
    }


def completed(record: dict[str, Any], tier: str, mode: Mode, about: dict[str, Any]) -> dict[str, Any]:
    """The record with its conditions before the figures, its warnings, and its raw samples last."""
    samples = {key: record[key] for key in ("samples_wall_ms", "samples_device_ms")}
    figures = {key: value for key, value in record.items() if key not in samples}
    each = about.get("frames_per_call", 1)
    conditions = {
        "protocol": PROTOCOL,
        "tier": tier,
        "batch": 1,
        "precision": mode.precision,
        "mode": mode.mode,
        "tf32": mode.precision == "tf32",
        "passes": 1,
        "fps": each * 1000.0 / record["p50_ms"],
        "ms_per_frame": record["p50_ms"] / each,
    }
    whole: dict[str, Any] = {**conditions, **figures, **about, "made": made()}
    whole["warnings"] = flags(whole)
    return {**whole, **samples}


def _samples(timing: Timing) -> dict[str, Any]:
    return {
        "samples_wall_ms": timing.wall_ms.round(5),
        "samples_device_ms": None if timing.device_ms is None else timing.device_ms.round(5),
    }


def _expected(effort: Effort) -> str:
    return (
        f"warms up {effort.warm_seconds:g} to {effort.give_up_seconds:g} s, then at least {effort.iterations:,} calls "
        f"and {effort.seconds:g} s"
    )


def _decoding(crops: Crops, count: int) -> float:
    """Median ms to decode a stored picture: before T2 begins, and no part of it."""
    each = []
    for i in range(min(count, len(crops.index))):
        start = time.perf_counter()
        crops.decode(int(crops.index[i]))
        each.append(1000 * (time.perf_counter() - start))
    return float(np.median(each))
