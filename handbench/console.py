"""The one rich console: everything that is not the result goes to stderr through it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console

_console: Console | None = None


def stderr() -> Console:
    """The console on stderr, made when first used (importing rich costs start-up time)."""
    global _console
    if _console is None:
        from rich.console import Console

        _console = Console(stderr=True, highlight=False, soft_wrap=True)
    return _console


def speaks() -> bool:
    """Whether this process is heard: of several that torchrun started, the first."""
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"


def say(text: str) -> None:
    """One line for the user, on stderr."""
    if speaks():
        stderr().print(text, markup=False)


def warn(text: str) -> None:
    """One warning in words, on stderr."""
    if not speaks():
        return
    from rich.text import Text

    stderr().print(Text("warning: ", style="yellow") + Text(text))


class Advance(Protocol):
    def __call__(self, steps: int = 1, **fields: str) -> None: ...


@contextmanager
def progress(what: str, total: int | None, unit: str = "it", done: int = 0) -> Iterator[Advance]:
    """A progress bar with rate and time left; quiet when stderr is not a terminal.

    Yields `advance(steps, note="...")`. `done` is what an earlier run had finished already: it does not count
    towards the rate.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = stderr()
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        disable=not (console.is_terminal and speaks()),
        transient=True,
    )
    with bar:
        task = bar.add_task(what, total=total, completed=done, rate="", note="")

        def advance(steps: int = 1, **fields: str) -> None:
            bar.advance(task, steps)
            state = bar.tasks[0]
            elapsed = state.elapsed or 0.0
            if elapsed > 0:
                fields["rate"] = f"{(state.completed - done) / elapsed:.1f} {unit}/s"
            bar.update(task, **fields)  # type: ignore[arg-type]

        yield advance
