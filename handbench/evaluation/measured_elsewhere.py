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
    """Of one result, or of a table's `--json`."""
    several = content.get("results", [content]) if isinstance(content, dict) else []
    needed = ("protocol", "summary", "row", "n")
    return [one for one in several if isinstance(one, dict) and all(key in one for key in needed)]
