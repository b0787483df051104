"""Writing a file whole or not at all, and saying in one sentence what kept it from being written."""

from __future__ import annotations

import errno
import fcntl
import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from handbench.errors import InvalidError, MissingError, UsageError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; what is written there takes its place when the block ends well.

    After a failure the old file is as it was and the temporary one is gone.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with saying_why(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        try:
            yield part
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def spare(out: Path | str | None, *inputs: object) -> None:
    """Raises UsageError where what is to be written at `out` would replace one of the inputs that are paths."""
    if out is None or str(out) == "-":
        return
    for path in inputs:
        if isinstance(path, Path | str) and Path(path).exists() and Path(path).resolve() == Path(out).resolve():
            raise UsageError(f"{out} is an input: it would be lost.", "Write to another file.")


@contextmanager
def alone(folder: Path, busy: str) -> Iterator[None]:
    """Makes the folder; within the block no other process is in such a block of the same folder.

    Raises InvalidError saying `busy` where one is. A killed process leaves no lock.
    """
    with saying_why(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / "lock", "w")  # noqa: SIM115 - held until the block ends
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InvalidError(busy, "Wait for it, or stop it.") from None
        _held.add(lock)
        try:
            yield
        finally:
            _held.discard(lock)


def _let_go() -> None:
    """In a forked worker: the lock is the parent's alone, and ends with it."""
    for lock in _held:
        lock.close()
    _held.clear()


_held: set[IO[str]] = set()
os.register_at_fork(after_in_child=_let_go)


def _sweep(path: Path) -> None:
    """Remove what killed processes left of this file."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        owner = left.name.split(".")[-2]
        if owner.isdigit() and not _runs(int(owner)):
            left.unlink(missing_ok=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def saying_why(path: Path) -> Iterator[None]:
    """Turns a full disk or a read-only folder into one sentence (exit 3)."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        code = getattr(error, "errno", None)
        # HDF5 reports the system's reason in words only
        text = str(error)
        if code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or "No space left" in text or "File too large" in text:
            raise MissingError(f"The disk is full: {path} was not written.", "Make room and run again.") from error
        if code in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise MissingError(f"{path} may not be written here.", "Choose another place: HANDBENCH_HOME.") from error
        if code == errno.EISDIR:
            raise MissingError(f"{path} is a folder.", "Name a file.") from error
        if code in (errno.ENOTDIR, errno.EEXIST):
            raise MissingError(f"{path.parent} is not a folder.", "Choose another place: HANDBENCH_HOME.") from error
        raise


def room_for(size: int, path: Path) -> None:
    """Raises MissingError when the disk of `path` has less than `size` bytes left."""
    free = shutil.disk_usage(path.parent).free
    if free < size:
        raise MissingError(
            f"The disk is full: {path.name} needs {size / 1e9:.2f} GB, {free / 1e9:.2f} GB are free.",
            "Make room and run again: what is done is kept.",
        )
