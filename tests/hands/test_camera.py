"""Cameras and crops: what is projected into a crop is what the crop of the projection is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handbench.hands.camera import (
    apply_affine,
    crop_camera,
    invert_affine,
    joint_box,
    project,
    square_crop,
    unproject,
)

CAMERA = np.array([[500.0, 0, 320], [0, 510, 240], [0, 0, 1]])


def test_a_point_worked_by_hand():
    assert project(np.array([[0.1, -0.2, 0.5]]), CAMERA)[0] == pytest.approx([420, 36])


@given(
    st.floats(-3, 3), st.floats(0.5, 3), st.integers(32, 512), st.floats(0, 600), st.floats(0, 400), st.floats(20, 300)
)
def test_a_crop_s_camera_projects_as_the_crop_moves_pixels(rotation, margin, size, x, y, side):
    points = np.array([[0.05, 0.02, 0.6], [-0.1, 0.1, 0.8], [0.0, 0.0, 0.4]])
    affine = square_crop(np.array([x, y, x + side, y + side / 2]), size, margin, rotation)
    there = project(points, crop_camera(affine, CAMERA))
    assert np.allclose(there, apply_affine(affine, project(points, CAMERA)), atol=1e-6)
    assert np.allclose(apply_affine(invert_affine(affine), there), project(points, CAMERA), atol=1e-6)
    assert np.allclose(unproject(there, points[:, 2], crop_camera(affine, CAMERA)), points, atol=1e-9)


def test_the_square_s_edges_go_to_the_outer_edges_of_the_crop():
    # a 100 px square from pixel edge 9.5 to 109.5, to 50 px: edges at -0.5 and 49.5
    affine = square_crop(np.array([9.5, 19.5, 109.5, 119.5]), 50)
    corners = apply_affine(affine, np.array([[9.5, 19.5], [109.5, 119.5], [59.5, 69.5]]))
    assert corners == pytest.approx(np.array([[-0.5, -0.5], [49.5, 49.5], [24.5, 24.5]]))


def test_rotation_turns_clockwise_in_the_image():
    affine = square_crop(np.array([0.0, 0, 10, 10]), 10, rotation=np.pi / 2)
    # right of the middle goes below the middle
    assert apply_affine(affine, np.array([[8.0, 5.0]]))[0] == pytest.approx([4.5, 7.5])


def test_a_box_leaves_out_what_is_not_annotated():
    pixels = np.array([[[1.0, 2], [np.nan, np.nan], [5, -3]], [[np.nan] * 2] * 3])
    box = joint_box(pixels)
    assert list(box[0]) == [1, -3, 5, 2]
    assert np.isnan(box[1]).all()
