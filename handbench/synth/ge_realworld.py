"""Writing synthetic hands in the layout of the real-world set of Ge et al.: crops of 1280x720 frames, two MAT files.

    images/%05d.jpg   256x256
    pose_gt.mat       pose_gt (N, 21, 3) float32 cm
    params.mat        cam_param (N, 4), bbox (N, 4) int32, pose_root (N, 3) float32 cm (the wrist), pose_scale (1, N)
                      uint8 cm (the set has 5 throughout), image_path (N,)

A crop is painted at half its size and enlarged: six hundred pictures in half a minute.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import scipy.io
from numpy.typing import NDArray

from handbench.errors import UsageError
from handbench.hands.camera import apply_affine, crop_camera, joint_box, project
from handbench.hands.joints import WRIST
from handbench.hands.record import Hands
from handbench.synth.dataset import SyntheticHands
from handbench.synth.layout import Advance, HandOf, Size, claim, put, put_rgb, require_sizes
from handbench.synth.picture import paint
from handbench.synth.scene import Scene

SIZE = Size(samples=583)
FIRST_TEST = 466
CROP, PAINTED, FRAME = 256, 128, (1280, 720)
# fx, fy, cx, cy of the set's camera
CAMERA = np.array([923.648, 923.759, 640.047, 362.336])
# where hands are, m; the crop's side as a multiple of the joints'
DEPTH, ASIDE, MARGIN = (0.40, 0.55), (0.12, 0.04), 1.4
SCALE = 5


@dataclass(frozen=True, eq=False)
class Shot:
    """A scene in the frame's camera, joints (21, 3) float32 cm as in the file, bbox (4,) x, y, w, h of the crop."""

    scene: Scene
    centimetres: NDArray
    bbox: NDArray


def images(size: Size) -> int:
    return size.samples


def write(out: Path, size: Size, seed: int, hands: HandOf, advance: Advance) -> None:
    """`size.samples` crops, of which the official set has 583."""
    require_sizes(size, "samples")
    claim(out, "ge-realworld", {"seed": seed, "samples": size.samples, "hand": hands("right").digest()})
    shots = []
    for i, scene in enumerate(_scenes(range(size.samples), size, seed, hands)):
        shots.append(_shot(scene))
        path = out / f"images/{i:05d}.jpg"
        if not path.exists():
            put_rgb(path, _picture(shots[-1]))
        advance(1)
    n = len(shots)
    joints = np.array([shot.centimetres for shot in shots])
    _put_mat(out / "pose_gt.mat", {"pose_gt": joints})
    _put_mat(
        out / "params.mat",
        {
            "image_path": np.array([f"images/{i:05d}.jpg" for i in range(n)]),
            "cam_param": np.tile(CAMERA, (n, 1)),
            "bbox": np.array([shot.bbox for shot in shots]),
            "pose_root": joints[:, WRIST],
            "pose_scale": np.full((1, n), SCALE, np.uint8),
        },
    )


def truth(split: str, size: Size, seed: int, hands: HandOf) -> Hands:
    """The crops 0-465 for training, the others for testing; joints are the metres of float32 centimetres.

    Raises UsageError where so small a set has none of the split.
    """
    index = range(min(FIRST_TEST, size.samples)) if split == "train" else range(FIRST_TEST, size.samples)
    if not len(index):
        raise UsageError(f"A set of {size.samples} crops has no {split} split.", f"It begins with crop {FIRST_TEST}.")
    shots = [_shot(scene) for scene in _scenes(index, size, seed, hands)]
    n = len(shots)
    joints = np.array([shot.centimetres for shot in shots]).astype(np.float64) / 100
    camera = np.tile(_frame_camera(), (n, 1, 1))
    crop = np.array([_crop(shot.bbox) for shot in shots])
    return Hands(
        id=np.array([f"ge-realworld/{split}/{i:05d}" for i in index]),
        joints=joints,
        joints_valid=np.ones((n, 21), bool),
        image_size=np.full((n, 2), CROP),
        camera=crop_camera(crop, camera),
        box=joint_box(apply_affine(crop, project(joints, camera))),
        frame_size=np.tile(FRAME, (n, 1)),
        frame_camera=camera,
        crop=crop,
        meta={"dataset": "ge-realworld", "split": split},
    )


def _scenes(index: range, size: Size, seed: int, hands: HandOf) -> Iterator[Scene]:
    samples = SyntheticHands(size.samples, seed, model=hands("right"), occluders=False, split="ge-realworld")
    return (samples.sample(i) for i in index)


def _shot(scene: Scene) -> Shot:
    """The scene's hand before the set's camera, and its crop: square, whole pixels, inside the frame."""
    rng = np.random.default_rng((*scene.paint, 3))
    aside = [rng.uniform(-limit, limit) for limit in ASIDE]
    shift = np.array([*aside, rng.uniform(*DEPTH)]) - (scene.joints.min(0) + scene.joints.max(0)) / 2
    scene = dataclasses.replace(
        scene,
        joints=scene.joints + shift,
        vertices=scene.vertices + shift,
        mano_translation=scene.mano_translation + shift,
        arm=(scene.arm[0] + shift, scene.arm[1]),
        camera=_frame_camera(),
        image_size=FRAME,
    )
    box = scene.box
    side = min(int(np.ceil(MARGIN * (box[2:] - box[:2]).max())), FRAME[1])
    corner = np.clip(np.rint((box[:2] + box[2:] - side) / 2), 0, np.array(FRAME) - side)
    bbox = np.array([*corner, side, side], np.int32)
    return Shot(scene, (scene.joints * 100).astype(np.float32), bbox)


def _frame_camera() -> NDArray:
    fx, fy, cx, cy = CAMERA
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])


def _crop(bbox: NDArray) -> NDArray:
    """The affine (2, 3) from the frame: uv_crop = (uv - bbox_xy) * 256 / bbox_w."""
    scale = CROP / bbox[2]
    return np.array([[scale, 0, -scale * bbox[0]], [0, scale, -scale * bbox[1]]])


def _picture(shot: Shot) -> NDArray:
    """The crop (256, 256, 3) uint8 RGB."""
    # pixel u of the crop is at (u + 1/2) / 2 - 1/2 of the picture of half its size
    ratio = PAINTED / CROP
    smaller = np.array([[ratio, 0, (ratio - 1) / 2], [0, ratio, (ratio - 1) / 2]])
    camera = crop_camera(smaller, crop_camera(_crop(shot.bbox), shot.scene.camera))
    small = paint(dataclasses.replace(shot.scene, camera=camera, image_size=(PAINTED, PAINTED)))
    return cv2.resize(small, (CROP, CROP), interpolation=cv2.INTER_LINEAR)


def _put_mat(path: Path, arrays: dict[str, NDArray]) -> None:
    file = io.BytesIO()
    scipy.io.savemat(file, arrays)
    put(path, file.getvalue())
