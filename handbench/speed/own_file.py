"""`my_file.py:build`: the file that a network of somebody's own comes from. It is run: it is the user's code."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from handbench.errors import HandbenchError, InvalidError, MissingError, UsageError
from handbench.sections import did_you_mean
from handbench.speed.names import safe

EXPECTED = (
    "build() takes nothing and returns (module, inputs): a torch.nn.Module, and one input or a list of distinct ones; "
    "an input is a tensor, or a tuple or dict of what forward takes."
)
HOW = "handbench speed my_file.py:build"


class Target(NamedTuple):
    """A function that makes a network and its inputs, and the file that has it."""

    path: Path
    function: str

    @property
    def name(self) -> str:
        """How its record is called."""
        return f"{self.path.stem}:{self.function}"


def target_of(text: str) -> Target:
    """What was typed, looked at without running it: a Python file that has such a function.

    Raises MissingError, UsageError or InvalidError.
    """
    file, _, function = text.rpartition(":") if ":" in text else (text, "", "build")
    path = Path(file)
    if not path.is_file():
        raise MissingError(f"There is no file {path}.", HOW)
    if path.suffix != ".py":
        raise UsageError(f"{path} is no Python file.", HOW)
    code = path.read_bytes()
    run_theirs(lambda: compile(code, str(path), "exec"), f"{path} cannot be loaded")
    there = re.findall(r"\w+", code.decode(errors="replace"))
    # what the file takes from another by `*` is not written in it
    if function not in there and b"import *" not in code:
        raise _without(path, function, there)
    return Target(path, function)


def check_targets(texts: list[str]) -> None:
    """Raises what `target_of` does, and UsageError where two would have the same name, in tables and on disk."""
    known: dict[str, str] = {}
    for text in texts:
        name = target_of(text).name
        if other := known.get(safe(name)):
            raise UsageError(
                f"{other} and {text} would both be called {name}.", "Rename a file or its function, or time them apart."
            )
        known[safe(name)] = text


@contextmanager
def from_file(text: str) -> Iterator[tuple[str, nn.Module, Any]]:
    """A name, the module and the inputs of `my_file.py:build`, while the file's own folder is where it imports from.

    Afterwards another file finds its own neighbours, though they be called the same. What it prints goes to stderr.
    Raises MissingError, UsageError or InvalidError where the file or the function fails, or returns something else.
    """
    target = target_of(text)
    path, function = target
    loaded = importlib.util.spec_from_file_location(f"handbench_timed_{path.stem}", path)
    assert loaded is not None
    assert loaded.loader is not None
    code = importlib.util.module_from_spec(loaded)
    folder = path.parent.resolve()
    before, where = set(sys.modules), list(sys.path)
    sys.path.insert(0, str(folder))
    try:
        with redirect_stdout(sys.stderr):
            sys.modules[loaded.name] = code
            run_theirs(lambda: loaded.loader.exec_module(code), f"{path} cannot be loaded")  # type: ignore[union-attr]
            build = getattr(code, function, None)
            if not callable(build):
                raise _without(path, function, [name for name, value in vars(code).items() if callable(value)])
            answer = run_theirs(build, f"{function}() of {path} fails")
            if not (isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[0], nn.Module)):
                raise InvalidError(f"{function}() of {path} returns {kind_of(answer)}, not (module, inputs).", EXPECTED)
            yield target.name, *answer
    finally:
        sys.path[:] = where
        for name in set(sys.modules) - before:
            if _lies_in(sys.modules[name], folder):
                del sys.modules[name]


def run_theirs(call: Callable[[], Any], what: str) -> Any:
    """What the user's own code answers; raises InvalidError with its error in one line."""
    try:
        return call()
    except HandbenchError:
        raise
    # its own exit, too, is no end of ours
    except (Exception, SystemExit) as error:
        raise InvalidError(f"{what}: {said(error)}", EXPECTED) from error


def said(error: BaseException) -> str:
    """An error in one line: its kind, and the first thing that it says."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else f"{type(error).__name__}."


def kind_of(value: Any) -> str:
    return f"a {type(value).__name__}"


def _without(path: Path, function: str, there: list[str]) -> UsageError:
    suggestion = did_you_mean(function, [name for name in there if not name.startswith("_")]) or "."
    return UsageError(f"{path} has no function {function!r}{suggestion}", EXPECTED)


def _lies_in(module: Any, folder: Path) -> bool:
    """Whether a module is a file or folder of the user's, and no library installed below."""
    spec = getattr(module, "__spec__", None)
    if not isinstance(spec, ModuleSpec):
        return False
    # a folder without __init__.py has no origin
    found = [Path(place).resolve() for place in (spec.origin, *(spec.submodule_search_locations or ())) if place]
    return any(
        place.is_relative_to(folder) and not {"site-packages", "dist-packages"} & set(place.parts) for place in found
    )
