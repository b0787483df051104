"""The GPU's clocks, power, temperature and throttling, sampled while it is timed. Clocks are read, never changed."""

from __future__ import annotations

import os
import threading
from types import ModuleType
from typing import Any

import torch

EVERY = 0.5
# reasons of NVML that are no throttling: idle, a clock that somebody set, synchronised boost, display
HARMLESS = 0x1 | 0x2 | 0x10 | 0x100
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
        """Ranges over the run; `unknown` where nothing could be read."""
        if not self.samples:
            return "unknown"
        ranges = {
            key: [min(sample[key] for sample in self.samples), max(sample[key] for sample in self.samples)]
            for key in ("sm_mhz", "memory_mhz", "watts", "celsius")
        }
        bits = 0
        for sample in self.samples:
            bits |= sample["reasons"]
        throttled = [name for bit, name in REASONS.items() if bits & bit & ~HARMLESS]
        others = max(sample["others"] for sample in self.samples)
        return {
            "driver": self._driver,
            "samples": len(self.samples),
            **ranges,
            "throttled": throttled,
            "others": others,
        }

    def _run(self) -> None:
        while True:
            try:
                self.samples.append(self._look())
            except Exception:
                # a reading that this GPU does not give: what was read so far stands
                return
            if self._stop.wait(EVERY):
                return

    def _look(self) -> dict[str, Any]:
        n, handle = self.library, self._handle
        assert n is not None
        running = [process.pid for process in n.nvmlDeviceGetComputeRunningProcesses(handle)]
        return {
            "sm_mhz": n.nvmlDeviceGetClockInfo(handle, n.NVML_CLOCK_SM),
            "memory_mhz": n.nvmlDeviceGetClockInfo(handle, n.NVML_CLOCK_MEM),
            "watts": n.nvmlDeviceGetPowerUsage(handle) / 1000,
            "celsius": n.nvmlDeviceGetTemperature(handle, n.NVML_TEMPERATURE_GPU),
            "reasons": n.nvmlDeviceGetCurrentClocksThrottleReasons(handle),
            # inside a container our own number is another one: one process is then us
            "others": len(running) - 1 if os.getpid() not in running else sum(pid != os.getpid() for pid in running),
        }

    @staticmethod
    def _find(n: ModuleType, device: torch.device) -> Any:
        """By the GPU's own id: CUDA may number them otherwise."""
        uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None) if device.type == "cuda" else None
        if uuid is not None:
            return n.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
        return n.nvmlDeviceGetHandleByIndex(device.index or 0)
