"""Writing synthetic hands in DexYCB's folders: right and left hands that hold something, seen by eight cameras.

`dexycb_tree.py` has which sequences there are and what is said of them. One frame in eleven has no annotation: no hand
in the picture, -1 in every joint, 0 in the pose. One take in five is so far aside that cameras see a part of the hand.

What no source says, and is chosen here: depth is 0 in the first columns; objects that are not held are not in the
picture, and their poses are those of things that lie around the world's origin.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from handbench.errors import UsageError
from handbench.hands.camera import project
from handbench.hands.mano import HandModel
from handbench.hands.raster import rasterise
from handbench.hands.record import Hands
from handbench.layouts.dexycb_tree import FPS, IMAGE_SIZE, SERIALS, chosen_by
from handbench.synth.dexycb_tree import ALL, Place, places, shape_of, views, write_tree
from handbench.synth.frame import WALL, Frame, room
from handbench.synth.layout import Advance, HandOf, Size, claim, put, put_gray, put_rgb
from handbench.synth.scene import Scene
from handbench.synth.take import Take, make_take

SIZE = Size(sequences=ALL, frames=1)
FINGERTIPS = {"right": "manopth", "left": "manopth-left"}
# frame t of sequence i of subject s has no annotation where (s + i + 4 t) modulo 11 is this
UNANNOTATED = 3
ASIDE, FAR_ASIDE = 0.05, 0.24
HAND = 255
# columns without depth
BLIND = 6
WIDTH, HEIGHT = IMAGE_SIZE


def images(size: Size) -> int:
    return _cameras(size) * sum(place.frames for place in places(size))


def _cameras(size: Size) -> int:
    if size.cameras > len(SERIALS):
        raise UsageError(f"DexYCB has {len(SERIALS)} cameras.", "Give fewer.")
    return size.cameras or len(SERIALS)


def write(out: Path, size: Size, seed: int, hands: HandOf, advance: Advance) -> None:
    """The tree under `out`: all 1,000 sequences, or some of them and a file with the names of all."""
    taken, cameras = places(size), _cameras(size)
    about: dict[str, Any] = {"seed": seed, "sequences": size.sequences, "frames": size.frames}
    about |= {"cameras": cameras} if size.cameras else {}
    claim(out, "dexycb", about | {"hands": [hands(side).digest() for side in FINGERTIPS]})
    write_tree(out, size)
    for place in taken:
        take, seen = take_of(place, seed, hands)
        coefficients = _coefficients(take)
        put(out / place.name / "pose.npz", _packed(_world(place, take, seen, coefficients)))
        for camera in range(cameras):
            for t in range(place.frames):
                _write_frame(out / place.name, place, take, t, camera, bool(seen[t]), coefficients[t], seed)
                advance(1)


def truth(split: str, size: Size, seed: int, hands: HandOf) -> Hands:
    """What a reader must find with models of both sides; UsageError where nothing of the split is written."""
    chosen = chosen_by(split)
    taken = [p for p in places(size) if p.subject in chosen.subjects and p.position in chosen.sequences]
    cameras = [camera for camera in chosen.cameras if camera < _cameras(size)]
    sizes = (chosen.subjects, chosen.sequences, chosen.cameras)
    whole = len(taken) * len(cameras) == np.prod([len(part) for part in sizes])
    rows: dict[str, list[Any]] = {}
    number = 0
    for place in taken:
        take, seen = take_of(place, seed, hands)
        coefficients = _coefficients(take).astype(np.float32).astype(np.float64)
        for camera in cameras:
            track = f"{place.name}/{SERIALS[camera]}"
            for t in range(place.frames):
                official = f"{number:08d}" if whole else f"{track}/{t:06d}"
                number += 1
                if not seen[t]:
                    continue
                scene = take.scene(t, views()[camera])
                fingers = coefficients[t] @ take.model.hands_components + take.model.hands_mean
                row: dict[str, Any] = {
                    "id": f"dexycb/{split}/{official}",
                    "capture": place.name,
                    "track": track,
                    "frame": t,
                    "side": place.side,
                    "joints": scene.joints.astype(np.float32),
                    "mano_pose": np.concatenate([scene.mano_pose[:3].astype(np.float32), fingers]),
                    "mano_shape": scene.mano_shape,
                    "mano_translation": scene.mano_translation.astype(np.float32),
                    "visible_fraction": Frame(scene).visible_fraction,
                    "frame_camera": scene.camera,
                }
                pose, shape, moved = (row[f"mano_{name}"][None] for name in ("pose", "shape", "translation"))
                row["vertices"] = take.model.forward(pose, shape, moved)[0][0]
                for name, value in row.items():
                    rows.setdefault(name, []).append(value)
    if not rows:
        raise UsageError(f"No annotated frame of {split} is written.", "Give more sequences.")
    n = len(rows["id"])
    return Hands(
        fps=np.full(n, FPS),
        joints_valid=np.ones((n, 21), bool),
        frame_size=np.tile(IMAGE_SIZE, (n, 1)),
        **{name: np.array(values) for name, values in rows.items()},
        meta={"dataset": "dexycb", "split": split, "fingertips": "manopth", "joint_source": "model"},
    )


def take_of(place: Place, seed: int, hands: HandOf) -> tuple[Take, NDArray]:
    """A sequence in the world's frame, and which of its frames (F,) are annotated."""
    return _take(place, seed, hands(place.side))


