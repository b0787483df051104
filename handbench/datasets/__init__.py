"""The datasets, one file each, found by name: `ge-realworld` is `datasets/ge_realworld.py` with its `CARD`."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from types import ModuleType

from handbench.errors import UsageError

# files of this folder that are not datasets but what datasets share
SHARED = ("card", "checks", "doctor", "holdout", "images", "prepare")


def names() -> list[str]:
    """Every dataset with a reader."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name.replace("_", "-") for name in found if name not in SHARED)


def find(name: str) -> ModuleType:
    """The module of the named dataset, with `CARD` and `open_split`; raises UsageError with a suggestion."""
    if name not in names():
        close = difflib.get_close_matches(name, names(), 1)
        hint = f"Did you mean {close[0]!r}?" if close else f"Datasets: {', '.join(names())}."
        raise UsageError(f"There is no dataset {name!r}.", hint)
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
