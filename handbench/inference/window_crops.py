"""Windows of video as a method sees them at inference: the crops of T frames, window by window.

All frames of a window are cut at one scale, each about its own hand: the square's side is a multiple of the largest
box in the window. One square about all of its hands would show most of them small, and in a prepared file, which keeps
what is around each frame's own hand, black beside them; what a hand moved by is in each crop's own camera and affine.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import default_collate

from handbench.hands.record import Hands
from handbench.inference.crops import GIVEN_KEYS, Crops, given_quantity
from handbench.inference.windows import windows_of
from handbench.methods.base import Method
from handbench.store.hands_file import HandsFile


class Decoded:
    """The last `most` samples that were looked at, annotations and decoded picture, and how many pictures were decoded
    in all (`count`).
    """

    def __init__(self, most: int):
        self.most = most
        self.count = 0
        self._kept: OrderedDict[int, tuple[Hands, NDArray]] = OrderedDict()

    def get(self, at: int, crops: Crops) -> tuple[Hands, NDArray]:
        """A sample, and its stored image (H,W,3)."""
        if at in self._kept:
            self._kept.move_to_end(at)
            return self._kept[at]
        self.count += 1
        found = self._kept[at] = crops.file.read(at, at + 1), crops.decode(at)
        if len(self._kept) > self.most:
            self._kept.popitem(last=False)
        return found


class WindowCrops(Crops):
    """As `Crops`, an item a window; `index` are the samples that are predicted, sorted.

    Of a frame that only stands beside those of its window, what is given is NaN where its truth does not have it.
    Each process keeps as many pictures decoded as windows in the order of the file share.
    """

    def __init__(self, file: HandsFile, method: Method, margin: float):
        super().__init__(file, method.input_size, margin, method.given, None, method.mirrors_left)
        self.length, self.stride = method.frames, method.stride
        self.every = windows_of(file, method.frames, method.gap, method.stride, method=method.name)
        self.windows = self.every
        # between two uses of a picture lie `gap` windows, of other pictures each
        self.decoded = Decoded(method.frames * method.gap + method.frames)

    def __len__(self) -> int:
        return len(self.windows)

    def only(self, index: NDArray) -> WindowCrops:
        """The same of these samples of the file alone; their windows reach beyond them."""
        part = copy.copy(self)
        part.index = index
        if self.stride == 1:
            part.windows = self.every.take(index)
        else:
            wanted = np.isin(self.every.index, index) & ~self.every.repeated
            part.windows = self.every.take(np.flatnonzero(wanted.any(1)))
        return part

    def __getitem__(self, item: int) -> dict[str, Any]:
        index = self.windows.index[item]
        frames = {int(at): self.decoded.get(int(at), self)[0] for at in np.unique(index)}
        for at in index[self._answering(index, self.windows.repeated[item])]:
            self._require_given(frames[int(at)])
        least = largest_side(frames.values()) if self.margin else 0.0
        crops = {at: self._frame(at, hands, least) for at, hands in frames.items()}
        return stacked([crops[int(at)] for at in index], self.windows.repeated[item])

    def _frame(self, at: int, hands: Hands, least: float) -> dict[str, Any]:
        sample = self.crop(at, hands, self.affine(hands, least=least))
        if "occlusion" in self.given:
            sample["visible_fraction"] = visible_fraction(hands)
        return sample

    def quantity(self, hands: Hands, name: str) -> NDArray:
        """NaN where the truth does not have it: of the frames that are predicted `_require_given` asks for it."""
        return given_quantity(hands, name)

    def _require_given(self, hands: Hands) -> None:
        """Raises InvalidError where the truth of a frame that is predicted lacks a given quantity."""
        for name in self.given:
            if name in GIVEN_KEYS:
                super().quantity(hands, name)

    def _answering(self, index: NDArray, repeated: NDArray) -> NDArray:
        """Which frames of windows (...,T) are predicted, bool: their centres, or all that are wanted (`stride`)."""
        if self.stride > 1:
            return ~repeated & np.isin(index, self.index)
        return np.broadcast_to(np.arange(self.length) == self.length // 2, index.shape)

    def picture(self, at: int) -> NDArray:
        return self.decoded.get(at, self)[1]

    def collate(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        return collate_windows(items)

    def answers(self, batch: dict[str, Any]) -> tuple[NDArray, NDArray]:
        index, repeated = (batch[key].cpu().numpy().reshape(-1, self.length) for key in ("index", "repeated"))
        found = self._answering(index, repeated)
        return np.flatnonzero(found) if self.stride > 1 else np.arange(len(index)), index[found]


def largest_side(frames: Iterable[Hands]) -> float:
    """Pixels: the longest side of the hands' boxes, 0 where none has one."""
    boxes = np.array([np.asarray(hands.box, np.float64)[0] for hands in frames if hands.box is not None])
    sides = (boxes[:, 2:] - boxes[:, :2]).max(1) if len(boxes) else np.zeros(0)
    return float(max(sides[np.isfinite(sides)], default=0.0))


def visible_fraction(hands: Hands) -> np.float32:
    """Of one sample: the share of its hand that nothing else covers, NaN where it is not known."""
    return np.float32(np.nan if hands.visible_fraction is None else hands.visible_fraction[0])


def stacked(frames: list[dict[str, Any]], repeated: NDArray) -> dict[str, Any]:
    """The samples of a window's T frames -> one item, with `repeated` (T,)."""
    return {**{key: np.stack([frame[key] for frame in frames]) for key in frames[0]}, "repeated": repeated}


def collate_windows(items: list[dict[str, Any]]) -> dict[str, Any]:
    """B windows of T frames -> a batch of B*T, window by window."""
    return {key: value.flatten(0, 1) for key, value in default_collate(items).items()}
