"""Large JSON files of nested numbers, read straight into numpy: 200 MB in about half a second.

The numbers never become Python objects (simdjson fills one flat buffer).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import simdjson
from numpy.typing import NDArray

from handbench.errors import InvalidError, MissingError

NOT_STRUCTURE = bytes(set(range(256)) - set(b"[],"))


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
    except (ValueError, UnicodeDecodeError, RuntimeError) as error:
        raise InvalidError(
            f"{path} is not valid JSON ({str(error).rstrip('.')}).", "It may be cut short: fetch it again."
        ) from None
    if not isinstance(document, simdjson.Array) or not len(document):
        raise InvalidError(f"{path} does not hold a list with entries.", "Fetch it again.")
    n, flat = len(document), flat_numbers(document)
    if flat is None or structure(data) != skeleton((n, *sample_shape)):
        i, shape = next((i, shape) for i in range(n) if (shape := _shape(document[i])) != sample_shape)
        raise InvalidError(
            f"Entry {i} of {path} is {_words(shape)}, not {_words(sample_shape)} numbers.",
            "The file is damaged or of another dataset.",
        )
    return flat.reshape(n, *sample_shape).copy()


def flat_numbers(document: simdjson.Array) -> NDArray | None:
    """Every number of a parsed list, nesting forgotten, float64; None where something in it is no number."""
    try:
        return np.frombuffer(document.as_buffer(of_type="d"), np.float64)
    except (TypeError, ValueError):
        return None


def structure(data: bytes) -> bytes:
    """The brackets and commas of a JSON text that holds numbers only: all the structure there is."""
    return data.translate(None, NOT_STRUCTURE)


def skeleton(shape: tuple[int, ...]) -> bytes:
    """The `structure` of nested lists of numbers of this shape."""
    return b"[" + b",".join([skeleton(shape[1:])] * shape[0]) + b"]" if shape else b""


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
