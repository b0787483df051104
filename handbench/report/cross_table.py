"""What crosses from a source to its targets, as one table in Markdown: a group of columns for each target."""

from __future__ import annotations

from typing import Any

from tabulate import tabulate

from handbench.evaluation.cross import ALIGNMENTS, MAIN
from handbench.evaluation.result import row_name
from handbench.report.markdown import raised
from handbench.report.measured_part import row_notes
from handbench.report.repeats import mean_and_spread, runs_of_one
from handbench.report.summary import number
from handbench.report.table_parts import MISSING, Footnotes

HEADS = {MAIN: "EPE (mm)", "root": "root (mm)", "procrustes": "PA (mm)"}
SENTENCE = """EPE is the mean distance of joints after scaling by the true bone and moving the wrist onto the true \
one, with its 95 % interval; root after moving the wrist alone; PA after Procrustes alignment."""


def cross_text(record: dict[str, Any]) -> str:
    """`evaluation.cross.score_cross`'s record as Markdown."""
    source, columns = record["source"], record["columns"]
    notes = Footnotes()
    heads = ["method", "variant", "size", "seed"]
    for column in columns:
        called = f"{column} itself" if column == source else column
        heads += [f"{called}: {HEADS[MAIN]}", "n", *(HEADS[name] for name in ALIGNMENTS[1:])]
    body = [_line(row, columns, notes) for row in [*record["rows"], *_means(record["rows"], columns)]]
    align = ["left"] * 3 + ["right"] * (len(heads) - 3)
    table = tabulate(body, heads, tablefmt="pipe", disable_numparse=True, colalign=align)
    ids = {one["protocol"]: None for row in record["rows"] for one in row["figures"].values() if one}
    lines = [f"## Trained on {source}, tested on {', '.join(record['targets'])}", "", SENTENCE]
    lines += [f"Protocols: {', '.join(ids)}.", "", table, ""]
    lines += [f"{raised((at,))} {text}  " for at, text in enumerate(notes.texts, 1)]
    lines += [f"Left out: {text}.  " for text in record["left_out"]]
    lines += [f"Missing: {text}  " for text in record["missing"]]
    return "\n".join(lines).rstrip()


def _line(row: dict[str, Any], columns: list[str], notes: Footnotes) -> list[str]:
    about = row["row"]
    found = {column: figures for column in columns if (figures := row["figures"][column]) is not None}
    # of the row, once; of its samples, for each column
    said = [
        text for figures in found.values() for text in row_notes({**figures, **row, "reflected": 0, "suspicions": []})
    ]
    for column, figures in found.items():
        said += [f"On {column}: {text}" for text in figures.get("warnings") or []]
        said += [f"On {column}: suspected: {text}" for text in figures.get("suspicions") or []]
    marks = [notes.mark(text) for text in dict.fromkeys(said)]
    method = row_name({"method": about["method"], "weights": about.get("weights")})
    seed = f"mean ± s.d. of {len(about['seeds'])}" if "seeds" in about else str(about.get("seed", MISSING))
    cells = [method + raised(tuple(marks)), *(str(about.get(key, MISSING)) for key in ("variant", "size")), seed]
    for column in columns:
        figures = row["figures"][column]
        cells += [MISSING] * (1 + len(ALIGNMENTS)) if figures is None else _group(figures)
    return cells


def _group(figures: dict[str, Any]) -> list[str]:
    """EPE with its interval, n, root, PA."""
    low, high = (number(end, "mm") for end in (figures.get(MAIN) or {}).get("interval", (None, None)))
    interval = "" if low == MISSING else f" [{low}, {high}]"
    main, *rest = (_value(figures.get(name) or {}) for name in ALIGNMENTS)
    return [main + interval, f"{figures['n']:,}", *rest]


def _value(figure: dict[str, Any]) -> str:
    spread = f" ± {number(figure['spread'], 'mm')}" if figure.get("spread") is not None else ""
    return number(figure.get("value"), "mm") + spread


def _means(rows: list[dict[str, Any]], columns: list[str]) -> list[dict[str, Any]]:
    """A row for each model that was trained with several seeds: mean and standard deviation over the runs."""
    found = []
    for group in runs_of_one(rows, lambda row: repr([row["figures"][column] is None for column in columns])):
        figures: dict[str, dict[str, Any] | None] = {}
        for column in columns:
            each = [row["figures"][column] for row in group]
            # `runs_of_one` has told apart what has figures and what has none
            figures[column] = None if each[0] is None else {**each[0], **_mean(each)}
        seeds = [row["row"]["seed"] for row in group]
        found.append({**group[0], "row": {**group[0]["row"], "seeds": seeds}, "figures": figures})
    return found


def _mean(each: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        name: dict(zip(("value", "spread"), mean_and_spread([one[name]["value"] for one in each]), strict=True))
        for name in ALIGNMENTS
        if all(one.get(name) for one in each)
    }
