"""The methods. Each is found by its name: `clip-hand3d` is `methods/clip_hand3d/`, `mean-pose` is `mean_pose.py`."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

from handbench.errors import UsageError
from handbench.methods.base import Method
from handbench.sections import require_known

if TYPE_CHECKING:
    from types import ModuleType

# modules of this folder that are not methods but what methods share
SHARED = ("base", "blocks", "clip_hand")


def names() -> list[str]:
    """Every method there is."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name.replace("_", "-") for name in found if name not in SHARED and not name.startswith("_"))


def find(name: str) -> type[Method]:
    """The class of the named method; raises UsageError with a suggestion."""
    require_known(name, names(), "method")
    module: ModuleType = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Method) and getattr(value, "name", None) == name:
            return value
    raise UsageError(f"The file of method {name!r} defines no Method with that name.", "See CONTRIBUTING.md.")
