"""A picture of many hands: each image with its skeleton drawn over it and a line of text below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from handbench.hands.joints import BONES
from handbench.store.atomic import replacing

TILE, CAPTION, GAP = 224, 34, 6
# one hue a finger, thumb to little: told apart in grey and by most colour-blind readers (Okabe and Ito's palette)
FINGER_COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (204, 121, 167))
TRUTH = (255, 255, 255)


@dataclass(frozen=True)
class Tile:
    """image (H,W,3) uint8 RGB; joints (21,2) px in colour; truth (21,2) px in white below; outline: mesh pixels."""

    image: NDArray
    caption: str
    joints: NDArray | None = None
    truth: NDArray | None = None
    outline: NDArray | None = None


def draw_contact_sheet(tiles: Sequence[Tile], path: Path, title: str, columns: int = 6) -> None:
    """Write the sheet as PNG, atomically."""
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    width, height = TILE + GAP, TILE + CAPTION + GAP
    sheet = np.full((rows * height + CAPTION + GAP, columns * width + GAP, 3), 24, np.uint8)
    _text(sheet, title, GAP, 22, 0.5)
    for i, tile in enumerate(tiles):
        x, y = GAP + (i % columns) * width, CAPTION + GAP + (i // columns) * height
        sheet[y : y + TILE, x : x + TILE] = draw_tile(tile)
        for line, text in enumerate(tile.caption.split("\n")[:2]):
            _text(sheet, text, x, y + TILE + 13 + 14 * line, 0.38)
    good, encoded = cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    assert good
    with replacing(path) as part:
        part.write_bytes(encoded.tobytes())


def draw_tile(tile: Tile, side: int = TILE) -> NDArray:
    """The image with its skeletons, as large as fits -> (side, side, 3) uint8 RGB."""
    height, width = tile.image.shape[:2]
    scale = side / max(height, width)
    canvas = np.zeros((side, side, 3), np.uint8)
    small = cv2.resize(tile.image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    canvas[: small.shape[0], : small.shape[1]] = small
    if tile.outline is not None:
        mask = cv2.resize(tile.outline.astype(np.uint8), (small.shape[1], small.shape[0]))
        contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(canvas, contours, -1, (0, 255, 255), 1, cv2.LINE_AA)
    for joints, colours, thick in ((tile.truth, (TRUTH,) * 5, 3), (tile.joints, FINGER_COLOURS, 2)):
        if joints is None or not np.isfinite(joints).any():
            continue
        # pixel centres move with the resize; cv2 draws at 1/16 pixel
        points = (joints + 0.5) * scale - 0.5
        for bone, (parent, child) in enumerate(BONES):
            if np.isfinite(points[[parent, child]]).all():
                start, end = (np.clip(points[j] * 16, -(2**20), 2**20).round().astype(int) for j in (parent, child))
                cv2.line(canvas, start, end, colours[bone // 4], thick, cv2.LINE_AA, 4)
            elif np.isfinite(points[child]).all():
                # a joint without its neighbour, such as a tip where only tips are annotated
                middle = np.clip(points[child] * 16, -(2**20), 2**20).round().astype(int)
                cv2.circle(canvas, middle, 16 * (thick + 1), colours[bone // 4], -1, cv2.LINE_AA, 4)
    return canvas


def _text(image: NDArray, text: str, x: int, y: int, size: float) -> None:
    cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, (235, 235, 235), 1, cv2.LINE_AA)
