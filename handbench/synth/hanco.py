"""Writing synthetic hands in HanCo's folders: short sequences, uneven in length, each seen by eight cameras around it.

A camera's image is a square around the hand, so that its K moves with the hand, as does HanCo's. Some frames are not
valid and have no `xyz`; of these, some have no fit and no `shape`. Joints lie a millimetre beside the fitted hand, as
HanCo's are a network's. The other backgrounds (`rgb_merged`, ...) and `mask_fg` are not written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from handbench.hands.camera import joint_box, project
from handbench.hands.joints import MIDDLE_MCP
from handbench.hands.record import Hands
from handbench.synth.background import background
from handbench.synth.layout import Advance, HandOf, Size, claim, put, put_rgb, require_sizes
from handbench.synth.picture import foreground
from handbench.synth.scene import Scene
from handbench.synth.take import Take, View, make_take

SIZE = Size(sequences=2, frames=4)
CAMERAS, IMAGE = 8, 224
# cameras stand this far from where the hands are, m; the hand fills this share of the image
AWAY, FILL = 0.9, 0.6
# of a camera's two focal lengths
ASPECT = 1.004
OFF = 0.001


@dataclass(frozen=True, eq=False)
class Sequence:
    """One sequence: `valid` and `fit` (F,) bool; `xyz` (F, 21, 3) m in the world, the joints of the files."""

    number: int
    take: Take
    valid: NDArray
    fit: NDArray
    xyz: NDArray

    def view(self, t: int, camera: int) -> View:
        """The camera whose image is the square around frame t's joints."""
        rotations, places = cameras()
        rotation = rotations[camera].T
        shift = -rotation @ places[camera]
        joints = self.xyz[t] @ rotation.T + shift
        rays = joints[:, :2] / joints[:, 2:]
        low, high = rays.min(0), rays.max(0)
        focal = FILL * IMAGE / (high - low).max() * np.array([1.0, ASPECT])
        centre = (IMAGE - 1) / 2 - focal * (low + high) / 2
        intrinsics = np.array([[focal[0], 0, centre[0]], [0, focal[1], centre[1]], [0, 0, 1.0]])
        return View(intrinsics, (IMAGE, IMAGE), rotation, shift)

    def scene(self, t: int, camera: int) -> Scene:
        return self.take.scene(t, self.view(t, camera))


def images(size: Size) -> int:
    return CAMERAS * sum(_length(k, size) for k in range(size.sequences))


def write(out: Path, size: Size, seed: int, hands: HandOf, advance: Advance) -> None:
    """`size.sequences` sequences of at most `size.frames` frames by eight cameras."""
    require_sizes(size, "sequences", "frames")
    about = {"seed": seed, "sequences": size.sequences, "frames": size.frames, "hand": hands("right").digest()}
    claim(out, "hanco", about)
    meta: dict[str, list[Any]] = {
        key: [] for key in ("is_train", "subject_id", "is_valid", "object_id", "has_fit")
    }  # fmt: skip
    for sequence in _sequences(size, seed, hands):
        n, s = len(sequence.take), sequence.number
        meta["is_train"].append([s % 2 == 0] * n)
        meta["subject_id"].append([s % 4] * n)
        meta["is_valid"].append(sequence.valid.tolist())
        meta["object_id"].append([None if sequence.take.held is None else s] * n)
        meta["has_fit"].append(sequence.fit.tolist())
        for t in range(n):
            _write_moment(out, sequence, t)
            for camera in range(CAMERAS):
                _write_images(out, sequence, t, camera)
                advance(1)
    put(out / "meta.json", orjson.dumps(meta))


def truth(split: str, size: Size, seed: int, hands: HandOf) -> Hands:
    """Every valid frame, by sequence, camera, frame; all of them have a fit."""
    rows = [
        (sequence, camera, int(t), sequence.scene(int(t), camera))
        for sequence in _sequences(size, seed, hands)
        for camera in range(CAMERAS)
        for t in np.flatnonzero(sequence.valid)
    ]
    views = [sequence.view(t, camera) for sequence, camera, t, _ in rows]
    joints = np.array(
        [s.xyz[t] @ view.rotation.T + view.shift for (s, _, t, _), view in zip(rows, views, strict=True)]
    )  # fmt: skip
    intrinsics = np.array([view.camera for view in views])

    def fitted(name: str) -> NDArray:
        return np.array([getattr(scene, name) for *_, scene in rows])

    return Hands(
        id=np.array([f"hanco/{split}/{s.number:04d}/cam{c}/{t:08d}" for s, c, t, _ in rows]),
        capture=np.array([f"hanco/{s.number:04d}" for s, *_ in rows]),
        track=np.array([f"hanco/{s.number:04d}/cam{c}" for s, c, *_ in rows]),
        frame=np.array([t for _, _, t, _ in rows], np.int64),
        side=np.full(len(rows), "right"),
        joints=joints,
        joints_valid=np.ones((len(rows), 21), bool),
        vertices=fitted("vertices"),
        mano_pose=fitted("mano_pose"),
        mano_shape=fitted("mano_shape"),
        mano_translation=fitted("mano_translation"),
        image_size=np.full((len(rows), 2), IMAGE),
        camera=intrinsics,
        box=joint_box(project(joints, intrinsics)),
        meta={"dataset": "hanco", "split": split},
    )


