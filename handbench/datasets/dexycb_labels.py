"""DexYCB's label files, `labels_%06d.npz`: the joints, out of many thousands of them.

`joint_3d` is (1, 21, 3) float32, metres, in the OpenCV frame of the label's own camera, FH21; all -1 where nothing is
annotated. Source: NVlabs/dex-ycb-toolkit: dex_ycb_toolkit/dex_ycb.py, hpe_eval.py (which frames count).
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handbench.console import progress
from handbench.datasets.dexycb_tree import Frames
from handbench.errors import InvalidError, MissingError

JOINTS, MEMBER = (1, 21, 3), "joint_3d"
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


def read_joints(frames: Frames, workers: int = 8) -> NDArray:
    """`joint_3d` of every frame -> (N, 21, 3) float32 m, all -1 where nothing is annotated.

    Raises MissingError or InvalidError naming the first label file that is not there or not as it must be.
    """
    joints = np.empty((len(frames), *JOINTS[1:]), np.float32)

    def block(start: int) -> int:
        stop = min(start + AT_ONCE, len(frames))
        for i in range(start, stop):
            joints[i] = read_joint_3d(frames.root / frames.label(i))
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


def read_joint_3d(path: Path) -> NDArray:
    """`joint_3d` (21, 3) float32 m of one label file; nothing else of it is read, and no pickle.

    Raises MissingError, InvalidError.
    """
    try:
        with zipfile.ZipFile(path) as file:
            info = file.getinfo(f"{MEMBER}.npy")
            if info.file_size > 1 << 16:
                raise InvalidError(
                    f"{MEMBER} in {path} has {info.file_size:,} bytes, not 21 points.", "Fetch it again."
                )
            array = np.lib.format.read_array(io.BytesIO(file.read(info)), allow_pickle=False)
    except FileNotFoundError:
        raise MissingError(f"The label {path} does not exist.", "Is DexYCB unpacked completely?") from None
    except KeyError:
        raise InvalidError(f"{path} has no {MEMBER}.", "It is no label of DexYCB: fetch it again.") from None
    except DAMAGED as error:
        why = re.sub(r"\s+", " ", str(error)).rstrip(".") or type(error).__name__
        raise InvalidError(f"The label {path} cannot be read: {why}.", "Fetch it again.") from None
    if array.shape != JOINTS or array.dtype != np.float32:
        raise InvalidError(
            f"{MEMBER} in {path} is {array.dtype} {array.shape}, not float32 {JOINTS}.",
            "The file is damaged or of another dataset.",
        )
    return array[0]
