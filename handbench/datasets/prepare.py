"""Official files -> one HDF5 a split."""

from __future__ import annotations

from pathlib import Path

from handbench.console import progress
from handbench.datasets.card import Split
from handbench.datasets.checks import refuse_contradiction
from handbench.store.hands_file import HandsFile
from handbench.store.parts import Parts
from handbench.store.records import made


def prepare(split: Split, path: Path) -> HandsFile:
    """Read a split block by block into `path`; resumes where an earlier run was stopped.

    Raises InvalidError, and leaves what was at `path`, where a truth contradicts its layout or a file is damaged.
    """
    with Parts(path, split.ids, split.meta) as parts:
        todo = parts.todo()
        done = len(split.ids) - sum(stop - start for start, stop in todo)
        with progress(f"prepare {path.stem}", len(split.ids), "images", done) as advance:
            for start, stop in todo:
                hands, images = split.read(start, stop)
                refuse_contradiction(hands, str(split.meta["read_from"]))
                parts.write(start, hands, images)
                advance(stop - start)
        return parts.finish({**split.meta, "made": made()})
