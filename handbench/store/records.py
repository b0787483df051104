"""JSON records on disk: whole or not at all; and who made a file, with what, when."""

from __future__ import annotations

import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from handbench import __version__
from handbench.errors import InvalidError, MissingError
from handbench.store.atomic import replacing


def write_json(path: Path, record: Any) -> None:
    """Write atomically, indented, keys in the order given. NaN becomes null."""
    with replacing(path) as part:
        part.write_bytes(dump_json(record))


def dump_json(record: Any) -> bytes:
    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(record, default=str, option=options)


def hand_over(record: Any, target: str | None) -> bool:
    """What `--json` asks for: the record to the file `target`, or to stdout for `-`; whether stdout is taken so."""
    if target == "-":
        print(dump_json(record).decode(), end="")
    elif target:
        write_json(Path(target), record)
    return target == "-"


def read_json(path: Path, what: str) -> Any:
    """Read a JSON file; `what` names it in the error. Raises MissingError, InvalidError."""
    try:
        return orjson.loads(path.read_bytes())
    except FileNotFoundError:
        raise MissingError(f"{what} {path} does not exist.") from None
    except IsADirectoryError:
        raise InvalidError(f"{what} {path} is a folder.") from None
    except orjson.JSONDecodeError as error:
        raise InvalidError(
            f"{what} {path} is not valid JSON: it breaks at line {error.lineno}, column {error.colno}.",
            "It may be cut short: fetch it again.",
        ) from None


def made() -> dict[str, str]:
    """Who made this and when."""
    return {
        "handbench": __version__,
        "python": platform.python_version(),
        "command": " ".join(["handbench", *sys.argv[1:]]),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
