"""The measured rows of a table: figures with intervals, and what each row is and was given."""

from __future__ import annotations

import json
import math
from typing import Any

from handbench.evaluation.buckets import UNKNOWN
from handbench.evaluation.result import absent, row_name
from handbench.layouts.mark import OFFICIAL
from handbench.recipe import recipe_names, variants
from handbench.report.measured_speed import speed_cell
from handbench.report.spec import Column, TableSpec
from handbench.report.table_parts import Cell, Footnotes, Row

SAYS_NOTHING = (
    "Random or missing pretrained weights: this row says nothing about the published method, and takes no part in "
    "best and second best"
)


def measured_row(spec: TableSpec, record: dict[str, Any], speeds: list[dict[str, Any]], notes: Footnotes) -> Row:
    """One result record as a row; `speeds` are searched for the same method, variant and size."""
    row = record["row"]
    seeds = row.get("seeds")
    under = f" under {record['protocol']['name']}" if len(spec.protocols) > 1 else ""
    said = row_notes(record) + ([_covered(record["per_bucket"])] if spec.by_bucket and record.get("per_bucket") else [])
    elsewhere = ""
    if places := read_from(record):
        elsewhere = " elsewhere"
        said.append(f"Measured elsewhere, read from {', '.join(places)}")
    marks = [notes.mark(text) for text in said]
    cells = tuple(
        speed_cell(column, row, speeds, notes)
        if column.speed
        else _cell(column, record, notes)
        if spec.protocol_of(column) == record["protocol"]["name"]
        else Cell()
        for column in spec.columns
    )
    return Row(
        name=row_name(row) or "predictions",
        source=f"measured{elsewhere}{under}, n = {record['n']:,}"
        + (f", mean ± s.d. of {len(seeds)} seeds" if seeds else ""),
        measured=True,
        cells=cells,
        marks=tuple(marks),
        protocol=record["protocol"]["id"],
        ranked=not untrained(row) and not row.get("changed") and not on_a_stand_in(record),
    )


def row_notes(record: dict[str, Any]) -> list[str]:
    """What to know of a row, each a footnote: weights, what it was given, trained on, and what keeps it from others."""
    row, n = record["row"], record["n"]
    said = [SAYS_NOTHING] if untrained(row) else []
    if record.get("given") is None:
        said.append("What it was given of the truth is not stated")
    elif record["given"]:
        said.append(f"Given from the truth or the official files: {', '.join(record['given'])}")
    if record.get("reflected"):
        count = ("up to " if row.get("seeds") else "") + f"{record['reflected']:,}"
        said.append(f"{count} of {n:,} samples were aligned by a reflection, which the official script allows")
    if row.get("trained_on"):
        before = f", pre-trained on {row['pretrained']}" if row.get("pretrained") else ""
        count = f", {row['samples']:,} samples" if row.get("samples") else ""
        said.append(f"Trained on {row['trained_on']}{count}{before}")
    if note := variant_note(row):
        said.append(f"{row['variant']}: {note}")
    if row.get("hold") is not None:
        held = row["frames_held"]
        held = ", ".join(f"{each:,}" for each in held) if isinstance(held, list) else f"{held:,}"
        said.append(f"{held} of {n:,} frames, trusted under {row['hold']}, repeat earlier ones")
    if row.get("changed"):
        said.append(f"Not the recipe as it is, and not ranked: {', '.join(row['changed'])}")
    if row.get("labels"):
        said.append(f"Its prompts' labels: {row['labels']}")
    if on_a_stand_in(record):
        said.append("Built on the synthetic hand in place of MANO, and not ranked")
    return said + [f"Suspected: {text}" for text in record.get("suspicions") or []]


def variant_note(row: dict[str, Any]) -> str:
    """What the recipe says of a row's variant; nothing where the recipe or the variant is not handbench's."""
    if row.get("method") not in recipe_names():
        return ""
    return next((one.note for one in variants(row["method"]) if one.name == row.get("variant")), "")


def untrained(row: dict[str, Any]) -> bool:
    """Whether any of the weights that the method starts from were left out."""
    weights = row.get("weights") or {}
    return any(absent(value) for value in weights.values())


def on_a_stand_in(record: dict[str, Any]) -> bool:
    """Whether a method was built on the synthetic hand and is scored on official files."""
    synthetic = str(record["row"].get("hand_model") or "").startswith("synthetic ")
    return synthetic and truth_source(record) == OFFICIAL


def given_more(spec: TableSpec, record: dict[str, Any]) -> bool:
    """Whether the row was given, or does not say that it was not, what figures of the table gain from and the protocol
    does not give to everybody.
    """
    gains = {what for column in spec.columns if spec.protocol_of(column) == record["protocol"]["name"]
             for what in column.gains_from}  # fmt: skip
    to_all = record["protocol"].get("definition", {}).get("given", ())
    given = gains if record.get("given") is None else record["given"]
    return any(what in gains and what not in to_all for what in given)


def truth_source(record: dict[str, Any]) -> str:
    """Where the truth comes from, as the result says it; empty where it does not."""
    truth = record.get("truth") or (record.get("provenance") or {}).get("truth")
    return str(truth.get("source") or "") if isinstance(truth, dict) else ""


def read_from(record: dict[str, Any]) -> list[str]:
    """Where the results of a row lie that were not made in this home."""
    provenance = record.get("provenance") or {}
    return [str(one["read from"]) for one in (provenance, *provenance.get("runs", ())) if one and "read from" in one]


def provenance_line(record: dict[str, Any]) -> str:
    """What a measured row comes from, as one line of JSON."""
    facts = {"row": row_name(record["row"]) or "predictions", "protocol": record["protocol"]["id"], "n": record["n"]}
    return json.dumps({**facts, **(record.get("provenance") or {})}, sort_keys=True, default=str)


def _cell(column: Column, record: dict[str, Any], notes: Footnotes) -> Cell:
    if column.measured is None:
        return Cell()
    summary = record["summary"]
    if column.bucket is not None:
        if why := _without(record, column.bucket):
            return Cell(marks=(notes.mark(why),))
        summary = record["per_bucket"][column.bucket]["summary"]
    for figure in summary:
        if (figure["metric"], figure["alignment"]) == (column.measured.metric, column.measured.alignment):
            value = figure["value"]
            if not finite(value):
                return Cell()
            low, high = figure["interval"]
            interval = f"± {figure['spread']:.{column.decimals}f}" if finite(figure.get("spread")) else ""
            if finite(low) and finite(high):
                interval = f"[{low:.{column.decimals}f}, {high:.{column.decimals}f}]"
            return Cell(f"{value:.{column.decimals}f}", float(value), interval)
    return Cell()


def _covered(buckets: dict[str, Any]) -> str:
    """How many samples each bucket has, in words."""
    return "Samples by covered share: " + ", ".join(f"{name} {found['n']:,}" for name, found in buckets.items())


def _without(record: dict[str, Any], bucket: str) -> str:
    """Why a bucket has no figures; empty where it has."""
    buckets = record.get("per_bucket")
    if not buckets or buckets.get(UNKNOWN, {}).get("n") == record["n"]:
        return (
            "No buckets: the truth does not say how much of its hands is visible, for want of masks, or of a hand "
            "model when it was prepared"
        )
    return "" if buckets[bucket]["n"] else f"No sample of the truth is covered by {bucket}"


def finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
