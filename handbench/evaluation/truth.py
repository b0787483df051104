"""The truth of a protocol, from a prepared file or from the official evaluation files as they were published."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from handbench.datasets.freihand import SYNTHETIC_MARK
from handbench.errors import InvalidError, MissingError, UsageError
from handbench.evaluation.protocol import OFFICIAL_FILES, Protocol, load
from handbench.hands.record import Hands
from handbench.store.hands_file import HandsFile
from handbench.store.json_arrays import read_array
from handbench.store.records import read_json

XYZ, VERTS = "evaluation_xyz.json", "evaluation_verts.json"


def read_truth(path: Path | str, protocol: Protocol | str = "freihand") -> Hands:
    """Hands with joints (N, 21, 3) and, where given, vertices (N, 778, 3), m, OpenCV, FH21.

    `path`: a prepared Hands file; or a folder with FreiHAND's `evaluation_xyz.json` and, optionally,
    `evaluation_verts.json`. Fewer entries than the official 3,960 make it partial.
    Raises MissingError, and InvalidError for a file that is damaged or of another shape.
    """
    path = Path(path)
    protocol = load(protocol) if isinstance(protocol, str) else protocol
    if not path.exists():
        raise MissingError(f"There is no truth at {path}.", f"`handbench prep {protocol.dataset or 'NAME'}` makes it.")
    if path.is_file():
        with HandsFile(path) as file:
            return file.read()
    if protocol.official != "freihand":
        raise UsageError(
            f"The truth of {protocol.name} is read from a prepared file, not from the folder {path}.",
            f"`handbench prep {protocol.dataset or 'NAME'}` makes it.",
        )
    return _freihand(path, protocol)


def _freihand(folder: Path, protocol: Protocol) -> Hands:
    joints = read_array(folder / XYZ, (21, 3))
    vertices = read_array(folder / VERTS, (778, 3)) if (folder / VERTS).exists() else None
    n, official = len(joints), protocol.official_ids() or []
    if n > len(official):
        raise InvalidError(f"{folder / XYZ} has {n:,} entries, FreiHAND has {len(official):,}.", "Fetch it again.")
    if vertices is not None and len(vertices) != n:
        raise InvalidError(
            f"{VERTS} has {len(vertices):,} entries and {XYZ} {n:,}: they do not belong together.",
            f"Both are in {folder}.",
        )
    mark = folder / SYNTHETIC_MARK
    return Hands(
        id=np.array(official[:n]),
        side=np.full(n, "right"),
        joints=joints,
        vertices=vertices,
        meta={
            "dataset": protocol.dataset,
            "split": protocol.split,
            "count": protocol.count,
            "partial": n != protocol.count,
            "source": read_json(mark, "The mark")["source"] if mark.exists() else OFFICIAL_FILES,
            "joint_source": "annotated",
            "fingertips": "freihand",
        },
    )
