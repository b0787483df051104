"""Errors joint by joint, drawn on a hand: circles on an open right hand, seen from its back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex

from handbench.hands.joints import BONES, JOINT_NAMES
from handbench.report.occlusion_figures import Line
from handbench.synth.hand import synthetic_hand

# of the picture, in its own units
SIZE, MARGIN = 200.0, 16.0
COLOURS = colormaps["viridis"]


class Dot(NamedTuple):
    """A joint in the picture: its place, colour, and what it says."""

    x: float
    y: float
    colour: str
    words: str


class JointMap(NamedTuple):
    """A row's hand; `bones` are (x1, y1, x2, y2); errors are in colour from `low` to `high`, mm, alike in all rows."""

    name: str
    dots: list[Dot]
    bones: list[tuple[float, float, float, float]]
    low: float
    high: float
    scale: list[str]


def joint_maps(lines: Sequence[Line]) -> list[JointMap]:
    """One hand a row, under one scale of colours; a joint without a figure is white and says so."""
    means = np.stack([line.band.mean for line in lines])
    if not np.isfinite(means).any():
        return []
    low, high = float(np.nanmin(means)), float(np.nanmax(means))
    places = _open_hand()
    bones = [(*places[a], *places[b]) for a, b in BONES]
    scale = [to_hex(COLOURS(share)) for share in np.linspace(0, 1, 9)]
    found = []
    for line in lines:
        dots = []
        for j, (x, y) in enumerate(places):
            mean, (least, most) = line.band.mean[j], (line.band.low[j], line.band.high[j])
            if not np.isfinite(mean):
                dots.append(Dot(x, y, "#ffffff", f"{JOINT_NAMES[j]}: never annotated"))
                continue
            band = f" [{least:.2f}, {most:.2f}]" if np.isfinite([least, most]).all() else ""
            colour = to_hex(COLOURS((mean - low) / (high - low) if high > low else 0.5))
            dots.append(Dot(x, y, colour, f"{JOINT_NAMES[j]}: {mean:.2f} mm{band}"))
        found.append(JointMap(line.name, dots, bones, low, high, scale))
    return found


def _open_hand() -> list[tuple[float, float]]:
    """The 21 joints of the synthetic right hand at rest: fingers up, the thumb on the left, seen from the back."""
    hand = synthetic_hand("right")
    joints = hand.regressor21("freihand") @ hand.v_template
    # its fingers point along -x, its thumb to +z
    flat = np.stack([-joints[:, 2], joints[:, 0]], -1)
    flat -= flat.min(0)
    flat *= (SIZE - 2 * MARGIN) / flat.max()
    flat += (SIZE - flat.max(0)) / 2
    return [(round(float(x), 1), round(float(y), 1)) for x, y in flat]
