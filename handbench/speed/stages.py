"""Where the time of one call goes: a pass of its own, with a clock around each stage's modules.

Clocks cost time, so a stage's milliseconds never enter the headline; and they stand only where their sum is the
headline to 5 % (HB-Speed 1).
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from handbench.methods.base import Method

# how far the sum may lie from the total
CLOSURE = 0.05
# what `Method.lift` does, after the network: from its output to hands in the camera frame
LIFT = "to camera frame"


class _Clock:
    """Marks of time: the host's on a CPU, events of the device's stream on CUDA, read only once all has run."""

    def __init__(self, device: torch.device):
        self.device = device
        self.spans: list[tuple[str, Any, Any]] = []
        self._open: dict[str, Any] = {}

    def start(self, stage: str) -> None:
        self._open[stage] = self._mark()

    def stop(self, stage: str) -> None:
        self.spans.append((stage, self._open.pop(stage), self._mark()))

    def read(self) -> dict[str, float]:
        """Milliseconds by stage of all spans since the last reading."""
        cuda = self.device.type == "cuda"
        if cuda:
            torch.cuda.synchronize(self.device)
        found: defaultdict[str, float] = defaultdict(float)
        for stage, start, end in self.spans:
            found[stage] += start.elapsed_time(end) if cuda else 1000 * (end - start)
        self.spans.clear()
        return dict(found)

    def _mark(self) -> Any:
        if self.device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


def time_stages(
    method: Method, forward: Callable[[int], Any], lift: Callable[[int, Any], object], device: torch.device, count: int
) -> dict[str, float]:
    """Median ms of each of the method's stages, and of `lift`, over `count` calls of `lift(i, forward(i))`.

    Raises RuntimeError for a declared stage that no call reached: it would be timed as nothing.
    """
    clock = _Clock(device)
    each: list[dict[str, float]] = []
    with torch.inference_mode(), _hooks(method, clock):
        for i in range(count):
            output = forward(i)
            clock.start(LIFT)
            lift(i, output)
            clock.stop(LIFT)
            each.append(clock.read())
    stages = [stage for stage, names in method.stages.items() if any(getattr(method, n) is not None for n in names)]
    silent = [stage for stage in stages if stage not in each[0]]
    if silent:
        raise RuntimeError(f"{method.name}: no call reached the stage {silent[0]}; its modules are not called as such")
    return {stage: float(np.median([call[stage] for call in each])) for stage in [*stages, LIFT]}


def stage_record(ms: dict[str, float], groups: dict[str, tuple[str, ...]], total_ms: float) -> dict[str, Any]:
    """Stages, the rows of the paper's own timing table, and whether they add up to the uninstrumented total."""
    found = sum(ms.values())
    apart = found / total_ms - 1
    holds = abs(apart) <= CLOSURE
    why = f"the stages' sum, {found:.2f} ms, is {100 * apart:+.1f} % from the {total_ms:.2f} ms timed without clocks"
    return {
        "ms": ms,
        "groups_ms": {name: sum(ms.get(stage, 0.0) for stage in stages) for name, stages in groups.items()},
        "sum_ms": found,
        "total_ms": total_ms,
        "difference": apart,
        "holds": holds,
        "why_not": None if holds else f"{why}; the protocol allows {100 * CLOSURE:.0f} %",
    }


@contextmanager
def _hooks(method: Method, clock: _Clock) -> Iterator[None]:
    handles = []
    for stage, names in method.stages.items():
        for name in names:
            part: nn.Module | None = getattr(method, name)
            if part is not None:
                handles.append(part.register_forward_pre_hook(lambda *_, stage=stage: clock.start(stage)))
                handles.append(part.register_forward_hook(lambda *_, stage=stage: clock.stop(stage)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
