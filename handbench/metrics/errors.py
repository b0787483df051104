"""Distances between true and predicted points, and their means, per sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handbench.errors import InvalidError


def distances(target: ArrayLike, points: ArrayLike, valid: ArrayLike | None = None) -> NDArray:
    """Euclidean distance (N, K) of each point from its target, both (N, K, 3), in their unit, float64.

    NaN where `valid` (N, K) is False. Raises InvalidError if the shapes differ.
    Source: freihand: utils/eval_util.py EvalUtil.feed.
    """
    a, b = np.asarray(target, np.float64), np.asarray(points, np.float64)
    if a.shape != b.shape or a.shape[-1:] != (3,):
        raise InvalidError(f"Cannot compare points {b.shape} with {a.shape}.", "Both must be (samples, points, 3).")
    square = np.square(a - b)
    # in the order of the official sum, and several times faster than `sum` over three
    distance = np.sqrt(square[..., 0] + square[..., 1] + square[..., 2])
    return distance if valid is None else np.where(np.asarray(valid, bool), distance, np.nan)


def sample_mean(values: NDArray) -> NDArray:
    """Mean (N,) over the points that are not NaN of (N, K); NaN where a sample has none."""
    present = ~np.isnan(values)
    count = present.sum(1)
    total = np.where(present, values, 0.0).sum(1)
    return np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)


def mpjpe(target: ArrayLike, points: ArrayLike, valid: ArrayLike | None = None) -> NDArray:
    """Mean distance per sample (N,), in the unit of the input, over the valid points."""
    return sample_mean(distances(target, points, valid))


def mean_of_point_means(values: NDArray) -> float:
    """The official mean of (N, K) errors: mean over points of each point's own mean over the samples that have it.

    A point that no sample has is left out; NaN if there is none. With all points everywhere it is the plain mean.
    Source: freihand: utils/eval_util.py EvalUtil.get_measures.
    """
    return _over_points(values, np.mean)


def mean_of_point_medians(values: NDArray) -> float:
    """`median-pjpe`, the official median of (N, K) errors: mean over points of each point's own median.

    NaN errors do not count; a point that no sample has is left out. Not the median of everything: that is
    `plain_median`. Source: freihand: utils/eval_util.py EvalUtil.get_measures.
    """
    return _over_points(values, np.median)


def plain_median(values: NDArray) -> float:
    """`median-pjpe-plain`: the median of all (N, K) errors together, NaN left out; NaN if there is none."""
    present = np.asarray(values, np.float64)
    present = present[~np.isnan(present)]
    return float(np.median(present)) if present.size else float("nan")


def _over_points(values: NDArray, statistic) -> float:
    columns = [column[~np.isnan(column)] for column in np.asarray(values, np.float64).T]
    per_point = [statistic(column) for column in columns if len(column)]
    return float(np.mean(per_point)) if per_point else float("nan")
