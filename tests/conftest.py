"""What tests share: places of their own, real data where it is, and small official layouts made on the spot."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from handbench.cli import main

ROOT = Path(__file__).parent.parent


def _shared(variable: str, folder: str) -> Path:
    """A folder of real data or goldens; the test skips, saying so, where it is absent."""
    path = Path(os.environ.get(variable, ROOT.parent / "shared" / folder))
    if not path.is_dir():
        pytest.skip(f"{path} is not there ({variable} names it)")
    return path


@pytest.fixture(scope="session")
def real_data() -> Path:
    return _shared("HANDBENCH_REAL_DATA", "real")


@pytest.fixture(scope="session")
def gathered_numbers() -> Path:
    """The published numbers as they were gathered from the papers."""
    return _shared("HANDBENCH_PUBLISHED", "published")


@pytest.fixture(scope="session")
def golden():
    """A loader of the full golden files; the test is skipped, saying so, where they are absent."""

    def read(name: str) -> dict[str, np.ndarray]:
        with np.load(_shared("HANDBENCH_GOLDENS", "goldens") / f"shared_{name}.npz", allow_pickle=False) as file:
            return {key: file[key] for key in file.files}

    return read


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """HANDBENCH_HOME and HANDBENCH_DATA of the test's own."""
    monkeypatch.setenv("HANDBENCH_HOME", str(tmp_path / "runs"))
    monkeypatch.setenv("HANDBENCH_DATA", str(tmp_path / "data"))
    return tmp_path / "runs"


@dataclass
class Ran:
    """What a command printed, run in this process, and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture
def handbench(home, capsys, monkeypatch):
    """`handbench("eval", "--table", "1")` with HANDBENCH_HOME and HANDBENCH_DATA of the test's own."""

    def run(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["handbench", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return run


def open_hand(scale: float = 1.0) -> np.ndarray:
    """A flat open right hand (21,3) m in FH21 order, wrist at the origin, fingers up (y down)."""
    palm = {"index": (-0.02, -0.09), "middle": (0.0, -0.092), "ring": (0.02, -0.085), "little": (0.037, -0.075)}
    joints = np.zeros((21, 3))
    joints[1:5] = [[-0.03, -0.02, 0], [-0.055, -0.045, 0], [-0.07, -0.07, 0], [-0.08, -0.09, 0]]
    for f, (x, y) in enumerate(palm.values(), 1):
        along = np.cumsum([0.0, 0.04, 0.025, 0.02])
        joints[4 * f + 1 : 4 * f + 5, 0] = x * (1 + along)
        joints[4 * f + 1 : 4 * f + 5, 1] = y - along
    return joints * scale


CAMERA = np.array([[480.0, 0.0, 112.0], [0.0, 480.0, 112.0], [0.0, 0.0, 1.0]])


def hands_in_view(n: int, seed: int = 0) -> np.ndarray:
    """n hands (n,21,3) m, turned at random within the image plane and tilted a little, half a metre away."""
    rng = np.random.default_rng(seed)
    hands = []
    for _ in range(n):
        turn, tilt = rng.uniform(-np.pi, np.pi), rng.uniform(-0.5, 0.5)
        about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
        about_x = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
        posed = (open_hand() - open_hand().mean(0)) @ about_x.T @ about_z.T
        hands.append(posed + [*rng.uniform(-0.02, 0.02, 2), rng.uniform(0.5, 0.7)])
    return np.array(hands)


def jpeg(seed: int, size: int = 224) -> bytes:
    """A small noisy JPEG that is unlike any other seed's."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    good, data = cv2.imencode(".jpg", cv2.resize(coarse, (size, size)))
    assert good
    return data.tobytes()


@pytest.fixture
def freihand_layout(tmp_path: Path) -> Path:
    """FreiHAND's layout in small: 5 frames with four backgrounds each, 3 evaluation frames with published truth.

    Written here by hand, from the official description, and by nothing of handbench.
    """
    root = tmp_path / "FreiHAND_pub_v2"
    for prefix, n, versions, seed in (("training", 5, 4, 1), ("evaluation", 3, 1, 2)):
        xyz = hands_in_view(n, seed)
        (root / prefix / "rgb").mkdir(parents=True)
        scale = np.linalg.norm(xyz[:, 9] - xyz[:, 10], axis=1)
        lists = {"K": np.tile(CAMERA, (n, 1, 1)), "xyz": xyz, "scale": scale}
        for name, values in lists.items():
            (root / f"{prefix}_{name}.json").write_text(json.dumps(values.tolist()))
        for i in range(n * versions):
            (root / prefix / "rgb" / f"{i:08d}.jpg").write_bytes(jpeg(1000 * seed + i))
    return root
