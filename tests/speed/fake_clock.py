"""A device and its clock made of numbers: time passes only where a test says so."""

from __future__ import annotations

import torch

from handbench.speed.clock import Clock


class FakeClock(Clock):
    """`work(host, device)`: the host is busy for `host` ms, and queues `device` ms of work on the device, which runs
    behind it. With `apart` the device has marks of its own.
    """

    def __init__(self, apart: bool = True):
        super().__init__(torch.device("cpu"))
        self.apart = apart
        self.host = 0.0
        self.done = 0.0
        self.waits = 0

    def work(self, host: float, device: float) -> None:
        self.host += host / 1000
        self.done = max(self.done, self.host) + device / 1000

    def now(self) -> float:
        return self.host

    def synchronise(self) -> None:
        self.waits += 1
        self.host = max(self.host, self.done)

    def mark(self) -> float:
        """When the device gets there: after all that was queued before."""
        return max(self.host, self.done)

    def between(self, start: float, end: float) -> float:
        return 1000 * (end - start)
