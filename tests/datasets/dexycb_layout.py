"""DexYCB's folders written by hand, from its description, and by nothing of handbench."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest

SUBJECTS = [
    "20200709-subject-01",
    "20200813-subject-02",
    "20200820-subject-03",
    "20200903-subject-04",
    "20200908-subject-05",
    "20200918-subject-06",
    "20200928-subject-07",
    "20201002-subject-08",
    "20201015-subject-09",
    "20201022-subject-10",
]
SERIALS = [
    "836212060125",
    "839512060362",
    "840412060917",
    "841412060263",
    "932122060857",
    "932122060861",
    "932122061900",
    "932122062010",
]


def takes_of(subject: str) -> list[dict]:
    """100 made-up sequences: of one to three frames, every third of a left hand."""
    return [
        {"name": f"{subject[:8]}_{100000 + i}", "num_frames": 1 + i % 3, "mano_sides": ["left" if i % 3 else "right"]}
        for i in range(100)
    ]


def plant(root: Path, subjects: dict[str, list[dict]] | None = None) -> Path:
    """A tree of folders with a meta.yml each."""
    for subject, takes in (subjects or {name: takes_of(name) for name in SUBJECTS}).items():
        for take in takes:
            folder = root / subject / take["name"]
            folder.mkdir(parents=True)
            (folder / "meta.yml").write_text(
                f"serials: {json.dumps(SERIALS)}\nnum_frames: {take['num_frames']}\n"
                f"ycb_ids: {json.dumps(take.get('ycb_ids', [1, 2]))}\nycb_grasp_ind: {take.get('ycb_grasp_ind', 0)}\n"
                f"mano_sides: {json.dumps(take['mano_sides'])}\n"
            )
    return root


def put_label(root: Path, place: str, joints: np.ndarray, **others: np.ndarray) -> None:
    """A label file with `joint_3d` (21, 3) m, and whatever else."""
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **others, joint_3d=np.asarray(joints, np.float32)[None])


def read_golden(name: str) -> dict:
    """A golden file of JSON, packed or not; the test skips where it is absent."""
    folder = Path(os.environ.get("HANDBENCH_GOLDENS", Path(__file__).parents[3] / "shared" / "goldens"))
    path = folder / f"shared_{name}"
    if not path.is_file():
        pytest.skip(f"{path} is not there (HANDBENCH_GOLDENS names its folder)")
    data = path.read_bytes()
    return json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
