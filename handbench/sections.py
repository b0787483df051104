"""TOML files as pydantic models: a fault in one sentence, with a suggestion for what is misspelt."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from handbench.errors import MissingError, UsageError

M = TypeVar("M", bound=BaseModel)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'epochs'?`, or nothing where nothing known is close."""
    close = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean {close[0]!r}?" if close else ""


def require_known(name: str, known: Iterable[str], kind: str) -> None:
    """Raises UsageError, with a suggestion, where `name` is not among the known ones of its kind."""
    known = list(known)
    if name not in known:
        suggestion = did_you_mean(name, known) or "."
        raise UsageError(f"There is no {kind} {name!r}{suggestion}", f"There is: {', '.join(known) or 'none'}.")


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file; raises UsageError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MissingError(f"{path} cannot be read: {error.strerror}.", "Name a TOML file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}.", "Mend the line that it names.") from None


def validated(model: type[M], values: dict[str, Any], where: str, prefix: str = "") -> M:
    """`values` as a model. Raises UsageError naming the key that is wrong; `where` names the file, `prefix` the
    section that `values` are of.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        # A misspelt key is also a missing one: the misspelling comes first.
        fault = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        key = ".".join(str(part) for part in (*([prefix] if prefix else []), *fault["loc"])) or "file"
        known = _keys_at(model, fault["loc"][:-1])
        if fault["type"] == "extra_forbidden":
            suggestion = did_you_mean(str(fault["loc"][-1]), known) or "."
            hint = f"Keys: {', '.join(known)}."
            raise UsageError(f"{where}: unknown key {key!r}{suggestion}", hint) from None
        said = fault["msg"].removeprefix("Value error, ")
        given = "" if fault["type"] == "missing" else f" ({fault['input']!r} was given)"
        raise UsageError(f"{where}: {key}: {said}{given}.", f"Mend {key}.") from None


def _keys_at(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """The keys of the model that `path` leads to; numbers in it count entries of a list."""
    for part in path:
        if isinstance(part, str) and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation) or model
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model in `Model`, `Model | None`, `tuple[Model, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _model_in(inner))), None)
