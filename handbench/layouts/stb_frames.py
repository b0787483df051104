"""The cameras of STB, and its labels in any of them.

Two cameras saw the same hands: a stereo pair (BB) and a depth sensor with a colour camera (SK). Labels of `*_BB.mat`
are in the frame of the left BB camera, labels of `*_SK.mat` in that of the depth camera; both in millimetres.
Source of the numbers: zhjwustc/icip17_stereo_hand_pose_dataset: README.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from handbench.errors import InvalidError
from handbench.hands.joints import to_fh21


def _camera(fx: float, fy: float, cx: float, cy: float) -> NDArray:
    matrix = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
    matrix.flags.writeable = False
    return matrix


# pixels of the 640x480 images
BB_CAMERA = _camera(822.79041, 822.79041, 318.47345, 250.31296)
SK_COLOUR_CAMERA = _camera(607.92271, 607.88192, 314.78337, 236.42484)
SK_DEPTH_CAMERA = _camera(475.62768, 474.77709, 336.41179, 238.77962)
# mm from the left to the right BB camera
BB_BASELINE = 120.054
# from the SK colour camera to the depth camera: an axis-angle in radians, and mm
SK_ROTATION = Rotation.from_rotvec([0.00531, -0.01196, 0.00301]).as_matrix()
SK_ROTATION.flags.writeable = False
SK_TRANSLATION = (-24.0381, -0.4563, -1.2326)


def joints_of(hand_para: ArrayLike) -> NDArray:
    """`handPara` (3, 21, T) of a label file -> joints (T, 21, 3) in FH21 order, joint 0 the palm's centre, same unit.

    hands/palm.py makes a wrist of the palm. Raises InvalidError for other shapes.
    """
    labels = np.asarray(hand_para, np.float64)
    if labels.ndim != 3 or labels.shape[:2] != (3, 21):
        raise InvalidError(f"STB's labels have shape {labels.shape}.", "handPara must be (3, 21, frames).")
    return to_fh21(labels.transpose(2, 1, 0), "stb")


def depth_to_colour(points_mm: ArrayLike) -> NDArray:
    """Points (..., 3) mm of the SK depth camera -> mm in the frame of the SK colour camera: R^T (X - t).

    Source: bihand: bihand/datasets/stb.py sk_xyz_depth2color.
    """
    # rows: x R is R^T x
    return (np.asarray(points_mm, np.float64) - SK_TRANSLATION) @ SK_ROTATION


def left_to_right(points_mm: ArrayLike) -> NDArray:
    """Points (..., 3) mm of the left BB camera -> mm in the frame of the right one: x - 120.054."""
    return np.asarray(points_mm, np.float64) - (BB_BASELINE, 0.0, 0.0)
