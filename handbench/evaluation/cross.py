"""From one source to other targets: what was trained on one set, scored on sets that it has never seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from handbench.errors import MissingError, UsageError
from handbench.evaluation.catalog import score_home
from handbench.evaluation.protocol import Protocol, load, names
from handbench.evaluation.result import THEN, row_name
from handbench.sections import require_known

TO = "-to-"
METRIC, MAIN = "mpjpe", "root-scale"
ALIGNMENTS = (MAIN, "root", "procrustes")
# what makes two sets of predictions those of one trained model
SAME = ("method", "variant", "size", "seed", "recipe", "checkpoint", "hold")


@dataclass(frozen=True)
class Cross:
    """A source and its targets, in the order in which they were named."""

    source: str
    targets: tuple[str, ...]

    def protocols(self) -> dict[str, Protocol]:
        """Column -> protocol. The source's own test set is the first, where its protocol has the same figures."""
        found = {}
        if self.source in names():
            own = load(self.source)
            if any(metric.name == METRIC and MAIN in metric.alignments for metric in own.metrics):
                found[self.source] = own
        return found | {target: load(f"{self.source}{TO}{target}") for target in self.targets}


def parse_cross(text: str) -> Cross:
    """`freihand:stb,rhd`. Raises UsageError for an unknown source or target, and for a source that is also a target."""
    source, colon, rest = text.partition(":")
    targets = tuple(rest.split(","))
    if not colon or not source or not all(targets):
        raise UsageError(f"{text!r} is no source and targets.", "Write it as freihand:stb,rhd.")
    pairs = [name.split(TO) for name in names() if TO in name]
    require_known(source, sorted({one for one, _ in pairs}), "source")
    if source in targets:
        raise UsageError(
            f"{source} is both source and target.", "What is tested on the set that it was trained on crosses nothing."
        )
    for target in targets:
        require_known(target, sorted(other for one, other in pairs if one == source), f"target of {source}")
    if len(set(targets)) < len(targets):
        raise UsageError(f"A target is named twice in {text!r}.", "Name each once.")
    return Cross(source, targets)


def score_cross(cross: Cross) -> dict[str, Any]:
    """Every model that was trained on the source, with its figures on each target.

    The record has source, targets, columns; rows of {row, given, figures: column -> {protocol, n, ALIGNMENT: {value,
    interval}} or None}; `left_out` and `missing`, in words. Raises MissingError where no model has predictions of any
    target.
    """
    protocols = cross.protocols()
    rows: dict[tuple, dict[str, Any]] = {}
    left_out: list[str] = []
    for column, protocol in protocols.items():
        for record in score_home(protocol):
            row = record["row"]
            if why := _not_of(cross.source, row):
                told = f"{_called(row)}: {why}"
                left_out += [told] if told not in left_out else []
                continue
            key = tuple(str(row.get(name)) for name in SAME)
            empty = {"row": row, "given": record["given"], "figures": dict.fromkeys(protocols)}
            rows.setdefault(key, empty)["figures"][column] = _figures(record)
    ordered = sorted(rows.values(), key=_order)
    missing = [
        f"{_called(one['row'])} has no predictions of {protocols[column].name}: "
        + _command(one["row"], protocols[column])
        for one in ordered
        for column, figures in one["figures"].items()
        if figures is None
    ]
    crossed = [one for one in ordered if any(one["figures"][target] for target in cross.targets)]
    if not crossed:
        wanted = [protocols[target] for target in cross.targets]
        commands = [_command(one["row"], protocol) for one in ordered[:1] for protocol in wanted]
        commands = commands or [f"handbench predict METHOD --protocol {protocol.name}" for protocol in wanted]
        but = f" Left out: {'; '.join(left_out)}." if left_out else ""
        raise MissingError(
            f"No method that was trained on {cross.source} has predictions of "
            f"{' or '.join(protocol.name for protocol in wanted)}.{but}",
            " and ".join(f"`{command}`" for command in commands) + " makes them.",
        )
    return {
        "source": cross.source,
        "targets": list(cross.targets),
        "columns": list(protocols),
        "rows": crossed,
        "left_out": left_out,
        "missing": missing,
    }


def _not_of(source: str, row: dict[str, Any]) -> str:
    """Why a row is not of the source; empty where it is."""
    if not row.get("trained_on"):
        return "it does not say what it was trained on"
    for key, what in (("trained_on", "trained on"), ("pretrained", "pre-trained on")):
        # `freihand/train (partial)`, one after the other where there were several
        seen = str(row[key]).split(THEN) if row.get(key) else []
        if any(one.partition("/")[0] != source for one in seen):
            return f"it was {what} {row[key]}"
    return ""


def _order(one: dict[str, Any]) -> tuple[str, str, str, int, str]:
    row = one["row"]
    named = (str(row["method"]), str(row["variant"]), str(row["size"]), int(row["seed"] or 0))
    return *named, str(row.get("checkpoint"))


def _figures(record: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"protocol": record["protocol"]["id"], "n": record["n"]}
    found |= {key: record.get(key) for key in ("warnings", "suspicions", "reflected", "provenance")}
    for line in record["summary"]:
        if line["metric"] == METRIC and line["alignment"] in ALIGNMENTS:
            found[line["alignment"]] = {"value": line["value"], "interval": line["interval"]}
    return found


def _called(row: dict[str, Any]) -> str:
    return row_name(row) or "a set of predictions without a method"


def _command(row: dict[str, Any], protocol: Protocol) -> str:
    """What makes the predictions of this row's model for a protocol."""
    words = ["handbench", "predict", str(row["method"])]
    for key, usual in (("variant", "full"), ("size", "full"), ("seed", 0)):
        words += [f"--{key}", str(row[key])] if row.get(key, usual) != usual else []
    return " ".join([*words, "--protocol", protocol.name])
