"""Contact sheets of a truth over its images, and of predictions with the error of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from handbench.hands.camera import project
from handbench.hands.record import Hands
from handbench.layouts.images import decode
from handbench.report.contact_sheet import Tile, draw_contact_sheet
from handbench.store.hands_file import HandsFile


def draw_truth(hands: Hands, images: Sequence[bytes], path: Path, title: str, count: int = 24) -> None:
    """`count` samples, evenly spread: joints in colour, mesh outline in cyan, visible fraction in words."""
    tiles = []
    for i in _spread(len(hands), count):
        name = str(hands.id[i])
        caption = name.split("/", 1)[1]
        if hands.visible_fraction is not None:
            seen = hands.visible_fraction[i]
            caption += f"\n{seen:.0%} visible" if np.isfinite(seen) else "\nvisibility not known"
        tiles.append(
            Tile(
                decode(images[i], name),
                caption,
                joints=pixels(hands.joints, hands, i),
                outline=None if hands.vertices is None else _splat(hands, i),
            )
        )
    draw_contact_sheet(tiles, path, title)


def draw_predictions(
    truth: HandsFile, predictions: HandsFile, errors: dict[str, NDArray], path: Path, title: str, count: int = 24
) -> None:
    """`count` samples, evenly spread: predicted joints in colour over the true ones in white, with errors (N,) mm."""
    tiles = []
    for i in _spread(len(truth), count):
        hands, predicted = truth.read(i, i + 1), predictions.read(i, i + 1)
        name = str(hands.id[0])
        figures = "  ".join(f"{what} {values[i]:.1f} mm" for what, values in errors.items())
        tiles.append(
            Tile(
                decode(truth.image(i), name),
                f"{name.split('/', 1)[1]}\n{figures}",
                joints=pixels(predicted.joints, hands, 0),
                truth=pixels(hands.joints, hands, 0),
            )
        )
    draw_contact_sheet(tiles, path, title)


def _spread(n: int, count: int) -> list[int]:
    return sorted(set(np.linspace(0, n - 1, min(n, count)).astype(int).tolist()))


def pixels(joints: NDArray | None, hands: Hands, i: int) -> NDArray | None:
    """Joints of sample i in the stored image; those at or behind the camera's plane are not drawn."""
    if joints is None or hands.camera is None:
        return None
    points = np.asarray(joints[i], np.float64)
    points = np.where(points[:, 2:] > 1e-3, points, np.nan)
    return project(points, np.asarray(hands.camera[i], np.float64))


# vertices of MANO's mesh lie about this far apart on the palm, m
SPACING = 0.007


def _splat(hands: Hands, i: int) -> NDArray:
    """The mesh's vertices as discs as wide as their spacing, closed to one blob: an outline that needs no faces."""
    width, height = np.asarray(hands.image_size)[i]
    vertices, camera = np.asarray(hands.vertices)[i], np.asarray(hands.camera)[i]
    mask = np.zeros((int(height), int(width)), np.uint8)
    vertices = vertices[np.isfinite(vertices).all(1) & (vertices[:, 2] > 1e-3)]
    if not len(vertices):
        return mask
    radius = max(1, round(camera[0, 0] * SPACING / 2 / float(np.median(vertices[:, 2]))))
    for x, y in project(vertices, camera):
        if -10 < x < width + 10 and -10 < y < height + 10:
            cv2.circle(mask, (round(float(x)), round(float(y))), radius, 1, -1)
    closing = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.erode(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, closing), closing)
