"""STB's joint 0 is the centre of the palm: three recipes of the literature make a wrist of it, 14-27 mm apart."""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handbench.errors import UsageError
from handbench.hands.joints import MIDDLE_MCP, WRIST


class Recipe(NamedTuple):
    """The wrist lies on the line from the mean of some finger MCPs through the palm, `factor` times as far."""

    knuckles: tuple[int, ...]
    factor: float


RECIPES: MappingProxyType[str, Recipe | None] = MappingProxyType(
    {
        # Zimmermann and Brox, Ge et al.; Minimal-Hand-pytorch: datasets/stb.py ge_palm2wrist
        "ge": Recipe((13,), 2.0),
        # bihand: bihand/datasets/stb.py _stb_palm2wrist
        "bihand": Recipe((9,), 2.2),
        # bihand: bihand/datasets/stb.py stb_palm2wrist
        "bihand-mean": Recipe((5, 9, 13, 17), 2.25),
        # joint 0 stays the palm
        "palm": None,
    }
)


def wrist_from_palm(joints: ArrayLike, recipe: str) -> NDArray:
    """Joints (..., 21, 3) in FH21 order, joint 0 the palm -> the same with the wrist there, float64, in their unit.

    Raises UsageError for an unknown recipe.
    """
    if recipe not in RECIPES:
        raise UsageError(f"Unknown wrist recipe {recipe!r}.", f"Known recipes: {', '.join(RECIPES)}.")
    found = np.array(joints, np.float64)
    how = RECIPES[recipe]
    if how is not None:
        knuckles = found[..., how.knuckles, :].mean(-2)
        found[..., WRIST, :] = knuckles + how.factor * (found[..., WRIST, :] - knuckles)
    return found


def palm_from_wrist(joints: ArrayLike) -> NDArray:
    """Joints (..., 21, 3) in FH21 order -> the same with the palm's centre as joint 0: halfway to the middle MCP.

    What is scored where the truth keeps the palm. Source: hand3d: data/BinaryDbReader.py; obman_train and vae-hands-3d
    do the same.
    """
    found = np.array(joints, np.float64)
    found[..., WRIST, :] = (found[..., WRIST, :] + found[..., MIDDLE_MCP, :]) / 2
    return found
