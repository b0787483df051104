"""DexYCB's calibration: the colour cameras' intrinsics, and the shapes of the subjects' hands.

    ROOT/calibration/intrinsics/SERIAL_640x480.yml      {color: {fx, fy, ppx, ppy}, depth: {...}}
                     mano_<mano_calib>/mano.yml         {betas: [10]}
                     extrinsics_<extrinsics>/...        not needed: labels are in the frame of their own camera

Source: NVlabs/dex-ycb-toolkit: dex_ycb_toolkit/dex_ycb.py, sequence_loader.py.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handbench.errors import InvalidError
from handbench.layouts.dexycb_tree import IMAGE_SIZE, SERIALS, Frames
from handbench.layouts.folder import Folder
from handbench.layouts.text import read_yaml, shown

INTRINSICS = "calibration/intrinsics"


def read_intrinsics(folder: Folder) -> NDArray:
    """Colour cameras (8, 3, 3) in the order of SERIALS, pixels of the 640x480 images. Raises MissingError, InvalidError
    naming the file."""
    cameras = np.zeros((len(SERIALS), 3, 3))
    for camera, serial in zip(cameras, SERIALS, strict=True):
        inside = f"{INTRINSICS}/{serial}_{IMAGE_SIZE[0]}x{IMAGE_SIZE[1]}.yml"
        colour = read_yaml(folder, inside).get("color")
        try:
            fx, fy, cx, cy = (float(colour[key]) for key in ("fx", "fy", "ppx", "ppy"))  # type: ignore[index]
        except (TypeError, ValueError, KeyError, OverflowError):
            raise InvalidError(f"{folder}/{inside} has no color: fx, fy, ppx, ppy.", "Fetch it again.") from None
        camera[:] = [[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]
        if not np.isfinite(camera).all() or min(fx, fy) <= 0:
            raise InvalidError(f"{folder}/{inside} has no camera: fx {fx}, fy {fy}.", "Fetch it again.")
    return cameras


def read_shapes(frames: Frames) -> NDArray:
    """Betas (C, 10) of `frames.calibrations`. Raises MissingError, InvalidError naming the file."""
    shapes = np.zeros((len(frames.calibrations), 10))
    for k, name in enumerate(frames.calibrations):
        if not name:
            first = frames.capture(int(np.argmax(frames.calibration == k)))
            raise InvalidError(f"{frames.folder}/{first}/meta.yml has no mano_calib.", "Fetch it again.")
        inside = f"calibration/mano_{name}/mano.yml"
        betas = read_yaml(frames.folder, inside).get("betas")
        try:
            shapes[k] = _ten(betas)
        except (TypeError, ValueError, OverflowError):
            raise InvalidError(
                f"betas in {frames.folder}/{inside} are not ten numbers: {shown(betas)}.", "Fetch it again."
            ) from None
    return shapes


def _ten(betas: object) -> NDArray:
    if not isinstance(betas, list | tuple) or any(type(one) not in (int, float) for one in betas):
        raise TypeError
    found = np.array(betas, np.float64)
    if found.shape != (10,) or not np.isfinite(found).all():
        raise ValueError
    return found
