"""Scoring what lies in HANDBENCH_HOME: every set of predictions of a protocol, each scored once."""

from __future__ import annotations

from pathlib import Path

from handbench import __version__, places
from handbench.console import say, warn
from handbench.errors import InvalidError, MissingError
from handbench.evaluation.protocol import Protocol
from handbench.evaluation.result import Result
from handbench.evaluation.result_file import read_result, write_result
from handbench.evaluation.scoring import evaluate
from handbench.store.hands_file import HandsFile


def score_home(protocol: Protocol) -> list[Result]:
    """The results of every `predictions/PROTOCOL/*.h5`; what was scored before is read, unless something changed.

    A file that cannot be scored is left out with a warning that names it and says why.
    """
    files = sorted(places.predictions_file(protocol.name, "x").parent.glob("*.h5"))
    if not files:
        return []
    truth = HandsFile(
        places.prepared(protocol.dataset or protocol.name, protocol.split or "test"),
        f"`handbench prep {protocol.dataset or protocol.name}` makes it.",
    )
    results: list[Result] = []
    with truth:
        for path in files:
            try:
                results.append(_scored(path, protocol, truth))
            except InvalidError as error:
                warn(f"{path} is left out: {error.message}")
    return results


def _scored(path: Path, protocol: Protocol, truth: HandsFile) -> Result:
    with HandsFile(path) as predictions:
        stored = places.result_file(protocol.name, path.stem)
        result = _stored(stored, protocol, truth, predictions)
        if result is None:
            say(f"scoring {path}")
            result = evaluate(truth, predictions, protocol)
            write_result(stored, result)
        return result


def _stored(path: Path, protocol: Protocol, truth: HandsFile, predictions: HandsFile) -> Result | None:
    """The stored result, if it is of just this protocol, truth and predictions."""
    try:
        result = read_result(path)
    except (MissingError, InvalidError):
        return None
    seen = result.provenance
    same = (
        # another version may have scored otherwise
        seen["handbench"] == __version__
        and result.protocol["id"] == protocol.identity(truth.ids, str(truth.meta["source"]), truth.digest())
        and seen["truth"]["digest"] == truth.digest()
        and seen["predictions_digest"] == predictions.digest()
        and seen["predictions"] == predictions.meta.get("made")
    )
    return result if same else None
