"""How far an estimate may be off: its standard error from contributions of independent units, and the t that fits it.

A unit is a cluster of samples or, without clusters, a sample. The working model, for few units, is an effect per unit,
independent, normal and of one variance; the variance itself stays the sum of the units' squared contributions, so
that with many units it holds whatever the model.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtridf, stdtrit

ROUNDING = 1e-12
LONGEST = 0.25
"""A side is lengthened for skewness by no more than this share of itself: from few units skewness is a guess."""

# Gauss-Legendre over an angle in (0, pi/2), as 1/sin^2, with weights that add up to 1.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(48)
_STRETCH, _WEIGHTS = 1 / np.sin((_NODES + 1) * np.pi / 4) ** 2, _WEIGHTS / 2


class Spread(NamedTuple):
    """Standard error, skewness of the estimate (third moment over error^3), critical value, its degrees of freedom."""

    error: float
    skew: float
    t: float
    df: float

    def sides(self) -> tuple[float, float]:
        """Lengths of the interval below and above the estimate.

        The long side of a skewed estimate is lengthened by Johnson's term, error x skew x (1 + 2 t^2)/6 (JASA 1978;
        Hall, 1992); the other is not shortened by it, as he does: with few units that costs more than it mends.
        """
        half = self.t * self.error
        more = min(abs(self.skew) * (1 + 2 * self.t**2) / 6 * self.error, LONGEST * half)
        return (half + more, half) if self.skew < 0 else (half, half + more)


UNKNOWN = Spread(*[float("nan")] * 4)


def spread(parts: NDArray, shares: NDArray, level: float) -> Spread:
    """Spread of a sum of linearised contributions `parts` (C,), one per unit; all NaN where they cannot tell.

    `shares` (C, J): the weight of each unit in each of J averaged columns; every column of it sums to 1.
    With W = mean_j shares and Q = shares shares'/J, parts = (diag W - Q) effects and the variance to find is that of
    an effect times sum W^2. Each squared part is scaled to its unit's term W_c^2 of that expectation: the correction of
    Bell & McCaffrey (Survey Methodology 2002) under this model; with one column, 1/(1 - 2 W_c + sum W^2).
    """
    there = (shares > 0).any(1)
    parts, shares = parts[there], shares[there]
    columns, weight = shares.shape[1], shares.mean(1)
    expected = weight**2 - 2 * weight * (shares**2).sum(1) / columns
    expected += ((shares @ (shares.T @ shares)) * shares).sum(1) / columns**2
    if not len(parts) or (expected <= ROUNDING * weight**2).any():
        return UNKNOWN
    scale = weight**2 / expected
    error = float(np.sqrt((scale * parts**2).sum()))
    skew = float(((np.sqrt(scale) * parts / error) ** 3).sum()) if error > 0 else 0.0
    # With columns that miss different samples the form is not this one; it gets the right expectation.
    square, total = scale * weight**2, (weight**2).sum()
    t = critical(weight, square * total / (square * (1 - 2 * weight + total)).sum(), level)
    return Spread(error, skew, t, _degrees(t, level))


def spread_of_samples(error: float, skew: float, effective: float, level: float) -> Spread:
    """The textbook's t with n - 1 degrees of freedom, n the number of samples that weigh equally to the same effect."""
    return Spread(error, skew, float(stdtrit(effective - 1, (1 + level) / 2)), effective - 1)


def critical(weight: NDArray, square: NDArray, level: float) -> float:
    """The t with P(|w'u| <= t sqrt(sum_c square_c (u_c - w'u)^2)) = level for u (C,) standard normal.

    With equal weights it is Student's with C - 1 degrees of freedom. Bell & McCaffrey take Student's with
    Satterthwaite's degrees of freedom, which is far too wide for few unequal units (coverage 99 %).
    """
    # Clusters of the same size count as one entry; the columns of a table mostly have the same clusters.
    pairs, times = np.unique(weight + 1j * square, return_counts=True)
    return _critical(pairs.tobytes(), times.tobytes(), level)


@lru_cache(maxsize=256)
def _critical(pairs: bytes, times: bytes, level: float) -> float:
    table, counts = np.frombuffer(pairs).reshape(-1, 2), np.frombuffer(times, np.intp)
    # Between half the normal quantile and far beyond what two units of any size need; bisection of the logarithm.
    low = np.log(ndtri((1 + level) / 2) ** 2 / 4 / (counts * table[:, 0] ** 2).sum())
    high = low + 30
    for _ in range(56):
        middle = (low + high) / 2
        beyond, t = _tail(np.exp(middle), table, counts)
        low, high = (middle, high) if beyond > 1 - level else (low, middle)
    return t


def _tail(k: float, table: NDArray, times: NDArray) -> tuple[float, float]:
    """P(|T| > t), and t, where t^2 = k h(k).

    A = (I - 1w')' diag(square) (I - 1w') is the form under the root. T^2 > t^2 says that u'(ww' - t^2 A)u > 0, of which
    one eigenvalue is positive; it is h(k) = w'(I + kA)^-1 w where t^2 = k h(k). By Craig's form of the normal tail
    (MILCOM 1991) the probability is a mean over an angle, x = 1/sin^2: of the determinant of the rest, to the -1/2.
    """
    _, (first,) = _determinant(np.array([k]), table, times)
    log_determinant, h = _determinant(k * _STRETCH, table, times)
    rest = log_determinant + np.log((_STRETCH * h / first - 1) / (_STRETCH - 1))
    return float(_WEIGHTS @ np.exp(-rest / 2)), float(np.sqrt(k * first))


def _determinant(k: NDArray, table: NDArray, times: NDArray) -> tuple[NDArray, NDArray]:
    """log det(I + kA) and w'(I + kA)^-1 w for each k, in O(C), and as sums of what is positive.

    A is diag(a) and a part of rank two, in w and a, so both follow from the 2 x 2 matrix of that part.
    """
    w, a = table.T
    scaled = 1 + k[:, None] * a
    first, second, third = ((top / scaled) @ times for top in (w, w * w, a))
    small = first**2 + k * second * third
    return np.log(scaled) @ times + np.log(small), second / small


def _degrees(t: float, level: float) -> float:
    """The degrees of freedom of which this t is Student's quantile; infinite where it is the normal one."""
    return float(stdtridf((1 + level) / 2, t)) if t > ndtri((1 + level) / 2) * (1 + 1e-9) else float("inf")
