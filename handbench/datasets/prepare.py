"""Official files -> one HDF5 a split."""

from __future__ import annotations

from pathlib import Path

from handbench.console import progress, say
from handbench.datasets.card import Split
from handbench.datasets.checks import refuse_contradiction
from handbench.store.hands_file import HandsFile
from handbench.store.parts import Parts
from handbench.store.records import made

ENOUGH = 16


def prepare(split: Split, path: Path) -> HandsFile:
    """Read a split block by block into `path`; resumes where an earlier run was stopped.

    Raises InvalidError, and leaves what was at `path`, where a truth contradicts its layout or a file is damaged.
    """
    whole = Parts(path, split.ids, split.meta)
    if (file := whole.finished()) is not None:
        say(f"{path} is prepared already.")
        return file
    with whole as parts:
        todo = parts.todo()
        done = len(split.ids) - sum(stop - start for start, stop in todo)
        with progress(f"prepare {path.stem}", len(split.ids), "images", done) as advance:
            for start, stop in todo:
                hands, images = split.read(start, stop)
                # a few hands at the end of a set are no evidence of how its joints are ordered
                if stop - start >= ENOUGH or stop - start == len(split.ids):
                    refuse_contradiction(hands, str(split.meta["read_from"]))
                parts.write(start, hands, images)
                advance(stop - start)
        return parts.finish({**split.meta, "made": made()})
