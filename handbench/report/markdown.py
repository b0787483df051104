"""A table as Markdown: one table a section, so that no column crosses protocols."""

from __future__ import annotations

from tabulate import tabulate

from handbench.report.table_parts import Cell, Head, Row, Table

_RAISED = str.maketrans("0123456789,", "⁰¹²³⁴⁵⁶⁷⁸⁹’")


def to_markdown(table: Table) -> str:
    """Best figures are bold, second ones underlined; footnotes are numbered as raised figures."""
    lines = [f"## Table {table.name}: {_escape(table.title)}", ""]
    for section in table.sections:
        lines += [f"### {_escape(section.title)}", ""]
        lines += [_escape(section.sentence), ""] if section.sentence else []
        headers = [*table.front, *map(_head, table.heads)]
        align = ["left"] * (len(headers) - len(table.heads)) + ["right"] * len(table.heads)
        body = [_line(table, row) for row in section.rows]
        lines += [tabulate(body, headers, tablefmt="pipe", disable_numparse=True, colalign=align), ""]
    lines += [_escape(note) + "  " for note in table.notes]
    lines += [f"{raised((number,))} {_escape(text)}  " for number, text in enumerate(table.footnotes, 1)]
    return "\n".join(lines).rstrip() + "\n"


def raised(marks: tuple[int, ...]) -> str:
    """Footnote numbers as raised figures, which any terminal shows."""
    return ",".join(map(str, marks)).translate(_RAISED)


def _head(head: Head) -> str:
    words = (head.group and f"{head.group}:", head.label, head.arrow, head.unit and f"({head.unit})")
    return _escape(" ".join(filter(None, words))) + raised(head.marks)


def _line(table: Table, row: Row) -> list[str]:
    front = [_escape(row.name) + raised(row.marks), *map(_escape, table.about(row)), _escape(row.source)]
    return [*front, *(_cell(cell) for cell in row.cells)]


def _cell(cell: Cell) -> str:
    text = {"best": f"**{cell.text}**", "second": f"<u>{cell.text}</u>"}.get(cell.rank, cell.text)
    return text + raised(cell.marks) + (f" {cell.interval}" if cell.interval else "")


def _escape(text: str) -> str:
    text = " ".join(text.split())
    for character in "\\|*_<>`[]":
        text = text.replace(character, f"\\{character}")
    return text
