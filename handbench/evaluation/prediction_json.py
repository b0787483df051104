"""`[xyz_list, verts_list]`, the JSON that the FreiHAND and HO-3D servers took, straight into numpy.

simdjson fills flat buffers (200 MB in about a second); the nesting is then compared, character by character, with the
only one that is right. What simdjson refuses (NaN, Infinity) is read slowly, to be able to name the sample.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import simdjson
from numpy.typing import NDArray

from handbench.errors import InvalidError
from handbench.hands.record import Hands
from handbench.store.json_arrays import flat_numbers, skeleton, structure

NESTED = "It must be [joints, vertices]: for each sample 21 and V lists of three numbers, in the official order."


def parse(data: bytes, ids: Sequence[str] | NDArray, what: str) -> Hands:
    """The bytes of a pred.json and the ids of its entries, in order -> joints (N, 21, 3), vertices (N, V, 3) or None.

    Numbers as they stand in the file. An empty list of vertices means that there are none. Raises InvalidError,
    naming the sample by index and id, for another count, another nesting, something that is no number, NaN.
    """
    parser = simdjson.Parser()
    try:
        document: Any = parser.parse(data)
    except (ValueError, UnicodeDecodeError, RuntimeError):
        # RuntimeError: an integer of more than 64 bits
        document = _slowly(data, what)
    lists = _two_lists(document, what)
    for points, name in zip(lists, ("joints", "vertices"), strict=True):
        if len(points) or name == "joints":
            _require_count(len(points), ids, name, what)
    arrays = _fast(lists, data) if isinstance(document, simdjson.Array) else None
    if arrays is None:
        arrays = [_sample_by_sample(lists[0], "joints", ids, what)]
        arrays.append(_sample_by_sample(lists[1], "vertices", ids, what) if len(lists[1]) else None)
    joints, vertices = arrays
    assert joints is not None
    for array, name in ((joints, "joints"), (vertices, "vertices")):
        if array is not None and not np.isfinite(array).all():
            i = int(np.argmax(~np.isfinite(array).all((1, 2))))
            raise InvalidError(
                f"Sample {i} ({ids[i]}) of {what} has NaN or infinity in its {name}.", "Predict it again."
            )
    return Hands(id=np.asarray(ids, dtype=np.str_), joints=joints, vertices=vertices)


def _slowly(data: bytes, what: str) -> Any:
    try:
        return json.loads(data)
    except json.JSONDecodeError as error:
        raise InvalidError(
            f"{what} is not valid JSON: {error.msg[:1].lower()}{error.msg[1:]} at character {error.pos:,} of "
            f"{len(data):,}.",
            "It may be cut short: fetch or write it again.",
        ) from None
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        raise InvalidError(f"{what} is not valid JSON ({type(error).__name__}).", NESTED) from None


def _two_lists(document: Any, what: str) -> list[Any]:
    if not _is_list(document):
        raise InvalidError(f"{what} does not hold a list.", NESTED)
    if len(document) != 2 or not all(_is_list(part) for part in (document[0], document[1])):
        raise InvalidError(f"{what} is not a list of two lists: it has {len(document):,} entries.", NESTED)
    return [document[0], document[1]]


def _require_count(count: int, ids: Sequence[str] | NDArray, name: str, what: str) -> None:
    if count == len(ids):
        return
    where = f"entry {count} ({ids[count]}) is not there" if count < len(ids) else f"entry {len(ids)} is no sample's"
    raise InvalidError(
        f"{what} has the {name} of {count:,} samples, {len(ids):,} are expected: {where}.",
        "A pred.json has no ids: it must have every sample, in the official order.",
    )


def _fast(lists: list[Any], data: bytes) -> list[NDArray | None] | None:
    """Both arrays, or None where anything is not as it must be (what, is then found sample by sample)."""
    arrays: list[NDArray | None] = []
    expected = []
    for points in lists:
        n = len(points)
        if not n:
            arrays.append(None)
            expected.append(b"[]")
            continue
        flat = flat_numbers(points)
        k = len(points[0]) if _is_list(points[0]) else 0
        if not k or flat is None or flat.size != n * k * 3:
            return None
        expected.append(skeleton((n, k, 3)))
        arrays.append(flat.reshape(n, k, 3).copy())
    if structure(data) != b"[" + b",".join(expected) + b"]":
        return None
    return arrays if arrays[0] is not None and arrays[0].shape[1] == 21 else None


def _sample_by_sample(points: Any, name: str, ids: Sequence[str] | NDArray, what: str) -> NDArray:
    read: list[NDArray] = []
    for i in range(len(points)):
        array = _numbers(points[i])
        wanted: Callable[[tuple[int, ...]], bool] = (
            (lambda shape: shape == (21, 3)) if name == "joints" else (lambda shape: len(shape) == 2 and shape[1] == 3)
        )
        if array is None or not wanted(array.shape) or (read and array.shape != read[0].shape):
            got = "no regular list of numbers" if array is None else "x".join(map(str, array.shape)) or "one number"
            want = "21x3" if name == "joints" else "x".join(map(str, read[0].shape)) if read else "Vx3"
            raise InvalidError(f"Sample {i} ({ids[i]}) of {what}: its {name} are {got}, not {want}.", NESTED)
        read.append(array)
    return np.stack(read)


def _numbers(value: Any) -> NDArray | None:
    plain = value.as_list() if isinstance(value, simdjson.Array) else value
    if not _only_numbers(plain):
        return None
    try:
        return np.array(plain, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None


def _only_numbers(value: Any) -> bool:
    if isinstance(value, list):
        return all(_only_numbers(inner) for inner in value)
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_list(value: Any) -> bool:
    return isinstance(value, simdjson.Array | list)
