"""A long HDF5 file written in blocks that survive kill -9, in any order, by any number of processes.

While `NAME.h5` is being made there is a folder `NAME.h5.part`: a plan, and one small finished file a block. A block
appears whole or not at all; the next run with the same plan writes only the blocks that are missing. When all are
there they are joined, in order, into one file, which is renamed into place.
(One growing HDF5 file would not do: a kill while HDF5 flushes its metadata can cost the whole file.)
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from handbench.console import say
from handbench.errors import InvalidError, MissingError
from handbench.hands.record import Hands
from handbench.store.atomic import alone, saying_why
from handbench.store.hands_file import HandsFile
from handbench.store.hands_writer import Pictures, join_files, no_hands, write_block
from handbench.store.records import write_json

# a block of which samples were left out says so in its name
GAPS = "-gaps"


class Parts:
    """The blocks of one file in the making. Use as a context manager: one run at a time.

    `count` frames are looked at, in order; a block has a sample for each of its frames that counts. `identity` is
    whatever else must be the same for a run to resume (source, ids, options). `gaps`: whether blocks from which samples
    were left out, because they could not be read, are good enough.
    """

    def __init__(self, path: Path, count: int, identity: dict[str, Any], block: int = 256, gaps: bool = False):
        self.path = path
        self.folder = path.with_name(path.name + ".part")
        self.count = count
        self.block = block
        self.gaps = gaps
        text = json.dumps(identity, sort_keys=True, default=str)
        self.plan = {"samples": count, "block": block, "what": hashlib.sha256(text.encode()).hexdigest()}

    def __enter__(self) -> Parts:
        self._lock = alone(self.folder, f"Another run is writing {self.path}.")
        self._lock.__enter__()
        plan_file = self.folder / "plan.json"
        if not self._same_plan(plan_file):
            left = list(self.folder.glob("*.h5"))
            if left:
                say(f"{self.folder} was begun with other input or options: starting anew.")
            for part in left:
                part.unlink()
            write_json(plan_file, self.plan)
        return self

    def __exit__(self, *exception: object) -> None:
        self._lock.__exit__(None, None, None)

    def _same_plan(self, plan_file: Path) -> bool:
        try:
            return bool(json.loads(plan_file.read_text()) == self.plan)
        except (OSError, ValueError):
            return False

    def ranges(self) -> list[tuple[int, int]]:
        """All blocks as (start, stop)."""
        return [(start, min(start + self.block, self.count)) for start in range(0, self.count, self.block)]

    def todo(self) -> list[tuple[int, int]]:
        """The blocks that are not written yet."""
        return [(start, stop) for start, stop in self.ranges() if self._there(start) is None]

    def _there(self, start: int) -> Path | None:
        whole, gaps = (part_path(self.folder, start, has_gaps) for has_gaps in (False, True))
        return whole if whole.exists() else gaps if self.gaps and gaps.exists() else None

    def write(self, start: int, hands: Hands | None, images: Pictures) -> None:
        """Write the block that begins at `start`; safe from any process."""
        write_part(self.folder, start, hands, images)

    def finish(self, meta: dict[str, Any]) -> HandsFile:
        """Join the blocks into the file, put it in place and remove the folder."""
        parts = [part for start, _ in self.ranges() if (part := self._there(start))]
        # inside the folder, so that a kill leaves nothing beside it
        whole = self.folder / "whole"
        with saying_why(self.path):
            join_files(whole, parts, {**meta, "plan": self.plan["what"]}, self.left_out())
            whole.replace(self.path)
        shutil.rmtree(self.folder)
        return HandsFile(self.path)

    def samples(self) -> int:
        """How many samples the blocks that are there have."""
        return sum(len(HandsFile(part)) for start, _ in self.ranges() if (part := self._there(start)))

    def left_out(self) -> list[tuple[str, str]]:
        """Ids of the samples that could not be read, and why, in order."""
        parts = (self._there(start) for start, _ in self.ranges())
        return [
            pair for part in parts if part and part.stem.endswith(GAPS) for pair in HandsFile(part).meta["left_out"]
        ]

    def finished(self) -> HandsFile | None:
        """The file, if it is there already and was made by this very plan."""
        try:
            file = HandsFile(self.path)
        except (MissingError, InvalidError):
            return None
        same = file.meta.get("plan") == self.plan["what"]
        return file if same and (self.gaps or not file.left_out) else None


def part_path(folder: Path, start: int, gaps: bool) -> Path:
    return folder / f"{start:09d}{GAPS if gaps else ''}.h5"


def write_part(
    folder: Path,
    start: int,
    hands: Hands | None,
    images: Pictures,
    masks: Pictures = None,
    depth: Pictures = None,
    left_out: Sequence[tuple[str, str]] = (),
) -> int:
    """Write the block that begins at `start`, from any process; None: a block without a sample. Returns its bytes."""
    path = part_path(folder, start, bool(left_out))
    block = (no_hands() if hands is None else hands).replace(meta={"left_out": list(left_out)})
    write_block(path, block, *((images, masks, depth) if hands else (None, None, None)))
    return path.stat().st_size
