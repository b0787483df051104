"""What a network costs: parameters, multiply-adds, and FLOPs = 2 x MACs."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from handbench.methods.base import Method, blank_batch

M = TypeVar("M", bound=nn.Module)

ARE = "2 x multiply-adds; convolutions, matrix products and attention"


def cost(method: Method) -> dict[str, Any]:
    """Parameters (in all, and by the method's stages) and MACs of one image, in a window of its like.

    Counted on the meta device with math attention: on a CPU torch's counter takes fused attention for nothing.
    Only what inference runs is counted; training-only parts are reported as `training_only`.
    """
    method = on_meta(method).eval()
    image = torch.empty(method.frames, 3, method.input_size, method.input_size, device="meta")
    given = blank_batch(method.frames, method.input_size, "meta")
    flops, uncounted = count_flops(lambda: method(image, given))
    flops //= method.frames
    stages = {
        stage: sum(p.numel() for name in modules for p in _parameters(getattr(method, name)))
        for stage, modules in method.stages.items()
    }
    parameters = sum(p.numel() for p in method.parameters())
    return {
        "parameters": parameters,
        "parameters_by_stage": stages,
        "training_only": parameters - sum(stages.values()) if stages else 0,
        "macs": flops // 2,
        "flops": flops,
        "flops_are": ARE,
        "counted_as_zero": uncounted,
    }


def on_meta(module: M) -> M:
    """A copy on the meta device, made without copying a weight where it lies."""
    # torch's counter stumbles over a view of a parameter that wants a gradient
    memo: dict[int, Any] = {id(p): nn.Parameter(p.detach().to("meta"), False) for p in module.parameters()}
    memo |= {id(b): b.detach().to("meta") for b in module.buffers()}
    return copy.deepcopy(module, memo).to("meta")


def count_flops(run: Callable[[], object]) -> tuple[int, dict[str, int]]:
    """FLOPs of what `run` does, and how often it did what counts for nothing: the operations by name."""
    counter = FlopCounterMode(display=False)
    seen = _Seen()
    # the fused path of nn.TransformerEncoder would hide its products from the counter
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        # outermost, so that it sees what the counter has taken apart
        with seen, counter, sdpa_kernel(SDPBackend.MATH), torch.inference_mode():
            run()
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    zero = {str(op): n for op, n in sorted(seen.calls.items(), key=str) if op not in counter.flop_registry}
    return counter.get_total_flops(), zero


class _Seen(TorchDispatchMode):
    """Counts every operation that touches data; views do not."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[Any] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not getattr(func, "is_view", False):
            self.calls[func._overloadpacket] += 1
        return func(*args, **(kwargs or {}))


def _parameters(part: nn.Module | None) -> list[nn.Parameter]:
    """Those of a part; a variant may do without it."""
    return [] if part is None else list(part.parameters())
