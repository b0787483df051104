"""Results on disk: an HDF5 file that anyone can open without handbench.

Layout (format 2): `ids` (N,); `samples/METRIC/ALIGNMENT` (N,); `joint_errors/ALIGNMENT` (N, 21) mm; `reflected` (N,);
`clusters` (N,) where samples were recorded together; `covered` (N,) the share of the hand that something else covers,
where that is known; `curves/METRIC/ALIGNMENT` (T, 2). Attributes of the root: `format` and `record`, the JSON of
`Result.to_record`. Per-vertex errors are nowhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import orjson
from numpy.typing import NDArray

from handbench.errors import InvalidError, MissingError
from handbench.evaluation.measuring import Measured
from handbench.evaluation.result import Result, plain
from handbench.store.atomic import replacing

FORMAT = "handbench-result-2"
TABLES = ("samples", "joint_errors", "curves")
COLUMNS = ("ids", "reflected", "clusters", "covered")
TEXT = ("ids", "clusters")
KNOWN = ("protocol", "summary", "official", "given", "warnings", "suspicions", "provenance", "row", "per_bucket")
# rows of one chunk of joint errors: medians read them a joint at a time
CHUNK = 1 << 13


class ResultWriter:
    """Takes the blocks of an evaluation of `n` samples, in order, into an open file; the last of them at `finish`."""

    def __init__(self, file: h5py.File, n: int):
        self.file, self.n, self.done = file, n, 0
        # HDF5 is slow at many small writes
        self._waiting: dict[str, list[NDArray]] = defaultdict(list)
        self._rows = 0

    def add(self, block: Measured, **columns: NDArray | None) -> None:
        """One block; `columns` are ids, clusters (text), covered."""
        arrays: dict[str, NDArray] = {"reflected": block.reflected}
        arrays |= {name: array for name, array in columns.items() if array is not None}
        arrays |= {f"samples/{name}": array for name, array in block.samples.items()}
        arrays |= {f"joint_errors/{name}": array for name, array in block.joints.items()}
        for name, array in arrays.items():
            self._waiting[name].append(array)
        self._rows += len(block.reflected)
        if self._rows >= CHUNK:
            self._flush()

    def _flush(self) -> None:
        for name, arrays in self._waiting.items():
            self._put(name, np.concatenate(arrays), self._rows)
        self._waiting.clear()
        self.done += self._rows
        self._rows = 0

    def _put(self, name: str, array: NDArray, size: int) -> None:
        if name in TEXT:
            array = np.char.encode(np.asarray(array, np.str_), "utf-8")
        if name not in self.file:
            self.file.create_dataset(name, (self.n, *array.shape[1:]), array.dtype, chunks=self._chunks(array))
        data = self.file[name]
        if name in TEXT and array.dtype.itemsize > data.dtype.itemsize:
            data = self._widened(name, array.dtype)
        data[self.done : self.done + size] = array

    def _chunks(self, array: NDArray) -> tuple[int, ...] | None:
        return (CHUNK, 1) if array.ndim == 2 and self.n > CHUNK else None

    def _widened(self, name: str, dtype: np.dtype) -> h5py.Dataset:
        """The column again, with room for longer text."""
        old = self.file[name]
        self.file.create_dataset("wider", (self.n,), dtype)
        for start in range(0, self.done, CHUNK):
            self.file["wider"][start : start + CHUNK] = old[start : start + CHUNK].astype(dtype)
        del self.file[name]
        self.file.move("wider", name)
        return self.file[name]

    def joint_errors(self, alignment: str) -> h5py.Dataset:
        """(N, 21) mm of all blocks, to be read by slice."""
        self._flush()
        return self.file[f"joint_errors/{alignment}"]

    def finish(self, record: dict[str, Any], curves: dict[str, NDArray]) -> dict[str, Any]:
        """Write the record and the curves; returns the record as JSON has it."""
        self._flush()
        for name, array in curves.items():
            self.file[f"curves/{name}"] = array
        record = plain(record)
        self.file.attrs["record"] = orjson.dumps(record).decode()
        self.file.attrs["format"] = FORMAT
        return record


def new_file(path: Path) -> h5py.File:
    """An empty result file; wide records do not fit HDF5's old attribute format."""
    return h5py.File(path, "w", libver=("v110", "latest"))


def write_result(path: Path, result: Result) -> None:
    """Write atomically: `path` appears when it is complete, or stays as it was."""
    with replacing(path) as part, new_file(part) as file:
        whole = Measured(reflected=result.reflected, samples=dict(result.samples), joints=dict(result.joint_errors))
        writer = ResultWriter(file, result.n)
        writer.add(whole, ids=result.ids, clusters=result.clusters, covered=result.covered)
        writer.finish(result.to_record(), dict(result.curves))


def read_result(path: Path | str) -> Result:
    """Everything. Raises MissingError if it is not there, InvalidError if it is no result file."""
    with _opened(Path(path)) as (file, record):
        tables: Any = {table: _arrays(file[table]) if table in file else {} for table in TABLES}
        columns: Any = {name: file[name][:] if name in file else None for name in COLUMNS}
    columns |= {name: np.char.decode(columns[name], "utf-8") for name in TEXT if columns[name] is not None}
    for rows in (record["summary"], *(bucket["summary"] for bucket in record["per_bucket"].values())):
        for row in rows:
            # JSON has no NaN: a figure that does not exist was written as null
            row["value"] = float("nan") if row["value"] is None else row["value"]
            for key in ("interval", "interval_over_samples"):
                if key in row:
                    row[key] = [float("nan") if end is None else end for end in row[key]]
    return Result(**columns, **tables, **{key: record[key] for key in KNOWN})


def read_record(path: Path | str) -> dict[str, Any]:
    """The record alone, as JSON has it. Raises as `read_result`."""
    with _opened(Path(path)) as (_, record):
        return record


@contextmanager
def _opened(path: Path) -> Iterator[tuple[h5py.File, dict[str, Any]]]:
    if not path.is_file():
        raise MissingError(f"There is no result at {path}.", "`handbench eval --result FILE` writes it.")
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != FORMAT:
                raise InvalidError(
                    f"{path} is not a result of this version of handbench.",
                    "`handbench eval --result FILE` writes one.",
                )
            record = orjson.loads(file.attrs["record"])
            if any(key not in record for key in KNOWN):
                raise InvalidError(
                    f"{path} was written by another version of handbench.", "Run `handbench eval` again."
                )
            yield file, record
    except (OSError, KeyError, ValueError) as error:
        raise InvalidError(
            f"{path} cannot be read as HDF5: it is damaged, cut short, or no result.",
            "Give the .h5 that `handbench eval --result FILE` writes.",
        ) from error


def _arrays(group: h5py.Group) -> dict[str, NDArray]:
    found: dict[str, NDArray] = {}

    def keep(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[:]

    group.visititems(keep)
    return found
