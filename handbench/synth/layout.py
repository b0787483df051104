"""What writers of official layouts share: how much is written, the mark, and files that appear whole or not at all.

A writer is a module of this folder named as its dataset, with

    SIZE                                     what is written if nothing is said
    write(out, size, seed, hands, advance)   the official layout under `out`; `advance(steps)` after each image
    images(size) -> int                      how many images that is
    truth(split, size, seed, hands) -> Hands what a reader must find, in the order of the split and in the precision
                                             that the layout holds; frame_camera and frame_size for frames, else camera
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import orjson
from numpy.typing import NDArray

from handbench.errors import InvalidError, UsageError
from handbench.hands.mano import HandModel
from handbench.layouts.mark import SYNTHETIC_MARK
from handbench.sections import require_known
from handbench.synth.hand import VERSION

SOURCE = "handbench synthetic hand"
WRITERS = (
    "dexter-object", "dexycb", "freihand", "ge-realworld", "hanco", "ho3d-v2", "ho3d-v3", "rhd", "stb",
)  # fmt: skip

HandOf = Callable[[str], HandModel]
Advance = Callable[[int], Any]


@dataclass(frozen=True)
class Size:
    """How much is written: `samples` and `held` (for testing) of sets of single images, `sequences` of `frames` each
    of sets of sequences; the other pair is 0. `cameras` of DexYCB's eight, the first ones; 0 for all.
    """

    samples: int = 0
    held: int = 0
    sequences: int = 0
    frames: int = 0
    cameras: int = 0


def writer(dataset: str) -> ModuleType:
    """The module that writes a dataset's layout; raises UsageError with a suggestion."""
    import importlib

    require_known(dataset, WRITERS, "writer")
    name = "ho3d" if dataset.startswith("ho3d") else dataset.replace("-", "_")
    return importlib.import_module(f"handbench.synth.{name}")


def claim(out: Path, layout: str, about: Mapping[str, Any]) -> None:
    """Put the mark down before anything else; raises InvalidError where the folder holds something else."""
    mark = {"source": SOURCE, "layout": layout, "version": VERSION, **about}
    path = out / SYNTHETIC_MARK
    if path.exists():
        try:
            found = orjson.loads(path.read_bytes())
        except orjson.JSONDecodeError:
            found = None
        if found != orjson.loads(orjson.dumps(mark)):
            raise InvalidError(
                f"{out} holds a synthetic set that was made otherwise.", "Choose another folder, or the same numbers."
            )
    elif out.is_file():
        raise InvalidError(f"{out} is a file.", "Name a folder.")
    elif out.exists() and any(out.iterdir()):
        raise InvalidError(f"{out} is not empty.", "Choose an empty folder: official files are never written over.")
    put(path, orjson.dumps(mark, option=orjson.OPT_INDENT_2))


def require_sizes(size: Size, *names: str) -> None:
    """Raises UsageError for a count below one."""
    for name in names:
        if getattr(size, name) < 1:
            raise UsageError(f"{name} must be at least 1, not {getattr(size, name)}.", "Give a larger number.")


def part_of(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def put(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(path)
    part.write_bytes(content)
    os.replace(part, path)


def put_rgb(path: Path, image: NDArray, quality: int = 95) -> None:
    """RGB (H, W, 3) uint8 as JPEG or PNG, by the name."""
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality] if path.suffix == ".jpg" else [cv2.IMWRITE_PNG_COMPRESSION, 1]
    put(path, cv2.imencode(path.suffix, image[..., ::-1], settings)[1].tobytes())


def put_gray(path: Path, image: NDArray) -> None:
    """(H, W) uint8 or uint16 as PNG."""
    put(path, cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())


def split_depth(steps: NDArray) -> NDArray:
    """Whole numbers (H, W) below 65,536 as RGB: low byte in R, high byte in G (HO-3D's and STB's way; RHD's has the
    high byte in R)."""
    steps = np.asarray(steps, np.int64)
    return np.stack([steps % 256, steps // 256, np.zeros_like(steps)], -1).astype(np.uint8)
