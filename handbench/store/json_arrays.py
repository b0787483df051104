"""Large JSON files of nested numbers, read straight into numpy: 200 MB in about half a second.

The numbers never become Python objects (simdjson fills one flat buffer).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import simdjson
from numpy.typing import NDArray

from handbench.errors import InvalidError, MissingError


def read_array(path: Path, sample_shape: tuple[int, ...]) -> NDArray:
    """A JSON list of N entries, each nested as `sample_shape` -> (N, *sample_shape) float64.

    Raises MissingError if it is not there; InvalidError if it is cut short, is no list of numbers, or an entry has
    another shape (the first such entry is named).
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise MissingError(f"{path} does not exist.") from None
    except IsADirectoryError:
        raise InvalidError(f"{path} is a folder, not a JSON file.") from None
    parser = simdjson.Parser()
    try:
        document = parser.parse(data)
    except (ValueError, UnicodeDecodeError) as error:
        raise InvalidError(
            f"{path} is not valid JSON ({str(error).rstrip('.')}).", "It may be cut short: fetch it again."
        ) from None
    if not isinstance(document, simdjson.Array):
        raise InvalidError(f"{path} does not hold a list.", f"A list of {sample_shape} arrays is expected.")
    return array_of(document, sample_shape, str(path))


def array_of(document: simdjson.Array, sample_shape: tuple[int, ...], what: str) -> NDArray:
    """A parsed list of N entries -> (N, *sample_shape) float64; `what` names it in the error."""
    n = len(document)
    try:
        flat = np.frombuffer(document.as_buffer(of_type="d"), np.float64)
    except (TypeError, ValueError):
        flat = np.empty(0)
    # a flat count that fits can still hide ragged entries: the first and last are looked at as they are
    if n == 0 or flat.size != n * int(np.prod(sample_shape)) or not all(
        _shape(document[i]) == sample_shape for i in (0, n - 1)
    ):
        for i in range(n):
            shape = _shape(document[i])
            if shape != sample_shape:
                raise InvalidError(
                    f"Entry {i} of {what} is {_words(shape)}, not {_words(sample_shape)} numbers.",
                    "The file is damaged or of another dataset.",
                )
        raise InvalidError(f"{what} is an empty list.", "The file is damaged or of another dataset.")
    return flat.reshape(n, *sample_shape).copy()


def _shape(value: object) -> tuple[int, ...] | None:
    """Shape of nested lists of numbers; None where they are ragged or hold something else."""
    if isinstance(value, simdjson.Array):
        inner = {_shape(item) for item in value}
        return (len(value), *first) if len(inner) == 1 and (first := inner.pop()) is not None else None
    return () if isinstance(value, int | float) and not isinstance(value, bool) else None


def _words(shape: tuple[int, ...] | None) -> str:
    if shape is None:
        return "no regular array of"
    return "x".join(map(str, shape)) or "one"
