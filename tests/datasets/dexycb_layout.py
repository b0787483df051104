"""DexYCB's folders written by hand, from its description, and by nothing of handbench."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import cv2
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
                f"mano_sides: {json.dumps(take['mano_sides'])}\nmano_calib: [{subject}_{take['mano_sides'][0]}]\n"
            )
    return root


def plant_calibration(root: Path) -> None:
    """Camera j: fx 600 + j, fy 610, principal point (320 - j, 240); betas 0.1 to 1.0 of right hands, -0.1 to -1.0 of
    left ones. Some files have tuples, as Python's YAML writes them."""
    folder = root / "calibration"
    (folder / "intrinsics").mkdir(parents=True)
    for j, serial in enumerate(SERIALS):
        (folder / "intrinsics" / f"{serial}_640x480.yml").write_text(
            f"color:\n  fx: {600 + j}.0\n  fy: 610.0\n  ppx: {320 - j}.0\n  ppy: 240.0\ndepth: !!python/tuple [1, 2]\n"
        )
    for subject in SUBJECTS:
        for side, sign in (("right", 0.1), ("left", -0.1)):
            path = folder / f"mano_{subject}_{side}" / "mano.yml"
            path.parent.mkdir()
            tag = "!!python/tuple " if side == "left" else ""
            path.write_text(f"betas: {tag}{[round(sign * (k + 1), 1) for k in range(10)]}\n")


def picture(seed: int) -> np.ndarray:
    """A smooth BGR image (480, 640, 3), unlike any other seed's."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC)


def put_frame(
    root: Path,
    track: str,
    frame: int,
    joints: np.ndarray,
    pose: np.ndarray | None = None,
    seg: np.ndarray | None = None,
    mm: int = 873,
    seed: int = 0,
) -> None:
    """One frame of a camera: label with joints (21, 3) m and `pose_m` (51,), colour image, depth of `mm` everywhere but
    in the first ten rows."""
    pose = np.zeros(51) if pose is None else pose
    seg = np.zeros((480, 640), np.uint8) if seg is None else seg
    others = {
        "pose_y": np.zeros((2, 3, 4), np.float32),
        "pose_m": np.asarray(pose, np.float32)[None],
        "joint_2d": np.full((1, 21, 2), -1, np.float32),
    }
    put_label(root, f"{track}/labels_{frame:06d}.npz", joints, seg=seg, **others)
    assert cv2.imwrite(str(root / track / f"color_{frame:06d}.jpg"), picture(seed), [cv2.IMWRITE_JPEG_QUALITY, 95])
    depth = np.full((480, 640), mm, np.uint16)
    depth[:10] = 0
    assert cv2.imwrite(str(root / track / f"aligned_depth_to_color_{frame:06d}.png"), depth)


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
