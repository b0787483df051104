"""The one exception root, and the exit code of each kind of failure.

A known failure is one sentence and one hint, never a traceback; `handbench --debug` shows the traceback.
"""

EXIT_BUG = 1
EXIT_USAGE = 2
EXIT_MISSING = 3
EXIT_INVALID = 4
EXIT_CHECK = 5
EXIT_INTERRUPTED = 130


class HandbenchError(Exception):
    """A failure that we know: `message` says what is wrong in one sentence, `hint` what to do about it."""

    exit_code = EXIT_BUG

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self):
        # Errors cross process borders (parallel preparation) with their hint.
        return (type(self), (self.message, self.hint))


class UsageError(HandbenchError):
    """What was typed, or written in a recipe, is not understood (exit 2)."""

    exit_code = EXIT_USAGE


class MissingError(HandbenchError):
    """A file, dataset, weight, device, or room on the disk is missing (exit 3)."""

    exit_code = EXIT_MISSING


class InvalidError(HandbenchError):
    """An input is there, but invalid or not comparable (exit 4)."""

    exit_code = EXIT_INVALID


class CheckFailed(HandbenchError):
    """A check ran and failed (exit 5)."""

    exit_code = EXIT_CHECK
