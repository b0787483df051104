"""PCK curves and the area under them (AUC), as the official scripts define them.

PCK is inclusive: an error equal to the threshold is correct. Thresholds come from `linspace`, so that ties fall as
they do officially. AUC is the trapezoid over the range, divided by the range, per point and then averaged.
Source: freihand: utils/eval_util.py EvalUtil.get_measures. Who uses which range: docs/metrics.md.

Errors are (N, K) of N samples and K points, in the unit of the thresholds; NaN where a sample lacks a point.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handbench.errors import InvalidError
from handbench.metrics.errors import sample_mean

# Errors are looked up in pieces that stay in the processor's cache.
PIECE = 16384
# An error this near to a threshold, in steps, is looked up exactly; thresholds this even count as evenly spaced.
NEAR, EVEN = 1e-3, 1e-6


def thresholds(low: float = 0.0, high: float = 0.05, steps: int = 100, skip: int = 0) -> NDArray:
    """`steps` thresholds from low to high, both included, less the first `skip`, in the unit of the errors.

    What hand3d calls 20-50 mm is `thresholds(0, 50, 20, skip=8)`: 21.05 to 50 (hand3d: eval_full.py).
    """
    return np.linspace(low, high, steps)[skip:]


def pck(errors: ArrayLike, at: NDArray) -> tuple[NDArray, NDArray]:
    """Errors (N, K), thresholds (T,) -> share of samples within each: per point (T, K), and its mean (T,).

    NaN errors do not count; a point that no sample has is NaN in the first and left out of the second.
    """
    tally = Tally(at)
    tally.add(errors)
    return tally.point_pck(), tally.pck()


def auc(curve: NDArray, at: NDArray) -> NDArray:
    """Area under a curve (T, ...) over thresholds (T,), as a share of the range."""
    return np.trapezoid(curve, at, axis=0) / np.trapezoid(np.ones_like(at), at)


def mean_pck(errors: ArrayLike, at: NDArray) -> float:
    """mmhuman3d's 3DAUC: the plain mean over thresholds (T,) of the share of all errors strictly below each.

    All points are pooled; NaN errors do not count, and NaN stands for no error at all. There, `at` is
    `thresholds(0, 150, 31)` mm. It is not the area: curves that are 1 but at threshold 0 give 30/31.
    Source: mmhuman3d: core/evaluation/eval_utils.py keypoint_3d_auc (which multiplies by 100).
    """
    pooled = np.asarray(errors, np.float64).ravel()
    pooled = np.sort(pooled[~np.isnan(pooled)])
    # by default the search counts what is strictly below
    return float(np.mean(np.searchsorted(pooled, at) / len(pooled))) if len(pooled) else float("nan")


def sample_auc(errors: ArrayLike, at: NDArray, slots: NDArray | None = None) -> NDArray:
    """The AUC (N,) of each sample's own curve. Its mean is the AUC of the set when every sample has every point."""
    errors = np.asarray(errors, np.float64)
    found = np.empty(len(errors))
    for piece in _pieces(errors):
        known = None if slots is None else slots[piece]
        found[piece] = sample_mean(point_areas(errors[piece], at, known))
    return found


def point_areas(errors: ArrayLike, at: NDArray, slots: NDArray | None = None) -> NDArray:
    """The AUC (N, K) of each error's own curve, a step from 0 to 1; NaN for NaN. `slots` as in `Tally.add`.

    A column's mean is that point's AUC.
    """
    span = at[-1] - at[0]
    from_step = (at[-1] - at) / span
    # The trapezoid gives half of the interval in which the step rises.
    rise = np.diff(at, prepend=at[0]) / (2 * span)
    table = np.concatenate([from_step + rise, [0.0, np.nan]])
    return table[first_within(errors, at) if slots is None else slots]


