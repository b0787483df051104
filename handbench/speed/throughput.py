"""Images a second in batches, without waiting between them: another quantity than FPS at batch 1, and so named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from handbench.methods.base import Method
from handbench.speed.clock import Clock, Effort
from handbench.speed.tiers import Pool, as_call, steps_of

BATCHES = (1, 8, 32, 128)
# a larger batch that gains less has met the device's limit
GAIN = 1.05


def sweep(
    method: Method, pool: Pool, device: torch.device, clock: Clock, effort: Effort, batches: tuple[int, ...] = BATCHES
) -> dict[str, Any]:
    """T1 at each batch of inputs (windows, where the method sees windows) until memory or saturation ends it."""

    def call_of(batch: int) -> Callable[[int], Any]:
        return as_call(steps_of("T1", method, _batched(pool, batch), device))

    return until_saturated(call_of, clock, max(effort.seconds / 5, 0.2), batches, method.stride)


def until_saturated(
    call_of: Callable[[int], Callable[[int], Any]],
    clock: Clock,
    seconds: float,
    batches: tuple[int, ...] = BATCHES,
    images: int = 1,
) -> dict[str, Any]:
    """`call_of(batch)`: a call of that batch; `images`: predicted images of one input."""
    rows: list[dict[str, Any]] = []
    stopped = "end of the sweep"
    for batch in batches:
        try:
            call = call_of(batch)
            per_second = images * batch * _rate(call, clock, seconds)
        except (RuntimeError, MemoryError) as error:
            if not _is_of_memory(error):
                raise
            stopped = f"memory, at batch {batch}"
            break
        rows.append({"batch": batch, "images_per_s": per_second})
        if len(rows) > 1 and per_second < GAIN * rows[-2]["images_per_s"]:
            stopped = f"saturation, at batch {batch}"
            break
    best = max(rows, key=lambda row: row["images_per_s"], default={"batch": None, "images_per_s": None})
    return {"rows": rows, "stopped": stopped, "best": best}


def _is_of_memory(error: Exception) -> bool:
    """Whether memory has run out: on a CPU torch has no error of its own for it."""
    return isinstance(error, MemoryError) or any(
        words in str(error) for words in ("out of memory", "can't allocate memory", "not enough memory")
    )


def _rate(call: Callable[[int], Any], clock: Clock, seconds: float) -> float:
    """Calls a second: told one after another, waited for once, at the end."""
    for i in range(2):
        call(i)
    clock.synchronise()
    start = clock.now()
    call(0)
    clock.synchronise()
    one = max(clock.now() - start, 1e-6)
    count = max(3, round(seconds / one))
    start = clock.now()
    for i in range(count):
        call(i)
    clock.synchronise()
    return count / (clock.now() - start)


def _batched(pool: Pool, batch: int) -> Pool:
    """The pool's inputs, `batch` of them at once; they begin anew where there are fewer."""
    groups = max(1, min(len(pool) // batch, 4))
    found = []
    for g in range(groups):
        inputs = [pool.device[(g * batch + i) % len(pool)] for i in range(batch)]
        given = {key: torch.cat([one[key] for _, one in inputs]) for key in inputs[0][1]}
        found.append((torch.cat([image for image, _ in inputs]), given))
    return Pool(found, [])
