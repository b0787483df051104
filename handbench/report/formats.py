"""A table in each of the formats that it can be printed in."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import asdict

from handbench.report.latex import to_latex
from handbench.report.markdown import raised, to_markdown
from handbench.report.table_parts import Cell, Head, Row, Table
from handbench.store.records import dump_json


def to_csv(table: Table) -> str:
    """One line a row: section, protocol, method, source, and each figure with its interval; footnotes by number."""
    names = [_named(head) for head in table.heads]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    front = ["section", "protocol", *(name.lower() for name in table.front), "footnotes"]
    writer.writerow([*front, *(column for name in names for column in (name, f"{name} interval"))])
    for section in table.sections:
        for row in section.rows:
            marks = sorted({*row.marks, *(mark for cell in row.cells for mark in cell.marks)})
            about = [section.title, row.protocol, row.name, *table.about(row), row.source]
            cells = [text for cell in row.cells for text in ("" if cell.value is None else cell.text, cell.interval)]
            writer.writerow([*about, " ".join(map(str, marks)), *cells])
    return out.getvalue()


def to_json(table: Table) -> str:
    """Everything that the other formats show, as it is kept."""
    return dump_json(asdict(table)).decode()


def to_terminal(table: Table) -> str:
    """For the eye: one box a section; as wide as the terminal, plain where it is none."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table as Box

    console = Console(file=io.StringIO(), force_terminal=Console().is_terminal, width=Console().width)
    console.print(f"[bold]Table {escape(table.name)}: {escape(table.title)}[/bold]", highlight=False)
    for section in table.sections:
        words = escape(section.title) + (f"\n{escape(section.sentence)}" if section.sentence else "")
        box = Box(title=words, title_justify="left", title_style="bold")
        for name in table.front:
            box.add_column(name, overflow="fold")
        for head in table.heads:
            box.add_column(escape(f"{_named(head)} {head.arrow}") + raised(head.marks), justify="right")
        for row in section.rows:
            box.add_row(*_front(table, row), *map(_cell, row.cells))
        console.print(box)
    for note in table.notes:
        console.print(escape(note), highlight=False)
    for number, text in enumerate(table.footnotes, 1):
        console.print(f"{raised((number,))} {escape(text)}", highlight=False)
    return console.file.getvalue()  # type: ignore[attr-defined]


# name of a format -> table to text
FORMATS: dict[str, Callable[[Table], str]] = {
    "markdown": to_markdown,
    "latex": to_latex,
    "terminal": to_terminal,
    "csv": to_csv,
    "json": to_json,
}


def _named(head: Head) -> str:
    return " ".join(filter(None, (head.group and f"{head.group}:", head.label, head.unit and f"({head.unit})")))


def _front(table: Table, row: Row) -> list[str]:
    from rich.markup import escape

    return [escape(row.name) + raised(row.marks), *map(escape, table.about(row)), escape(row.source)]


def _cell(cell: Cell) -> str:
    from rich.markup import escape

    text = {"best": f"[bold]{cell.text}[/bold]", "second": f"[underline]{cell.text}[/underline]"}.get(
        cell.rank, cell.text
    )
    return text + raised(cell.marks) + (f"\n{escape(cell.interval)}" if cell.interval else "")
