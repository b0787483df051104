"""The published numbers: what papers printed, under one name and in one unit a quantity."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cache
from typing import Any

import pandas as pd

from handbench.errors import InvalidError
from handbench.places import shipped
from handbench.sections import read_toml, require_known

# name of the CSV -> how its paper is called, and its label in the CSVs
PAPERS: dict[str, tuple[str, str]] = {
    "clip-hand3d": ("CLIP-Hand3D", "000"),
    "clip-hand": ("CLIP-Hand", "001"),
    "clip-dg": ("Image-free DG", "002"),
    "dahyf": ("DaHyF", "003"),
    "deformer": ("Deformer", "004"),
}

# A metric as printed -> its one name here. `/pa` is Procrustes-aligned, `/root` root-aligned; the plain names are
# errors whose alignment is the paper's own affair (given root depth, scale or bone length), so that two papers' are
# not the same quantity: only a table's recipe, never the name, says what may share a column.
ALIASES: dict[str, str] = {
    "PA-PJPE": "pa-mpjpe",
    "PA-MPJPE": "pa-mpjpe",
    "PA-MPJPE (Joint)": "pa-mpjpe",
    "PA-PVPE": "pa-mpvpe",
    "PA-MPVPE": "pa-mpvpe",
    "PA-MPVPE (Mesh)": "pa-mpvpe",
    "F@5mm": "f@5/pa",
    "F@15mm": "f@15/pa",
    "PJPE": "mpjpe",
    "MPJPE": "mpjpe",
    "EPE": "epe",
    "root-aligned MPJPE": "mpjpe/root",
    "Median PJPE": "median-pjpe",
    "AUC (20-50 mm)": "auc@20-50",
    "AUC (0-30 mm)": "auc@0-30",
    "AUC of PCK@0.5": "auc-pck@0.5",
    "AUC of PA-MPJPE": "auc/pa",
    "AUC of root-aligned MPJPE": "auc/root",
    "Acceleration error": "acceleration",
    "EPE(J2d)": "epe-2d",
    "EPE(J2d_proj)": "epe-2d-projected",
    "mAP@0.5": "map@0.5",
    "FPS": "fps",
    "Inference time": "latency",
    "Training time per iteration": "iteration-time",
    "FLOPs": "flops",
    "Params": "params",
    'Model size ("model parameters saved by PyTorch")': "model-size",
}

# unit as printed -> the unit here, and by how many powers of ten a figure moves
UNITS: dict[str, tuple[str, int]] = {
    "%": ("ratio", -2),
    "s": ("ms", 3),
    **{unit: (unit, 0) for unit in ("ratio", "mm", "mm/s^2", "px", "ms", "frame/s", "G", "M")},
}

# "papers disagree: 000 T1 (METRO): 6.7; 001 T3 (METRO): 6.8", inside a note; a method's name may hold brackets
_ENTRY = r"\d{3} T\w+ \([^;]+?\): \d[\d.]*"
_DISAGREE = re.compile(rf"papers disagree: (?P<entries>{_ENTRY}(?:; {_ENTRY})*)")
_ENTRY_PARTS = re.compile(r"(?P<paper>\d{3}) (?P<table>T\w+) \((?P<method>.+)\): (?P<value>\d[\d.]*)")


@cache
def _all_rows() -> pd.DataFrame:
    parts = []
    for source, (_, label) in PAPERS.items():
        path = shipped("results", "published", f"{source}.csv")
        part = pd.read_csv(path, dtype=str, keep_default_na=False)
        if not part["paper"].str.startswith(f"{label}:").all():
            raise InvalidError(f"{path.name} has a row of another paper.", f"Every row's paper begins with {label}:.")
        parts.append(part.assign(source=source))
    rows = pd.concat(parts, ignore_index=True)
    for column, known in (("metric", ALIASES), ("unit", UNITS)):
        unknown = sorted(set(rows[column]) - set(known))
        if unknown:
            raise InvalidError(
                f"The published numbers have a {column} without a name here: {', '.join(unknown)}.",
                "Add it to the table in handbench/report/published.py.",
            )
    exact = [Decimal(value).scaleb(UNITS[unit][1]) for value, unit in zip(rows["value"], rows["unit"], strict=True)]
    return rows.assign(
        table=rows["table"].str.removeprefix("T"),
        printed=rows["value"],
        printed_unit=rows["unit"],
        canonical=rows["metric"].map(ALIASES),
        unit=rows["unit"].map(lambda unit: UNITS[unit][0]),
        shown=[format(value, "f") for value in exact],
        value=[float(value) for value in exact],
        year=rows["year"].replace("", None),
        higher_is_better=rows["higher_is_better"] == "true",
    )


def published_rows() -> pd.DataFrame:
    """All 645 published cells, one a row.

    The columns of the CSVs (`table` without its T), and: `source`, the CSV's name; `canonical`, the metric's name
    here; `value`, a float in `unit` (percentages as ratios, seconds as milliseconds); `printed` and `printed_unit`,
    as the paper has them; `shown`, the printed digits in `unit`.
    """
    return _all_rows().copy()


def tables() -> list[str]:
    """Every table of every paper that numbers were taken from: `clip-hand3d.1`, `deformer.3`, ..."""
    rows = _all_rows()
    return list(dict.fromkeys(rows["source"] + "." + rows["table"]))


def published_table(name: str) -> pd.DataFrame:
    """The rows of one table, `clip-hand3d.1`; raises UsageError with a suggestion where there is no such table."""
    rows = _all_rows()
    found = rows[rows["source"] + "." + rows["table"] == name]
    if found.empty:
        require_known(name, tables(), "published table")
    return found.copy()


def disagreement(note: str) -> list[tuple[str, str, str]]:
    """Of a cell's note, what papers print for it: (paper and table, method, value as printed); empty if they agree."""
    match = _DISAGREE.search(note)
    if not match:
        return []
    parts = [_ENTRY_PARTS.fullmatch(entry) for entry in re.findall(_ENTRY, match["entries"])]
    return [(name_paper(f"{part['paper']} {part['table']}"), part["method"], part["value"]) for part in parts if part]


def remarks(note: str) -> list[str]:
    """The rest of a cell's note, with papers by their names; what it says of the venue stands for itself."""
    rest = re.sub(r"^; |; $", "", _DISAGREE.sub("", note).replace("; ; ", "; "))
    return [name_paper(part) for part in re.split("; (?=printed venue)", rest) if part]


@cache
def _remarks() -> list[dict[str, Any]]:
    return read_toml(shipped("results", "published", "remarks.toml"))["remark"]


def about_method(dataset: str, method: str) -> list[str]:
    """What holds for a method's figures on a dataset, whoever prints them: test-time passes."""
    return [one["text"] for one in _remarks() if one["dataset"] == dataset and method in one["methods"]]


def table_in_words(table: str) -> str:
    """`3` -> `T3`; what is said in a text, `text 4.2`, stays."""
    return table if table.startswith("text") else f"T{table}"


def name_paper(text: str) -> str:
    """`000 T1` -> `CLIP-Hand3D T1`, wherever it stands in a text."""
    names = {label: name for name, label in PAPERS.values()}
    return re.sub(r"\b(00[0-4])(?= T\d)", lambda match: names[match[1]], text)
