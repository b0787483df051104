"""Writing synthetic hands in DexYCB's folders: sequences of its ten subjects, calibration, and labels; no images."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from handbench.datasets.dexycb_tree import IMAGE_SIZE, SEQUENCES, SERIALS, SUBJECTS, Frames, read_meta, split_frames
from handbench.datasets.freihand import SYNTHETIC_MARK
from handbench.errors import InvalidError
from handbench.hands.camera import joint_box, project
from handbench.store.records import write_json
from handbench.synth.hand import VERSION, synthetic_hand
from handbench.synth.poses import sequence

SOURCE = "handbench synthetic hand"
EXTRINSICS, MASTER = "20200702_151821", "840412060917"
CAMERA = np.array([[615.0, 0.0, 312.0], [0.0, 615.0, 241.0], [0.0, 0.0, 1.0]])
# cameras stand this far from where the hands are, m
AWAY = 0.9
# of all frames of a take, those without an annotation
UNANNOTATED = 0.1
HAND = 255


class Take(TypedDict):
    """A sequence as its meta.yml describes it."""

    name: str
    num_frames: int
    ycb_ids: list[int]
    ycb_grasp_ind: int
    mano_sides: list[str]


Label = Mapping[str, NDArray]


def write_dexycb(
    out: Path,
    subjects: Mapping[str, Sequence[Take]] | None = None,
    splits: Iterable[str] = ("s0-test",),
    seed: int = 0,
) -> None:
    """A tree of 10 x 100 sequences (`default_subjects()`), calibration, and the labels of these splits' frames.

    A marker file at the root says that this is not DexYCB. One frame in ten has no annotation: -1 in every joint.
    Raises InvalidError where `out` holds something else.
    """
    write_tree(out, default_subjects() if subjects is None else subjects)
    for split in splits:
        frames = split_frames(out, *split.split("-", 1))
        write_labels(out, synthetic_labels(frames, seed))


def default_subjects(frames: int = 1) -> dict[str, list[Take]]:
    """Ten subjects of 100 sequences of 1 to `frames` frames; every other one is of a left hand."""
    subjects: dict[str, list[Take]] = {}
    for subject in SUBJECTS:
        takes: list[Take] = []
        for i in range(SEQUENCES):
            grasped = i // 5 + 1
            ids = sorted({grasped, (grasped + 6) % 20 + 1, (grasped + 12) % 20 + 1})
            takes.append(
                {
                    "name": f"{subject[:8]}_{13 + i // 60:02d}{i % 60:02d}00",
                    "num_frames": 1 + i % frames,
                    "ycb_ids": ids,
                    "ycb_grasp_ind": ids.index(grasped),
                    "mano_sides": ["left" if i % 2 else "right"],
                }
            )
        subjects[subject] = takes
    return subjects


def write_tree(out: Path, subjects: Mapping[str, Sequence[Take]]) -> None:
    """The mark, every sequence's meta.yml, and calibration: intrinsics, extrinsics and the subjects' betas."""
    if out.exists() and any(out.iterdir()):
        raise InvalidError(f"{out} is not empty.", "Choose an empty folder: a dataset is never written over.")
    write_json(out / SYNTHETIC_MARK, {"source": SOURCE, "version": VERSION, "dexycb": "labels without images"})
    for subject, takes in subjects.items():
        for take in takes:
            side = take["mano_sides"][0]
            meta = {key: value for key, value in take.items() if key != "name"}
            meta |= {"serials": list(SERIALS), "extrinsics": EXTRINSICS, "mano_calib": [f"{subject}_{side}"]}
            _write_yaml(out / subject / take["name"] / "meta.yml", meta)
    calibration = out / "calibration"
    colour = {"fx": CAMERA[0, 0], "fy": CAMERA[1, 1], "ppx": CAMERA[0, 2], "ppy": CAMERA[1, 2]}
    for serial in SERIALS:
        path = calibration / "intrinsics" / f"{serial}_{IMAGE_SIZE[0]}x{IMAGE_SIZE[1]}.yml"
        _write_yaml(path, {key: {k: float(v) for k, v in colour.items()} for key in ("color", "depth")})
    rotations, places = cameras()
    poses = np.concatenate([rotations, places[:, :, None]], 2).reshape(-1, 12)
    extrinsics = {name: pose.tolist() for name, pose in zip(SERIALS, poses, strict=True)}
    extrinsics["apriltag"] = np.eye(3, 4).ravel().tolist()
    _write_yaml(
        calibration / f"extrinsics_{EXTRINSICS}" / "extrinsics.yml", {"extrinsics": extrinsics, "master": MASTER}
    )
    for subject in subjects:
        for side in ("right", "left"):
            betas = shape_of(subject).tolist()
            _write_yaml(calibration / f"mano_{subject}_{side}" / "mano.yml", {"betas": betas})


def write_labels(out: Path, labels: Iterable[tuple[str, Label]]) -> None:
    """Label files, as pairs of their place under the root and the arrays of the archive."""
    for place, arrays in labels:
        path = out / place
        path.parent.mkdir(parents=True, exist_ok=True)
        # as np.savez_compressed, but faster
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
            for name, array in arrays.items():
                with file.open(f"{name}.npy", "w") as member:
                    np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)


def synthetic_labels(frames: Frames, seed: int = 0) -> Iterable[tuple[str, Label]]:
    """The label of every frame of a split: a hand in motion, as each of the eight cameras sees it.

    `pose_m` and `joint_3d` belong to the synthetic hand of the sequence's side and the subject's betas.
    """
    captures = np.array([frames.capture(i) for i in range(len(frames))])
    _, first = np.unique(captures, return_index=True)
    for start in np.sort(first):
        rows = np.flatnonzero(captures == captures[start])
        yield from _take(frames, rows, (seed, int(frames.subject[start]), int(frames.sequence[start])))


def _take(frames: Frames, rows: NDArray, seed: tuple[int, ...]) -> Iterable[tuple[str, Label]]:
    """The labels of one take, frames `rows` (n,) of the split: n is its length times the cameras of the split."""
    rng = np.random.default_rng(seed)
    subject = SUBJECTS[frames.subject[rows[0]]]
    meta = read_meta(frames.root / frames.capture(int(rows[0])))
    model, shape = synthetic_hand(meta.side), shape_of(subject)
    turns = Rotation.random(rng=rng) * Rotation.from_rotvec(np.linspace(0, 0.5, meta.frames)[:, None] * [0, 0, 1])
    wrists = rng.uniform(-0.1, 0.1, 3) + np.linspace(0, 0.05, meta.frames)[:, None] * rng.normal(size=3)
    poses = sequence(meta.frames, rng, side=meta.side)
    absent = rng.random(meta.frames) < UNANNOTATED

    t = frames.frame[rows]
    rotations, places = (values[frames.serial[rows]] for values in cameras())
    from_world = Rotation.from_matrix(rotations.swapaxes(1, 2))
    pose = poses[t]
    pose[:, :3] = (from_world * turns[t]).as_rotvec()
    # the wrist is what a hand turns about
    rest = model.J_regressor[0] @ (model.v_template + model.shapedirs @ shape)
    moved = from_world.apply(wrists[t] - places) - rest
    vertices, joints16 = model.forward(pose, np.tile(shape, (len(rows), 1)), moved)
    joints = model.joints21(vertices, joints16, "manopth" if meta.side == "right" else "manopth-left")
    pixels = project(joints, CAMERA)
    coefficients = np.linalg.solve(model.hands_components.T, (pose[:, 3:] - model.hands_mean).T).T
    objects = np.tile(np.eye(3, 4, dtype=np.float32), (len(meta.rest["ycb_ids"]), 1, 1))
    for k, i in enumerate(rows.tolist()):
        hand = np.concatenate([pose[k, :3], coefficients[k], moved[k]])[None]
        seen = not absent[t[k]]
        yield (
            frames.label(i),
            {
                "seg": _segmentation(pixels[k]) if seen else np.zeros(IMAGE_SIZE[::-1], np.uint8),
                "pose_y": objects,
                "pose_m": (hand if seen else np.zeros((1, 51))).astype(np.float32),
                "joint_3d": (joints[k][None] if seen else np.full((1, 21, 3), -1.0)).astype(np.float32),
                "joint_2d": (pixels[k][None] if seen else np.full((1, 21, 2), -1.0)).astype(np.float32),
            },
        )


def cameras() -> tuple[NDArray, NDArray]:
    """Rotations (8, 3, 3) and places (8, 3) m of the cameras: camera -> world, around the origin and looking at it."""
    around = np.arange(len(SERIALS)) * 2 * np.pi / len(SERIALS)
    tilt = np.where(np.arange(len(SERIALS)) % 2, 0.3, 0.8)
    rotations = Rotation.from_euler("YX", np.stack([around, -tilt], 1)).as_matrix()
    return rotations, -AWAY * rotations[:, :, 2]


def shape_of(subject: str) -> NDArray:
    """The betas (10,) of a subject."""
    return np.random.default_rng(list(subject.encode())).normal(0.0, 0.7, 10).round(4)


def _segmentation(pixels: NDArray) -> NDArray:
    """(480, 640) uint8: the box of the projected joints (21, 2) as if it were the hand."""
    mask = np.zeros(IMAGE_SIZE[::-1], np.uint8)
    left, top, right, bottom = np.clip(joint_box(pixels[None])[0], 0, None).astype(int)
    mask[top:bottom, left:right] = HAND
    return mask


def _write_yaml(path: Path, content: Mapping[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(dict(content), default_flow_style=None), encoding="utf-8")
