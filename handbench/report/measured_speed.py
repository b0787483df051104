"""Measured speeds in a table: beside a row's errors, or as rows of their own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from handbench.evaluation.result import row_name
from handbench.report.spec import Column, TableSpec
from handbench.report.speeds import headline
from handbench.report.table_parts import Cell, Footnotes, Row

# what makes a speed record one of a row's
SAME = ("method", "variant", "size", "recipe")


def speed_cell(column: Column, row: dict[str, Any], speeds: Sequence[dict[str, Any]], notes: Footnotes) -> Cell:
    """One image at a time (tier T1), same recipe: a standard run before a quick one, then the latest; its device in a
    footnote.
    """
    for speed in sorted(filter(headline, speeds), key=_standard_then_latest, reverse=True):
        if row.get("method") and all(speed.get(key) == row.get(key) for key in SAME):
            cell = _cell(column, speed)
            if cell.value is not None and column.speed in ("fps", "p50_ms"):
                return Cell(cell.text, cell.value, marks=(notes.mark(_condition(speed)),))
            if cell.value is not None:
                # counted, not timed: the same on every device
                return cell
    return Cell()


def latest(speeds: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The headline records, one a row and device: a standard run before a quick one, then the latest."""
    found: dict[tuple, dict[str, Any]] = {}
    for speed in sorted(filter(headline, speeds), key=_standard_then_latest):
        found[tuple(str(speed.get(key)) for key in (*SAME, "device"))] = speed
    return list(found.values())


def speed_row(spec: TableSpec, speed: dict[str, Any], notes: Footnotes) -> Row:
    """One speed record as a row; it is ranked with no other."""
    said = [_condition(speed)]
    if speed.get("trained") is False:
        said.append("Not trained: timed with random weights, which take the same time")
    said += [f"Warned: {text}" for text in speed.get("warnings") or []]
    cells = tuple(_cell(column, speed) if column.speed else Cell() for column in spec.columns)
    marks = tuple(notes.mark(text) for text in said)
    name = row_name({key: speed.get(key) for key in ("method", "variant", "size")})
    return Row(name, f"measured, n = {speed['n']:,}", True, cells, marks, ranked=False)


def _cell(column: Column, speed: dict[str, Any]) -> Cell:
    value = speed.get(column.speed or "")
    if not isinstance(value, int | float) or not math.isfinite(value):
        return Cell()
    return Cell(f"{value:.{column.decimals}f}", float(value))


def _condition(speed: dict[str, Any]) -> str:
    p50 = speed.get("p50_ms")
    median = f", median {p50:.2f} ms" if isinstance(p50, int | float) and math.isfinite(p50) else ""
    quick = "; a quick run, shorter than the protocol asks for" if speed.get("effort") == "quick" else ""
    return f"Measured on {speed['device']}, one image at a time (tier T1){median}{quick}"


def _standard_then_latest(speed: dict[str, Any]) -> tuple[bool, str]:
    return speed.get("effort") != "quick", str(speed.get("made", {}).get("time"))
