"""HB-Speed 1, first slice: tier T1, batch 1, eager fp32.

T1 begins with a normalised tensor on the device and ends with joints and vertices, in metres, on the device.
FPS = 1000 / p50, derived once, from milliseconds. A call of a method that sees windows is one window; its FPS counts
the frames that the window predicts, one or all (`frames_per_call`), and `ms_per_frame` is p50 over them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from handbench.console import progress
from handbench.inference.crops import Crops, to_device
from handbench.methods.base import Method
from handbench.speed.clock import Effort, measure
from handbench.speed.cost import cost
from handbench.speed.machine import load, machine
from handbench.speed.stages import stage_record, time_stages
from handbench.store.records import made

PROTOCOL = "HB-Speed 1"


def time_method(method: Method, crops: Crops, device: torch.device, effort: Effort, pool: int) -> dict[str, Any]:
    """The speed record of a method: latency at batch 1 (T1), cost, machine, warnings in words."""
    method = method.eval().to(device)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    batches = _pool(method, crops, device, pool)

    @torch.inference_mode()
    def call(i: int) -> object:
        image, given = batches[i % len(batches)]
        return method.lift(method(image, given), given)  # type: ignore[arg-type]

    before = load()
    with progress(f"time {method.name}", None, "calls"):
        timing = measure(call, device, effort)
        stages = time_stages(
            method,
            lambda i: method(*batches[i % len(batches)]),
            lambda i, output: method.lift(output, batches[i % len(batches)][1]),  # type: ignore[arg-type]
            device,
            effort.stage_iterations,
        )
    summary = timing.summary()
    record: dict[str, Any] = {
        "protocol": PROTOCOL,
        "effort": effort.name,
        "tier": "T1",
        "batch": 1,
        "mode": "eager",
        "precision": "fp32",
        "tf32": False,
        "passes": 1,
        "pool": len(batches),
        "pool_from": str(crops.file.meta["dataset"]),
        "input_size": method.input_size,
        "frames": method.frames,
        "gap": method.gap,
        "frames_per_call": method.stride,
        "fps": method.stride * 1000.0 / float(summary["p50_ms"]),  # type: ignore[arg-type]
        "ms_per_frame": float(summary["p50_ms"]) / method.stride,  # type: ignore[arg-type]
        **summary,
        "first_ms": timing.first_ms,
        "warm_up_iterations": timing.warm_up_iterations,
        "stationary": timing.stationary,
        "device_p50_ms": None if timing.device_ms is None else float(torch.tensor(timing.device_ms).median()),
        "stages": stage_record(stages, method.stage_groups, float(summary["p50_ms"])),  # type: ignore[arg-type]
        "cost": cost(method),
        "machine": {**machine(device), "load_before": before},
        "made": made(),
    }
    record["warnings"] = _warnings(record, effort)
    record["samples_wall_ms"] = timing.wall_ms.round(5)
    record["samples_device_ms"] = None if timing.device_ms is None else timing.device_ms.round(5)
    return record


def _pool(method: Method, crops: Crops, device: torch.device, pool: int) -> list[tuple[Tensor, dict[str, Tensor]]]:
    """Up to `pool` distinct inputs, images or windows, normalised and on the device, with their given quantities."""
    count = min(pool, len(crops))
    inputs = []
    for i in torch.randperm(len(crops), generator=torch.Generator().manual_seed(0))[:count].tolist():
        batch = to_device(crops.collate([crops[i]]), device)
        inputs.append((method.normalise(batch.pop("image")), batch))
    return inputs


def _warnings(record: dict[str, Any], effort: Effort) -> list[str]:
    found = []
    if effort.name != "standard":
        found.append(f"{effort.name}: fewer iterations than the protocol asks for; not for a table")
    if not record["stationary"]:
        found.append("not stationary: times still moved after the warm-up; close other programs and run again")
    if record["pool"] < 256:
        found.append(f"{record['pool']} distinct inputs; the protocol asks for 256: prepare more samples")
    cores, running = record["machine"]["cores"], record["machine"]["load_before"]
    if isinstance(running, float) and record["machine"]["kind"] == "cpu" and running > 0.5 * cores:
        found.append(f"busy machine: load {running} on {cores} cores before the run; close other programs")
    if record["device_p50_ms"] and record["p50_ms"] / record["device_p50_ms"] > 1.5:
        found.append("launch-bound (wall / device > 1.5): the host cannot keep the GPU busy at batch 1")
    if record["p99_ms"] > 2 * record["p50_ms"]:
        found.append("outliers: p99 is more than twice p50; something else ran on this machine")
    return found
