"""In words, why two results should not stand in one column."""

from __future__ import annotations

from typing import Any

import numpy as np

from handbench.evaluation.protocol import Protocol
from handbench.evaluation.result import Result


def differences(a: Result, b: Result) -> list[str]:
    """What is unlike in two results; empty where they may be compared."""
    said = []
    if a.protocol["id"] != b.protocol["id"]:
        first, second = (Protocol(**result.protocol["definition"]) for result in (a, b))
        said += describe_difference(first, second)
        if len(a.ids) != len(b.ids) or set(a.ids) != set(b.ids):
            common = len(np.intersect1d(a.ids, b.ids))
            said.append(f"samples: {a.n:,} against {b.n:,}, {common:,} in common")
    sources = [_truth(result) for result in (a, b)]
    # the whole official list is one truth, in whatever files it came
    if sources[0] != sources[1] and not (a.protocol.get("complete") and b.protocol.get("complete")):
        said.append(f"truth: {sources[0]} against {sources[1]}")
    if a.protocol["id"] != b.protocol["id"] and not said:
        said = [f"protocol: {a.protocol['id']} against {b.protocol['id']}"]
    if _listed(a.given) != _listed(b.given):
        said.append(f"given: {_listed(a.given)} against {_listed(b.given)}")
    return said


def describe_difference(a: Protocol, b: Protocol) -> list[str]:
    """In words, what two protocols define differently; empty where they define the same."""
    first, second = a.definition(), b.definition()
    said = [
        f"{key}: {_words(first[key])} against {_words(second[key])}"
        for key in first
        if key != "metrics" and first[key] != second[key]
    ]
    metrics = [{metric.called: metric.model_dump(mode="json") for metric in protocol.metrics} for protocol in (a, b)]
    for label in dict.fromkeys([*metrics[0], *metrics[1]]):
        one, other = (found.get(label) for found in metrics)
        if one is None or other is None:
            has = a if other is None else b
            said.append(f"{label}: only {has.name}@{has.version} has it")
            continue
        said += [
            f"{label}, {key}: {_words(one[key])} against {_words(other[key])}" for key in one if one[key] != other[key]
        ]
    return said


def _truth(result: Result) -> str:
    truth = result.provenance.get("truth", {})
    return f"{truth.get('source')} ({truth.get('digest')})"


def _listed(given: list[str] | None) -> str:
    return "not stated" if given is None else " and ".join(sorted(given)) or "nothing"


def _words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "none" if value is None else str(value)
