"""The datasets, one file each, found by name: `ge-realworld` is `datasets/ge_realworld.py` with its `CARD`."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from handbench.sections import require_known

# files of this folder that are not datasets but what datasets share
SHARED = ("card", "checks", "holdout")


def names() -> list[str]:
    """Every dataset with a reader."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name.replace("_", "-") for name in found if name not in SHARED)


def find(name: str) -> ModuleType:
    """The module of the named dataset, with `CARD` and `open_split`; raises UsageError with a suggestion."""
    require_known(name, names(), "dataset")
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
