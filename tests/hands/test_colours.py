"""A background's colour is the word that one would say."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

from handbench.hands.colours import COLOURS, RGB, hsv_cone, nearest_colour


def word(*rgb: float) -> str:
    return COLOURS[int(nearest_colour(hsv_cone(np.array(rgb))))]


def test_there_are_twenty_in_the_papers_order():
    assert len(set(COLOURS)) == 20
    assert COLOURS[0] == "mustard"
    assert COLOURS[-1] == "wine"
    assert [word(*RGB[name]) for name in COLOURS] == list(COLOURS)


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((255, 255, 255), "white"),
        ((0, 0, 0), "black"),
        ((130, 132, 128), "gray"),
        ((255, 0, 0), "red"),
        ((0, 0, 255), "blue"),
        ((0, 160, 0), "green"),
        ((255, 255, 0), "yellow"),
        ((255, 130, 0), "orange"),
        ((128, 0, 128), "purple"),
        ((255, 180, 200), "pink"),
        ((101, 67, 33), "brown"),
        ((245, 222, 179), "beige"),
        ((50, 50, 55), "dark"),
    ],
)
def test_clear_cases(rgb, name):
    assert word(*rgb) == name


def test_the_cone_is_that_of_hsv():
    for rgb in np.random.default_rng(0).integers(0, 256, (50, 3)):
        hue, saturation, value = colorsys.rgb_to_hsv(*rgb / 255)
        chroma = saturation * value
        expected = [chroma * np.cos(2 * np.pi * hue), chroma * np.sin(2 * np.pi * hue), value]
        assert np.allclose(hsv_cone(rgb), expected)


def test_reds_on_both_sides_of_hue_zero_average_to_red():
    assert COLOURS[int(nearest_colour(hsv_cone(np.array([[205, 30, 45], [205, 45, 30]])).mean(0)))] == "red"


def test_an_unknown_colour_has_no_word():
    assert nearest_colour(np.array([[np.nan, 0, 0], [0, 0, 1]])).tolist() == [-1, COLOURS.index("white")]
