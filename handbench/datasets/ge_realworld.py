"""The real-world test set of Ge et al. (CVPR 2019): 583 crops of 1280x720 frames, 3D joints, no mesh, no side.

Layout: `images/%05d.jpg` (256x256 crops), `pose_gt.mat` (`pose_gt` (583,21,3) f32, **centimetres**, OpenCV camera
frame, FH21), `params.mat` (`cam_param` (583,4) fx fy cx cy of the full frame, `bbox` (583,4) x y w h of the square
crop). `uv_crop = (uv_frame - bbox_xy) * 256 / bbox_w`.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import scipy.io
from numpy.typing import NDArray

from handbench.datasets.card import Block, Card, Wanted, describe
from handbench.errors import InvalidError, MissingError, UsageError
from handbench.hands.camera import apply_affine, crop_camera, joint_box, project
from handbench.hands.record import Hands
from handbench.layouts.context_crop import ORIGINAL
from handbench.layouts.folder import Folder, require_split
from handbench.layouts.images import fingerprint, read_image

TOTAL, FIRST_TEST = 583, 466
CROP, FRAME = 256, (1280, 720)

CARD = Card(
    name="ge-realworld",
    title="Real-world set of Ge et al.",
    splits={"train": FIRST_TEST, "test": TOTAL - FIRST_TEST},
    has=("joints", "camera", "frame_camera", "crop"),
    conventions="centimetres; OpenCV axes; FH21 order; crops with their affine; no hand side",
    fingertips=None,
    licence="Snap Inc., non-commercial research",
    url="https://github.com/geliuhao/hand-graph-cnn",
    citation="Ge et al., 3D Hand Shape and Pose Estimation from a Single RGB Image, CVPR 2019",
    validation="last",
    sides="not said",
    notes=(
        "The set was published as a test set of 583 frames. The division into frames 0-465 for training and 466-582 "
        "for testing is handbench's own.",
    ),
)


class GeSplit:
    def __init__(self, folder: Folder, split: str, wanted: Wanted):
        require_split(split, list(CARD.splits), CARD.name)
        if wanted.masks or wanted.depth or wanted.lossless:
            raise UsageError(
                "The set of Ge et al. has crops only, no masks and no depth.", "They are kept as they are."
            )
        self.folder, self.split = folder, split
        joints = _matrix(folder, "pose_gt.mat", "pose_gt", (21, 3))
        camera = _matrix(folder, "params.mat", "cam_param", (4,))
        box = _matrix(folder, "params.mat", "bbox", (4,))
        if not len(joints) == len(camera) == len(box):
            raise InvalidError(
                f"{folder}: {len(joints)} poses, {len(camera)} cameras and {len(box)} boxes do not belong together.",
                "Fetch pose_gt.mat and params.mat again.",
            )
        if len(joints) != TOTAL and not wanted.partial:
            raise InvalidError(
                f"{folder}/pose_gt.mat has {len(joints)} entries, the official set {TOTAL}.",
                "With --partial it is taken as it is; its results are then not comparable.",
            )
        index = np.arange(len(joints))
        self.index = index[index < FIRST_TEST] if split == "train" else index[index >= FIRST_TEST]
        if wanted.partial:
            there = {int(name[:5]) for name in folder.names("images", r"[0-9]{5}\.jpg")}
            self.index = self.index[np.isin(self.index, list(there))]
        if not len(self.index):
            raise MissingError(f"{folder} has no frame of the {split} split.", "Is the download complete?")
        if (box[:, 2:] <= 0).any() or (camera[:, :2] <= 0).any():
            raise InvalidError(f"{folder}/params.mat has a box or a camera without size.", "Fetch it again.")
        # the file's single precision is converted in double
        self.joints, self.camera, self.box = joints / 100.0, camera, box
        self.meta: dict[str, Any] = describe(
            CARD,
            split,
            folder,
            fingerprint(
                {"joints": joints, "camera": camera, "box": box}, folder, (self._image(i) for i in self.index.tolist())
            ),
            partial=len(self.index) != CARD.splits[split],
            image_coding=ORIGINAL,
        )

    def __len__(self) -> int:
        return len(self.index)

    def name(self, i: int) -> str:
        return f"ge-realworld/{self.split}/{self.index[i]:05d}"

    def _image(self, index: int) -> str:
        return f"images/{index:05d}.jpg"

    def read(self, start: int, stop: int) -> Block:
        index = self.index[start:stop]
        images = [read_image(self.folder, self._image(i), (CROP, CROP))[0] for i in index.tolist()]
        n = len(index)
        frame_camera = np.zeros((n, 3, 3))
        frame_camera[:, [0, 1, 0, 1], [0, 1, 2, 2]] = self.camera[index]
        frame_camera[:, 2, 2] = 1.0
        scale = CROP / self.box[index, 2]
        crop = np.zeros((n, 2, 3))
        crop[:, 0, 0] = crop[:, 1, 1] = scale
        crop[:, :, 2] = -scale[:, None] * self.box[index, :2]
        joints = self.joints[index]
        hands = Hands(
            id=np.array([self.name(i) for i in range(start, stop)]),
            joints=joints,
            joints_valid=np.asarray(np.isfinite(joints).all(-1)),
            image_size=np.full((n, 2), CROP),
            camera=crop_camera(crop, frame_camera),
            box=joint_box(apply_affine(crop, project(joints, frame_camera))),
            frame_size=np.tile(FRAME, (n, 1)),
            frame_camera=frame_camera,
            crop=crop,
            meta=self.meta,
        )
        return Block(hands, images)


def _matrix(folder: Folder, file: str, name: str, sample_shape: tuple[int, ...]) -> NDArray:
    """One array of a MAT file, float64. Raises MissingError, InvalidError."""
    path = f"{folder}/{file}"
    if not folder.has(file):
        raise MissingError(f"{path} does not exist.", f"`handbench prep ge-realworld` needs {file}.")
    try:
        read = scipy.io.loadmat(io.BytesIO(folder.read(file)), variable_names=[name])
        array = np.asarray(read[name])
    except KeyError:
        raise InvalidError(f"{path} has no {name!r}.", "Fetch it again.") from None
    except (InvalidError, MissingError):
        raise
    except Exception as error:  # scipy raises many kinds for a damaged file
        raise InvalidError(
            f"{path} cannot be read as a MAT file: it is damaged or cut short.", "Fetch it again."
        ) from error
    if array.dtype.kind not in "fiu" or array.shape[1:] != sample_shape:
        raise InvalidError(f"{name!r} in {path} is {array.dtype} {array.shape}, not 583 entries.", "Fetch it again.")
    if not np.isfinite(array).all():
        raise InvalidError(f"{name!r} in {path} has a NaN or infinity.", "Fetch it again.")
    return array.astype(np.float64)


def open_split(folder: Folder, split: str, wanted: Wanted) -> GeSplit:
    return GeSplit(folder, split, wanted)