def cameras() -> tuple[NDArray, NDArray]:
    """Rotations (8, 3, 3) and places (8, 3) m of the cameras: camera -> world, around the origin and looking at it."""
    around = np.arange(CAMERAS) * 2 * np.pi / CAMERAS
    tilt = np.where(np.arange(CAMERAS) % 2, 0.3, 0.8)
    rotations = Rotation.from_euler("YX", np.stack([around, -tilt], 1)).as_matrix()
    return rotations, -AWAY * rotations[:, :, 2]


def _length(k: int, size: Size) -> int:
    return max(1, size.frames - k % 3)


def _sequences(size: Size, seed: int, hands: HandOf) -> Iterator[Sequence]:
    for k in range(size.sequences):
        n = _length(k, size)
        # every other hand holds something
        take = make_take(
            f"{k:04d}", hands("right"), n, (seed, 7, k), "freihand", middle=np.zeros(3), holds=k % 2 == 0
        )  # fmt: skip
        valid = (k + np.arange(n)) % 3 != 2
        beside = np.random.default_rng((seed, 8, k)).normal(0, OFF, take.joints.shape)
        yield Sequence(k, take, valid, valid | (k % 2 == 0), take.joints + beside)


def _write_moment(out: Path, sequence: Sequence, t: int) -> None:
    """What the eight cameras share, and the fit in the frame of each."""
    s, take = sequence.number, sequence.take
    moment = f"{s:04d}/{t:08d}.json"
    views = [sequence.view(t, camera) for camera in range(CAMERAS)]
    poses = np.tile(np.eye(4), (CAMERAS, 1, 1))
    poses[:, :3, :3] = [view.rotation for view in views]
    poses[:, :3, 3] = [view.shift for view in views]
    _put_json(out / "calib" / moment, {"K": np.array([view.camera for view in views]), "M": poses})
    if sequence.valid[t]:
        _put_json(out / "xyz" / moment, sequence.xyz[t])
    if not sequence.fit[t]:
        return
    world = take.poses[t].copy()
    world[3:] -= take.model.hands_mean
    _put_json(
        out / "shape" / moment,
        {"poses": world[None], "shapes": take.shape[None], "global_t": take.translations[t][None]},
    )
    for camera in range(CAMERAS):
        _put_json(out / f"shape/{s:04d}/cam{camera}/{t:08d}.json", _vector(take.scene(t, views[camera])))


def _vector(scene: Scene) -> NDArray:
    """FreiHAND's vector (61,): pose relative to the mean, betas, the pixel of joint 9, mean focal length over depth."""
    pose = scene.mano_pose.copy()
    pose[3:] -= scene.model.hands_mean
    root = scene.joints[MIDDLE_MCP]
    focal = (scene.camera[0, 0] + scene.camera[1, 1]) / 2
    return np.concatenate([pose, scene.mano_shape, project(root[None], scene.camera)[0], [focal / root[2]]])


def _write_images(out: Path, sequence: Sequence, t: int, camera: int) -> None:
    """The picture and the mask, those that are missing."""
    place = f"{sequence.number:04d}/cam{camera}/{t:08d}.jpg"
    rgb, mask = out / "rgb" / place, out / "mask_hand" / place
    if rgb.exists() and mask.exists():
        return
    scene = sequence.scene(t, camera)
    put_rgb(mask, np.repeat(scene.hand_mask[..., None].astype(np.uint8) * 255, 3, 2))
    rng = np.random.default_rng((*scene.paint, camera, t))
    kind = "studio" if sequence.number % 2 == 0 else None
    put_rgb(rgb, foreground(scene).over(background(scene.image_size, rng, kind), rng))


def _put_json(path: Path, value: Any) -> None:
    put(path, orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY, default=np.ndarray.tolist))
