"""The visible fraction is a share of pixels, worked out by hand on a square."""

from __future__ import annotations

import numpy as np
import pytest

from handbench.layouts.occlusion import visible_fraction

CAMERA = np.array([[100.0, 0, 50], [0, 100.0, 50], [0, 0, 1]])
# a square of 20 x 20 pixels, from (40, 40) to (59, 59), at one metre; its edges lie between pixels
SQUARE = np.array([[-0.105, -0.105, 1], [0.095, -0.105, 1], [0.095, 0.095, 1], [-0.105, 0.095, 1]])
FACES = np.array([[0, 1, 2], [0, 2, 3]])


def seen(mask, vertices=SQUARE):
    return visible_fraction(vertices, FACES, CAMERA, mask)


def test_all_half_and_nothing():
    mask = np.ones((100, 100), bool)
    assert seen(mask) == 1
    mask[:, :50] = False
    assert seen(mask) == pytest.approx(0.5)
    assert seen(np.zeros((100, 100), bool)) == 0


def test_pixels_of_the_segmentation_beside_the_mesh_do_not_count():
    mask = np.ones((100, 100), bool)
    mask[40:60, 40:45] = False
    assert seen(mask) == pytest.approx(15 / 20)


def test_only_what_is_inside_the_image_is_asked_for():
    """Half of the square lies beyond the left border: what is inside is all seen."""
    moved = SQUARE - [0.5, 0, 0]
    assert seen(np.ones((100, 100), bool), moved) == 1


def test_a_hand_outside_the_image_has_no_fraction():
    assert np.isnan(seen(np.ones((100, 100), bool), SQUARE + [5.0, 0, 0]))
    assert np.isnan(seen(np.ones((100, 100), bool), SQUARE * [1, 1, -1]))
