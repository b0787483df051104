"""Bone lengths of FH21 joints, and how far predicted hands are too large or too small."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handbench.errors import InvalidError
from handbench.hands.joints import BONES
from handbench.metrics.errors import sample_mean

PARENTS, CHILDREN = (np.array(ends) for ends in zip(*BONES, strict=True))


def bone_lengths(joints: ArrayLike) -> NDArray:
    """Joints (N, 21, 3) in FH21 -> lengths (N, 20) in their unit, in the order of `hands.joints.BONES`.

    Raises InvalidError for other shapes.
    """
    p = np.asarray(joints, np.float64)
    if p.shape[1:] != (21, 3):
        raise InvalidError(f"Cannot measure the bones of points {p.shape}.", "Give (samples, 21, 3) in FH21 order.")
    return np.linalg.norm(p[:, CHILDREN] - p[:, PARENTS], axis=-1)


def bone_length_differences(target: ArrayLike, points: ArrayLike, valid: ArrayLike | None = None) -> NDArray:
    """Predicted less true length of each bone (N, 20), in the unit of the joints (N, 21, 3).

    `valid` (N, 21): NaN where one of a bone's two joints is not annotated. Raises InvalidError for other shapes.
    """
    difference = bone_lengths(points) - bone_lengths(target)
    if valid is None:
        return difference
    mask = np.asarray(valid, bool)
    return np.where(mask[:, PARENTS] & mask[:, CHILDREN], difference, np.nan)


def bone_length_bias(target: ArrayLike, points: ArrayLike, valid: ArrayLike | None = None) -> NDArray:
    """`bone-bias`: mean over bones of predicted less true length (N,); positive where the hand is too large.

    Too long and too short bones cancel: it is a bias and no error. NaN where no bone has both joints. Raises as
    `bone_length_differences`.
    """
    return sample_mean(bone_length_differences(target, points, valid))
