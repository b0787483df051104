"""A table on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handbench.report.markdown import raised
from handbench.report.table_parts import Cell, Table

if TYPE_CHECKING:
    from rich.console import Group
    from rich.text import Text


def to_rich(table: Table) -> Group:
    """One rich table a section, footnotes below; print it on a console."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Group
    from rich.table import Table as RichTable
    from rich.text import Text

    parts: list = [Text(f"Table {table.name}: {table.title}", style="bold")]
    for section in table.sections:
        parts.append(Text(f"\n{section.title}", style="bold"))
        if section.sentence:
            parts.append(Text(section.sentence, style="yellow"))
        grid = RichTable(box=SIMPLE_HEAD, pad_edge=False)
        for name in ("Method", *(("Backbone",) if table.backbone else ()), "Source"):
            grid.add_column(name, overflow="fold")
        for head in table.heads:
            label = " ".join(filter(None, (head.label, head.arrow, head.unit))) + raised(head.marks)
            grid.add_column(Text(label), justify="right")
        before = None
        for row in section.rows:
            if before is not None and row.source != before.source and row.measured != before.measured:
                grid.add_section()
            front = [Text(row.name + raised(row.marks), style="bold" if row.measured else "")]
            front += [Text(row.backbone)] if table.backbone else []
            grid.add_row(*front, Text(row.source), *(_cell(cell) for cell in row.cells))
            before = row
        parts.append(grid)
    parts += [Text(note, style="dim") for note in table.notes]
    parts += [Text(f"{raised((number,))} {text}", style="dim") for number, text in enumerate(table.footnotes, 1)]
    return Group(*parts)


def _cell(cell: Cell) -> Text:
    from rich.text import Text

    text = Text(cell.text, style={"best": "bold", "second": "underline"}.get(cell.rank, ""))
    text.append(raised(cell.marks), style="not bold not underline")
    if cell.interval:
        text.append(f"\n{cell.interval}", style="dim not bold not underline")
    return text
