"""What a scene looks like apart from its poses: skin, light, what is behind, and the camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Look:
    """One rendering of the scenes; the same seed with another look has the same pose, turned the same way.

    focal, focal_spread, focal_range   px for an image of 224: mean, standard deviation, limits. FreiHAND's evaluation
                                       cameras have 284 to 763 (median 493)
    fill          the longer side of the joints' box, as a share of the image
    tones         skin, from 0 (light) to 6 (dark), uniform
    ambient       the share of light that comes from everywhere: low is hard light
    warmth        of the light: positive is yellow, negative is blue
    backgrounds   kinds of `background`, drawn evenly; None: as `background` draws them
    noise         the camera's, standard deviation as a share of white
    blur          the camera's, standard deviation in px of an image of 224
    """

    focal: float = 490.0
    focal_spread: float = 90.0
    focal_range: tuple[float, float] = (300.0, 760.0)
    fill: tuple[float, float] = (0.45, 0.80)
    tones: tuple[float, float] = (0.0, 6.0)
    ambient: tuple[float, float] = (0.32, 0.5)
    warmth: tuple[float, float] = (-0.10, 0.10)
    backgrounds: tuple[str, ...] | None = None
    noise: float = 0.009
    blur: float = 0.0

    def kind(self, rng: np.random.Generator) -> str | None:
        """A kind of background; None, with nothing drawn, where `background` is to draw it."""
        return None if self.backgrounds is None else self.backgrounds[rng.integers(len(self.backgrounds))]


PLAIN = Look()
# Two domains of one pose distribution. In the first, people of light skin before plain studio walls under soft light
# and a long lens; in the second, of dark skin before clutter under hard yellow light, and a short, noisy, soft lens.
STUDIO = Look(
    focal=560.0,
    focal_spread=40.0,
    fill=(0.60, 0.80),
    tones=(0.0, 2.5),
    ambient=(0.44, 0.58),
    warmth=(-0.10, 0.0),
    backgrounds=("studio", "gradient"),
    noise=0.006,
)
STREET = Look(
    focal=370.0,
    focal_spread=30.0,
    fill=(0.42, 0.62),
    tones=(3.5, 6.0),
    ambient=(0.16, 0.28),
    warmth=(0.06, 0.22),
    backgrounds=("checks", "clutter"),
    noise=0.022,
    blur=0.7,
)
