"""Others' predictions into HANDBENCH_HOME, checked against the truth that they are of."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import numpy as np

from handbench.errors import InvalidError, MissingError, UsageError
from handbench.evaluation import checks
from handbench.evaluation.importing import read_predictions
from handbench.evaluation.protocol import Given, Protocol
from handbench.evaluation.sources import opened
from handbench.evaluation.suspicions import suspect
from handbench.store.hands_file import HandsFile, write_hands


def stated(given: list[str] | None) -> tuple[str, ...] | None:
    """What was typed after `--given`; None where nobody said, () for `nothing`."""
    if not given:
        return None
    return () if given == ["nothing"] else tuple(given)


def take_in(
    file: Path,
    target: Path,
    protocol: Protocol,
    truth: Path,
    *,
    name: str,
    order: str,
    axes: str,
    unit: str,
    given: tuple[str, ...] | None,
) -> tuple[int, list[str]]:
    """Write `file` as predictions to `target`; returns their number, and what looks odd about them, in words.

    Raises InvalidError, the sample named, for a wrong count, other ids, another shape, NaN or infinity.
    """
    unknown = [word for word in given or () if word not in get_args(Given)]
    if unknown:
        raise UsageError(f"Unknown --given {unknown[0]!r}.", f"Known: {', '.join(get_args(Given))}.")
    if not re.fullmatch(r"[\w.+@-]+", name) or name.startswith("."):
        raise UsageError(f"--name {name!r} cannot be a file's name.", "Use letters, digits, '-', '_' and '.'.")
    with opened(truth, "true hands", f"`handbench prep {protocol.dataset or protocol.name}` makes them.") as true:
        _require_free(target)
        meta = {
            "method": name,
            "variant": "imported",
            "size": "full",
            "given": None if given is None else list(given),
            "dataset": true.meta.get("dataset"),
            "split": true.meta.get("split"),
            "truth_digest": true.digest(),
        }
        hands = read_predictions(file, np.sort(true.ids), order=order, axes=axes, unit=unit, meta=meta)
        sequence = checks.match(true.ids, hands.id)
        hands = hands if sequence is None else hands.take(sequence)
        checks.require_finite(hands, 0, "predictions")
        block = true.read(0, len(true.ids))
        checks.require_annotated(block, 0)
        suspicions = suspect(np.asarray(block.joints), np.asarray(hands.joints))
    write_hands(target, hands)
    return len(hands), suspicions


def _require_free(target: Path) -> None:
    """An import may replace an earlier import, never what `handbench predict` wrote."""
    try:
        with HandsFile(target) as there:
            imported = there.meta.get("variant") == "imported"
    except (MissingError, InvalidError):
        return
    if not imported:
        raise InvalidError(f"{target} holds predictions of our own.", "Choose another --name.")
