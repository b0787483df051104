"""F-score between two vertex sets (freihand: eval.py calculate_fscore; ho3d: the same).

Strict: a point counts when its nearest neighbour is nearer than the threshold. Distances are float64: float32 ones
change the score of a sample by up to 1e-3.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from handbench.errors import InvalidError


class FScore(NamedTuple):
    """Each (N, T): samples by thresholds.

    f           harmonic mean of the two below, 0 where both are 0
    covered     share of the true points with a predicted point nearer (the official script calls it precision)
    accurate    share of the predicted points with a true point nearer (the official script calls it recall)
    """

    f: NDArray
    covered: NDArray
    accurate: NDArray


def fscore(target: ArrayLike, points: ArrayLike, thresholds: Sequence[float], workers: int = 1) -> FScore:
    """Target (N, V, 3), points (N, W, 3), thresholds in the same unit -> `FScore`.

    V and W may differ; an empty set scores 0. `workers` threads share the samples; the result does not depend on it.
    Raises InvalidError naming the sample for NaN or infinity.
    """
    a, b = np.asarray(target, np.float64), np.asarray(points, np.float64)
    if a.ndim != 3 or b.ndim != 3 or len(a) != len(b):
        raise InvalidError(f"Cannot compare meshes {b.shape} with {a.shape}.", "Both must be (samples, points, 3).")
    for array, what in ((a, "target"), (b, "points")):
        bad = ~np.isfinite(array).all((1, 2))
        if bad.any():
            raise InvalidError(f"Sample {int(np.argmax(bad))} of the {what} has NaN or infinity.")
    limits = np.asarray(thresholds, np.float64)

    def shares(i: int) -> tuple[NDArray, NDArray]:
        return _shares(a[i], b[i], limits)

    if workers > 1 and len(a) > 1:
        with ThreadPoolExecutor(workers) as pool:
            found = list(pool.map(shares, range(len(a))))
    else:
        found = [shares(i) for i in range(len(a))]
    both = np.array(found, np.float64).reshape(len(a), 2, len(limits))
    covered, accurate = both[:, 0], both[:, 1]
    total = covered + accurate
    f = np.divide(2 * covered * accurate, total, out=np.zeros_like(total), where=total > 0)
    return FScore(f, covered, accurate)


def _shares(target: NDArray, points: NDArray, limits: NDArray) -> tuple[NDArray, NDArray]:
    if not len(target) or not len(points):
        return np.zeros(len(limits)), np.zeros(len(limits))
    # Nothing beyond the largest threshold matters; a neighbour that is not found has distance infinity.
    bound = float(limits.max()) * 1.01
    trees = [cKDTree(cloud, compact_nodes=False, balanced_tree=False) for cloud in (points, target)]
    near = [
        tree.query(cloud, distance_upper_bound=bound)[0] for tree, cloud in zip(trees, (target, points), strict=True)
    ]
    covered, accurate = ((distance[:, None] < limits).sum(0) / len(distance) for distance in near)
    return covered, accurate
