"""Predictions as lines of text: DexYCB's result files, and CSV with a header.

simdjson reads the numbers, some thousand lines at once (78,768 lines of 64 in a third of a second); what it refuses is
read line by line, to be able to name the line.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from handbench.errors import InvalidError
from handbench.evaluation.prediction_ids import is_number
from handbench.store.json_arrays import Irregular, NumberLists

COLUMNS = tuple(f"{axis}{joint}" for joint in range(21) for axis in "xyz")
DEXYCB = "A DexYCB result line is image_id,x0,y0,z0,...,x20,y20,z20: 64 numbers, mm."
PLAIN = f"DexYCB text has no header line and no comments: remove them. {DEXYCB}"
CSV = "The header is id,x0,y0,z0,...,x20,y20,z20, or the same without id; commas, semicolons or tabs between."
# the first column of a CSV, where it has ids
ID = ("id", "image_id")
DELIMITERS = ",;\t"
LINES_AT_ONCE = 1024
MARK = b"\xef\xbb\xbf"
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?(nan|inf|infinity)", re.ASCII | re.IGNORECASE)


class Rows(NamedTuple):
    """`joints` (N, 21, 3) as they stand in the file; `names` (N) of the first column, or None; `lines` (N), from 1."""

    joints: NDArray
    names: list[str] | None
    lines: list[int]


def is_dexycb(first: str) -> bool:
    """Whether a file's first line is of numbers only, as many as a DexYCB result line has (or nearly)."""
    fields = first.strip().split(",")
    return len(fields) > 1 and all(NUMBER.fullmatch(field.strip()) for field in fields if field.strip())


def is_result_line(line: bytes) -> bool:
    """Whether a line is of 64 numbers, the first of them whole: a DexYCB result line."""
    fields = [field.strip() for field in line.decode(errors="replace").split(",")]
    return len(fields) == 64 and is_number(fields[0]) and all(map(NUMBER.fullmatch, fields))


def read_dexycb(path: Path, what: str) -> Rows:
    """`image_id,x0,...,z20` a line, without a header (dex-ycb-toolkit: hpe_eval.py). Raises InvalidError."""
    lines, numbers = _lines(path, what)
    for text, line in zip(lines, numbers, strict=True):
        first = text.partition(b",")[0].strip()
        if not first.isdigit() and not NUMBER.fullmatch(said := first.decode(errors="replace")):
            raise InvalidError(f"Line {line:,} of {what}: {said[:40]!r} is no image id.", PLAIN)
    rows = _rows(lines, numbers, ",", True, what, DEXYCB)
    for name, line in zip(rows.names or (), rows.lines, strict=True):
        if not is_number(name):
            raise InvalidError(f"Line {line:,} of {what}: {name[:40]!r} is no image id.", DEXYCB)
    return rows


def read_csv(path: Path, what: str) -> Rows:
    """A table with a header line. Raises InvalidError naming the column, or the line and the sample."""
    lines, numbers = _lines(path, what)
    header = lines[0].decode(errors="replace")
    delimiter = max(DELIMITERS, key=header.count)
    names = tuple(name.strip().strip('"').lower() for name in header.split(delimiter))
    named = names[0] in ID
    if len(lines) > 1 and not set(names) & set(COLUMNS) and is_result_line(lines[1]):
        raise InvalidError(f"Line {numbers[0]:,} of {what} is no result line: it begins with {names[0][:40]!r}.", PLAIN)
    _require_columns(names[1:] if named else names, what)
    if len(lines) == 1:
        raise InvalidError(f"{what} has a header and no lines.", CSV)
    return _rows(lines[1:], numbers[1:], delimiter, named, what, CSV)


def _require_columns(names: tuple[str, ...], what: str) -> None:
    if names == COLUMNS:
        return
    if names and not set(names) & set(COLUMNS):
        raise InvalidError(f"{what} has no header line: it begins with {names[0][:40]!r}.", CSV)
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    missing = next((name for name in COLUMNS if name not in names), None)
    unknown = next((name for name in names if name not in COLUMNS), None)
    if twice is not None:
        wrong = f"has the column {twice!r} twice"
    elif missing is not None:
        wrong = f"has no column {missing!r}"
    elif unknown is not None:
        wrong = f"has an unknown column {unknown[:40]!r}"
    else:
        got, want = next((a, b) for a, b in zip(names, COLUMNS, strict=True) if a != b)
        wrong = f"has the column {got!r} where {want!r} belongs"
    raise InvalidError(f"{what} {wrong}.", CSV)


def _lines(path: Path, what: str) -> tuple[list[bytes], list[int]]:
    """Those that are not empty, and their numbers."""
    data = path.read_bytes().removeprefix(MARK)
    if b"\x00" in data[:4096]:
        raise InvalidError(f"{what} is no text.", "Give pred.json, pred.zip, DexYCB text, .npz, .csv or .h5.")
    # of Windows, Unix and old Macs, as Python's own open() takes them
    lines = [line.strip(b" ") for line in data.splitlines()]
    numbers = list(range(1, len(lines) + 1))
    if not all(lines):
        numbers = [i for i, line in zip(numbers, lines, strict=True) if line]
        lines = [line for line in lines if line]
    if not lines:
        raise InvalidError(f"{what} is empty.", "Write it again.")
    return lines, numbers


def _rows(lines: list[bytes], numbers: list[int], delimiter: str, named: bool, what: str, layout: str) -> Rows:
    mark = delimiter.encode()
    names: list[str] | None = None
    values = lines
    if named:
        parts = [line.partition(mark) for line in lines]
        names = [part[0].strip(b' "').decode(errors="replace") for part in parts]
        values = [part[2] for part in parts]
    joints = np.empty((len(lines), 63))
    for start in range(0, len(lines), LINES_AT_ONCE):
        part = slice(start, start + LINES_AT_ONCE)
        text = b"[[[" + b"]],[[".join(values[part]) + b"]]]"
        try:
            block = NumberLists([text.replace(mark, b",") if mark != b"," else text]).samples()
            if block.shape[1:] != (1, 63):
                raise Irregular
            joints[part] = block[:, 0]
        except Irregular:
            for i in range(start, min(start + LINES_AT_ONCE, len(lines))):
                of = f" (sample {names[i]})" if names is not None else ""
                joints[i] = _slowly(values[i], delimiter, f"Line {numbers[i]:,}{of} of {what}", int(named), layout)
    return Rows(joints.reshape(-1, 21, 3), names, numbers)


def _slowly(line: bytes, delimiter: str, where: str, before: int, layout: str) -> list[float]:
    fields = next(csv.reader([line.decode(errors="replace")], delimiter=delimiter), [])
    if len(fields) != 63:
        raise InvalidError(f"{where} has {len(fields) + before:,} fields, not {63 + before}.", layout)
    found = []
    for field, column in zip(fields, COLUMNS, strict=True):
        if not NUMBER.fullmatch(field.strip()):
            hint = "Write a decimal point." if NUMBER.fullmatch(field.strip().replace(",", ".")) else layout
            raise InvalidError(f"{where}: {column} is {field.strip()[:40]!r}, no number.", hint)
        found.append(float(field))
        # of a DexYCB line it is not known yet whether its frame counts
        if not math.isfinite(found[-1]) and layout != DEXYCB:
            raise InvalidError(f"{where} has NaN or infinity in its joints.", "Predict it again.")
    return found


def line_of(rows: Rows) -> Callable[[int], str]:
    """Where sample i of the rows stands, in words."""
    return lambda i: f"line {rows.lines[i]:,}"
