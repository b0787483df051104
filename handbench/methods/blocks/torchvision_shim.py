"""Makes timm and open_clip import where torchvision's compiled operators do not fit the installed torch.

Torchvision from the index is built for CUDA. Beside a CPU torch its C++ extension does not load, and the import fails
("operator torchvision::nms does not exist") although nothing here ever calls one of its operators. Declaring the
schemas of the operators it asks for is enough for the import; they still cannot be called.
"""

from __future__ import annotations

import functools
import importlib
import re
import sys
from types import ModuleType

import torch

# Operators whose fake kernels torchvision registers while it is imported.
SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
ABSENT = re.compile(r"operator torchvision::(\w+) does not exist")

# A library's definitions live as long as this object.
_declared: list[torch.library.Library] = []


@functools.cache
def ensure_torchvision() -> bool:
    """Import torchvision; True if it needed the missing schemas, False if the installation was good as it is.

    Whatever else is wrong with the installation (not installed, another error) is raised as it came.
    """
    if "torchvision" in sys.modules:
        return False
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if not ABSENT.search(str(error)):
            raise
    else:
        return False
    library = torch.library.Library("torchvision", "FRAGMENT")
    _declared.append(library)
    declared: set[str] = set()
    while True:
        _forget()
        try:
            importlib.import_module("torchvision")
        except RuntimeError as error:
            absent = ABSENT.search(str(error))
            if absent is None or absent[1] in declared or absent[1] not in SCHEMAS:
                raise
            library.define(SCHEMAS[absent[1]])
            declared.add(absent[1])
        else:
            return True


def _forget() -> None:
    """Drop what a failed import left behind, so that the next one starts afresh."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]


def import_with_torchvision(name: str) -> ModuleType:
    """Import a module that imports torchvision: timm, open_clip."""
    ensure_torchvision()
    return importlib.import_module(name)
