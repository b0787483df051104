"""The sheets show what they say: joints where they project, captions, one tile a sample."""

from __future__ import annotations

import cv2
import numpy as np

from handbench.hands.record import Hands
from handbench.report.contact_sheet import CAPTION, FINGER_COLOURS, GAP, TILE, Tile, draw_contact_sheet
from handbench.report.overlays import draw_predictions, draw_truth
from handbench.store.hands_file import HandsFile
from handbench.store.hands_writer import write_hands
from tests.conftest import CAMERA, hands_in_view


def grey(size: int = 224) -> np.ndarray:
    return np.full((size, size, 3), 90, np.uint8)


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


def sheet(path) -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def some(n: int) -> Hands:
    joints = hands_in_view(n)
    return Hands(
        id=np.array([f"set/test/{i:04d}" for i in range(n)]),
        joints=joints,
        camera=np.tile(CAMERA, (n, 1, 1)),
        image_size=np.full((n, 2), 224),
        meta={"dataset": "set"},
    )


def near(image: np.ndarray, x: float, y: float, colour: tuple[int, int, int]) -> bool:
    """Whether the colour is found within two pixels of a place in the first tile."""
    left, top = round(x) + GAP, round(y) + CAPTION + GAP
    patch = image[max(0, top - 2) : top + 3, max(0, left - 2) : left + 3].reshape(-1, 3).astype(int)
    return bool((np.abs(patch - colour).max(1) < 40).any())


def test_a_skeleton_lies_where_its_joints_project(tmp_path):
    hands = some(1)
    draw_truth(hands, [png(grey())], tmp_path / "a.png", "a")
    x, y, z = hands.joints[0].T
    u, v = 480 * x / z + 112, 480 * y / z + 112
    image = sheet(tmp_path / "a.png")
    for finger, colour in enumerate(FINGER_COLOURS):
        tip = 4 * finger + 4
        assert near(image, u[tip], v[tip], colour), finger
    assert not near(image, 3, 3, FINGER_COLOURS[0])


def test_small_images_are_enlarged_with_their_joints(tmp_path):
    joints = np.full((21, 2), np.nan)
    joints[[0, 1]] = [[10, 10], [50, 50]]
    draw_contact_sheet([Tile(grey(56), "x", joints)], tmp_path / "a.png", "a")
    scale = TILE / 56
    place = (30 + 0.5) * scale - 0.5
    assert near(sheet(tmp_path / "a.png"), place, place, FINGER_COLOURS[0])


def test_one_tile_a_sample_and_no_more_than_asked(tmp_path):
    hands = some(9)
    draw_truth(hands, [png(grey())] * 9, tmp_path / "a.png", "a", count=7)
    height, width = sheet(tmp_path / "a.png").shape[:2]
    assert width == 6 * (TILE + GAP) + GAP
    assert height == 2 * (TILE + CAPTION + GAP) + CAPTION + GAP


def test_predictions_in_colour_over_the_truth_in_white(tmp_path):
    hands = some(2)
    write_hands(tmp_path / "truth.h5", hands, [png(grey())] * 2)
    moved = hands.replace(joints=hands.joints + [0.05, 0, 0])
    write_hands(tmp_path / "pred.h5", moved)
    with HandsFile(tmp_path / "truth.h5") as truth, HandsFile(tmp_path / "pred.h5") as predictions:
        draw_predictions(truth, predictions, {"PA": np.array([1.0, 2.0])}, tmp_path / "a.png", "a")
    image = sheet(tmp_path / "a.png")
    for points, colour in ((hands.joints[0], (255, 255, 255)), (moved.joints[0], FINGER_COLOURS[2])):
        x, y, z = points[12]
        u, v = 480 * x / z + 112, 480 * y / z + 112
        if 0 <= u < 224 and 0 <= v < 224:
            assert near(image, u, v, colour)


def test_points_behind_the_camera_are_not_drawn(tmp_path):
    hands = some(1)
    behind = hands.replace(joints=hands.joints * [1, 1, -1])
    draw_truth(behind, [png(grey())], tmp_path / "a.png", "a")
    tile = sheet(tmp_path / "a.png")[CAPTION + GAP : CAPTION + GAP + TILE, GAP : GAP + TILE]
    assert (tile == 90).all()
