"""Errors over time: acceleration error and jitter, per frame, of points in tracks.

T samples stand in order, of one track or of several one after the other: `track` (T,) names each sample's, `frame` (T,)
int is its number there. Two samples are neighbours in time if they follow one another here, in one track, with frame
numbers that differ by exactly 1; without `track` all are one track, without `frame` none is missing. Figures never
reach across a track's end, a gap, or a frame that is not annotated: NaN stands there.
Units are those of the points, per frame to the power of the derivative; the frame rate is no part of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handbench.errors import InvalidError
from handbench.metrics.errors import sample_mean


def acceleration(points: ArrayLike) -> NDArray:
    """Second differences (T-2, K, 3) of one track without gaps (T, K, 3), per frame^2; empty where T < 3.

    Their norm's mean says how smooth a track is. Source: VIBE: lib/utils/eval_utils.py compute_accel.
    """
    p = np.asarray(points, np.float64)
    return p[2:] - 2 * p[1:-1] + p[:-2]


def acceleration_error(
    target: ArrayLike,
    points: ArrayLike,
    valid: ArrayLike | None = None,
    track: ArrayLike | None = None,
    frame: ArrayLike | None = None,
) -> NDArray:
    """Mean over joints of the distance of predicted from true acceleration -> (T,), in the unit of the input/frame^2.

    Target and points (T, K, 3). The value of frames t-1, t, t+1 stands at t. `valid` (T,) or (T, K): a joint counts
    where it is annotated in all three frames; the target may be NaN where it is not. NaN where no joint counts.
    Raises InvalidError if shapes differ.
    Source: VIBE: lib/utils/eval_utils.py compute_error_accel. (TCMR asks only that the middle frame is annotated.)
    """
    a, b = np.asarray(target), np.asarray(points)
    if a.shape != b.shape or a.ndim != 3:
        raise InvalidError(f"Cannot compare tracks {b.shape} with {a.shape}.", "Both must be (frames, points, 3).")
    error = np.linalg.norm(acceleration(b) - acceleration(a), axis=-1)
    return _placed(error, _present(valid, a.shape[:2]), _linked(track, frame, len(a)), order=2)


def jitter(
    points: ArrayLike,
    track: ArrayLike | None = None,
    frame: ArrayLike | None = None,
    valid: ArrayLike | None = None,
) -> NDArray:
    """Mean over joints of the norm of the third difference of (T, K, 3) -> (T,), in the unit of the input/frame^3.

    The value of frames t-1 .. t+2 stands at t. It looks at predictions alone: still points have none, however wrong.
    `valid` as in `acceleration_error`, over all four frames.
    Source: TransPose (Yi et al., SIGGRAPH 2021) calls the mean jerk of the joints jitter; times fps^3 it is per s^3.
    """
    p = np.asarray(points, np.float64)
    if p.ndim != 3:
        raise InvalidError(f"Cannot follow points {p.shape} through time.", "They must be (frames, points, 3).")
    jerk = np.linalg.norm(p[3:] - 3 * p[2:-1] + 3 * p[1:-2] - p[:-3], axis=-1)
    return _placed(jerk, _present(valid, p.shape[:2]), _linked(track, frame, len(p)), order=3)


def to_m_per_s2(mm_per_frame2: ArrayLike, fps: ArrayLike) -> NDArray:
    """Millimetres per frame^2 at `fps` frames per second -> metres per second^2.

    Source: HaWoR: scripts/scripts_eval/eval_hawor_hot3d.py multiplies by 30^2.
    """
    return np.asarray(mm_per_frame2, np.float64) * np.asarray(fps, np.float64) ** 2 / 1000


def _present(valid: ArrayLike | None, shape: tuple[int, int]) -> NDArray:
    """(T, K) bool."""
    if valid is None:
        return np.ones(shape, bool)
    mask = np.asarray(valid, bool)
    return np.broadcast_to(mask[:, None] if mask.ndim == 1 else mask, shape)


def _linked(track: ArrayLike | None, frame: ArrayLike | None, count: int) -> NDArray:
    """(T-1,) bool: sample t+1 is the frame after sample t."""
    linked = np.ones(max(count - 1, 0), bool)
    if track is not None:
        names = np.asarray(track)
        linked &= names[1:] == names[:-1]
    if frame is not None:
        linked &= np.diff(np.asarray(frame).astype(np.int64)) == 1
    return linked


def _placed(values: NDArray, present: NDArray, linked: NDArray, order: int) -> NDArray:
    """Values (T-order, K) of windows of order+1 frames -> mean over joints (T,) at each window's second frame."""
    found = np.full(len(present), np.nan)
    n = len(values)
    if n == 0:
        return found
    together = present[:n]
    for i in range(order):
        together = together & present[i + 1 : i + 1 + n] & linked[i : i + n, None]
    found[1 : 1 + n] = sample_mean(np.where(together, values, np.nan))
    return found
