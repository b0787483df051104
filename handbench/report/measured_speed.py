"""Measured speeds in a table: beside a row's errors, or as rows of their own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from handbench.evaluation.result import row_name
from handbench.recipe import recipe_names, variants
from handbench.report.spec import Column, TableSpec
from handbench.report.speeds import headline
from handbench.report.table_parts import Cell, Footnotes, Row

# what makes a speed record one of a row's
SAME = ("method", "variant", "size", "recipe")


def speed_cell(column: Column, row: dict[str, Any], speeds: Sequence[dict[str, Any]], notes: Footnotes) -> Cell:
    """One image at a time (tier T1), same recipe: a standard run before a quick one, then the latest; its condition,
    and what it was warned of, in footnotes.
    """
    for speed in sorted(filter(headline, speeds), key=_standard_then_latest, reverse=True):
        if row.get("method") and all(speed.get(key) == row.get(key) for key in SAME):
            cell = _cell(column, speed)
            if cell.value is not None and column.speed in ("fps", "p50_ms"):
                return Cell(cell.text, cell.value, marks=tuple(notes.mark(text) for text in _notes(speed)))
            if cell.value is not None:
                # counted, not timed: the same on every device
                return cell
    return Cell()


def latest(speeds: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The headline records, one a row, machine and effort: the latest."""
    found: dict[tuple, dict[str, Any]] = {}
    for speed in sorted(filter(headline, speeds), key=_standard_then_latest):
        found[(*(str(speed.get(key)) for key in SAME), *_where(speed), str(speed.get("effort")))] = speed
    return list(found.values())


def speed_row(spec: TableSpec, speed: dict[str, Any], notes: Footnotes) -> Row:
    """One speed record as a row; it is ranked with no other."""
    cells = tuple(_cell(column, speed) if column.speed else Cell() for column in spec.columns)
    marks = tuple(notes.mark(text) for text in _notes(speed))
    name = row_name({key: speed.get(key) for key in ("method", "variant", "size")})
    return Row(name, f"measured, n = {speed['n']:,}", True, cells, marks, ranked=False)


def _cell(column: Column, speed: dict[str, Any]) -> Cell:
    part = _part(speed)
    value = _of_part(speed, part).get(column.speed or "") if part else speed.get(column.speed or "")
    if not isinstance(value, int | float) or not math.isfinite(value):
        return Cell()
    return Cell(f"{value:.{column.decimals}f}", float(value))


def _part(speed: dict[str, Any]) -> str:
    """Which part of the network a variant stands for, in a paper's table of parts; empty for the whole network."""
    method, parts = speed.get("method"), (speed.get("stages") or {}).get("groups_ms") or {}
    if not parts or method not in recipe_names():
        return ""
    rows = [row.row for one in variants(method) if one.name == speed.get("variant") for row in one.rows]
    return next((row for row in rows if row in parts), "")


def _of_part(speed: dict[str, Any], part: str) -> dict[str, float]:
    """A part's own figures: its time, where the stages add up to the whole; nothing is counted by part."""
    stages = speed["stages"]
    ms = stages["groups_ms"][part]
    return {"p50_ms": ms, "fps": 1000 * speed.get("frames_per_call", 1) / ms} if stages["holds"] and ms else {}


def _notes(speed: dict[str, Any]) -> list[str]:
    """What to know of a timing, each a footnote."""
    said = [_condition(speed)]
    if part := _part(speed):
        stages = speed["stages"]
        why = (
            f"no time: {stages['why_not']}" if not stages["holds"] else "its stages, in a pass with clocks around each"
        )
        said.append(f"{part}: {why}")
    if speed.get("trained") is False:
        said.append("Not trained: timed with random weights, which take the same time")
    return said + [f"Warned: {text}" for text in speed.get("warnings") or []]


def _condition(speed: dict[str, Any]) -> str:
    p50 = speed.get("p50_ms")
    whole = " of the whole network" if _part(speed) else ""
    median = f", median{whole} {p50:.2f} ms" if isinstance(p50, int | float) and math.isfinite(p50) else ""
    device, threads, torch = _where(speed)
    effort = speed.get("effort", "unknown")
    quick = ", shorter than the protocol asks for" if effort == "quick" else ""
    return (
        f"Measured on {device}, one image at a time (tier T1){median}; threads: {threads}, torch {torch}, "
        f"processes: {speed.get('processes', 'unknown')}, {effort} run{quick}"
    )


def _where(speed: dict[str, Any]) -> tuple[str, str, str]:
    """Device, threads and torch; what a record does not say is unknown."""
    machine = speed.get("machine") or {}
    return str(speed["device"]), str(machine.get("threads", "unknown")), str(machine.get("torch", "unknown"))


def _standard_then_latest(speed: dict[str, Any]) -> tuple[bool, str]:
    return speed.get("effort") != "quick", str(speed.get("made", {}).get("time"))
