"""A comparison table: published rows, and measured rows below them where they may stand there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from handbench import __version__
from handbench.report.measured_part import given_more, measured_row, provenance_line, truth_source
from handbench.report.measured_speed import latest, speed_row
from handbench.report.published_part import published_part
from handbench.report.ranking import rank
from handbench.report.repeats import with_repeats
from handbench.report.spec import TableSpec, load_spec, table_names
from handbench.report.table_parts import MISSING, Cell, Footnotes, Head, Row, Section, Table

SEVERAL = "Rows of this name are of different predictions; `--format json` has the provenance of each"

__all__ = ["MISSING", "Cell", "Row", "Section", "Table", "build_table", "load_spec", "official_ids", "table_names"]


def build_table(
    spec: TableSpec,
    results: Sequence[dict[str, Any]],
    speeds: Sequence[dict[str, Any]] = (),
    official: str | None = None,
) -> Table:
    """Results beside the published rows; in a table without a protocol, speed records.

    `results` are result records (`Result.to_record`) and `speeds` speed records with their device; results of another
    protocol than the table's are left out. `official` is the id that may stand among the published rows; without it,
    the ids of the protocols' official lists of samples with the official truth.

    Rows of different protocol ids never share a section: the official id joins the published rows, every other id
    (partial or synthetic truth, another version) has a section of its own. Where a column is not aligned, or by the
    root alone, neither do rows that were given the hand's place or scale, or do not say, and rows that were not.
    """
    officials = {official} if official else official_ids(spec)
    notes = Footnotes()
    heads = tuple(
        Head(c.label, "" if c.unit == "ratio" else c.unit, "↓" if c.better == "lower" else "↑",
             (notes.mark(c.note),) if c.note else (), c.group)
        for c in spec.columns
    )  # fmt: skip
    records = without_copies([record for record in results if record["protocol"]["name"] in spec.protocols])
    officials |= {record["protocol"]["id"] for record in records if _whole_with_gaps(record)}
    groups: dict[tuple[str, bool], list[dict[str, Any]]] = {}
    for record in records:
        groups.setdefault((record["protocol"]["id"], given_more(spec, record)), []).append(record)

    def rows(key: tuple[str, bool]) -> list[Row]:
        found = [measured_row(spec, record, list(speeds), notes) for record in with_repeats(groups.get(key, []))]
        names = Counter(row.name for row in found)
        return [row if names[row.name] == 1 else replace(row, marks=(*row.marks, notes.mark(SEVERAL))) for row in found]

    main = [key for key in groups if key[0] in officials and not key[1]]
    first = published_part(spec, notes) + [row for key in main for row in rows(key)]
    under = f", and measured under {', '.join(key[0] for key in main)}" if main else ""
    ids = ", ".join(sorted(officials))
    sections = [Section(f"{spec.dataset}, published{under}", "", ids, tuple(rank(first, spec.columns)))]
    for key, group in groups.items():
        if key not in main:
            sections.append(Section(_title(key, group[0]), _apart(key, group[0], officials), key[0], tuple(rows(key))))
    if not spec.protocols and speeds:
        timed = tuple(speed_row(spec, record, notes) for record in latest(speeds))
        sections.append(Section("Measured by handbench, one image at a time (tier T1)", "", "", timed))
    return Table(
        name=spec.name,
        title=spec.title,
        heads=heads,
        sections=tuple(section for section in sections if section.rows),
        footnotes=tuple(notes.texts),
        notes=spec.footnotes,
        provenance=(
            f"handbench {__version__}, table {spec.name}",
            *(f"published: results/published/{p.table.partition('.')[0]}.csv, table {p.table}" for p in spec.published),
            *(provenance_line(record) for record in records),
        ),
        backbone=spec.backbone,
        input=spec.input,
    )


def official_ids(spec: TableSpec) -> set[str]:
    """The id of a result over a whole official list with the official truth, of each protocol that has such a list."""
    from handbench.evaluation.protocol import load

    protocols = [load(name) for name in spec.protocols]
    lists = [(protocol, protocol.official_ids()) for protocol in protocols]
    return {protocol.identity(ids) for protocol, ids in lists if ids is not None}


def without_copies(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records, each once: the same predictions of the same row, scored under one id, are the same result."""
    found: dict[str, dict[str, Any]] = {}
    for at, record in enumerate(records):
        digest = (record.get("provenance") or {}).get("predictions_digest")
        found.setdefault(repr((record["protocol"]["id"], digest or at, record["row"])), record)
    return list(found.values())


def _whole_with_gaps(record: dict[str, Any]) -> bool:
    """Whether a result is of all samples of an official list that leaves numbers out: only its truth knows the ids."""
    from handbench.evaluation.protocol import load

    if not record["protocol"].get("complete"):
        return False
    protocol = load(record["protocol"]["name"])
    return protocol.gaps and record["protocol"].get("definition") == protocol.definition()


def _title(key: tuple[str, bool], record: dict[str, Any]) -> str:
    return f"{key[0]}, {record['n']:,} samples" + (
        ", given the hand's place or scale, or silent on it" if key[1] else ""
    )


def _apart(key: tuple[str, bool], record: dict[str, Any], officials: set[str]) -> str:
    """Why the rows of a section stand alone."""
    if key[0] in officials:
        return (
            "Not comparable with the rows above: given the hand's place or scale, or silent on it, which errors that "
            "are not aligned, or by the root alone, gain from."
        )
    from handbench.evaluation.protocol import OFFICIAL_FILES

    total, source = record["protocol"].get("n_official"), truth_source(record)
    reasons = [f"{record['n']:,} of the {total:,} official samples"] if total and record["n"] != total else []
    official_truth = record["protocol"].get("definition", {}).get("truth", OFFICIAL_FILES)
    reasons += [f"the truth is of {source}"] if source not in ("", official_truth) else []
    why = " and ".join(reasons) or "another version of the protocol, or other samples"
    return f"Not comparable with the rows above: {why}."
