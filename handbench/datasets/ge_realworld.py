"""The real-world test set of Ge et al. (CVPR 2019): 583 crops of 1280x720 frames, 3D joints, no mesh, no side.

Layout: `images/%05d.jpg` (256x256 crops), `pose_gt.mat` (`pose_gt` (583,21,3) f32, **centimetres**, OpenCV camera
frame, FH21), `params.mat` (`cam_param` (583,4) fx fy cx cy of the full frame, `bbox` (583,4) x y w h of the square
crop). `uv_crop = (uv_frame - bbox_xy) * 256 / bbox_w`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from numpy.typing import NDArray

from handbench.datasets.card import Card
from handbench.datasets.images import fingerprint, read_image
from handbench.errors import InvalidError, MissingError, UsageError
from handbench.hands.camera import apply_affine, crop_camera, joint_box, project
from handbench.hands.mano import HandModel
from handbench.hands.record import Hands

TOTAL, FIRST_TEST = 583, 466
CROP = 256

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
    notes=(
        "The set was published as a test set of 583 frames. The division into frames 0-465 for training and 466-582 "
        "for testing is handbench's own.",
    ),
)


class GeSplit:
    def __init__(self, source: Path, split: str, partial: bool):
        if split not in CARD.splits:
            raise UsageError(f"ge-realworld has no split {split!r}.", f"Splits: {', '.join(CARD.splits)}.")
        self.source = source
        joints = _matrix(source / "pose_gt.mat", "pose_gt", (21, 3))
        camera = _matrix(source / "params.mat", "cam_param", (4,))
        box = _matrix(source / "params.mat", "bbox", (4,))
        if not len(joints) == len(camera) == len(box):
            raise InvalidError(
                f"{source}: {len(joints)} poses, {len(camera)} cameras and {len(box)} boxes do not belong together.",
                "Fetch pose_gt.mat and params.mat again.",
            )
        if len(joints) != TOTAL and not partial:
            raise InvalidError(
                f"{source / 'pose_gt.mat'} has {len(joints)} entries, the official set {TOTAL}.",
                "With --partial it is taken as it is; its results are then not comparable.",
            )
        index = np.arange(len(joints))
        self.index = index[index < FIRST_TEST] if split == "train" else index[index >= FIRST_TEST]
        if partial:
            there = np.array([(source / "images" / f"{i:05d}.jpg").exists() for i in self.index], dtype=bool)
            self.index = self.index[there]
        if not len(self.index):
            raise MissingError(f"{source} has no frame of the {split} split.", "Is the download complete?")
        self.joints, self.camera, self.box = joints / 100.0, camera, box
        self.ids = np.array([f"ge-realworld/{split}/{i:05d}" for i in self.index])
        self.meta: dict[str, Any] = {
            "dataset": CARD.name,
            "split": split,
            "count": CARD.splits[split],
            "partial": len(self.index) != CARD.splits[split],
            "source": "official files",
            "read_from": str(source),
            "joint_source": "annotated",
            "fingertips": None,
            "validation": CARD.validation,
            "read": fingerprint({"joints": joints, "camera": camera, "box": box}, [self._image(i) for i in self.index]),
        }

    def _image(self, index: int) -> Path:
        return self.source / "images" / f"{index:05d}.jpg"

    def read(self, start: int, stop: int) -> tuple[Hands, list[bytes]]:
        index = self.index[start:stop]
        files = [self._image(i) for i in index]
        read = [read_image(file) for file in files]
        for file, (_, size) in zip(files, read, strict=True):
            if size != (CROP, CROP):
                raise InvalidError(f"{file} is {size[0]}x{size[1]}, not {CROP}x{CROP}.", "Fetch it again.")
        n = len(index)
        frame_camera = np.zeros((n, 3, 3))
        frame_camera[:, [0, 1, 0, 1], [0, 1, 2, 2]] = self.camera[index]
        frame_camera[:, 2, 2] = 1.0
        scale = CROP / self.box[index, 2]
        crop = np.zeros((n, 2, 3))
        crop[:, 0, 0] = crop[:, 1, 1] = scale
        crop[:, :, 2] = -scale[:, None] * self.box[index, :2]
        joints = self.joints[index]
        pixels = apply_affine(crop, project(joints, frame_camera))
        hands = Hands(
            id=self.ids[start:stop],
            joints=joints,
            joints_valid=np.asarray(np.isfinite(joints).all(-1)),
            image_size=np.full((n, 2), CROP),
            camera=crop_camera(crop, frame_camera),
            box=joint_box(pixels),
            frame_size=np.tile([1280, 720], (n, 1)),
            frame_camera=frame_camera,
            crop=crop,
            meta=self.meta,
        )
        return hands, [data for data, _ in read]


def _matrix(path: Path, name: str, sample_shape: tuple[int, ...]) -> NDArray:
    if not path.exists():
        raise MissingError(f"{path} does not exist.", f"`handbench prep ge-realworld` needs {path.name}.")
    try:
        array = np.asarray(scipy.io.loadmat(path, variable_names=[name])[name], np.float64)
    except KeyError:
        raise InvalidError(f"{path} has no {name!r}.", "Fetch it again.") from None
    except Exception as error:  # scipy raises many kinds for a damaged file
        raise InvalidError(
            f"{path} cannot be read as a MAT file: it is damaged or cut short.", "Fetch it again."
        ) from (error)
    if array.shape[1:] != sample_shape:
        raise InvalidError(f"{name!r} in {path} has shape {array.shape}, not (583, ...).", "Fetch it again.")
    return array


def open_split(source: Path, split: str, *, partial: bool, hand: HandModel | None) -> GeSplit:
    return GeSplit(source, split, partial)
