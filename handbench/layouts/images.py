"""Encoded images: their size from the header, and whether they are whole, without decoding a pixel."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from handbench.errors import InvalidError
from handbench.layouts.folder import Folder

# a hand crop or a camera frame; what is larger is no image of a hand dataset
MAX_SIDE = 8192


def read_image(folder: Folder, inside: str, size: tuple[int, int] | None = None) -> tuple[bytes, tuple[int, int]]:
    """The bytes of a JPEG or PNG file and its (width, height), which must be `size` where that is given.

    Raises MissingError; InvalidError naming the file where it is cut short, of another kind, or absurdly large.
    """
    data = folder.read(inside)
    found = image_size(data, f"{folder.root}/{inside}")
    if size is not None and found != size:
        raise InvalidError(
            f"{folder.root}/{inside} is {found[0]}x{found[1]}, not {size[0]}x{size[1]}.", "Fetch it again."
        )
    return data, found


def fingerprint(arrays: Mapping[str, NDArray], folder: Folder, files: Iterable[str]) -> str:
    """Twelve hex digits of what a split is read from: its annotations, and name, size and date of each file."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
    root = f"{folder.root}/"
    for file in files:
        try:
            seen = os.stat(root + file)
            digest.update(f"{file} {seen.st_size} {seen.st_mtime_ns}".encode())
        except OSError:
            # reading it will say what is wrong
            digest.update(file.encode())
    return digest.hexdigest()[:12]


def image_size(data: bytes, name: str) -> tuple[int, int]:
    """(width, height) of a whole JPEG or PNG; `name` stands in the error."""
    if data[:3] == b"\xff\xd8\xff":
        size, whole = _jpeg_size(data), data.rstrip(b"\0 \t\r\n")[-2:] == b"\xff\xd9"
    elif data[:8] == b"\x89PNG\r\n\x1a\n":
        size = (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")) if len(data) > 24 else None
        whole = _png_whole(data)
    else:
        raise InvalidError(f"{name} is neither JPEG nor PNG.", "Fetch it again.")
    if size is None or not whole:
        raise InvalidError(f"{name} is cut short or damaged: {len(data)} bytes.", "Fetch it again.")
    if not 0 < min(size) <= max(size) <= MAX_SIDE:
        raise InvalidError(f"{name} claims {size[0]} x {size[1]} pixels.", "Fetch it again.")
    return size


def _png_whole(data: bytes) -> bool:
    """Whether the chunks follow each other to the last, each with its checksum (PNG specification, 5.3)."""
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        end = at + 8 + length
        if end + 4 > len(data) or zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            return False
        if data[at + 4 : at + 8] == b"IEND":
            return True
        at = end + 4
    return False


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
    return cv2.cvtColor(decode_bgr(data, name), cv2.COLOR_BGR2RGB)


def decode_bgr(data: bytes, name: str) -> NDArray:
    """Encoded image -> BGR (H, W, 3) uint8; raises InvalidError naming it."""
    image_size(data, name)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise InvalidError(f"{name} cannot be decoded.", "Fetch it again.")
    return image


def decode_as_is(data: bytes, name: str) -> NDArray:
    """Encoded mask or depth -> its array, channels in OpenCV's order BGR; raises InvalidError naming it."""
    image_size(data, name)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise InvalidError(f"{name} cannot be decoded.", "Fetch it again.")
    return image


def encode_jpeg(image: NDArray) -> bytes:
    """RGB (H, W, 3) uint8 -> JPEG 95."""
    return encode_bgr(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 95])


def encode_bgr(image: NDArray, settings: list[int], kind: str = ".jpg") -> bytes:
    good, data = cv2.imencode(kind, image, settings)
    assert good
    return data.tobytes()
