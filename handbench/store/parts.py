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
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from handbench.console import say
from handbench.errors import InvalidError, MissingError
from handbench.hands.record import Hands
from handbench.store.atomic import alone, saying_why
from handbench.store.hands_file import HandsFile, join_files, write_hands
from handbench.store.records import write_json


class Parts:
    """The blocks of one file in the making. Use as a context manager: one run at a time.

    `ids` are all samples in order; `identity` is whatever else must be the same for a run to resume (source, options).
    """

    def __init__(self, path: Path, ids: NDArray, identity: dict[str, Any], block: int = 256):
        self.path = path
        self.folder = path.with_name(path.name + ".part")
        self.ids = ids
        self.block = block
        text = json.dumps(identity, sort_keys=True, default=str) + "\n".join(ids)
        self.plan = {"samples": len(ids), "block": block, "what": hashlib.sha256(text.encode()).hexdigest()}

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

    def _part(self, start: int) -> Path:
        return self.folder / f"{start:09d}.h5"

    def ranges(self) -> list[tuple[int, int]]:
        """All blocks as (start, stop)."""
        n = len(self.ids)
        return [(start, min(start + self.block, n)) for start in range(0, n, self.block)]

    def todo(self) -> list[tuple[int, int]]:
        """The blocks that are not written yet."""
        return [(start, stop) for start, stop in self.ranges() if not self._part(start).exists()]

    def write(self, start: int, hands: Hands, images: list[bytes] | None) -> None:
        """Write the block that begins at `start`; safe from any process."""
        write_hands(self._part(start), hands, images)

    def finish(self, meta: dict[str, Any]) -> HandsFile:
        """Join the blocks into the file, put it in place and remove the folder."""
        parts = [self._part(start) for start, _ in self.ranges()]
        # inside the folder, so that a kill leaves nothing beside it
        whole = self.folder / "whole"
        with saying_why(self.path):
            join_files(whole, parts, {**meta, "plan": self.plan["what"]})
            with HandsFile(whole) as written:
                written.verify()
            whole.replace(self.path)
        shutil.rmtree(self.folder)
        return HandsFile(self.path)

    def finished(self) -> HandsFile | None:
        """The file, if it is there already and was made by this very plan."""
        try:
            file = HandsFile(self.path)
        except (MissingError, InvalidError):
            return None
        return file if file.meta.get("plan") == self.plan["what"] else None
