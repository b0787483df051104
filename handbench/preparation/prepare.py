"""Official files -> one HDF5 a split."""

from __future__ import annotations

import time
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from handbench.console import progress, say
from handbench.datasets.card import Split
from handbench.errors import InvalidError, MissingError
from handbench.preparation.blocks import block_size, read_range, write_block
from handbench.preparation.source import Source
from handbench.preparation.workers import cores, executor
from handbench.store.atomic import saying_why
from handbench.store.hands_file import HandsFile
from handbench.store.parts import Parts
from handbench.store.records import made

# what does not change what a block holds
NOT_IDENTITY = ("partial",)


def prepare(
    source: Source,
    path: Path,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    skip_bad: bool = False,
    limit: int | None = None,
) -> HandsFile:
    """Read a split block by block into `path`; resumes where an earlier run was stopped.

    `workers` processes (default: one a core), or those of a dask `scheduler`; the file does not depend on it. `limit`:
    only the first frames. `skip_bad`: samples whose files are missing or damaged are left out and named in the file.

    Raises InvalidError, and leaves what was at `path`, where a truth contradicts its layout, a file is damaged, or the
    number of samples is not the official one.
    """
    split = source.open()
    n = frames_of(split, limit)
    whole = Parts(path, n, _identity(source, split, n), block_size(n), gaps=skip_bad)
    if (file := whole.finished()) is not None:
        say(f"{path} is prepared already.")
        return file
    with saying_why(path), whole as parts:
        _write(source, parts, n, workers, scheduler, skip_bad)
        samples, left_out = parts.samples(), parts.left_out()
        _require_official(split, source, samples, len(left_out), limit)
        if not samples:
            raise InvalidError(f"No frame of {path.stem} has an annotation.", "Is the download complete?")
        return parts.finish(
            {
                **split.meta,
                "partial": bool(split.meta["partial"] or n < len(split) or left_out),
                "frames": n,
                "frames_without_annotation": n - samples - len(left_out),
                "left_out": len(left_out),
                "made": made(),
            }
        )


def frames_of(split: Split, limit: int | None) -> int:
    n = len(split) if limit is None else min(limit, len(split))
    if not n:
        raise MissingError(f"{split.meta['read_from']} has no frame of the {split.meta['split']} split.", "")
    return n


def _identity(source: Source, split: Split, n: int) -> dict[str, Any]:
    wanted = source.wanted
    about = {key: value for key, value in split.meta.items() if key not in NOT_IDENTITY}
    return {**about, "frames": n, "masks": wanted.masks, "depth": wanted.depth, "lossless": wanted.lossless}


def _write(source: Source, parts: Parts, n: int, workers: int | None, scheduler: str | None, skip_bad: bool) -> None:
    """Write the blocks that are missing, in any order."""
    todo = parts.todo()
    done = n - sum(stop - start for start, stop in todo)
    folder = parts.folder.absolute()
    workers = min(workers or cores(), len(todo))
    if not todo:
        return
    if workers == 1 and scheduler is None:
        with progress(f"prepare {parts.path.stem}", n, "images", done) as advance:
            for start, stop in todo:
                advance(write_block(source, folder, start, stop, skip_bad).frames)
        return
    with executor(workers, scheduler) as pool:
        # all of them before the progress bar, which has a thread: workers are forked at the first
        futures = [pool.submit(write_block, source, folder, start, stop, skip_bad) for start, stop in todo]
        with progress(f"prepare {parts.path.stem}", n, "images", done) as advance:
            try:
                pending = set(futures)
                while pending:
                    # awake every second: Ctrl-C may have been heard by another thread than the one that waits
                    finished, pending = wait(pending, timeout=1.0, return_when=FIRST_COMPLETED)
                    for future in finished:
                        advance(future.result().frames)
            except BrokenProcessPool:
                raise MissingError(
                    "A worker process was killed, perhaps for want of memory.",
                    "Run again, with fewer --workers: it resumes.",
                ) from None
            finally:
                for future in futures:
                    future.cancel()


def _require_official(split: Split, source: Source, samples: int, left_out: int, limit: int | None) -> None:
    """Raises InvalidError where a whole split has another number of samples than the official one."""
    count = split.meta["count"]
    if count is None or source.wanted.partial or left_out or limit is not None or split.meta["partial"]:
        return
    if samples != count:
        raise InvalidError(
            f"{source.folder} has {samples:,} annotated samples of {source.dataset} {source.split}; the official split "
            f"has {count:,}.",
            "With --partial it is taken as it is; its results are then not comparable.",
        )


@dataclass(frozen=True)
class Estimate:
    """What preparing would do, from a few samples: frames to read, bytes of the file, frames/s, seconds."""

    frames: int
    size: int
    rate: float
    seconds: float


def estimate(source: Source, workers: int | None = None, limit: int | None = None) -> Estimate:
    """Read a few frames here and there, write nothing."""
    split = source.open()
    n = frames_of(split, limit)
    starts = sorted({int(at) for at in np.linspace(0, max(n - 16, 0), 4)})
    frames = size = 0
    begun = time.perf_counter()
    for start in starts:
        stop = min(start + 16, n)
        block, _ = read_range(split, start, stop, skip_bad=True)
        frames += stop - start
        if block.hands is not None:
            size += sum(array.nbytes for _, array in block.hands.arrays())
            size += sum(map(len, (*block.images, *(block.masks or ()), *(block.depth or ()))))
    rate = frames / (time.perf_counter() - begun) * (workers or cores())
    return Estimate(n, round(size / frames * n), rate, n / rate)
