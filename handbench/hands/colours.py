"""Twenty words for the colour of a background, and which of them a colour is nearest to.

The words are those of CLIP-Hand's prompts; what each looks like is our own choice, since nobody has said it. `bright`
and `dark` are no hues: here they are the greys between white and silver, and between gray and black.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

UNKNOWN = -1

# sRGB, 0..255
RGB: dict[str, tuple[int, int, int]] = {
    "mustard": (205, 165, 55),
    "bright": (226, 226, 228),
    "green": (50, 150, 70),
    "white": (252, 252, 252),
    "olive": (118, 120, 45),
    "orange": (240, 140, 35),
    "blue": (50, 95, 190),
    "gray": (128, 128, 128),
    "pink": (240, 165, 190),
    "coral": (245, 120, 95),
    "lime": (165, 220, 55),
    "dark": (62, 62, 64),
    "purple": (130, 60, 150),
    "silver": (190, 190, 194),
    "black": (14, 14, 14),
    "red": (200, 35, 40),
    "yellow": (245, 225, 60),
    "beige": (222, 205, 172),
    "brown": (115, 75, 45),
    "wine": (110, 25, 50),
}
COLOURS = tuple(RGB)


def hsv_cone(rgb: NDArray) -> NDArray:
    """sRGB (..., 3) in 0..255 -> points (..., 3) of HSV's cone: chroma towards the hue (cosine, sine), and value, 0..1.

    Colours can be averaged there, which hues cannot: the mean of a red and a green cloth is no yellow one, but dull.
    """
    red, green, blue = np.moveaxis(np.asarray(rgb, np.float64) / 255.0, -1, 0)
    value = np.maximum(np.maximum(red, green), blue)
    chroma = value - np.minimum(np.minimum(red, green), blue)
    safe = np.where(chroma > 0, chroma, 1.0)
    sixth = np.where(
        value == red,
        (green - blue) / safe,
        np.where(value == green, 2.0 + (blue - red) / safe, 4.0 + (red - green) / safe),
    )
    hue = sixth * np.pi / 3
    return np.stack([chroma * np.cos(hue), chroma * np.sin(hue), value], -1)


def nearest_colour(cone: NDArray) -> NDArray:
    """Points (..., 3) of HSV's cone -> indices (...) into `COLOURS`; -1 where a point is NaN."""
    cone = np.asarray(cone, np.float64)
    words = hsv_cone(np.array(list(RGB.values())))
    nearest = np.linalg.norm(cone[..., None, :] - words, axis=-1).argmin(-1)
    return np.where(np.isfinite(cone).all(-1), nearest, UNKNOWN).astype(np.int64)
