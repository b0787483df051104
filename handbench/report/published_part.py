"""The published rows of a table, with what is odd about them in footnotes."""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal

import pandas as pd

from handbench.report.published import PAPERS, about_method, disagreement, published_table, remarks, table_in_words
from handbench.report.spec import Column, TableSpec
from handbench.report.table_parts import MISSING, Cell, Footnotes, Row


def published_part(spec: TableSpec, notes: Footnotes) -> list[Row]:
    """One row a paper's table and method, in the papers' order; what papers disagree about is one footnote a method."""
    entries = [entry for part in spec.published for entry in _entries(spec, part.table, part.dataset, part.split)]
    disputes = _disputes(spec, [cells for _, cells in entries])
    return [_row(spec, first, cells, disputes[at], notes) for at, (first, cells) in enumerate(entries)]


Place = tuple[str | None, str | None, str | None]  # of a column: its published name, dataset and split
Cells = dict[Place, pd.Series]  # -> the CSV's row


def _entries(spec: TableSpec, table: str, dataset: str | None, split: str | None) -> list[tuple[pd.Series, Cells]]:
    rows = published_table(table)
    for key, chosen in (("dataset", dataset), ("split", split)):
        rows = rows if chosen is None else rows[rows[key] == chosen]
    wanted = [column.place for column in spec.columns if column.published]
    entries = []
    for _, group in rows.groupby(["method", "venue", "year", "input"], sort=False, dropna=False):
        cells = {place: _at(group, place) for place in wanted}
        filled = {place: found.iloc[0] for place, found in cells.items() if len(found)}
        # a row without a figure in any column says nothing here
        entries += [(group.iloc[0], filled)] if filled else []
    return entries


def _at(rows: pd.DataFrame, place: Place) -> pd.DataFrame:
    """The rows that fill a column."""
    for key, chosen in zip(("canonical", "dataset", "split"), place, strict=True):
        rows = rows if chosen is None else rows[rows[key] == chosen]
    return rows


def _row(spec: TableSpec, first: pd.Series, cells: Cells, dispute: str, notes: Footnotes) -> Row:
    said = {place: remarks(cell["note"]) for place, cell in cells.items()}
    # What stands on every figure of a row is about the row.
    count = Counter(text for texts in said.values() for text in texts)
    about_row = [text for text, times in count.items() if times == len(cells) and times > 1]
    told = about_method(first["dataset"], first["method"])
    marks = tuple(notes.mark(text) for text in [*about_row, *told, dispute] if text)
    printed = []
    for column in spec.columns:
        cell = cells.get(column.place)
        if cell is None:
            printed.append(Cell())
            continue
        cell_marks = tuple(notes.mark(text) for text in said[column.place] if text not in about_row)
        printed.append(Cell(cell["shown"], float(cell["value"]), marks=cell_marks))
    venue = " ".join(filter(None, (first["venue"], first["year"])))
    method = re.sub(r"^Ours \((.+)\)$", r"\1", first["method"]).removesuffix(" (Ours)")
    return Row(
        name=f"{method} ({venue})" if venue else method,
        source=f"{PAPERS[first['source']][0]} {table_in_words(first['table'])}",
        measured=False,
        cells=tuple(printed),
        marks=marks,
        backbone=first["backbone"] or MISSING,
        input=first["input"] or MISSING,
    )


def _disputes(spec: TableSpec, entries: list[Cells]) -> list[str]:
    """For each row, in words, what papers print differently for its method: one text for all rows of a method.

    Papers call a method by different names; two rows are of one method where they share a disagreement.
    """
    columns = {column.place: column for column in spec.columns if column.published}
    found = [
        {place: tuple(values) for place, cell in cells.items() if (values := disagreement(cell["note"]))}
        for cells in entries
    ]
    texts = [""] * len(entries)
    for at, own in enumerate(found):
        shared = dict(own)
        for other in found:
            if any(item in shared.items() for item in other.items()):
                shared.update(other)
        said = [
            f"{column.label} {', '.join(f'{_in_unit(value, column)} ({where})' for where, _, value in shared[place])}"
            for place, column in columns.items()
            if place in shared
        ]
        texts[at] = f"papers disagree: {'; '.join(said)}" if own else ""
    return texts


def _in_unit(printed: str, column: Column) -> str:
    """A figure of a note, which has no unit: an F-score above 1 is a percentage."""
    value = Decimal(printed)
    return format(value.scaleb(-2) if column.unit == "ratio" and value > 1 else value, "f")
