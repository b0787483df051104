"""Scoring what lies in HANDBENCH_HOME: every set of predictions of a protocol, each scored once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from handbench import __version__, places
from handbench.console import say, warn
from handbench.errors import InvalidError, MissingError
from handbench.evaluation.protocol import NOT_SAID, Protocol, load
from handbench.evaluation.result_file import read_record
from handbench.evaluation.scoring import score
from handbench.store.hands_file import HandsFile


def score_homes(protocols: Sequence[str]) -> tuple[dict[str, list[dict[str, Any]]], list[str]]:
    """`score_home` of several protocols -> their records, and in words what was left out: predictions whose truth is
    not there or damaged, and results whose predictions are gone. Each is warned of, too.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    left_out = []
    for name in protocols:
        try:
            found[name] = score_home(load(name))
        except (MissingError, InvalidError) as error:
            left_out.append(f"{name}: {error.message} {error.hint}")
            continue
        predicted = {path.stem for path in places.predictions_file(name, "x").parent.glob("*.h5")}
        gone = sorted({path.stem for path in places.result_file(name, "x").parent.glob("*.h5")} - predicted)
        if gone:
            left_out.append(f"{name}: results without their predictions, {', '.join(gone)}.")
    for text in left_out:
        warn(f"Left out, {text}")
    return found, left_out


def score_home(protocol: Protocol) -> list[dict[str, Any]]:
    """The record of each of `predictions/PROTOCOL/*.h5`; what was scored before is read, unless something changed.

    A file that cannot be scored is left out with a warning that names it and says why.
    """
    files = sorted(places.predictions_file(protocol.name, "x").parent.glob("*.h5"))
    if not files:
        return []
    truth = HandsFile(
        places.prepared(protocol.dataset or protocol.name, protocol.split or "test"),
        f"`handbench prep {protocol.dataset or protocol.name}` makes it.",
    )
    results: list[dict[str, Any]] = []
    with truth:
        for path in files:
            try:
                results.append(_scored(path, protocol, truth))
            except InvalidError as error:
                warn(f"{path} is left out: {error.message}")
    return results


def _scored(path: Path, protocol: Protocol, truth: HandsFile) -> dict[str, Any]:
    with HandsFile(path) as predictions:
        stored = places.result_file(protocol.name, path.stem)
        record = _stored(stored, protocol, truth, predictions)
        if record is None:
            say(f"scoring {path}")
            record = score(truth, predictions, protocol, out=stored)
        return record


def _stored(path: Path, protocol: Protocol, truth: HandsFile, predictions: HandsFile) -> dict[str, Any] | None:
    """The record of the stored result, if it is of just this protocol, truth and predictions."""
    try:
        record = read_record(path)
    except (MissingError, InvalidError):
        return None
    seen = record["provenance"]
    same = (
        # another version may have scored otherwise
        seen["handbench"] == __version__
        and record["protocol"]["definition"] == protocol.definition()
        and seen["truth"]["source"] == str(truth.meta.get("source", NOT_SAID))
        and seen["truth"]["digest"] == truth.digest()
        and seen["predictions_digest"] == predictions.digest()
        and seen["predictions"] == predictions.meta.get("made")
    )
    return record if same else None
