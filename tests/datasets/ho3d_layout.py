"""HO-3D's folders in small, written by hand from the official description, and by nothing of handbench.

Two training sequences and one for evaluation. Joint j of HO-3D's order lies at (0.004 j - 0.03, 0.05 - 0.003 j,
-0.5 - 0.001 j) m in OpenGL's axes, so that each joint says which one it is.
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import cv2
import numpy as np

LINES = {"train": ["ABF10/0000", "ABF10/0001", "ABF10/0004", "MC1/0007"], "evaluation": ["SM1/0000", "SM1/0002"]}
CAMERA = [[600.0, 0.0, 320.0], [0.0, 610.0, 240.0], [0.0, 0.0, 1.0]]
BOX = [250, 150, 330, 260]


def joints(shift: float = 0.0) -> np.ndarray:
    """(21, 3) m, OpenGL, HO-3D's order."""
    j = np.arange(21)
    return np.stack([0.004 * j - 0.03 + shift, 0.05 - 0.003 * j, -0.5 - 0.001 * j], -1)


def training_label(shift: float = 0.0) -> dict:
    return {
        "handPose": np.linspace(-0.3, 0.4, 48),
        "handTrans": np.array([0.01, -0.02, -0.55]),
        "handBeta": np.linspace(-1, 1, 10),
        "handJoints3D": joints(shift),
        "camMat": np.array(CAMERA),
        "objTrans": np.zeros(3),
        "objRot": np.zeros((3, 1)),
        "objName": "003_cracker_box",
        "objLabel": 3,
        "objCorners3D": np.zeros((8, 3)),
        "objCorners3DRest": np.zeros((8, 3)),
    }


def evaluation_label(shift: float = 0.0) -> dict:
    label = training_label(shift)
    kept = {name: label[name] for name in label if not name.startswith("hand")}
    return kept | {"handJoints3D": joints(shift)[0], "handBoundingBox": list(BOX)}


def picture(seed: int) -> np.ndarray:
    """BGR (480, 640, 3) whose first two channels say where a pixel is."""
    y, x = np.mgrid[:480, :640]
    return np.stack([x % 251, y % 241, np.full_like(x, 10 * seed + 5)], -1).astype(np.uint8)


def put(path: Path, content: bytes | np.ndarray | dict | list | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, np.ndarray):
        cv2.imwrite(str(path), content)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, str):
        path.write_text(content)
    elif path.suffix == ".pkl":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        path.write_text(json.dumps(content))
    return path


def plant(root: Path, suffix: str = ".png", truth: bool = True) -> Path:
    """`suffix` .png: version 2; .jpg: version 3, without segmentations."""
    for part, lines in LINES.items():
        put(root / f"{part}.txt", "\n".join(lines) + "\n")
        for i, line in enumerate(lines):
            sequence, number = line.split("/")
            folder = root / part / sequence
            label = training_label(0.01 * i) if part == "train" else evaluation_label(0.01 * i)
            put(folder / "meta" / f"{number}.pkl", label)
            put(folder / "rgb" / f"{number}{suffix}", picture(i))
            # R = 5, G = 200 everywhere: (5 + 256 * 200) * 0.00012498664727900177 = 6.39994 m
            put(folder / "depth" / f"{number}.png", np.full((480, 640, 3), (0, 200, 5), np.uint8))
    # without annotation, in no list
    put(root / "train/ABF10/meta/0002.pkl", dict.fromkeys(training_label()))
    put(root / f"train/ABF10/rgb/0002{suffix}", picture(9))
    if truth:
        both = [joints(0.0), joints(0.01)]
        put(root / "evaluation_xyz.json", [one.tolist() for one in both])
        put(root / "evaluation_verts.json", [np.tile(one, (38, 1))[:778].tolist() for one in both])
    return root


def plant_segmentations(root: Path, blue: np.ndarray) -> None:
    """The hand is where `blue` (120, 160) bool is, the object everywhere else."""
    image = np.zeros((120, 160, 3), np.uint8)
    image[..., 0], image[..., 1] = 255 * blue, 255 * ~blue
    for line in LINES["train"]:
        sequence, number = line.split("/")
        put(root / "train" / sequence / "seg" / f"{number}.png", image)
