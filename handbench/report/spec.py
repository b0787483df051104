"""What a table holds: `recipes/tables/NAME.toml`, checked key by key."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from handbench.evaluation.buckets import BUCKETS
from handbench.places import shipped
from handbench.report.published import ALIASES, published_table, tables
from handbench.sections import did_you_mean, read_toml, require_known, validated

# alignment -> what it leaves for others to give
GAINS = {"none": ("root", "root depth", "scale"), "root": ("root depth", "scale")}


class Measured(BaseModel):
    """Which figure of a result a column shows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: str
    alignment: str


class Column(BaseModel):
    """One column of figures.

    `published` is a metric's name among the published numbers, `measured` a figure of a result, `speed` one of a speed
    record. `dataset` and `split` are which of the published ones fill the column (where a table has several),
    `protocol` which protocol's results do (else the table's), `bucket` which occlusion bucket of a result;
    measured figures of a bucket take no part in best and second best, as the papers' bins are of other frames, nor do
    those of an `unlike` column, where it is not known that papers measure the same (`note` says why).
    `decimals` is for measured figures; published ones keep the digits of their paper. `ranked = false` keeps ranking
    marks off. `note` is a footnote on the column's head; neighbours of one `group` share a head above their own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str
    unit: Literal["mm", "ratio", "frame/s", "M", "G", "mm/s^2", "mm/frame^2", "ms", "px"]
    better: Literal["lower", "higher"]
    decimals: int
    group: str = ""
    published: str | None = None
    dataset: str | None = None
    split: str | None = None
    measured: Measured | None = None
    protocol: str | None = None
    bucket: str | None = None
    speed: Literal["fps", "p50_ms", "params", "gmacs"] | None = None
    ranked: bool = True
    unlike: bool = False
    note: str = ""

    @model_validator(mode="after")
    def _known(self) -> Column:
        if self.published is not None and self.published not in ALIASES.values():
            raise ValueError(
                f"no published metric is called {self.published!r}{did_you_mean(self.published, ALIASES.values())}"
            )
        if self.measured is not None and self.speed is not None:
            raise ValueError("a column shows a measured figure or a speed, not both")
        names = [name for name, _, _ in BUCKETS]
        if self.bucket is not None and self.bucket not in names:
            raise ValueError(f"no bucket is called {self.bucket!r}{did_you_mean(self.bucket, names)}")
        for key, of in (
            ("dataset", "published"),
            ("split", "published"),
            ("protocol", "measured"),
            ("bucket", "measured"),
        ):
            if getattr(self, key) is not None and getattr(self, of) is None:
                raise ValueError(f"a column with a {key} says of what: `{of}`")
        return self

    @property
    def place(self) -> tuple[str | None, str | None, str | None]:
        """Where among a method's published figures its own stands: metric, dataset and split."""
        return self.published, self.dataset, self.split

    @property
    def gains_from(self) -> tuple[str, ...]:
        """What of the hand's place and scale, were it known, would improve a measured figure."""
        return GAINS.get(self.measured.alignment, ()) if self.measured else ()


class Published(BaseModel):
    """Rows of one published table: `table` is `clip-hand3d.1`; `dataset` and `split` choose among its rows.

    Without one, what a method has in several datasets or splits is one row, and columns say which they show.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: str
    dataset: str | None = None
    split: str | None = None

    @model_validator(mode="after")
    def _known(self) -> Published:
        if self.table not in tables():
            raise ValueError(f"no published table is called {self.table!r}{did_you_mean(self.table, tables())}")
        return self


class TableSpec(BaseModel):
    """A table: published rows beside what was measured.

    `protocol` names the protocol whose official id may stand among the published rows; columns may name others. A
    table of speeds has none. `backbone` and `input` add the papers' columns of that name. `footnotes` say what holds
    for the whole table.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    dataset: str
    protocol: str | None = None
    published: tuple[Published, ...] = ()
    columns: tuple[Column, ...]
    backbone: bool = False
    input: bool = False
    footnotes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _splits(self) -> TableSpec:
        for key in ("split", "dataset"):
            known = sorted({name for part in self.published for name in published_table(part.table)[key]})
            for name in (getattr(column, key) for column in self.columns):
                if name is not None and name not in known:
                    raise ValueError(f"no published {key} is called {name!r}{did_you_mean(name, known)}")
        return self

    def protocol_of(self, column: Column) -> str | None:
        """The protocol whose results fill a column; None where no result does."""
        return (column.protocol or self.protocol) if column.measured else None

    @property
    def protocols(self) -> list[str]:
        """Every protocol whose results have a figure here."""
        names = (self.protocol, *(column.protocol for column in self.columns))
        return [name for name in dict.fromkeys(names) if name]

    @property
    def by_bucket(self) -> bool:
        """Whether a column shows figures of an occlusion bucket."""
        return any(column.bucket for column in self.columns)


def table_names() -> list[str]:
    """Every table that there is a recipe for."""
    return sorted(path.stem for path in shipped("recipes", "tables").glob("*.toml"))


def load_spec(name: str) -> TableSpec:
    """`1` or `clip-hand3d.1`; raises UsageError with a suggestion where there is no such table."""
    require_known(name, table_names(), "table")
    return read_spec(shipped("recipes", "tables", f"{name}.toml"))


def read_spec(path: Path) -> TableSpec:
    """A table from its TOML file; `like = "deformer.1"` takes from that table what the file does not say.

    Raises UsageError naming the key that is wrong, with a suggestion.
    """
    content = read_toml(path)
    if (like := content.pop("like", None)) is not None:
        require_known(like, table_names(), "table")
        content = {**read_toml(shipped("recipes", "tables", f"{like}.toml")), **content}
    return validated(TableSpec, content, path.name)
