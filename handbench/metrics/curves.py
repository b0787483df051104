"""PCK curves and the area under them (AUC), as the official scripts define them.

PCK is inclusive: an error equal to the threshold is correct. Thresholds come from `linspace`, so that ties fall as
they do officially. AUC is the trapezoid over the range, divided by the range, per point and then averaged.
Source: freihand: utils/eval_util.py EvalUtil.get_measures.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handbench.metrics.errors import sample_mean


def thresholds(low: float = 0.0, high: float = 0.05, steps: int = 100) -> NDArray:
    """`steps` thresholds from low to high, both included, in the unit of the errors."""
    return np.linspace(low, high, steps)


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


def sample_auc(errors: ArrayLike, at: NDArray) -> NDArray:
    """The AUC (N,) of each sample's own curve. Its mean is the AUC of the set when every sample has every point."""
    errors = np.asarray(errors, np.float64)
    steps = np.arange(len(at))
    # Area of the step curve that starts at threshold r, for every r; none for r = T.
    area = auc((steps[:, None] >= np.arange(len(at) + 1)).astype(np.float64), at)
    return sample_mean(np.where(np.isnan(errors), np.nan, area[_first_within(errors, at)]))


class Tally:
    """Mean, PCK and AUC of errors that come block by block: what it keeps does not grow with the samples.

    `add` blocks of (n, K); results are those of all blocks together.
    """

    def __init__(self, at: NDArray):
        self.at = at
        self.total: NDArray | None = None
        self.count: NDArray = np.zeros(0, np.int64)
        self.within: NDArray = np.zeros((0, 0), np.int64)

    def add(self, errors: ArrayLike) -> None:
        errors = np.asarray(errors, np.float64)
        points, size = errors.shape[1], len(self.at) + 1
        if self.total is None:
            self.total = np.zeros(points)
            self.count = np.zeros(points, np.int64)
            self.within = np.zeros((len(self.at), points), np.int64)
        present = ~np.isnan(errors)
        self.total += np.where(present, errors, 0.0).sum(0)
        self.count += present.sum(0)
        # NaN falls beyond the last threshold and so is never counted as within.
        slot = _first_within(errors, self.at) + size * np.arange(points)
        first = np.bincount(slot.ravel(), minlength=size * points).reshape(points, size)
        self.within += np.cumsum(first[:, :-1], axis=1).T

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


def _first_within(errors: NDArray, at: NDArray) -> NDArray:
    """Index of the first threshold that is not below each error; len(at) where all are below, or for NaN."""
    return np.searchsorted(at, errors, side="left")