@lru_cache(maxsize=2)
def _take(place: Place, seed: int, hand: HandModel) -> tuple[Take, NDArray]:
    own = (seed, place.subject, place.position)
    rng = np.random.default_rng((*own, 1))
    middle = rng.uniform(-ASIDE, ASIDE, 3)
    if rng.random() < 0.2:
        middle[1] += FAR_ASIDE * rng.choice([-1, 1])
    take = make_take(
        place.name, hand, place.frames, own, FINGERTIPS[place.side], shape=shape_of(place.calibration), middle=middle
    )
    return take, (place.subject + place.position + 4 * np.arange(place.frames)) % 11 != UNANNOTATED


def _coefficients(take: Take) -> NDArray:
    """The PCA coefficients (F, 45) of a take's poses, about the mean pose."""
    model = take.model
    return np.linalg.solve(model.hands_components.T, (take.poses[:, 3:] - model.hands_mean).T).T


def _things(place: Place, take: Take, t: int) -> NDArray:
    """Poses (n, 4, 4) of the objects in the world: what is held turns with the hand, the others lie around."""
    poses = np.tile(np.eye(4), (len(place.objects), 1, 1))
    poses[:, :3, 3] = [[0.1 * ycb - 1.0, 0.25, 0.2] for ycb in place.objects]
    held = poses[place.objects.index(place.grasped)]
    held[:3, :3] = Rotation.from_rotvec(take.poses[t, :3]).as_matrix()
    if take.held is not None:
        held[:3, 3] = take.held[t][0].mean(0)
    return poses


def _world(place: Place, take: Take, seen: NDArray, coefficients: NDArray) -> dict[str, NDArray]:
    """pose.npz: objects as quaternion xyzw and place (F, n, 7), hand (F, 1, 51), in the world."""
    hand = np.concatenate([take.poses[:, :3], coefficients, take.translations], 1)
    things = np.array([_things(place, take, t) for t in range(len(take))])
    turns = Rotation.from_matrix(things[..., :3, :3].reshape(-1, 3, 3)).as_quat().reshape(*things.shape[:2], 4)
    return {
        "pose_y": np.concatenate([turns, things[..., :3, 3]], -1).astype(np.float32),
        "pose_m": np.where(seen[:, None], hand, 0.0)[:, None].astype(np.float32),
    }


def _write_frame(
    folder: Path, place: Place, take: Take, t: int, camera: int, seen: bool, coefficients: NDArray, seed: int
) -> None:
    folder = folder / SERIALS[camera]
    image, depth = folder / f"color_{t:06d}.jpg", folder / f"aligned_depth_to_color_{t:06d}.png"
    label = folder / f"labels_{t:06d}.npz"
    if label.exists() and image.exists() and depth.exists():
        return
    scene, behind = take.scene(t, views()[camera]), room(IMAGE_SIZE, (seed, camera))
    seg = np.zeros((HEIGHT, WIDTH), np.uint8)
    if seen:
        frame = Frame(scene)
        pixels, steps = frame.image(behind, (seed, place.subject, place.position, t)), frame.depth
        _segment(seg, frame, place.grasped)
    else:
        pixels, steps = np.rint(behind * 255).astype(np.uint8), np.full((HEIGHT, WIDTH), WALL)
    put_rgb(image, pixels)
    mm = np.rint(1000 * steps).astype(np.uint16)
    mm[:, :BLIND] = 0
    put_gray(depth, mm)
    put(label, _packed(_label(place, take, t, camera, scene if seen else None, coefficients) | {"seg": seg}))


def _segment(seg: NDArray, frame: Frame, grasped: int) -> None:
    """Into seg (H, W): the hand's visible pixels, and what it holds by its YCB id."""
    left, top, right, bottom = frame.window
    part, inner = seg[top:bottom, left:right], frame.inner
    for thing in inner.occluders:
        held = rasterise(*thing, inner.camera, inner.image_size)
        part[held.mask & (held.depth <= inner.depth)] = grasped
    part[inner.hand_mask] = HAND


def _label(
    place: Place, take: Take, t: int, camera: int, scene: Scene | None, coefficients: NDArray
) -> dict[str, NDArray]:
    """A label's arrays but the segmentation; `scene` is None where nothing is annotated."""
    view = views()[camera]
    to_camera = np.eye(4)
    to_camera[:3, :3], to_camera[:3, 3] = view.rotation, view.shift
    hand, joints, pixels = np.zeros(51), np.full((21, 3), -1.0), np.full((21, 2), -1.0)
    if scene is not None:
        hand = np.concatenate([scene.mano_pose[:3], coefficients, scene.mano_translation])
        joints, pixels = scene.joints, project(scene.joints, scene.camera)
    return {
        "pose_y": (to_camera @ _things(place, take, t))[:, :3].astype(np.float32),
        "pose_m": hand[None].astype(np.float32),
        "joint_3d": joints[None].astype(np.float32),
        "joint_2d": pixels[None].astype(np.float32),
    }


def _packed(arrays: Mapping[str, NDArray]) -> bytes:
    """As np.savez_compressed, but faster."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            # the date of the file would make every run another
            file.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue(), zipfile.ZIP_DEFLATED, 1)
    return data.getvalue()
