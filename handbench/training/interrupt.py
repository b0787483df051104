"""Ctrl-C and SIGTERM between two steps, never inside one: half an optimiser step is no state to go on from."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from handbench.console import say
from handbench.errors import EXIT_INTERRUPTED


class Interrupt:
    """`asked` turns True at the first signal; a second one ends the process without saving."""

    def __init__(self) -> None:
        self.asked = False
        self.owner = os.getpid()

    def handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self.owner:
            # a loader worker that was forked a moment ago: the trainer answers
            return
        if self.asked:
            # in the middle of a step: there is nothing to save
            raise SystemExit(EXIT_INTERRUPTED)
        self.asked = True
        say("Stopping after this step (once more to stop at once).")


def leave_signals_to_the_trainer(worker: int) -> None:
    """For loader workers: a signal to the whole process group (Ctrl-C, SLURM) is the trainer's to answer."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def deferred_interrupt() -> Iterator[Interrupt]:
    """Within the block signals wait until somebody looks at `Interrupt.asked`."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = {number: signal.signal(number, interrupt.handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
