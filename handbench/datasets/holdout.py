"""Frames held out of a training split for validation: never test frames, never split within a capture."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

SHARE = 0.1


class Training(Protocol):
    """What is asked of a prepared training split."""

    @property
    def meta(self) -> Mapping[str, Any]: ...
    @property
    def fields(self) -> tuple[str, ...]: ...
    def __len__(self) -> int: ...
    def column(self, name: str) -> NDArray: ...


def validation_mask(file: Training) -> NDArray:
    """Which samples (N,) bool of a prepared training split are validation, by the rule of its dataset's card.

    `hash`: the tenth of the captures whose names have the smallest SHA-256, the same on every machine and for every
    seed. On FreiHAND a capture is one of the 32,560 unique frames with its four backgrounds: 3,256 are held out.
    `last`: the last tenth of the frames. At least one capture or frame; none from a file with fewer than two.
    """
    n = len(file)
    if file.meta.get("validation") == "last":
        return np.arange(n) >= n - (max(1, round(n * SHARE)) if n > 1 else 0)
    captures = file.column("capture" if "capture" in file.fields else "id")
    names = np.unique(captures)
    count = max(1, round(len(names) * SHARE)) if len(names) > 1 else 0
    ranked = sorted(names, key=lambda name: hashlib.sha256(f"validation:{name}".encode()).digest())
    return np.isin(captures, ranked[:count])
