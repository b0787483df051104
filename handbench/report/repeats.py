"""Runs that differ in their seed alone, as one row: mean, standard deviation and number of runs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from tabulate import tabulate

from handbench.evaluation.result import row_name
from handbench.report.measured_part import row_notes
from handbench.report.summary import number

# of a row: what may differ between runs of one thing
OF_THE_RUN = ("seed", "frames_held", "checkpoint")


def with_repeats(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The result records with those of one method, recipe, data and protocol made one, where their seeds differ.

    Such a record has `seeds` in its row. Each of its figures, of all samples and of each bucket, is the mean of the
    runs, `spread` their standard deviation (n - 1) and `runs` their number; an interval over samples it has none.
    """
    groups = runs_of_one(records, lambda record: repr((record["protocol"]["id"], record["n"], _counts(record))))
    first = {id(group[0]): _as_one(group) for group in groups}
    rest = {id(record) for group in groups for record in group[1:]}
    return [first.get(id(record), record) for record in records if id(record) not in rest]


def runs_of_one(records: Sequence[dict[str, Any]], apart: Callable[[dict], str]) -> list[list[dict[str, Any]]]:
    """Records {row, given, ...} of several runs of one thing, whose seeds differ; `apart` tells others apart."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        if record["row"].get("seed") is None:
            continue
        row = sorted((key, value) for key, value in record["row"].items() if key not in OF_THE_RUN)
        groups.setdefault(repr((row, record.get("given"), apart(record))), []).append(record)
    found = []
    for group in groups.values():
        seeds = [record["row"]["seed"] for record in group]
        # one seed twice is not two runs
        if len(set(seeds)) == len(seeds) > 1:
            found.append(sorted(group, key=lambda record: record["row"]["seed"]))
    return found


def mean_and_spread(values: Sequence[Any]) -> tuple[float | None, float | None]:
    """Mean and standard deviation (n - 1) of the runs; None where a run has no figure."""
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in values):
        return None, None
    return statistics.fmean(values), statistics.stdev(values)


def repeats_text(record: dict[str, Any]) -> str:
    """A record of several runs for a terminal."""
    seeds = record["row"]["seeds"]
    rows = [
        (
            *(line["metric"], line["alignment"]),
            *(number(line[key], line["unit"]) for key in ("value", "spread")),
            *(line["unit"] or "-", line["runs"], f"{line['n']:,}"),
        )
        for line in record["summary"]
    ]
    headers = ("metric", "alignment", "mean", "standard deviation", "unit", "runs", "samples")
    table = tabulate(rows, headers, tablefmt="github", disable_numparse=True)
    words = ", ".join(map(str, seeds))
    head = f"{row_name(record['row'])}: {record['protocol']['id']}, {len(seeds)} runs, seeds {words}"
    return "\n".join([head, "", table, "", *row_notes(record)])


def _as_one(group: list[dict[str, Any]]) -> dict[str, Any]:
    first = group[0]
    row = {key: value for key, value in first["row"].items() if key not in OF_THE_RUN}
    suspicions = list(dict.fromkeys(text for record in group for text in record.get("suspicions") or []))
    warnings = list(dict.fromkeys(text for record in group for text in record.get("warnings") or []))
    one = {key: value for key, value in first.items() if key not in ("per_bucket", "official", "provenance")}
    if first["row"].get("hold") is not None:
        row["frames_held"] = [record["row"]["frames_held"] for record in group]
    return {
        **one,
        "row": {**row, "seeds": [record["row"]["seed"] for record in group]},
        "summary": _means([record["summary"] for record in group]),
        "reflected": max(record.get("reflected") or 0 for record in group),
        "warnings": warnings,
        "suspicions": suspicions,
        "per_bucket": _means_by_bucket([record.get("per_bucket") or {} for record in group]),
        "official": {},
        "provenance": {
            **{key: value for key, value in (first.get("provenance") or {}).items() if key == "truth"},
            "runs": [record.get("provenance") for record in group],
        },
    }


def _means(summaries: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The figures of several runs, each the mean of them."""
    found = []
    for lines in zip(*summaries, strict=True):
        value, spread = mean_and_spread([line["value"] for line in lines])
        kept = {key: value for key, value in lines[0].items() if key != "method"}
        found.append({**kept, "value": value, "spread": spread, "runs": len(lines), "interval": [None, None]})
    return found


def _means_by_bucket(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The same by bucket: runs of one thing have the same ones."""
    return {
        name: {**bucket, "summary": _means([run[name]["summary"] for run in runs])} for name, bucket in runs[0].items()
    }


def _counts(record: dict[str, Any]) -> dict[str, int]:
    """How many samples each bucket has."""
    return {name: bucket["n"] for name, bucket in (record.get("per_bucket") or {}).items()}
