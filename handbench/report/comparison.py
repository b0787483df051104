"""A comparison as text for a terminal."""

from __future__ import annotations

from typing import Any

from tabulate import tabulate

from handbench.hands.joints import FINGERS
from handbench.metrics.permutation import ALL_UP_TO, NORMAL_ABOVE

PARTS = ("MCP", "PIP", "DIP", "fingertip")


def comparison_text(record: dict[str, Any]) -> str:
    """A comparison's record (`Comparison.to_record`): figures with verdicts, buckets, joints, samples, and notes."""
    captures = "" if record["clusters"] is None else f" of {record['clusters']:,} captures"
    head = [
        f"A: {record['a']}",
        f"B: {record['b']}",
        f"{record['protocol']}, {record['n']:,} samples{captures}, paired",
    ]
    head += [f"unlike: {what}" for what in record["unlike"]]
    blocks = ["\n".join(head), _figures(record)]
    if record["per_bucket"]:
        blocks.append(_buckets(record))
    blocks += [_joints(alignment, rows) for alignment, rows in record["per_joint"].items() if rows]
    if record["most_different"]:
        blocks.append(_samples(record["most_different"]))
    blocks.append("\n".join(_notes(record)))
    return "\n\n".join(blocks)


def _figures(record: dict[str, Any]) -> str:
    rows = [[_called(row), row["alignment"], *_numbers(row), row["verdict"]] for row in record["rows"]]
    headers = ["metric", "alignment", "A", "B", "A - B", "95 % interval", "p", "p Holm", "verdict"]
    if any(row["n"] != record["n"] for row in record["rows"]):
        headers.insert(2, "n")
        for line, row in zip(rows, record["rows"], strict=True):
            line.insert(2, f"{row['n']:,}")
    return _table(rows, headers)


def _buckets(record: dict[str, Any]) -> str:
    """The figures whose joints are shown; the others are in the record."""
    shown = {("mpjpe", alignment) for alignment in record["per_joint"]}
    if record["most_different"]:
        shown.add(tuple(record["most_different"]["figure"].rsplit("/", 1)))
    lines, some = [], False
    for bucket in record["per_bucket"]:
        inside = [row for row in bucket["rows"] if (row["metric"], row["alignment"]) in shown]
        some |= len(inside) < len(bucket["rows"])
        for row in inside:
            lines.append([bucket["bucket"], f"{row['n']:,}", _called(row), row["alignment"], *_numbers(row)])
            lines[-1].append(row["verdict"])
        if not inside:
            lines.append([bucket["bucket"], f"{bucket['n']:,}", "empty" if not bucket["n"] else "not tested"])
    headers = ["covered", "n", "metric", "alignment", "A", "B", "A - B", "95 % interval", "p", "p Holm", "verdict"]
    more = " (the other figures: --json)" if some else ""
    return f"By the share of the hand that something else covers{more}\n{_table(lines, headers)}"


def _joints(alignment: str, rows: list[dict[str, Any]]) -> str:
    """A grid of the differences, fingers by joints."""
    found = {row["joint"]: _joint(row) for row in rows}
    grid = [[finger, *(found.get(f"{finger} {part}", "") for part in PARTS)] for finger in FINGERS]
    grid = [["wrist", found.get("wrist", "")], *grid]
    title = f"A - B by joint, {alignment}, mm (* 95 % interval leaves out 0, each joint taken alone)"
    return f"{title}\n{_table(grid, ['', *PARTS])}"


def _joint(row: dict[str, Any]) -> str:
    clear = row["low"] is not None and (row["low"] > 0 or row["high"] < 0)
    return f"{row['difference']:+.3f}{'*' if clear else ' '}"


def _samples(found: dict[str, Any]) -> str:
    unit = found["unit"]
    lines = [
        [one["id"], _number(one["a"], unit), _number(one["b"], unit), _number(one["difference"], unit, signed=True)]
        for side in ("below", "above")
        for one in (found[side] if side == "below" else found[side][::-1])
    ]
    title = f"Where they differ most, {found['figure']}{_of(unit)}"
    return f"{title}\n{_table(lines, ['sample', 'A', 'B', 'A - B'])}" if lines else f"{title}: nowhere"


def _notes(record: dict[str, Any]) -> list[str]:
    family = record["family"]
    units = "samples" if record["clusters"] is None else "captures"
    notes = [
        f"p: paired sign-flip test over {units}: all flips of up to {ALL_UP_TO}, {family['draws']:,} random ones (seed "
        f"{family['seed']}) of more, their normal limit above {NORMAL_ABOVE:,}",
        f"p Holm: corrected for {family['tests']} tests, those of the occlusion buckets among them"
        if record["per_bucket"]
        else f"p Holm: corrected for {family['tests']} tests",
        f"better: p Holm <= {family['level']:g}",
    ]
    if family["smallest"] is not None:
        notes.append(
            f"the smallest p that there can be is {_p(family['smallest'])}, "
            f"and {_p(family['smallest_adjusted'])} after the correction"
        )
    inside = [row | {"metric": f"{row['metric']} {b['bucket']}"} for b in record["per_bucket"] for row in b["rows"]]
    said: dict[str, list[str]] = {}
    for row in [*record["rows"], *inside]:
        if row["note"]:
            said.setdefault(row["note"], []).append(f"{row['metric']}/{row['alignment']}")
    for note, keys in said.items():
        which = ", ".join(keys) if len(keys) <= 4 else f"{len(keys)} figures"
        notes.append(f"{which}: {note}")
    return notes + [f"warning: {warning}" for warning in record["warnings"]]


def _called(row: dict[str, Any]) -> str:
    return f"{row['metric']}{_of(row['unit'])}"


def _of(unit: str) -> str:
    return f", {unit}" if unit else ""


def _numbers(row: dict[str, Any]) -> list[str]:
    unit = row["unit"]
    a, b = (_number(row[key], unit) for key in ("a", "b"))
    difference, low, high = (_number(row[key], unit, signed=True) for key in ("difference", "low", "high"))
    return [
        a,
        b,
        difference,
        f"[{low}, {high}]" if row["low"] is not None else "-",
        _p(row["p"]),
        _p(row["p_adjusted"]),
    ]


def _number(value: float | None, unit: str, *, signed: bool = False) -> str:
    """Lengths to a hundredth and ratios to a ten-thousandth; differences, which are small, to one digit more."""
    if value is None:
        return "-"
    digits = (2 if unit else 4) + signed
    return f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"


def _p(value: float | None) -> str:
    if value is None:
        return "-"
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def _table(rows: list[list[str]], headers: list[str]) -> str:
    width = len(headers)
    return tabulate([[*row, *[""] * (width - len(row))] for row in rows], headers, "github", disable_numparse=True)
