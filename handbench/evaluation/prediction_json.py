"""`[xyz_list, verts_list]`, the JSON that the FreiHAND and HO-3D servers took, straight into numpy.

It is read block by block (store/json_arrays.py), from an archive too. What is not exactly as it must be is read again,
whole, and what simdjson refuses (NaN, Infinity) slowly, to be able to name the sample.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import simdjson
from numpy.typing import NDArray

from handbench.errors import InvalidError
from handbench.evaluation.archive import MAX_BYTES, find_member, member_blocks
from handbench.evaluation.prediction_ids import require_count
from handbench.hands.record import Hands
from handbench.store.json_arrays import Irregular, NumberLists, file_blocks

NESTED = "It must be [joints, vertices]: for each sample 21 and V lists of three numbers, in the official order."


def read_json(path: Path, ids: Sequence[str] | NDArray, archived: bool) -> tuple[Hands, str]:
    """A pred.json, or the archive that holds it, and the ids of its entries, in order -> joints (N, 21, 3), vertices
    (N, V, 3) or None, and the SHA-256 of the JSON text.

    Numbers as they stand in the file. An empty list of vertices means that there are none. Raises InvalidError,
    naming the sample by index and id, for another count, another nesting, something that is no number, NaN.
    """
    member = find_member(path) if archived else None
    what = path.name if member is None else f"{member.filename} in {path.name}"

    def blocks() -> Iterator[bytes]:
        return file_blocks(path) if member is None else member_blocks(path, member)

    digest = hashlib.sha256()
    try:
        joints, vertices = _regular(_hashed(blocks(), digest), ids, what)
    except Irregular:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidError(f"{what} is larger than {MAX_BYTES:,} bytes and not as it must be.", NESTED) from None
        digest = hashlib.sha256()
        joints, vertices = _parse(b"".join(_hashed(blocks(), digest)), ids, what)
    return Hands(id=np.asarray(ids, dtype=np.str_), joints=joints, vertices=vertices), digest.hexdigest()


def _hashed(blocks: Iterator[bytes], digest: Any) -> Iterator[bytes]:
    for block in blocks:
        digest.update(block)
        yield block


def _regular(blocks: Iterator[bytes], ids: Sequence[str] | NDArray, what: str) -> tuple[NDArray, NDArray | None]:
    lists, n = NumberLists(blocks), len(ids)
    lists.take(b"[")
    joints = _samples(lists, "joints", ids, what)
    lists.take(b",")
    vertices = _samples(lists, "vertices", ids, what)
    lists.take(b"]")
    lists.end()
    if joints.shape != (n, 21, 3) or (len(vertices) and vertices.shape[2] != 3):
        raise Irregular
    return joints, vertices if len(vertices) else None


def _samples(lists: NumberLists, name: str, ids: Sequence[str] | NDArray, what: str) -> NDArray:
    """The next list. What often goes wrong is named at once, without reading the whole file: NaN, and a cut."""
    try:
        return lists.samples(len(ids))
    except Irregular as error:
        # two lists were open
        if error.ended and 2 + error.piece.count(b"[") > error.piece.count(b"]"):
            where = f"{error.before} ({ids[error.before]})" if error.before < len(ids) else str(error.before)
            raise InvalidError(
                f"{what} is not valid JSON: it ends before sample {where} of its {name} does.",
                "It is cut short: fetch or write it again.",
            ) from None
        _require_finite(error, name, ids, what)
        raise


def _require_finite(error: Irregular, name: str, ids: Sequence[str] | NDArray, what: str) -> None:
    try:
        samples = json.loads(b"[" + error.piece + b"]", parse_int=float)
    except (ValueError, RecursionError):
        return
    for i, sample in enumerate(samples, error.before):
        array = _numbers(sample)
        if array is None or array.ndim != 2 or i >= len(ids):
            return
        if not np.isfinite(array).all():
            raise InvalidError(
                f"Sample {i} ({ids[i]}) of {what} has NaN or infinity in its {name}.", "Predict it again."
            ) from None


def _parse(data: bytes, ids: Sequence[str] | NDArray, what: str) -> tuple[NDArray, NDArray | None]:
    """Sample by sample: what is wrong with which."""
    parser = simdjson.Parser()
    try:
        document: Any = parser.parse(data)
    except (ValueError, UnicodeDecodeError, RuntimeError):
        # RuntimeError: an integer of more than 64 bits
        document = _slowly(data, what)
    lists = _two_lists(document, what)
    for points, name in zip(lists, ("joints", "vertices"), strict=True):
        if len(points) or name == "joints":
            hint = "A pred.json has no ids: it must have every sample, in the official order."
            require_count(len(points), ids, f"{what} has the {name} of", hint)
    joints = _sample_by_sample(lists[0], "joints", ids, what)
    return joints, _sample_by_sample(lists[1], "vertices", ids, what) if len(lists[1]) else None


def _slowly(data: bytes, what: str) -> Any:
    if not data.strip():
        raise InvalidError(f"{what} is empty.", "Write it again.")
    try:
        # an integer beyond float64 becomes infinity, and is named as that
        return json.loads(data, parse_int=float)
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


def _sample_by_sample(points: Any, name: str, ids: Sequence[str] | NDArray, what: str) -> NDArray:
    read: list[NDArray] = []
    for i in range(len(points)):
        array = _numbers(points[i])
        wanted: Callable[[tuple[int, ...]], bool] = (
            (lambda shape: shape == (21, 3)) if name == "joints" else (lambda shape: len(shape) == 2 and shape[1] == 3)
        )
        if array is None or not wanted(array.shape) or (read and array.shape != read[0].shape):
            want = "21x3" if name == "joints" else "x".join(map(str, read[0].shape)) if read else "Vx3"
            wrong = f"its {name} must be {want} numbers, and are lists of uneven length or not all numbers"
            if array is not None:
                wrong = f"its {name} are {'x'.join(map(str, array.shape)) or 'one number'}, not {want}"
            raise InvalidError(f"Sample {i} ({ids[i]}) of {what}: {wrong}.", NESTED)
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
