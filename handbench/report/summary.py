"""One result as text for a terminal."""

from __future__ import annotations

from typing import Any

from tabulate import tabulate

from handbench.evaluation.buckets import FOOTNOTE
from handbench.evaluation.result import row_name

DECIMALS = {"mm": 2, "px": 2, "mm/frame^2": 2, "mm/frame^3": 2, "m/s^2": 2}


def summary_text(record: dict[str, Any]) -> str:
    """A result's record (`Result.to_record`) -> its protocol, figures with intervals, and what to know about them."""
    protocol, row = record["protocol"], record["row"]
    who = row_name(row)
    of = f" of {protocol['n_official']:,}" if protocol["n_official"] else ""
    lines = [f"{who or 'predictions'}: {protocol['id']}, {record['n']:,}{of} samples", ""]
    figures = [
        (
            line["metric"],
            line["alignment"],
            number(line["value"], line["unit"]),
            _between(line),
            line["unit"] or "-",
            _range(line),
            f"{line['n']:,}",
        )
        for line in record["summary"]
    ]
    headers = ("metric", "alignment", "value", "95 % interval", "unit", "range", "n")
    lines.append(tabulate(figures, headers, tablefmt="github", disable_numparse=True))
    if record["per_bucket"]:
        lines += ["", "by the share of the hand that something else covers", _buckets(record)]
    if record["official"]:
        unit = "mm" if record["protocol"]["definition"].get("official") == "dexycb" else "cm"
        lines += ["", f"the official script's figures (lengths in {unit}, the others 0 to 1)"]
        lines += [f"  {key}: {value:.6f}" for key, value in record["official"].items() if value is not None]
    return "\n".join([*lines, "", *_notes(record)])


def number(value: float | None, unit: str, *, signed: bool = False) -> str:
    """A figure with the digits of its unit; `-` where there is none."""
    if value is None or value != value:
        return "-"
    sign = "+" if signed else ""
    return f"{value:{sign}.{DECIMALS.get(unit, 4)}f}"


def _buckets(record: dict[str, Any]) -> str:
    """Figures by bucket; an empty bucket is shown as empty."""
    buckets = record["per_bucket"]
    headers = ["metric", "alignment", *(f"{name} (n = {found['n']:,})" for name, found in buckets.items())]
    rows = []
    for i, line in enumerate(record["summary"]):
        cells = [found["summary"][i] for found in buckets.values()]
        rows.append(
            [line["metric"], line["alignment"]]
            + [_cell(cell, found["n"]) for cell, found in zip(cells, buckets.values(), strict=True)]
        )
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def _cell(line: dict[str, Any], n: int) -> str:
    """A figure of a bucket of n hands, and of how many of them where not all have it."""
    if not n:
        return "empty"
    fewer = "" if line["n"] == n else f" (n = {line['n']:,})"
    return f"{number(line['value'], line['unit'])} {_between(line)}{fewer}"


def _methods(record: dict[str, Any]) -> list[str]:
    """How the intervals were made: once, or by figure where they rest on unlike numbers of captures."""
    of: dict[str, list[str]] = {}
    for line in record["summary"]:
        of.setdefault(line["method"], []).append(f"{line['metric']}/{line['alignment']}")
    if len(of) == 1:
        return [f"intervals: {method}" for method in of]
    return [f"intervals of {', '.join(figures)}: {method}" for method, figures in of.items()]


def _notes(record: dict[str, Any]) -> list[str]:
    given = "not stated" if record["given"] is None else ", ".join(record["given"]) or "nothing beyond the image"
    notes = [f"given: {given}", *_methods(record)]
    if record["reflected"]:
        notes.append(f"mirrored by the official alignment: {record['reflected']:,} samples")
    if record["per_bucket"]:
        notes.append(FOOTNOTE)
    return notes


def _between(line: dict[str, Any]) -> str:
    low, high = (number(end, line["unit"]) for end in line["interval"])
    return "-" if low == "-" else f"[{low}, {high}]"


def _range(line: dict[str, Any]) -> str:
    if "range" in line:
        return f"{line['range'][0]:.4g}-{line['range'][1]:.4g} mm, {line['steps']} steps"
    return f"< {line['threshold']:g} mm" if "threshold" in line else ""
