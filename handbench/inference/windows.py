"""Windows over video: which samples of a file stand together, T frames `gap` frame numbers apart, in one run.

A run is what one camera saw of one hand: the samples of one track, by frame, up to where the side changes. No window
reaches beyond its run, so none joins tracks, cameras or sides; splits are files of their own. Frames that are missing
(beyond the run's ends, or without a sample) are stood in for by the last frame of the window before them that is
there, or, where there is none, by the first one after them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handbench.errors import InvalidError
from handbench.store.hands_file import HandsFile


@dataclass(frozen=True, eq=False)
class Windows:
    """N windows of T frames: index (N,T), samples of the file; repeated (N,T) bool: the sample stands in for a missing
    frame.
    """

    index: NDArray
    repeated: NDArray

    def __len__(self) -> int:
        return len(self.index)

    def take(self, rows: NDArray) -> Windows:
        """Those windows, in that order."""
        return Windows(self.index[rows], self.repeated[rows])


def window_index(track: ArrayLike, frame: ArrayLike, length: int, gap: int) -> Windows:
    """One window about each sample: row i has frames frame[i] + (k - length // 2) * gap for k < length.

    track (N,) names what belongs together, one run each; frame (N,) int is the number there.
    """
    samples = _Samples(track, frame, (length + 1) * gap)
    steps = (np.arange(length) - length // 2) * gap
    sample = np.arange(samples.count)
    return _filled(samples.find(samples.run[:, None], samples.frame[:, None] + steps, sample[:, None]))


def tiling(track: ArrayLike, frame: ArrayLike, length: int, gap: int) -> Windows:
    """As few windows as have every sample exactly once as itself (not repeated): of each run, the frames of equal
    remainder by `gap`, `length` at a time. Arguments as in `window_index`.
    """
    samples = _Samples(track, frame, (length + 1) * gap)
    since = samples.frame - samples.first[samples.run]
    slot, remainder = since // gap, since % gap
    start = samples.frame - (slot % length) * gap
    # one of each window's samples speaks for it
    order = np.lexsort((start, remainder, samples.run))
    key = np.stack([samples.run, remainder, start])[:, order]
    new = np.ones(samples.count, bool)
    new[1:] = (key[:, 1:] != key[:, :-1]).any(0)
    head = order[new]
    # from the first frame on: by run, then by time, so that neighbouring windows share what is decoded
    head = head[np.lexsort((start[head], samples.run[head]))]
    found = samples.find(samples.run[head, None], start[head, None] + np.arange(length) * gap)
    if (twins := samples.twins).any():
        # two samples of one frame cannot stand in one window: the second has one of its own
        own = np.flatnonzero(twins)
        alone = np.full((len(own), length), -1)
        alone[np.arange(len(own)), slot[own] % length] = own
        found = np.concatenate([found, alone])
    return _filled(found)


def runs(track: ArrayLike, frame: ArrayLike, side: ArrayLike | None = None) -> NDArray:
    """The run (N,) int of each sample: of its track (N,) str, cut wherever the side (N,) str changes along `frame`."""
    _, number = np.unique(np.asarray(track), return_inverse=True)
    order = np.lexsort((np.asarray(frame), number))
    new = np.zeros(len(order), bool)
    new[1:] = number[order][1:] != number[order][:-1]
    if side is not None:
        which = np.asarray(side)[order]
        new[1:] |= which[1:] != which[:-1]
    found = np.empty(len(order), np.int64)
    found[order] = np.cumsum(new)
    return found


def windows_of(
    file: HandsFile, length: int, gap: int, stride: int, among: NDArray | None = None, method: str = "the method"
) -> Windows:
    """The windows of a file's samples, or of those `among` them (sorted indices) alone: about each where `stride` is 1,
    side by side where it is `length`.

    Raises InvalidError where the file has no tracks, or its frames have no number.
    """
    require_tracks(file, method)
    among = np.arange(len(file)) if among is None else np.asarray(among)
    side = file.column("side")[among] if "side" in file.fields else None
    frame = file.column("frame")[among]
    run = runs(file.column("track")[among], frame, side)
    found = (window_index if stride == 1 else tiling)(run, frame, length, gap)
    return Windows(among[found.index], found.repeated)


def require_tracks(file: HandsFile, method: str) -> None:
    """Raises InvalidError for a file without tracks: there is nothing to make windows of."""
    if not {"track", "frame"} <= set(file.fields):
        raise InvalidError(
            f"{file.path} has no tracks, and {method} looks at several frames at once.",
            "Take a dataset of video, as dexycb, ho3d-v3 or handsynth-video.",
        )


class _Samples:
    """Samples that are found by run and frame number; `reach`: how far beyond a run anybody will look."""

    def __init__(self, track: ArrayLike, frame: ArrayLike, reach: int):
        self.frame = np.asarray(frame).astype(np.int64)
        self.count = len(self.frame)
        _, run = np.unique(np.asarray(track), return_inverse=True)
        self.run = run.astype(np.int64)
        runs_there = int(self.run.max()) + 1 if self.count else 0
        self.first = np.full(runs_there, np.iinfo(np.int64).max)
        np.minimum.at(self.first, self.run, self.frame)
        since = self.frame - self.first[self.run]
        self._reach = reach
        # wide enough that a frame beyond one run's end is not one of the next run
        self._span = (int(since.max()) if self.count else 0) + 2 * reach + 1
        key = self._key(self.run, self.frame)
        self._order = np.argsort(key, kind="stable")
        self._keys = key[self._order]

    def _key(self, run: NDArray, frame: NDArray) -> NDArray:
        return run * self._span + (frame - self.first[run]) + self._reach

    @property
    def twins(self) -> NDArray:
        """(N,) bool: another sample before it has its run and frame."""
        found = np.zeros(self.count, bool)
        found[self._order[1:]] = self._keys[1:] == self._keys[:-1]
        return found

    def find(self, run: NDArray, frame: NDArray, own: NDArray | None = None) -> NDArray:
        """The samples (N,T) of run (N,1) and frame (N,T), -1 where there is none; `own` (N,1) is preferred to a twin
        of its frame.
        """
        if not self.count:
            return np.full(frame.shape, -1)
        key = self._key(np.broadcast_to(run, frame.shape), frame)
        at = np.minimum(np.searchsorted(self._keys, key), self.count - 1)
        found = np.where(self._keys[at] == key, self._order[at], -1)
        return found if own is None else np.where(self.frame[own] == frame, own, found)


def _filled(found: NDArray) -> Windows:
    """Samples (N,T) with -1 where one is missing -> the windows."""
    missing = found < 0
    length = found.shape[1]
    place = np.broadcast_to(np.arange(length), found.shape)
    before = np.maximum.accumulate(np.where(missing, -1, place), 1)
    after = np.minimum.accumulate(np.where(missing, length, place)[:, ::-1], 1)[:, ::-1]
    source = np.where(before >= 0, before, np.minimum(after, length - 1))
    return Windows(np.take_along_axis(found, source, 1), missing)
