"""What stands in HO-3D's files of one frame, and its way into metres, OpenCV axes and FH21.

Pickle of a training frame (written by Python 2), m, OpenGL axes (y up, z backward), HO-3D's joint order:
    handPose 48 axis-angle (flat_hand_mean=True, no PCA: absolute), handTrans 3, handBeta 10, handJoints3D 21x3,
    camMat 3x3; obj*; version 3 also handVert*, camIDList
Pickle of an evaluation frame: handJoints3D (3,), the wrist; handBoundingBox x1 y1 x2 y2 px; camMat; obj*
Depth: m = (R + 256 G) * 0.00012498664727900177
Source: ho3d: README.md, vis_HO3D.py, utils/vis_utils.py; flat_hand_mean and the turn of a pose into OpenCV's axes also
in the authors' kypt_transformer: data/dataset_ho3d.py.

Segmentation (version 3, training): the archive HO3D_v3_segmentations_rendered.zip has `train/SEQUENCE/seg/%04d.png`,
at a quarter of the resolution; blue is the hand and green the object, as rendered from the two models. That is how
public readers take it (a reader made after JudyYe/ihoi's, another that keeps the blue channel); no official script
reads it, so that colours and size are not officially confirmed. Whatever its size, it is taken as covering the frame.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from handbench.errors import InvalidError, MissingError
from handbench.hands.mano import HandModel
from handbench.hands.pickles import load_restricted
from handbench.layouts.folder import FETCH, Folder
from handbench.layouts.images import decode_bgr, read_image

IMAGE_SIZE = (640, 480)
# points (..., 3) of the one on those of the other, both ways
OPENCV_FROM_OPENGL = np.array([1.0, -1.0, -1.0])
DEPTH_SCALE = 0.00012498664727900177
TRAIN = {"handJoints3D": (21, 3), "camMat": (3, 3), "handPose": (48,), "handTrans": (3,), "handBeta": (10,)}
MOST_LISTED = 100
EVALUATION = {"handJoints3D": (3,), "camMat": (3, 3), "handBoundingBox": (4,)}
# half a turn about x, as a quaternion x y z w
_HALF_TURN = (1.0, 0.0, 0.0, 0.0)


def read_label(folder: Folder, inside: str, fields: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray]:
    """The named fields of a frame's pickle, float64, each in its shape.

    Raises MissingError; InvalidError naming the file where it is damaged, asks for code, or has no annotation.
    """
    path = folder.path(inside)
    if not path.is_file():
        raise MissingError(f"{path} does not exist.", FETCH)
    label = load_restricted(path)
    if not isinstance(label, dict):
        raise InvalidError(f"{path} holds no fields of a frame.", "Fetch it again.")
    read = {}
    for name, shape in fields.items():
        if name not in label:
            raise InvalidError(f"{path} has no {name!r}.", "Is it a frame of this split of HO-3D?")
        if label[name] is None:
            raise InvalidError(
                f"{path} has no annotation ({name} is None), although its frame is listed.", "Fetch it again."
            )
        value = _array(label[name])
        if value is None or value.size != int(np.prod(shape)):
            wanted = "x".join(map(str, shape))
            raise InvalidError(f"{name!r} in {path} is not of {wanted} numbers.", "Fetch it again.")
        read[name] = value.astype(np.float64).reshape(shape)
        if not np.isfinite(read[name]).all():
            raise InvalidError(f"{name!r} in {path} has a NaN or infinity.", "Fetch it again.")
    return read


def _array(value: object) -> NDArray | None:
    """An array of real numbers, or a short list of them; anything else, such as lists in lists without end, is none."""
    if isinstance(value, list | tuple) and len(value) <= MOST_LISTED:
        # one list of short lists at most: ((x, y), (x, y))
        flat = [
            v for one in value for v in (one if isinstance(one, list | tuple) and len(one) <= MOST_LISTED else [one])
        ]
        real = (int, float, np.integer, np.floating)
        value = np.array(flat) if all(isinstance(v, real) and not isinstance(v, bool) for v in flat) else None
    return value if isinstance(value, np.ndarray) and value.dtype.kind in "fiu" else None


def mano_in_opencv(
    pose: NDArray, shape: NDArray, translation: NDArray, hand: HandModel
) -> tuple[NDArray, NDArray, NDArray]:
    """Pose (N, 48), shape (N, 10), translation (N, 3) m in OpenGL's axes -> the same for `hand.forward` in OpenCV's.

    A hand turns about its wrist's place at rest, j0: with F the half turn about x, R' = F R and
    F (R (v - j0) + j0 + t) = R' (v - j0) + j0 + t' give t' = F (j0 + t) - j0.
    """
    turned = pose.copy()
    turned[:, :3] = (Rotation.from_quat(_HALF_TURN) * Rotation.from_rotvec(pose[:, :3])).as_rotvec()
    regress = hand.J_regressor[0]
    rest = regress @ hand.v_template + shape @ np.einsum("v,vcs->sc", regress, hand.shapedirs)
    return turned, shape, (rest + translation) * OPENCV_FROM_OPENGL - rest


def read_depth(folder: Folder, inside: str) -> NDArray:
    """Depth (480, 640) m, 0 where nothing was measured."""
    data, _ = read_image(folder, inside, IMAGE_SIZE)
    image = decode_bgr(data, f"{folder.root}/{inside}")
    # in wide numbers: 256 times a byte is none
    return (image[..., 2].astype(np.int64) + 256 * image[..., 1].astype(np.int64)) * DEPTH_SCALE


def read_hand_mask(folder: Folder, inside: str) -> NDArray:
    """(480, 640) bool: the hand's pixels of a segmentation, each enlarged to those of the frame that it covers."""
    data, (width, height) = read_image(folder, inside)
    if width * IMAGE_SIZE[1] != height * IMAGE_SIZE[0]:
        raise InvalidError(
            f"{folder.root}/{inside} is {width}x{height}, not of the shape of a frame.", "Fetch it again."
        )
    blue = decode_bgr(data, f"{folder.root}/{inside}")[..., 0]
    return cv2.resize(blue, IMAGE_SIZE, interpolation=cv2.INTER_NEAREST) > 127
