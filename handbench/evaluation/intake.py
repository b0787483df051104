"""Others' predictions into HANDBENCH_HOME, checked against the truth that they are of."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from handbench.errors import InvalidError, MissingError, UsageError
from handbench.evaluation import checks
from handbench.evaluation.importing import assumed, read_as
from handbench.evaluation.protocol import Protocol, require_given
from handbench.evaluation.samples import pair, read_for
from handbench.evaluation.sources import Memory
from handbench.evaluation.suspicions import annotated_joints, some_of, suspect
from handbench.evaluation.truth import open_truth
from handbench.hands.record import Hands
from handbench.store.atomic import spare
from handbench.store.hands_file import HandsFile
from handbench.store.hands_writer import write_hands


def stated(given: list[str] | None) -> tuple[str, ...] | None:
    """What was typed after `--given`; None where nobody said, () for `nothing`."""
    if not given:
        return None
    return () if given == ["nothing"] else tuple(given)


class TakenIn(NamedTuple):
    """How many samples, what the file was read as, and what looks odd about it: both in words."""

    samples: int
    read_as: str
    suspicions: list[str]


def take_in(
    file: Path,
    target: Path,
    protocol: Protocol,
    truth: Path,
    *,
    name: str,
    order: str | None = None,
    axes: str | None = None,
    unit: str | None = None,
    given: tuple[str, ...] | None = None,
) -> TakenIn:
    """Write `file` as predictions to `target`. `order`, `axes`, `unit`: what the file uses, None by its format.

    Raises InvalidError, the sample named, for a wrong count, other ids, another shape, NaN or infinity.
    """
    require_given(given or ())
    if not re.fullmatch(r"[\w.+@-]+", name) or name.startswith("."):
        raise UsageError(f"--name {name!r} cannot be a file's name.", "Use letters, digits, '-', '_' and '.'.")
    spare(target, file, truth)
    with open_truth(truth, protocol) as true:
        _require_free(target)
        meta = {
            "method": name,
            "variant": "imported",
            "size": "full",
            "given": None if given is None else list(given),
            "dataset": true.meta.get("dataset"),
            "split": true.meta.get("split"),
        }
        # official files read as they are do not bind predictions to one prepared file
        if isinstance(true, HandsFile):
            meta["truth_digest"] = true.digest()
        told = {name: word for name, word in (("order", order), ("axes", axes), ("unit", unit)) if word}
        hands = read_for(file, true, protocol, told)
        hands = hands.replace(meta={**hands.meta, **meta})
        paired = pair(true, Memory(hands), protocol)
        hands = paired.predicted.read(0, len(paired.true))
        checks.require_finite(hands, 0, "predictions")
        names = [name for name in ("joints", "joints_valid") if name in true.fields]
        fields: dict[str, Any] = {name: paired.true.column(name) for name in names}
        block = Hands(id=hands.id, **fields)
        checks.require_annotated(block, 0)
        some = some_of(len(hands))
        suspicions = suspect(annotated_joints(block.take(some)), np.asarray(hands.joints)[some], assumed(hands.meta))
    write_hands(target, hands)
    return TakenIn(len(hands), read_as(hands.meta), suspicions)


def _require_free(target: Path) -> None:
    """An import may replace an earlier import, never what `handbench predict` wrote."""
    try:
        with HandsFile(target) as there:
            imported = there.meta.get("variant") == "imported"
    except (MissingError, InvalidError):
        return
    if not imported:
        raise InvalidError(f"{target} holds predictions of our own.", "Choose another --name.")
