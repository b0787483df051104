"""Writing synthetic hands in Dexter+Object's folders: a left hand that holds something, six sequences, tips only.

Sequences differ in length. Some tips are not annotated (32001), and in every other sequence a frame has none. The
revised annotations are the hand's own; of the original ones the first frame of each sequence is wrong, as known of the
real ones. The frame of a take is the depth camera's. Names of image files are not published: those here are chosen so
that they sort.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handbench.hands.camera import project
from handbench.hands.mano import HandModel
from handbench.hands.record import Hands
from handbench.synth.frame import Frame, room
from handbench.synth.layout import Advance, HandOf, Size, claim, put, put_gray, put_rgb, require_sizes
from handbench.synth.take import Take, View, make_take, own_view

SIZE = Size(sequences=6, frames=6)
NAMES = ("Grasp1", "Grasp2", "Occlusion", "Rigid", "Pinch", "Rotate")
TIPS = [4, 8, 12, 16, 20]
NOT_ANNOTATED = 32001
# images without tips: of every other sequence frame 2
EMPTY = 2
WRONG_MM = 40.0
COLOUR_SIZE, DEPTH_SIZE = (640, 480), (320, 240)
COLOUR = View(
    np.array([[587.45209, 0, 325], [0, 600.67456, 249], [0, 0, 1]]),
    COLOUR_SIZE,
    np.array([[0.9999, 0.0034, 0.0161], [-0.0033, 1.0, -0.0079], [-0.0162, 0.0079, 0.9998]]),
    np.array([0.0190473, -0.0018514, -0.0047501]),
)
DEPTH = own_view(np.array([[224.502, 0, 160], [0, 230.494, 120], [0, 0, 1]]), DEPTH_SIZE)


def images(size: Size) -> int:
    return sum(2 * _length(k, size) for k in range(len(_names(size))))


def write(out: Path, size: Size, seed: int, hands: HandOf, advance: Advance) -> None:
    """The first `size.sequences` of the six sequences, of up to `size.frames` frames."""
    require_sizes(size, "sequences", "frames")
    claim(
        out,
        "dexter-object",
        {"seed": seed, "sequences": size.sequences, "frames": size.frames, "hand": hands("left").digest()},
    )
    put(out / "calibration" / "depth_to_color.txt", _calibration())
    for k, take in enumerate(_takes(size, seed, hands)):
        folder = out / "data" / take.name
        revised = [_line(k, take, t) for t in range(len(take))]
        first = revised[0] + np.where(revised[0][:, 2:] == NOT_ANNOTATED, 0.0, WRONG_MM)
        original = [first, *revised[1:]]
        put(folder / "annotations" / f"my_{take.name}3D.txt", _text(revised))
        put(folder / "annotations" / f"{take.name}3D.txt", _text(original))
        put(folder / "annotations" / f"{take.name}2D.txt", _text([_pixels(line) for line in original]))
        for t in range(len(take)):
            _write_images(folder, take, t, seed)
            advance(2)


def truth(split: str, size: Size, seed: int, hands: HandOf) -> Hands:
    """Tips as the text has them, whole micrometres of the depth camera, in the frame of the colour camera."""
    assert split == "test"
    found: list[NDArray] = []
    where: list[tuple[str, int]] = []
    for k, take in enumerate(_takes(size, seed, hands)):
        for t in range(len(take)):
            mm = _line(k, take, t)[: len(TIPS)]
            tips = np.full((21, 3), np.nan)
            seen = mm[:, 2] != NOT_ANNOTATED
            depth_camera = mm[seen] * [-1, -1, 1] / 1000.0
            tips[np.array(TIPS)[seen]] = depth_camera @ COLOUR.rotation.T + COLOUR.shift
            found.append(tips)
            where.append((take.name, t))
    n, joints = len(where), np.array(found)
    return Hands(
        id=np.array([f"dexter-object/test/{i:08d}" for i in range(n)]),
        capture=np.array([name for name, _ in where]),
        track=np.array([name for name, _ in where]),
        frame=np.array([t for _, t in where]),
        side=np.full(n, "left"),
        joints=joints,
        joints_valid=np.isfinite(joints).all(axis=-1),
        frame_size=np.tile(COLOUR_SIZE, (n, 1)),
        frame_camera=np.tile(COLOUR.camera, (n, 1, 1)),
        meta={"dataset": "dexter-object", "split": "test", "annotations": "revised"},
    )


def _names(size: Size) -> tuple[str, ...]:
    return NAMES[: size.sequences]


def _length(k: int, size: Size) -> int:
    return max(1, size.frames - k % 3)


def _takes(size: Size, seed: int, hands: HandOf) -> Iterator[Take]:
    for k, name in enumerate(_names(size)):
        yield _take(name, _length(k, size), (seed, zlib.crc32(name.encode())), hands("left"))


@lru_cache(maxsize=6)
def _take(name: str, frames: int, seed: tuple[int, ...], hand: HandModel) -> Take:
    return make_take(name, hand, frames, seed, "freihand", middle=np.array([0.0, 0.0, 0.6]))


def _missing(k: int, t: int) -> NDArray:
    """(5,) bool: the tips that nobody annotated in frame t of sequence k."""
    if k % 2 == 0 and t == EMPTY:
        return np.ones(5, bool)
    return (3 * t + 2 * np.arange(5) + k) % 7 == 0


def _line(k: int, take: Take, t: int) -> NDArray:
    """Points (8, 3) mm as annotated, x left and y up: five tips, three corners of what is held."""
    assert take.held is not None
    points = np.concatenate([take.joints[t, TIPS], take.held[t][0][:3]])
    mm = np.array([[float(f"{value:.3f}") for value in point] for point in points * [-1000.0, -1000.0, 1000.0]])
    mm[:5][_missing(k, t), 2] = NOT_ANNOTATED
    return mm


def _pixels(line: NDArray) -> NDArray:
    """Points (8, 2) px of the depth image."""
    return project(line * [-1, -1, 1], DEPTH.camera)


def _text(lines: list[NDArray]) -> bytes:
    """One line a frame: `x, y, z; x, y, z; ...`"""
    rows = ["; ".join(", ".join(f"{value:.3f}" for value in point) for point in line) for line in lines]
    return ("\n".join(row.replace("32001.000", "32001") for row in rows) + "\n").encode()


def _calibration() -> bytes:
    matrix = np.column_stack([COLOUR.rotation, 1000.0 * COLOUR.shift])
    return ("\n".join(" ".join(f"{v:.4f}" for v in row) for row in matrix) + "\n").encode()


def _write_images(folder: Path, take: Take, t: int, seed: int) -> None:
    colour, depth = folder / "color" / f"image_{t:05d}_color.png", folder / "depth" / f"image_{t:05d}_depth.png"
    if colour.exists() and depth.exists():
        return
    noise = zlib.crc32(take.name.encode())
    behind = room(COLOUR_SIZE, (seed, noise))
    put_rgb(colour, Frame(take.scene(t, COLOUR)).image(behind, (seed, noise, t)))
    metres = Frame(take.scene(t, DEPTH)).depth
    put_gray(depth, np.rint(1000.0 * metres).astype(np.uint16))
