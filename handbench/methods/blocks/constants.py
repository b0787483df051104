"""Constants of a network's formulas, made once on each device."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps

import torch
from torch import Tensor

Make = Callable[..., Tensor]


def once(make: Make) -> Make:
    """`make(..., device, dtype)`, whose answer is kept: made anew, it would cost launches in every call. It is no
    weight, nobody may write into it, and all arguments are hashable.
    """

    @cache
    def kept(*args: object) -> Tensor:
        # for training too, where a tensor of inference mode is refused
        with torch.inference_mode(False):
            return make(*args)

    @wraps(make)
    def constant(*args: object) -> Tensor:
        # torch.compile folds it by itself
        return make(*args) if torch.compiler.is_compiling() else kept(*args)

    return constant
