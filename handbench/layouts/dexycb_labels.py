"""DexYCB's label files, `labels_%06d.npz`: of each what is asked for, out of hundreds of thousands.

    joint_3d   (1, 21, 3) float32   metres, OpenCV frame of the label's own camera, FH21; all -1: nothing is annotated
    pose_m     (1, 51) float32      axis-angle turn (3), 45 PCA coefficients about MANO's mean pose, translation (3) m;
                                    all 0: no hand
    seg        (480, 640) uint8     0 background, 1 to 21 YCB objects, 255 hand
    pose_y, joint_2d                objects' poses, projected joints: not read

Source: NVlabs/dex-ycb-toolkit: dex_ycb_toolkit/dex_ycb.py, hpe_eval.py (which frames count), and manopth's layer with
use_pca, ncomps 45, flat_hand_mean False.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from handbench.console import progress
from handbench.errors import InvalidError
from handbench.hands.mano import HandModel
from handbench.layouts.dexycb_tree import IMAGE_SIZE, Frames
from handbench.layouts.folder import Folder
from handbench.layouts.images import decode_as_is

HAND = 255
MEMBERS: dict[str, tuple[tuple[int, ...], type]] = {
    "joint_3d": ((1, 21, 3), np.float32),
    "pose_m": ((1, 51), np.float32),
    "seg": ((IMAGE_SIZE[1], IMAGE_SIZE[0]), np.uint8),
}
# a label has some kilobytes, some hundred if it is not compressed; what stands before an array's numbers, much less
MOST_BYTES, HEADER = 4 << 20, 1 << 12
# what reading a damaged archive, or one that is none, may raise; RuntimeError: encrypted
DAMAGED = (
    OSError,
    ValueError,
    EOFError,
    MemoryError,
    OverflowError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)
# label files that one task reads
AT_ONCE = 64


class Label:
    """One label file in memory, packed; an array of it is unpacked when it is asked for, and no pickle.

    Raises MissingError, InvalidError naming the file.
    """

    def __init__(self, folder: Folder, inside: str):
        self.path = f"{folder}/{inside}"
        data = folder.read(inside, MOST_BYTES)
        try:
            self._file = zipfile.ZipFile(io.BytesIO(data))
        except DAMAGED as error:
            raise self._damaged(error) from None

    @property
    def joints(self) -> NDArray:
        """(21, 3) float32 m."""
        return self._array("joint_3d")[0]

    @property
    def pose(self) -> NDArray:
        """(51,) float32."""
        return self._array("pose_m")[0]

    @property
    def hand_mask(self) -> NDArray:
        """(480, 640) bool: the hand's visible pixels."""
        return self._array("seg") == HAND

    def _array(self, name: str) -> NDArray:
        shape, dtype = MEMBERS[name]
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        try:
            info = self._file.getinfo(f"{name}.npy")
            if info.file_size > size + HEADER:
                raise InvalidError(
                    f"{name} in {self.path} has {info.file_size:,} bytes, not {size:,}.", "Fetch it again."
                )
            # not more is unpacked, whatever the archive says of its size
            with self._file.open(info) as member:
                data = member.read(size + HEADER)
            array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
        except KeyError:
            raise InvalidError(f"{self.path} has no {name}.", "It is no label of DexYCB: fetch it again.") from None
        except DAMAGED as error:
            raise self._damaged(error) from None
        if array.shape != shape or array.dtype != dtype:
            raise InvalidError(
                f"{name} in {self.path} is {array.dtype} {array.shape}, not {np.dtype(dtype)} {shape}.",
                "The file is damaged or of another dataset.",
            )
        return array

    def _damaged(self, error: BaseException) -> InvalidError:
        why = re.sub(r"\s+", " ", str(error)).rstrip(".") or type(error).__name__
        return InvalidError(f"The label {self.path} cannot be read: {why}.", "Fetch it again.")


def read_joints(frames: Frames, workers: int = 8) -> NDArray:
    """`joint_3d` of every frame -> (N, 21, 3) float32 m, all -1 where nothing is annotated.

    Raises MissingError or InvalidError naming the first label file that is not there or not as it must be.
    """
    joints = np.empty((len(frames), 21, 3), np.float32)

    def block(start: int) -> int:
        stop = min(start + AT_ONCE, len(frames))
        for i in range(start, stop):
            joints[i] = Label(frames.folder, frames.label(i)).joints
        return stop - start

    pool = ThreadPoolExecutor(workers)
    try:
        with progress(f"reading DexYCB {frames.split}", len(frames), "labels") as advance:
            for done in pool.map(block, range(0, len(frames), AT_ONCE)):
                advance(done)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return joints


def annotated(joints: NDArray) -> NDArray:
    """Which labels (N, 21, 3) count (N,): all but those of which every number is -1 (hpe_eval.py)."""
    return ~(joints == -1).all((1, 2))


def mano_of(pose: NDArray, hand: HandModel) -> tuple[NDArray, NDArray]:
    """`pose_m` (N, 51) of one side -> the full pose (N, 48) axis-angle, mean pose added, and translation (N, 3) m; NaN
    where the label has no pose."""
    known = (pose != 0).any(1, keepdims=True)
    fingers = pose[:, 3:48].astype(np.float64) @ hand.hands_components + hand.hands_mean
    full = np.concatenate([pose[:, :3], fingers], 1)
    return np.where(known, full, np.nan), np.where(known, pose[:, 48:], np.float32(np.nan))


def read_depth(folder: Folder, inside: str) -> NDArray:
    """A depth image (480, 640) of the colour camera, m, 0 where nothing was measured. Raises MissingError,
    InvalidError naming the file."""
    path = f"{folder}/{inside}"
    steps = decode_as_is(folder.read(inside), path)
    if steps.dtype != np.uint16 or steps.shape != IMAGE_SIZE[::-1]:
        raise InvalidError(
            f"{path} is {steps.dtype} {steps.shape}, not uint16 {IMAGE_SIZE[::-1]}.", "Depth is millimetres in 16 bits."
        )
    return steps * 1e-3
