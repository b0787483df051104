"""One result, or one comparison, as text for a terminal."""

from __future__ import annotations

from typing import Any

from tabulate import tabulate


def summary_text(record: dict[str, Any]) -> str:
    """A result's record (`Result.to_record`) -> its protocol, figures with intervals, and what to know about them."""
    protocol, row = record["protocol"], record["row"]
    who = " ".join(str(row[key]) for key in ("method", "variant", "size") if row.get(key))
    of = f" of {protocol['n_official']:,}" if protocol["n_official"] else ""
    lines = [f"{who or 'predictions'}: {protocol['id']}, {record['n']:,}{of} samples", ""]
    figures = [
        (
            line["metric"],
            line["alignment"],
            _number(line["value"], line["unit"]),
            f"[{_number(line['low'], line['unit'])}, {_number(line['high'], line['unit'])}]",
            line["unit"] or "-",
            _range(line),
            line["n"],
        )
        for line in record["summary"]
    ]
    headers = ("metric", "alignment", "value", "95 % interval", "unit", "range", "n")
    lines.append(tabulate(figures, headers, tablefmt="github", disable_numparse=True))
    if record["official"]:
        lines += ["", "the official script's figures"]
        lines += [f"  {key}: {value:.6f}" for key, value in record["official"].items()]
    given = "not stated" if record["given"] is None else ", ".join(record["given"]) or "nothing beyond the image"
    notes = [f"given: {given}"]
    if any("over samples" in line["interval"] for line in record["summary"]):
        notes.append("intervals take the samples as independent: too narrow where they are frames of one recording")
    if record["reflected"]:
        notes.append(f"mirrored by the official alignment: {record['reflected']:,} samples")
    return "\n".join([*lines, "", *notes])


def comparison_text(record: dict[str, Any], a: str, b: str) -> str:
    """A comparison's record -> paired differences, and in words which is better."""
    rows = []
    for row in record["rows"]:
        unit = row["unit"]
        verdict = {"a": f"{a} is better", "b": f"{b} is better", "": "not distinguishable"}[row["better"]]
        rows.append(
            (
                row["metric"],
                row["alignment"],
                _number(row["a"], unit),
                _number(row["b"], unit),
                _number(row["difference"], unit, signed=True),
                f"[{_number(row['low'], unit, signed=True)}, {_number(row['high'], unit, signed=True)}]",
                row["n"],
                verdict,
            )
        )
    headers = ("metric", "alignment", "A", "B", "A - B", "95 % interval", "n", "")
    head = f"A: {a}\nB: {b}\n{record['protocol']}, paired over samples\n"
    head += "".join(f"unlike: {what}\n" for what in record["unlike"])
    return "\n".join([head, tabulate(rows, headers, tablefmt="github", disable_numparse=True)])


def _number(value: float | None, unit: str, *, signed: bool = False) -> str:
    if value is None:
        return "-"
    sign = "+" if signed else ""
    return f"{value:{sign}.2f}" if unit == "mm" else f"{value:{sign}.4f}"


def _range(line: dict[str, Any]) -> str:
    if "range" in line:
        return f"{line['range'][0]:g}-{line['range'][1]:g} mm, {line['steps']} steps"
    return f"< {line['threshold']:g} mm" if "threshold" in line else ""
