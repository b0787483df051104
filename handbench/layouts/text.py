"""Small text files of official layouts: YAML without code, lists of lines."""

from __future__ import annotations

import reprlib
from typing import Any

import yaml

from handbench.errors import InvalidError
from handbench.layouts.folder import Folder

# calibration and meta files have a few kilobytes
MOST_TEXT = 4 << 20


# what a value that is not what its tag says makes the loader raise, besides its own errors
FAULTS = (
    yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, ArithmeticError, RecursionError,
)  # fmt: skip
_SHORT = reprlib.Repr()
_SHORT.maxlevel = 1


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The safe loader, and tuples of plain things: calibration files in DexYCB's style carry that tag."""


_Loader.add_constructor(
    "tag:yaml.org,2002:python/tuple", lambda loader, node: tuple(loader.construct_sequence(node, deep=True))
)


def read_yaml(folder: Folder, inside: str) -> dict[str, Any]:
    """Keys and values of a YAML file. Raises MissingError; InvalidError naming the file, for any tag that makes objects
    as for what is no YAML."""
    path = folder.root / inside
    data = folder.read(inside, MOST_TEXT)
    try:
        read = yaml.load(data, _Loader)
    except FAULTS as error:
        why = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise InvalidError(f"{path} cannot be read: {why}.", "Fetch it again.") from None
    if not isinstance(read, dict):
        raise InvalidError(f"{path} holds no keys and values.", "Fetch it again.")
    return read


def shown(value: object) -> str:
    """A value of a YAML file for a message: aliases can make a small file's lists endless, so not deep and not long."""
    return _SHORT.repr(value)


def read_lines(folder: Folder, inside: str, most: int = 64 << 20) -> list[str]:
    """The lines of a text file without those that are empty. Raises MissingError, InvalidError."""
    data = folder.read(inside, most)
    try:
        return [line.strip() for line in data.decode("utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise InvalidError(f"{folder.root / inside} is not text.", "Fetch it again.") from None
