"""A context crop is the frame around the hand, pixel by pixel, with a camera that still projects the hand onto it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from handbench.hands.camera import apply_affine, joint_box, project
from handbench.layouts.context_crop import (
    DEPTH_UNIT,
    crop_fields,
    cut,
    encode_crop,
    encode_depth,
    encode_mask,
    windows,
)
from tests.conftest import hands_in_view

SIZE = (640, 480)
CAMERA = np.array([[600.0, 0, 320], [0, 600.0, 240], [0, 0, 1]])


def decoded(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def test_the_window_is_twice_the_box_and_square():
    (window,) = windows(np.array([[300.0, 200, 340, 230]]), SIZE)
    # 40 px wide, so 80 px around the middle (320, 215), at whole pixels
    left, top, right, bottom = window
    assert 80 <= right - left <= 81
    assert 80 <= bottom - top <= 81
    assert (left + right - 1) / 2 == pytest.approx(320, abs=0.5)
    assert (top + bottom - 1) / 2 == pytest.approx(215, abs=0.5)


def test_it_ends_where_the_frame_ends_and_nothing_is_made_up():
    (window,) = windows(np.array([[-20.0, 400, 60, 470]]), SIZE)
    assert window[0] == 0
    assert window[3] == 480
    assert window[2] - window[0] < 110


@pytest.mark.parametrize(
    "box",
    [[np.nan] * 4, [900.0, 100, 950, 150], [-300.0, 10, -200, 60], [1e30, 0, 2e30, 10], [-1e300, -1e300, 1e300, 1e300]],
)
def test_where_no_hand_is_in_the_frame_the_whole_frame_is_kept(box):
    assert windows(np.array([box]), SIZE).tolist() == [[0, 0, 640, 480]]


def test_the_crop_s_camera_projects_the_hand_onto_the_same_pixels():
    joints = hands_in_view(6, 4)
    camera = np.tile(CAMERA, (6, 1, 1))
    boxes = joint_box(project(joints, camera))
    found = windows(boxes, SIZE)
    fields = crop_fields(found, boxes, camera, SIZE)
    frame = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    for i in range(6):
        inside = project(joints[i], fields["camera"][i])
        assert np.allclose(inside, apply_affine(fields["crop"][i], project(joints[i], CAMERA)))
        part = cut(frame, found[i])
        assert part.shape[1::-1] == tuple(fields["image_size"][i])
        x, y = np.rint(inside[9]).astype(int)
        u, v = np.rint(project(joints[i], CAMERA)[9]).astype(int)
        assert np.array_equal(part[y, x], frame[v, u])
        assert np.allclose(fields["box"][i], joint_box(inside))
    assert fields["frame_size"].tolist() == [[640, 480]] * 6


def test_png_keeps_every_pixel_and_jpeg_keeps_its_colours_apart():
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, ::2] = (0, 0, 255)  # red and blue lines, one pixel wide
    image[:, 1::2] = (255, 0, 0)
    assert np.array_equal(decoded(encode_crop(image, lossless=True)), image)
    jpeg = decoded(encode_crop(image, lossless=False)).astype(int)
    # 4:2:0 would mix neighbours into violet
    assert np.abs(jpeg - image).max() < 40


def test_masks_are_0_and_255_and_depth_is_tenths_of_a_millimetre():
    mask = np.zeros((8, 9), bool)
    mask[2, 3] = True
    assert decoded(encode_mask(mask)).tolist() == np.where(mask, 255, 0).tolist()
    depth = np.array([[0.0, 0.5, 0.12345], [np.nan, np.inf, 7.0]])
    found = decoded(encode_depth(depth))
    assert found.dtype == np.uint16
    assert found.tolist() == [[0, 5000, 1234], [0, 0, 0]]
    assert DEPTH_UNIT == 1e-4
