"""F-score between two vertex sets (freihand: eval.py calculate_fscore; ho3d: the same).

Strict: a point counts when its nearest neighbour is nearer than the threshold. Distances are float64,
`sqrt(dx*dx + dy*dy + dz*dz)`: float32 ones change the score of a sample by up to 1e-3.

How it is fast: float32 matrix products give every squared distance, roughly, and so decide all points but those whose
distance lies within rounding of a threshold (about one in a pair of meshes); these are measured in float64. For hands
of 778 vertices that takes a third of the time of k-d trees. Nothing here starts threads, and the long calls release
the GIL: callers can give blocks of samples to threads of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handbench.errors import InvalidError

# One matrix product has at most this many multiplications: OpenBLAS answers larger ones with threads of its own, which
# cost more than they bring and fight with the caller's.
PRODUCT = 2**18
# Distances held at once: float32, and in the float64 stage. Fewer mean more time in Python, more leave the cache.
HELD = 800_000
HELD_EXACT = 50_000

# How far a float32 squared distance can be from the exact one, as a share of R**2, where R bounds the norms of all
# points after centring; u = 2**-24 is float32's rounding.
#   rounding of the centred points: each moves by uR at most, distances are at most 2R:     2 * 2R * 2uR =  8 uR**2
#   the two squared norms, three roundings each:                                            2 * 3 * uR**2 =  6 uR**2
#   the product, five terms in any order, fused or not: 5u (|a|**2 + |b|**2 + 2|a||b|)                    = 20 uR**2
#   the threshold's square as float32, where it is not beyond all distances (t**2 < 6 R**2)               =  6 uR**2
# 40 in all; the rest is for terms in u**2 and for the roundings of float64, which are 2**29 times smaller.
SLACK = 48 * 2.0**-24
# and what underflow to zero can lose of it
TINY = 1e-36
# Beyond this R**2 float32 could overflow: nothing is decided there.
LARGEST = 1e30


class FScore(NamedTuple):
    """Each (N, T): samples by thresholds.

    f           harmonic mean of the two below, 0 where both are 0
    covered     share of the true points with a predicted point nearer (the official script calls it precision)
    accurate    share of the predicted points with a true point nearer (the official script calls it recall)
    """

    f: NDArray
    covered: NDArray
    accurate: NDArray


def fscore(target: ArrayLike, points: ArrayLike, thresholds: Sequence[float]) -> FScore:
    """Target (N, V, 3), points (N, W, 3), thresholds in the same unit -> `FScore`.

    V and W may differ; an empty set scores 0. Raises InvalidError naming the sample for NaN or infinity.
    """
    a, b = np.asarray(target, np.float64), np.asarray(points, np.float64)
    if a.ndim != 3 or b.ndim != 3 or len(a) != len(b) or a.shape[2] != 3 or b.shape[2] != 3:
        raise InvalidError(f"Cannot compare meshes {b.shape} with {a.shape}.", "Both must be (samples, points, 3).")
    for array, what in ((a, "target"), (b, "points")):
        bad = ~np.isfinite(array).all((1, 2))
        if bad.any():
            raise InvalidError(f"Sample {int(np.argmax(bad))} of the {what} has NaN or infinity.")
    limits = np.asarray(thresholds, np.float64)
    if not (a.size and b.size and limits.size):
        nothing = np.zeros((3, len(a), len(limits)))
        return FScore(*nothing)
    # What overflows is left to the float64 stage, and infinity is no neighbour there.
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        to_points, to_target, slack = _roughly(a, b)
        covered = _share(to_points, slack, a, b, limits)
        accurate = _share(to_target, slack, b, a, limits)
    total = covered + accurate
    f = np.divide(2 * covered * accurate, total, out=np.zeros_like(total), where=total > 0)
    return FScore(f, covered, accurate)


def _roughly(target: NDArray, points: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Squared distances, float32, from each target to its nearest point (N, V) and from each point to its nearest
    target (N, W), and by how much they can be wrong (N,): infinity or NaN where nothing is known of them.

    |a - b|**2 is (a, |a|**2, 1) . (-2b, 1, |b|**2). Minima are taken of the bits as integers, which is faster:
    positive floats have the order of their bits. Negative ones, which only rounding makes of a distance, come before
    them in some order; whichever is taken, it and the least true distance are both within the slack of zero.
    """
    n, v, w = len(target), target.shape[1], points.shape[1]
    tiles = -(-v // max(1, PRODUCT // (5 * w)))
    rows = -(-v // tiles)
    together = max(1, min(n, HELD // (rows * w)))
    from_target, from_points = np.empty((n, v), np.int32), np.empty((n, w), np.int32)
    slack = np.empty(n)
    distances = np.empty((together, rows, w), np.float32)
    best = np.empty((tiles, together, w), np.int32)
    for start in range(0, n, together):
        block = slice(start, start + together)
        left, right, largest = _factors(target[block], points[block])
        m = len(left)
        slack[block] = np.where(largest < LARGEST, SLACK * largest + TINY, np.inf)
        for tile in range(tiles):
            part = slice(tile * rows, min((tile + 1) * rows, v))
            product = np.matmul(left[:, part], right, out=distances[:m, : part.stop - part.start])
            product.view(np.int32).min(2, out=from_target[block, part])
            product.view(np.int32).min(1, out=best[tile, :m])
        best[:, :m].min(0, out=from_points[block])
    return from_target.view(np.float32), from_points.view(np.float32), slack


def _factors(target: NDArray, points: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """(N, V, 5) and (N, 5, W) float32, both centred on the target, and the largest squared norm (N,)."""
    centre = target.mean(1)[:, :, None]
    a, b = (np.ones((len(cloud), 5, cloud.shape[1]), np.float32) for cloud in (target, points))
    for factor, cloud, row in ((a, target, 3), (b, points, 4)):
        np.subtract(cloud.transpose(0, 2, 1), centre, out=factor[:, :3], casting="same_kind")
        np.einsum("nkv,nkv->nv", factor[:, :3], factor[:, :3], out=factor[:, row])
    largest = np.maximum(a[:, 3].max(1), b[:, 4].max(1)).astype(np.float64)
    b[:, :3] *= -2
    return a.transpose(0, 2, 1), b, largest


def _share(near: NDArray, slack: NDArray, points: NDArray, others: NDArray, limits: NDArray) -> NDArray:
    """Share (N, T) of the points (N, V, 3) whose nearest other is nearer than the limits; `near` is its squared
    distance within `slack`."""
    squares = (limits * np.abs(limits)).astype(np.float32)
    allowed = slack.astype(np.float32)[:, None]
    # so written that NaN is unsure
    unsure = ~np.logical_and.reduce([np.abs(near - square) > allowed for square in squares])
    counts = np.stack([(near < square).sum(1) for square in squares], 1)
    sample, point = np.nonzero(unsure)
    step = max(1, HELD_EXACT // others.shape[1])
    for start in range(0, len(sample), step):
        i, j = sample[start : start + step], point[start : start + step]
        gap = others[i] - points[i, j, None]
        gap *= gap
        exact = np.sqrt((gap[..., 0] + gap[..., 1] + gap[..., 2]).min(1))
        wrong = (exact[:, None] < limits).astype(np.int64) - (near[i, j, None] < squares)
        np.add.at(counts, i, wrong)
    return counts / near.shape[1]
