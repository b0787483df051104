"""RHD's annotations, masks and depth as arrays (hand3d: create_binary_db.py, data/BinaryDbReader.py).

`anno_training.pickle`, `anno_evaluation.pickle`: {number: {'xyz': (42, 3) m, 'uv_vis': (42, 3) u, v, visible,
'K': (3, 3)}}. Rows 0-20 are the left hand, 21-41 the right one, each wrist first, then fingers from tip to base.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handbench.errors import InvalidError
from handbench.hands.joints import to_fh21
from handbench.hands.pickles import load_restricted
from handbench.layouts.folder import Folder
from handbench.layouts.images import decode_as_is, read_image

IMAGE_SIZE = (320, 320)
FIELDS: dict[str, tuple[int, ...]] = {"xyz": (42, 3), "uv_vis": (42, 3), "K": (3, 3)}
SIDES = ("left", "right")
# labels of a mask, first and last; 0 is background, 1 the person
LABELS = {"left": (2, 17), "right": (18, 33)}
# full scale of 16 bits of depth, m
DEPTH_RANGE = 5.0
# images are numbered with five digits
MOST = 100_000


@dataclass(frozen=True, eq=False)
class Annotations:
    """N images: number (N,) int32 ascending; joints (N, 2, 21, 3) m, left and right hand, FH21; visible (N, 2, 21)
    bool; camera (N, 3, 3). Floats in the precision of the file."""

    number: NDArray
    joints: NDArray
    visible: NDArray
    camera: NDArray

    def __len__(self) -> int:
        return len(self.number)

    def take(self, index: Any) -> Annotations:
        return Annotations(self.number[index], self.joints[index], self.visible[index], self.camera[index])


def read_annotations(folder: Folder, inside: str) -> Annotations:
    """Raises MissingError; InvalidError naming the file, and the entry that is not as it should be."""
    path = folder.path(inside)
    entries = load_restricted(path)
    if type(entries) is not dict or not entries:
        raise InvalidError(f"{path} holds no entries by image number.", "Fetch it again.")
    if any(type(number) is not int or not 0 <= number < MOST for number in entries):
        raise InvalidError(f"{path} has a key that is no image number.", "Fetch it again.")
    n, numbers = len(entries), sorted(entries)
    single = all(_float32(entries[number]) for number in numbers)
    raw = {name: np.empty((n, *shape), np.float32 if single else np.float64) for name, shape in FIELDS.items()}
    for row, number in enumerate(numbers):
        entry = entries.pop(number)
        for name, shape in FIELDS.items():
            value = entry.get(name) if type(entry) is dict else None
            if not isinstance(value, np.ndarray) or value.shape != shape or value.dtype.kind not in "fiu":
                raise InvalidError(f"Entry {number} of {path} has no {name!r} of shape {shape}.", "Fetch it again.")
            if not np.isfinite(value).all():
                raise InvalidError(f"Entry {number} of {path} has a NaN or infinity in {name!r}.", "Fetch it again.")
            raw[name][row] = value
    hands = raw["xyz"].reshape(n, 2, 21, 3)
    seen = raw["uv_vis"].reshape(n, 2, 21, 3)
    return Annotations(np.array(numbers, np.int32), to_fh21(hands, "rhd"), to_fh21(seen, "rhd")[..., 2] == 1, raw["K"])


def _float32(entry: Any) -> bool:
    return type(entry) is dict and all(getattr(entry.get(name), "dtype", None) == np.float32 for name in FIELDS)


def read_parts(folder: Folder, inside: str) -> NDArray:
    """A mask (320, 320) uint8 of labels 0 to 33. Raises MissingError, InvalidError naming the file."""
    data, _ = read_image(folder, inside, IMAGE_SIZE)
    parts = decode_as_is(data, f"{folder}/{inside}")
    parts = parts if parts.ndim == 2 else parts[..., 0]
    if parts.dtype != np.uint8 or parts.max() > LABELS["right"][1]:
        raise InvalidError(f"{folder}/{inside} is no mask of labels 0 to {LABELS['right'][1]}.", "Fetch it again.")
    return parts


def hand_of(parts: NDArray, side: str) -> NDArray:
    """(H, W) bool: the pixels of one hand."""
    first, last = LABELS[side]
    return (parts >= first) & (parts <= last)


def dominant(parts: NDArray) -> str:
    """The side with more pixels, the right one in a tie (hand3d: data/BinaryDbReader.py)."""
    counts = np.bincount(parts.ravel(), minlength=LABELS["right"][1] + 1)
    left, right = (counts[first : last + 1].sum() for first, last in (LABELS["left"], LABELS["right"]))
    return "left" if left > right else "right"


def read_depth(folder: Folder, inside: str) -> NDArray:
    """Depth (320, 320) m: (R 256 + G) / 65535 * 5. Raises MissingError, InvalidError naming the file."""
    data, _ = read_image(folder, inside, IMAGE_SIZE)
    bgr = decode_as_is(data, f"{folder}/{inside}")
    if bgr.dtype != np.uint8 or bgr.ndim != 3:
        raise InvalidError(f"{folder}/{inside} is no depth image of 8-bit RGB.", "Fetch it again.")
    return (bgr[..., 2].astype(np.float64) * 256 + bgr[..., 1]) / 65535 * DEPTH_RANGE
