"""Where the time of one call goes: a pass of its own, with marks around each stage.

Marks cost time, so a stage's milliseconds never enter the headline; and they stand only where their sum is the
headline to 5 % (HB-Speed 1).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from handbench.methods.base import Method
from handbench.speed.clock import Clock
from handbench.speed.tiers import Step

# how far the sum may lie from the total
CLOSURE = 0.05


class _Spans:
    """Marks of time around stages, read only once all has run."""

    def __init__(self, clock: Clock):
        self.clock = clock
        self.spans: list[tuple[str, Any, Any]] = []
        self._open: dict[str, Any] = {}

    def start(self, stage: str) -> None:
        self._open[stage] = self.clock.mark()

    def stop(self, stage: str) -> None:
        self.spans.append((stage, self._open.pop(stage), self.clock.mark()))

    def read(self) -> dict[str, float]:
        """Milliseconds by stage of all spans since the last reading."""
        self.clock.synchronise()
        found: defaultdict[str, float] = defaultdict(float)
        for stage, start, end in self.spans:
            found[stage] += self.clock.between(start, end)
        self.spans.clear()
        return dict(found)


def time_stages(method: Method, steps: list[Step], clock: Clock, count: int) -> dict[str, float]:
    """Median ms of each stage over `count` calls: those of the steps, and the method's own in the network's place.

    Raises RuntimeError for a declared stage that no call reached: it would be timed as nothing.
    """
    spans = _Spans(clock)
    each: list[dict[str, float]] = []
    with torch.inference_mode(), _hooks(method, spans):
        for i in range(count):
            clock.synchronise()
            state: Any = i
            for step in steps:
                if step.stage is not None:
                    spans.start(step.stage)
                state = step.run(state)
                if step.stage is not None:
                    spans.stop(step.stage)
            each.append(spans.read())
    own = [stage for stage, names in method.stages.items() if any(getattr(method, n) is not None for n in names)]
    order: list[str] = []
    for step in steps:
        order += own if step.stage is None else [step.stage]
    silent = [stage for stage in order if stage not in each[0]]
    if silent:
        raise RuntimeError(f"{method.name}: no call reached the stage {silent[0]}; its modules are not called as such")
    return {stage: float(np.median([call[stage] for call in each])) for stage in order}


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
def _hooks(method: Method, spans: _Spans) -> Iterator[None]:
    handles = []
    for stage, names in method.stages.items():
        for name in names:
            part: nn.Module | None = getattr(method, name)
            if part is not None:
                handles.append(part.register_forward_pre_hook(lambda *_, stage=stage: spans.start(stage)))
                handles.append(part.register_forward_hook(lambda *_, stage=stage: spans.stop(stage)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
