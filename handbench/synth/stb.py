"""Writing synthetic hands in STB's folders: a left hand in motion as all four cameras see it, both kinds of labels.

The frame of a take is the SK colour camera's. STB does not say how its two rigs stand to each other: here the left
stereo camera is eight centimetres beside the colour camera and turned a little. The palm, joint 0, is half-way between
wrist and ring MCP, so that the wrist that protocols make of it (Zimmermann and Brox, Ge) is the hand's own.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import scipy.io
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from handbench.hands.joints import from_fh21
from handbench.hands.mano import HandModel
from handbench.hands.record import Hands
from handbench.synth.frame import Frame, room
from handbench.synth.layout import Advance, HandOf, Size, claim, put, put_rgb, require_sizes, split_depth
from handbench.synth.take import Take, View, make_take

SIZE = Size(sequences=2, frames=5)
NAMES = {
    "train": tuple(f"B{k}{kind}" for k in range(2, 7) for kind in ("Counting", "Random")),
    "test": ("B1Counting", "B1Random"),
}
OFFICIAL_FRAMES = 1500
IMAGE_SIZE = (640, 480)
RING_MCP = 13


def _matrix(fx: float, fy: float, cx: float, cy: float) -> NDArray:
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])


_STEREO = _matrix(822.79041, 822.79041, 318.47345, 250.31296)
_STEREO_TURN = Rotation.from_rotvec([0.01, -0.09, 0.02]).as_matrix()
_STEREO_SHIFT = np.array([0.08, -0.004, 0.012])
# prefix of the images -> view, in the order in which they are written
VIEWS = {
    "SK_color": View(_matrix(607.92271, 607.88192, 314.78337, 236.42484), IMAGE_SIZE, np.eye(3), np.zeros(3)),
    "SK_depth": View(
        _matrix(475.62768, 474.77709, 336.41179, 238.77962),
        IMAGE_SIZE,
        Rotation.from_rotvec([0.00531, -0.01196, 0.00301]).as_matrix(),
        np.array([-0.0240381, -0.0004563, -0.0012326]),
    ),
    "BB_left": View(_STEREO, IMAGE_SIZE, _STEREO_TURN, _STEREO_SHIFT),
    "BB_right": View(_STEREO, IMAGE_SIZE, _STEREO_TURN, _STEREO_SHIFT - [0.120054, 0, 0]),
}
LABELS = {"SK": "SK_depth", "BB": "BB_left"}
SEEN_BY = {"": "SK_color", "bb": "BB_left", "bb-right": "BB_right"}


def names(part: str, size: Size) -> tuple[str, ...]:
    """The sequences that are written of `train` or `test`: the first ones."""
    require_sizes(size, "sequences", "frames")
    return NAMES[part][: size.sequences]


def images(size: Size) -> int:
    return sum(len(names(part, size)) for part in NAMES) * _length(size) * len(VIEWS)


def write(out: Path, size: Size, seed: int, hands: HandOf, advance: Advance) -> None:
    """At most ten training and two testing sequences, of at most 1,500 frames."""
    require_sizes(size, "sequences", "frames")
    claim(
        out, "stb", {"seed": seed, "sequences": size.sequences, "frames": size.frames, "hand": hands("left").digest()}
    )
    for part in NAMES:
        for name, take in _takes(part, size, seed, hands):
            for suffix, prefix in LABELS.items():
                mm = 1000.0 * _joints(take, VIEWS[prefix])
                labels = from_fh21(mm, "stb").transpose(2, 1, 0)
                data = io.BytesIO()
                scipy.io.savemat(data, {"handPara": labels})
                put(out / "labels" / f"{name}_{suffix}.mat", data.getvalue())
            for prefix, view in VIEWS.items():
                for t in range(len(take)):
                    _write_image(out / "images" / name / f"{prefix}_{t}.png", take, t, view, seed)
                    advance(1)


def truth(split: str, size: Size, seed: int, hands: HandOf) -> Hands:
    """Frames sequence by sequence; joint 0 is the palm."""
    camera, _, part = split.rpartition("-")
    prefix = SEEN_BY[camera]
    view = VIEWS[prefix]
    joints, where = [], []
    for k, (name, take) in enumerate(_takes(part, size, seed, hands)):
        joints.append(_joints(take, view))
        where += [(k, name, t) for t in range(len(take))]
    n = len(where)
    return Hands(
        id=np.array([f"stb/{split}/{OFFICIAL_FRAMES * k + t:08d}" for k, _, t in where]),
        capture=np.array([name for _, name, _ in where]),
        track=np.array([f"{name}/{prefix}" for _, name, _ in where]),
        frame=np.array([t for _, _, t in where]),
        side=np.full(n, "left"),
        joints=np.concatenate(joints),
        joints_valid=np.ones((n, 21), bool),
        frame_size=np.tile(IMAGE_SIZE, (n, 1)),
        frame_camera=np.tile(view.camera, (n, 1, 1)),
        meta={"dataset": "stb", "split": split, "joint_0": "palm centre"},
    )


def _length(size: Size) -> int:
    return min(size.frames, OFFICIAL_FRAMES)


def _takes(part: str, size: Size, seed: int, hands: HandOf) -> Iterator[tuple[str, Take]]:
    for name in names(part, size):
        yield name, _take(name, _length(size), seed, hands("left"))


@lru_cache(maxsize=4)
def _take(name: str, frames: int, seed: int, hand: HandModel) -> Take:
    """Hands in STB hold nothing."""
    middle = np.array([-0.03, 0.01, 0.55])
    return make_take(name, hand, frames, (seed, zlib.crc32(name.encode())), "freihand", middle=middle, holds=False)


def _joints(take: Take, view: View) -> NDArray:
    """Joints (T, 21, 3) m of a take in the frame of a camera, joint 0 the palm."""
    joints = take.joints @ view.rotation.T + view.shift
    joints[:, 0] = (joints[:, 0] + joints[:, RING_MCP]) / 2
    return joints


def _write_image(path: Path, take: Take, t: int, view: View, seed: int) -> None:
    if path.exists():
        return
    frame = Frame(take.scene(t, view))
    if path.name.startswith("SK_depth"):
        put_rgb(path, split_depth(np.rint(1000.0 * frame.depth)))
        return
    behind = room(IMAGE_SIZE, (seed, zlib.crc32(take.name[:2].encode())), "clutter")
    put_rgb(path, frame.image(behind, (seed, zlib.crc32(path.name.encode()))))
