"""The mark that a synthetic set carries at its root: whoever reads it knows that it is not the official one."""

from __future__ import annotations

from pathlib import Path

from handbench.errors import InvalidError
from handbench.store.records import read_json

SYNTHETIC_MARK = "handbench-synthetic.json"
OFFICIAL = "official files"


def is_synthetic(root: Path) -> bool:
    return (root / SYNTHETIC_MARK).exists()


def source_of(root: Path) -> str:
    """Where the files under `root` come from: `official files`, or what the mark says."""
    if not is_synthetic(root):
        return OFFICIAL
    mark = read_json(root / SYNTHETIC_MARK, "The mark")
    if not isinstance(mark, dict) or not isinstance(mark.get("source"), str):
        raise InvalidError(f"{root / SYNTHETIC_MARK} does not say what the set is.", "Write the set again.")
    return mark["source"]
