"""What a table is made of, whatever prints it: cells, rows, sections that never mix, and numbered footnotes."""

from __future__ import annotations

from dataclasses import dataclass, field

MISSING = "-"


@dataclass(frozen=True)
class Cell:
    """`text` is what is printed, `value` what it is compared by (None: nothing there); `marks` are footnotes."""

    text: str = MISSING
    value: float | None = None
    interval: str = ""
    marks: tuple[int, ...] = ()
    rank: str = ""  # "best", "second", or nothing


@dataclass(frozen=True)
class Row:
    """`source` is a paper and its table, or `measured` with the number of samples.

    `protocol` is the id that a measured row was scored under; `ranked` says whether the row takes part in best and
    second best.
    """

    name: str
    source: str
    measured: bool
    cells: tuple[Cell, ...]
    marks: tuple[int, ...] = ()
    protocol: str = ""
    ranked: bool = True
    backbone: str = MISSING
    input: str = MISSING


@dataclass(frozen=True)
class Section:
    """Rows of one protocol id; `sentence` says how they stand to the rows above."""

    title: str
    sentence: str
    protocol_id: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Head:
    """A column's head: `arrow` points to where better figures are; neighbours of one `group` stand under its name."""

    label: str
    unit: str
    arrow: str
    marks: tuple[int, ...] = ()
    group: str = ""


@dataclass(frozen=True)
class Table:
    """Sections under common heads.

    `footnotes[i]` is number i + 1; `notes` hold for the whole table; `provenance` says where every row comes from.
    """

    name: str
    title: str
    heads: tuple[Head, ...]
    sections: tuple[Section, ...]
    footnotes: tuple[str, ...]
    notes: tuple[str, ...]
    provenance: tuple[str, ...]
    backbone: bool = False
    input: bool = False

    def about(self, row: Row) -> list[str]:
        """What stands of a row between its name and its source."""
        return [text for text, shown in ((row.backbone, self.backbone), (row.input, self.input)) if shown]

    @property
    def front(self) -> list[str]:
        """The heads before the figures'."""
        middle = [name for name, shown in (("Backbone", self.backbone), ("Input", self.input)) if shown]
        return ["Method", *middle, "Source"]


@dataclass
class Footnotes:
    """Numbers footnotes in the order in which they are first needed; the same words get the same number."""

    texts: list[str] = field(default_factory=list)

    def mark(self, text: str) -> int:
        text = text[:1].upper() + text[1:].rstrip(".") + "."
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text) + 1
