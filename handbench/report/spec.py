"""What a table holds: `recipes/tables/NAME.toml`, checked key by key."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from handbench.places import shipped
from handbench.report.published import ALIASES, tables
from handbench.sections import did_you_mean, read_toml, require_known, validated


class Measured(BaseModel):
    """Which figure of a result a column shows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: str
    alignment: str


class Column(BaseModel):
    """One column of figures.

    `published` is a metric's name among the published numbers, `measured` a figure of a result, `speed` one of a speed
    record. `decimals` is for measured figures; published ones keep the digits of their paper. `ranked = false` keeps
    ranking marks off. `note` is a footnote on the column's head.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str
    unit: Literal["mm", "ratio", "frame/s", "M", "G"]
    better: Literal["lower", "higher"]
    decimals: int
    published: str | None = None
    measured: Measured | None = None
    speed: Literal["fps", "params", "gmacs"] | None = None
    ranked: bool = True
    note: str = ""

    @model_validator(mode="after")
    def _known(self) -> Column:
        if self.published is not None and self.published not in ALIASES.values():
            raise ValueError(
                f"no published metric is called {self.published!r}{did_you_mean(self.published, ALIASES.values())}"
            )
        if self.measured is not None and self.speed is not None:
            raise ValueError("a column shows a measured figure or a speed, not both")
        return self

    @property
    def unaligned(self) -> bool:
        """A figure that knowing the hand's place would improve."""
        return self.measured is not None and self.measured.alignment == "none"


class Published(BaseModel):
    """Rows of one published table: `table` is `clip-hand3d.1`; `dataset` and `split` choose among its rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: str
    dataset: str
    split: str | None = None

    @model_validator(mode="after")
    def _known(self) -> Published:
        if self.table not in tables():
            raise ValueError(f"no published table is called {self.table!r}{did_you_mean(self.table, tables())}")
        return self


class TableSpec(BaseModel):
    """A table: published rows beside what was measured under one protocol.

    `protocol` names the protocol whose official id may stand among the published rows. `backbone` adds the papers'
    column of that name. `footnotes` say what holds for the whole table.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    dataset: str
    protocol: str
    published: tuple[Published, ...]
    columns: tuple[Column, ...]
    backbone: bool = False
    footnotes: tuple[str, ...] = ()


def table_names() -> list[str]:
    """Every table that there is a recipe for."""
    return sorted(path.stem for path in shipped("recipes", "tables").glob("*.toml"))


def load_spec(name: str) -> TableSpec:
    """`1` or `clip-hand3d.1`; raises UsageError with a suggestion where there is no such table."""
    require_known(name, table_names(), "table")
    return read_spec(shipped("recipes", "tables", f"{name}.toml"))


def read_spec(path: Path) -> TableSpec:
    """A table from its TOML file; raises UsageError naming the key that is wrong, with a suggestion."""
    return validated(TableSpec, read_toml(path), path.name)
