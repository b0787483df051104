"""Scored rows that are drawn together: found by name or file, of one protocol and one truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from handbench import places
from handbench.errors import InvalidError, MissingError, UsageError
from handbench.evaluation.protocol import Protocol
from handbench.evaluation.result import Result, row_name
from handbench.evaluation.result_file import read_result
from handbench.evaluation.unlike import differences
from handbench.sections import did_you_mean

DEFAULT = "procrustes-official"


def read_scored(rows: Sequence[str], protocol: Protocol) -> list[tuple[str, Result]]:
    """Each row and its result: a result file, or a row's name in `results/PROTOCOL` of HANDBENCH_HOME.

    Raises MissingError for a row that is not there, InvalidError where the rows are of different protocols or truths.
    """
    found: list[tuple[str, Result]] = []
    for row in rows:
        result = read_result(_file(row, protocol))
        if result.protocol["name"] != protocol.name:
            raise InvalidError(
                f"{row} was scored under {result.protocol['name']}, not under {protocol.name}.",
                f"--protocol {result.protocol['name']}, or score it under {protocol.name}.",
            )
        if found and result.protocol["id"] != found[0][1].protocol["id"]:
            raise InvalidError(
                f"These results are not comparable: {'; '.join(differences(found[0][1], result))}.",
                "Score them under one protocol and one truth.",
            )
        found.append((row, result))
    return found


def called(row: str, result: Result) -> str:
    """A row's name in words."""
    return row_name(result.row) if result.row.get("method") else Path(row).stem


def alignment_of_errors(scored: Sequence[tuple[str, Result]], alignment: str | None) -> str:
    """The alignment asked for, or procrustes-official, procrustes, or the first that every row has errors of joints
    under. Raises UsageError where there is none.
    """
    known = [name for name in scored[0][1].joint_errors if all(name in result.joint_errors for _, result in scored)]
    if alignment is None:
        preferred = [name for name in (DEFAULT, "procrustes", *known) if name in known]
        if not preferred:
            raise UsageError("These rows have no errors of joints under one alignment.", "Score them again.")
        return preferred[0]
    if alignment not in known:
        suggestion = did_you_mean(alignment, known) or "."
        raise UsageError(
            f"These rows have no errors of joints under alignment {alignment!r}{suggestion}",
            f"They have {', '.join(known) or 'none'}.",
        )
    return alignment


def _file(row: str, protocol: Protocol) -> Path:
    path = Path(row)
    if path.suffix in (".h5", ".hdf5") or path.is_file():
        return path
    stored = places.result_file(protocol.name, row)
    if not stored.is_file():
        there = sorted(file.stem for file in stored.parent.glob("*.h5"))
        raise MissingError(
            f"There is no result of row {row!r} in {stored.parent}{did_you_mean(row, there) or '.'}",
            f"There is: {', '.join(there)}." if there else f"`handbench eval --protocol {protocol.name}` makes them.",
        )
    return stored
