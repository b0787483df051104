"""The GPU's clocks, power, temperature and throttling, sampled while it is timed. Clocks are read, never changed."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch

EVERY = 0.5
# NVML's other reasons are no throttling: idle, a clock that somebody set, synchronised boost, display
REASONS = {0x4: "power cap", 0x8: "hardware slowdown", 0x20: "temperature", 0x40: "hardware temperature", 0x80: "brake"}


def nvml() -> ModuleType | None:
    """NVIDIA's library, where it is installed and answers."""
    try:
        import pynvml

        pynvml.nvmlInit()
    # it raises its own error where there is no driver
    except Exception:
        return None
    return pynvml


class Sensors:
    """`with Sensors(device) as sensors: ...`, then `sensors.record()`: a thread looks twice a second."""

    def __init__(self, device: torch.device, library: ModuleType | None = None):
        self.samples: list[dict[str, Any]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.library = library or (nvml() if device.type == "cuda" else None)
        self._handle: Any = None
        self._failed: Counter[str] = Counter()
        self._driver = "unknown"
        if self.library is not None:
            try:
                self._handle = self._find(self.library, device)
                self._driver = str(self.library.nvmlSystemGetDriverVersion())
            except Exception:
                self.library = None

    def __enter__(self) -> Sensors:
        if self.library is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def record(self) -> dict[str, Any] | str:
        """Ranges over the run, None for a reading that this GPU never gave, and how often each failed; `unknown` where
        nothing could be read.
        """
        if not any(self.samples):
            return "unknown"
        every = {key: [sample[key] for sample in self.samples if key in sample] for key in READINGS}
        bits = every["reasons"]
        return {
            "driver": self._driver,
            "samples": len(self.samples),
            **{key: [min(every[key]), max(every[key])] if every[key] else None for key in RANGES},
            "throttled": [name for bit, name in REASONS.items() if any(bit & each for each in bits)] if bits else None,
            "others": max(every["others"], default=None),
            "failed": dict(self._failed),
        }

    def _run(self) -> None:
        while True:
            self.samples.append(self._look())
            if self._stop.wait(EVERY):
                return

    def _look(self) -> dict[str, Any]:
        found = {}
        for key, read in READINGS.items():
            try:
                found[key] = read(self.library, self._handle)
            # each GPU gives other readings, and the library raises its own errors
            except Exception:
                self._failed[key] += 1
        return found

    @staticmethod
    def _find(n: ModuleType, device: torch.device) -> Any:
        """By the GPU's own id: CUDA may number them otherwise."""
        uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None) if device.type == "cuda" else None
        if uuid is not None:
            return n.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
        return n.nvmlDeviceGetHandleByIndex(device.index or 0)


def _others(n: Any, handle: Any) -> int:
    """Other processes on this GPU. Inside a container our own number is another one: one process is then us."""
    running = [process.pid for process in n.nvmlDeviceGetComputeRunningProcesses(handle)]
    known = os.getpid() in running
    return sum(pid != os.getpid() for pid in running) if known else max(0, len(running) - 1)


RANGES: dict[str, Callable[[Any, Any], float]] = {
    "sm_mhz": lambda n, handle: n.nvmlDeviceGetClockInfo(handle, n.NVML_CLOCK_SM),
    "memory_mhz": lambda n, handle: n.nvmlDeviceGetClockInfo(handle, n.NVML_CLOCK_MEM),
    "watts": lambda n, handle: n.nvmlDeviceGetPowerUsage(handle) / 1000,
    "celsius": lambda n, handle: n.nvmlDeviceGetTemperature(handle, n.NVML_TEMPERATURE_GPU),
}
READINGS: dict[str, Callable[[Any, Any], Any]] = {
    **RANGES,
    "reasons": lambda n, handle: n.nvmlDeviceGetCurrentClocksThrottleReasons(handle),
    "others": _others,
}
