"""Best and second best of a column, among rows that may be compared."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from handbench.report.spec import Column
from handbench.report.table_parts import Row


def rank(rows: list[Row], columns: tuple[Column, ...]) -> list[Row]:
    """The rows with `best` and `second` on their cells.

    Figures are compared at the digits that the coarsest of them has: 6.58 measured is not better than 6.6 printed.
    Equal figures share a mark.
    """
    cells = [list(row.cells) for row in rows]
    for at, column in enumerate(columns):
        taking_part = [
            i
            for i, row in enumerate(rows)
            # a bucket here and a bin of a paper are not of the same frames
            if row.ranked
            and row.cells[at].value is not None
            and not (row.measured and (column.bucket or column.unlike))
        ]
        if not column.ranked or len(taking_part) < 2:
            continue
        digits = min(_digits(rows[i].cells[at].text) for i in taking_part)
        rounded = {i: round(Decimal(str(rows[i].cells[at].value)), digits) for i in taking_part}
        order = sorted(set(rounded.values()), reverse=column.better == "higher")
        for i, value in rounded.items():
            mark = {0: "best", 1: "second"}.get(order.index(value), "")
            cells[i][at] = replace(cells[i][at], rank=mark)
    return [replace(row, cells=tuple(own)) for row, own in zip(rows, cells, strict=True)]


def _digits(text: str) -> int:
    return len(text.partition(".")[2])
