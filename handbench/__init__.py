"""handbench: benchmarking and evaluation of 3D hand pose and mesh estimation from RGB.

    import handbench
    result = handbench.evaluate("FreiHAND_pub_v2_eval", "pred.json", protocol="freihand")
    print(result.value("mpjpe", "procrustes-official"))

`Hands` is the record, `load(path)` opens a file of hands, `evaluate` scores, `compare` says whether a difference is
real; `speed(module, inputs)` times a network. They are loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC: dict[str, tuple[str, str | None]] = {
    "Hands": ("handbench.hands.record", "Hands"),
    "load": ("handbench.store.hands_file", "HandsFile"),
    "evaluate": ("handbench.evaluation.scoring", "evaluate"),
    "compare": ("handbench.evaluation.compare", "compare"),
    # the package, which is called like the function in it
    "speed": ("handbench.speed", None),
}
__all__ = ["Hands", "compare", "evaluate", "load", "speed"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'handbench' has no attribute {name!r}")
    module, attribute = _PUBLIC[name]
    loaded = importlib.import_module(module)
    return loaded if attribute is None else getattr(loaded, attribute)
