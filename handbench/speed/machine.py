"""What a figure was measured on."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any

import psutil
import torch


def machine(device: torch.device) -> dict[str, Any]:
    """Processor, memory, torch, and the GPU with CUDA's and cuDNN's versions; `unknown` where it cannot be had."""
    record: dict[str, Any] = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu(),
        "kind": device.type,
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gb": _memory_gb(),
        "system": platform.platform(),
        "torch": torch.__version__,
    }
    if device.type == "cuda":
        record |= {
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "gpu_memory_gb": round(torch.cuda.get_device_properties(device).total_memory / 1e9, 1),
        }
    return record


class OtherWork:
    """`with OtherWork() as others: ...`, then `others.record()`: what other processes took of the processors."""

    def __enter__(self) -> OtherWork:
        self._start = _taken()
        return self

    def __exit__(self, *_: object) -> None:
        self._end = _taken()

    def record(self) -> dict[str, Any]:
        """others_cpu: processors that others kept busy, on average, of `cpus`; `unknown` where the system counts less
        than this process alone has used.
        """
        passed, busy, own = (end - start for start, end in zip(self._start, self._end, strict=True))
        known = passed > 0 and busy > own / 2
        return {
            "others_cpu": round(max(0.0, busy - own) / passed, 2) if known else "unknown",
            "cpus": psutil.cpu_count() or 1,
        }


def _taken() -> tuple[float, float, float]:
    """Seconds: now, of work on all processors since they started, and of that this process' and its children's."""
    every = psutil.cpu_times()
    busy = sum(getattr(every, name, 0.0) for name in ("user", "nice", "system", "irq", "softirq", "steal"))
    ours = psutil.Process()
    own = ours.cpu_times()
    # those that have ended are counted in our own times
    used = own.user + own.system + getattr(own, "children_user", 0.0) + getattr(own, "children_system", 0.0)
    for child in ours.children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.Error:
            continue
        used += times.user + times.system
    return time.perf_counter(), busy, used


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


def _memory_gb() -> float | str:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError):
        return "unknown"