def first_within(errors: ArrayLike, at: NDArray) -> NDArray:
    """Index (N, K) of the first threshold of (T,) that each error is within; T beyond the last, T + 1 for NaN.

    What `Tally.add` and `point_areas` both need: hand it to both. Exact, also at ties.
    """
    values = np.asarray(errors, np.float64)
    count = len(at)
    step = (at[-1] - at[0]) / max(count - 1, 1)
    even = np.abs(at - at[0] - step * np.arange(count)).max() < EVEN * step
    found = np.empty(values.shape, np.intp)
    flat, flat_found = values.reshape(-1), found.reshape(-1)
    for start in range(0, len(flat), PIECE):
        piece, slot = flat[start : start + PIECE], flat_found[start : start + PIECE]
        if even:
            place = (piece - at[0]) / step
            place = np.fmax(np.fmin(place, count - 0.5), -0.5)
            slot[:] = np.ceil(place)
            unsure = np.abs(place - np.rint(place)) < NEAR
            slot[unsure] = np.searchsorted(at, piece[unsure])
        else:
            slot[:] = np.searchsorted(at, piece)
        slot[np.isnan(piece)] = count + 1
    return found


def _pieces(errors: NDArray) -> Iterator[slice]:
    """Slices of the samples of (N, K) that together cover all."""
    rows = PIECE // max(errors.shape[1], 1) + 1
    return (slice(start, start + rows) for start in range(0, len(errors), rows))


class Tally:
    """Mean, PCK and AUC of errors that come block by block: what it keeps does not grow with the samples.

    `add` blocks of (n, K), or `merge` another tally; results are those of all blocks together.

    at (T,)          thresholds
    total, count     (K,) sum of each point's errors (None before the first block), and how many there are
    within (T, K)    how many of them are within each threshold
    """

    def __init__(self, at: NDArray):
        self.at = at
        self.total: NDArray | None = None
        self.count: NDArray = np.zeros(0)
        self._first: NDArray = np.zeros((0, len(at)))

    @property
    def within(self) -> NDArray:
        return np.cumsum(self._first, axis=1).T

    def add(self, errors: ArrayLike, slots: NDArray | None = None) -> None:
        """Errors (n, K); `slots` is `first_within(errors, at)`, if that is known already. Raises InvalidError."""
        errors = np.asarray(errors, np.float64)
        if errors.ndim != 2 or (self.total is not None and errors.shape[1:] != self.total.shape):
            raise InvalidError(
                f"Cannot count errors {errors.shape}.", "They must be (samples, points), always as many."
            )
        points, size = errors.shape[1], len(self.at) + 2
        found = np.zeros(points * size, np.int64)
        for piece in _pieces(errors):
            slot = first_within(errors[piece], self.at) if slots is None else slots[piece]
            np.add.at(found, slot + size * np.arange(points), 1)
        found = found.reshape(points, size)
        missing = found[:, -1]
        filled = np.where(np.isnan(errors), 0.0, errors) if missing.any() else errors
        self._sum(filled.sum(0), len(errors) - missing, found[:, :-2])

    def merge(self, other: Tally) -> None:
        """Add what another tally has counted at the same thresholds. Raises InvalidError if they are others."""
        if not np.array_equal(self.at, other.at):
            raise InvalidError("Cannot merge curves over different thresholds.", "Count both at the same.")
        if other.total is not None:
            self._sum(other.total, other.count, other._first)

    def _sum(self, total: NDArray, count: NDArray, first: NDArray) -> None:
        if self.total is None:
            self.total, self.count, self._first = total.copy(), count.copy(), first.copy()
        else:
            self.total, self.count, self._first = self.total + total, self.count + count, self._first + first

    def mean(self) -> float:
        """Mean over points of each point's mean; NaN if there is nothing."""
        seen = self.count > 0
        return float(np.mean(self.total[seen] / self.count[seen])) if seen.any() else float("nan")  # type: ignore[index]

    def point_pck(self) -> NDArray:
        """(T, K); NaN for a point that no sample has."""
        count = np.where(self.count > 0, self.count, np.nan)
        return self.within / count

    def pck(self) -> NDArray:
        """(T,): the mean over the points that were seen."""
        seen = self.count > 0
        if not seen.any():
            return np.full(len(self.at), np.nan)
        # Summed point after point, as the official script does: pairwise sums differ in the last bit.
        return np.ascontiguousarray(self.point_pck()[:, seen].T).mean(0)

    def auc(self) -> float:
        """Per point, then the mean over the points that were seen."""
        seen = self.count > 0
        return float(np.mean(auc(self.point_pck()[:, seen], self.at))) if seen.any() else float("nan")
