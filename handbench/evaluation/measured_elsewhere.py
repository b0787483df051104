"""Results from another machine: a folder of result files beside one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from handbench.console import warn
from handbench.errors import InvalidError, MissingError
from handbench.evaluation.result_file import read_record
from handbench.store.records import read_json


def results_in(folder: Path) -> list[dict[str, Any]]:
    """The record of every result under `folder`: result files (.h5) and records that `eval --json` wrote (.json).

    Each says in its provenance where it lies. What is neither is left out with a warning. Raises MissingError where
    the folder holds no result.
    """
    if not folder.is_dir():
        raise MissingError(f"There is no folder {folder}.", "--measured takes a folder of result files.")
    found = []
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".h5", ".json"):
            continue
        try:
            records = [read_record(path)] if path.suffix == ".h5" else _records(read_json(path, "The result"))
        except (InvalidError, MissingError):
            records = []
        if not records:
            warn(f"{path} is no result and is left out.")
        found += [{**one, "provenance": {**(one.get("provenance") or {}), "read from": str(path)}} for one in records]
    if not found:
        raise MissingError(f"{folder} has no result.", "`handbench eval --result FILE.h5` or `--json FILE` writes one.")
    return found


def _records(content: Any) -> list[dict[str, Any]]:
    """Of one result, of several, or of a table's `--json`; a mean of several seeds stands there beside its runs."""
    several = content if isinstance(content, list) else [content]
    if isinstance(content, dict) and isinstance(content.get("results"), list):
        several = content["results"]
    return [one for one in several if _is_result(one) and "seeds" not in one["row"]]


def _is_result(one: Any) -> bool:
    kinds = {"protocol": dict, "summary": list, "row": dict, "n": int}
    if not isinstance(one, dict) or not all(isinstance(one.get(key), kind) for key, kind in kinds.items()):
        return False
    figures = ("metric", "alignment", "unit", "value", "interval")
    lines = all(isinstance(line, dict) and all(key in line for key in figures) for line in one["summary"])
    return lines and all(isinstance(one["protocol"].get(key), str) for key in ("name", "id"))
