"""Encoded images: their size from the header, and whether they are whole, without decoding a pixel."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from handbench.errors import InvalidError, MissingError

# a hand crop or a camera frame; what is larger is no image of a hand dataset
MAX_SIDE = 8192


def read_image(path: Path) -> tuple[bytes, tuple[int, int]]:
    """The bytes of a JPEG or PNG file and its (width, height).

    Raises MissingError; InvalidError naming the file where it is cut short, of another kind, or absurdly large.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise MissingError(f"The image {path} does not exist.", "Is the download complete?") from None
    except OSError as error:
        raise InvalidError(f"The image {path} cannot be read: {error.strerror}.", "Fetch it again.") from None
    return data, image_size(data, str(path))


def fingerprint(arrays: Mapping[str, NDArray], images: Iterable[Path]) -> str:
    """Twelve hex digits of what a split is read from: its annotations, and name, size and date of each image."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
    for image in images:
        try:
            seen = image.stat()
            digest.update(f"{image.name} {seen.st_size} {seen.st_mtime_ns}".encode())
        except OSError:
            # reading it will say what is wrong
            digest.update(image.name.encode())
    return digest.hexdigest()[:12]


def image_size(data: bytes, name: str) -> tuple[int, int]:
    """(width, height) of a whole JPEG or PNG; `name` stands in the error."""
    if data[:3] == b"\xff\xd8\xff":
        size, whole = _jpeg_size(data), data.rstrip(b"\0")[-2:] == b"\xff\xd9"
    elif data[:8] == b"\x89PNG\r\n\x1a\n":
        size = (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")) if len(data) > 24 else None
        whole = data[-8:-4] == b"IEND"
    else:
        raise InvalidError(f"{name} is neither JPEG nor PNG.", "Fetch it again.")
    if size is None or not whole:
        raise InvalidError(f"{name} is cut short: {len(data)} bytes without its end.", "Fetch it again.")
    if not 0 < min(size) <= max(size) <= MAX_SIDE:
        raise InvalidError(f"{name} claims {size[0]} x {size[1]} pixels.", "Fetch it again.")
    return size


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """From the frame header (SOF0..SOF15 without DHT, JPG, DAC); ITU T.81, B.2.2."""
    at = 2
    while at + 9 < len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def decode(data: bytes, name: str) -> NDArray:
    """Encoded image -> RGB (H, W, 3) uint8; raises InvalidError naming it."""
    image_size(data, name)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise InvalidError(f"{name} cannot be decoded.", "Fetch it again.")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def encode_jpeg(image: NDArray) -> bytes:
    """RGB (H, W, 3) uint8 -> JPEG 95."""
    good, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert good
    return data.tobytes()
