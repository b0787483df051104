"""Results on disk: an HDF5 file that anyone can open without handbench.

Layout (format 1): `ids` (N,); `clusters` (N,) where samples were recorded together; `samples/METRIC/ALIGNMENT` (N,);
`joint_errors/ALIGNMENT` (N, 21) mm; `curves/METRIC/ALIGNMENT` (T, 2); `reflected` (N,). Attributes of the root:
`format` and `record`, the JSON of `Result.to_record`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import orjson
from numpy.typing import NDArray

from handbench.errors import InvalidError, MissingError
from handbench.evaluation.result import Result
from handbench.store.atomic import replacing

FORMAT = "handbench-result-1"
TABLES = ("samples", "joint_errors", "curves")
KNOWN = ("protocol", "summary", "official", "given", "warnings", "suspicions", "provenance", "row", "per_bucket")


def write_result(path: Path, result: Result) -> None:
    """Write atomically: `path` appears when it is complete, or stays as it was."""
    with replacing(path) as part, h5py.File(part, "w", libver=("v110", "latest")) as file:
        file.attrs["format"] = FORMAT
        file.attrs["record"] = orjson.dumps(result.to_record()).decode()
        file["ids"] = np.char.encode(result.ids, "utf-8")
        file["reflected"] = result.reflected
        if result.clusters is not None:
            file["clusters"] = np.char.encode(result.clusters, "utf-8")
        for table in TABLES:
            for name, array in getattr(result, table).items():
                file[f"{table}/{name}"] = array


def read_result(path: Path | str) -> Result:
    """Raises MissingError if it is not there, InvalidError if it is no result file."""
    path = Path(path)
    if not path.is_file():
        raise MissingError(f"There is no result at {path}.", "`handbench eval` writes it.")
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != FORMAT:
                raise InvalidError(f"{path} is not a handbench result.", "`handbench eval` writes one.")
            record = orjson.loads(file.attrs["record"])
            tables: Any = {table: _arrays(file[table]) if table in file else {} for table in TABLES}
            ids = np.char.decode(file["ids"][:], "utf-8")
            reflected = file["reflected"][:]
            clusters = np.char.decode(file["clusters"][:], "utf-8") if "clusters" in file else None
    except (OSError, KeyError, ValueError) as error:
        raise InvalidError(
            f"{path} cannot be read: it is damaged or cut short.", "Run `handbench eval` again."
        ) from error
    known = ("protocol", "summary", "official", "given", "warnings", "suspicions", "provenance", "row", "per_bucket")
    if any(key not in record for key in known):
        raise InvalidError(f"{path} was written by another version of handbench.", "Run `handbench eval` again.")
    for row in record["summary"]:
        # JSON has no NaN: a figure that does not exist was written as null
        row.update({key: float("nan") for key in ("value", "low", "high") if row[key] is None})
    return Result(ids=ids, reflected=reflected, clusters=clusters, **tables, **{key: record[key] for key in known})


def _arrays(group: h5py.Group) -> dict[str, NDArray]:
    found: dict[str, NDArray] = {}

    def keep(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[:]

    group.visititems(keep)
    return found
