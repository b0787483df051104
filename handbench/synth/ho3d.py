"""Writing synthetic hands in HO-3D's folders, version 2 or 3: both lists, images, depth, pickles, the published truth.

Training sequences are the first of the official names, evaluation's too (SM1, AP10, AP11, MPM10 ...); those of one take
are cameras of one hand in motion. Takes differ in length; one frame in five has no annotation: every field of its
pickle is None, and no list names it. Version 3 adds fields, segmentations, calibration and manual annotations.

What no source says, and is chosen here: numbers in pickles are float64; a segmentation's pixel is what its own centre
sees of hand and object; distances to the object are to its vertices; a take's cameras are calibrated to camera 0.
"""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from handbench.errors import UsageError
from handbench.hands.camera import joint_box, project
from handbench.hands.joints import from_fh21
from handbench.hands.raster import rasterise
from handbench.hands.record import Hands
from handbench.layouts.ho3d_labels import DEPTH_SCALE, IMAGE_SIZE
from handbench.layouts.ho3d_tree import PARTS, VERSIONS, take_of
from handbench.synth.frame import Frame, room
from handbench.synth.ho3d_calibration import write_calibration, write_manual
from handbench.synth.layout import Advance, HandOf, Size, claim, put, put_rgb, require_sizes, split_depth
from handbench.synth.scene import Scene
from handbench.synth.take import Take, View, make_take

SIZE = Size(sequences=4, frames=6)
# names as the official lists have them, cameras of a take side by side
NAMES = {
    "train": (
        "ABF10", "ABF11", "MC1", "SS2", "BB12", "BB13", "ND2", "SM2", "GSF10", "GSF13", "MDF11", "MDF14", "SiBF10",
        "SiBF12", "SMu1", "SMu40", "SMu41", "ShSu10", "ShSu14", "GPMF11",
    ),
    "test": (
        "SM1", "AP10", "AP11", "MPM10", "SB11", "SB13", "AP12", "MPM11", "MPM12", "AP13", "AP14", "MPM13", "MPM14",
    ),
}  # fmt: skip
CAMERA = np.array([[614.627, 0.0, 320.262], [0.0, 614.101, 238.469], [0.0, 0.0, 1.0]])
FPS = 30.0
GL = np.array([1.0, -1.0, -1.0])
# the other cameras of a take stand around what is about here, m
AROUND = np.array([0.0, 0.0, 0.62])
UNANNOTATED = (5, 3)
# a segmentation has a quarter of the pixels each way; its pixel k has its centre at 4 k + 1.5 of the frame
QUARTER = np.array([[0.25, 0, -0.375], [0, 0.25, -0.375], [0, 0, 1.0]])
QUARTER_SIZE = (IMAGE_SIZE[0] // 4, IMAGE_SIZE[1] // 4)
FIELDS = (
    "handPose", "handTrans", "handBeta", "handJoints3D", "camMat", "objRot", "objTrans", "objName", "objLabel",
    "objCorners3D", "objCorners3DRest",
)  # fmt: skip
MORE_FIELDS = ("camIDList", "handVertContact", "handVertDist", "handVertIntersec", "handVertObjSurfProj")
EVALUATION_FIELDS = (
    "handJoints3D", "handBoundingBox", "camMat", "objRot", "objTrans", "objName", "objLabel", "objCorners3D",
    "objCorners3DRest",
)  # fmt: skip
CONTACT = 0.004


@dataclass(frozen=True, eq=False)
class Sequence:
    """One camera's run: its name, the take, the camera's view of it."""

    name: str
    take: Take
    view: View

    @property
    def annotated(self) -> list[int]:
        return [t for t in range(len(self.take)) if t % UNANNOTATED[0] != UNANNOTATED[1]]


def names(split: str, size: Size) -> tuple[str, ...]:
    """The sequences of a split; raises UsageError for more than there are names."""
    require_sizes(size, "sequences", "frames")
    if size.sequences > len(NAMES["train"]):
        raise UsageError(f"HO-3D is written with at most {len(NAMES['train'])} sequences.", "Give more frames instead.")
    return NAMES[split][: size.sequences]


def images(size: Size, dataset: str = "ho3d-v3") -> int:
    return sum(_length(name, size) for split in NAMES for name in names(split, size))


def write(out: Path, size: Size, seed: int, hands: HandOf, advance: Advance, dataset: str = "ho3d-v3") -> None:
    """The layout of `dataset` under `out`, and the truth of its evaluation split as it was published."""
    for split in NAMES:
        names(split, size)
    about = {"seed": seed, "sequences": size.sequences, "frames": size.frames, "hand": hands("right").digest()}
    claim(out, dataset, about)
    for split, part in PARTS.items():
        published: list[Scene] = []
        lines = []
        for sequence in _sequences(split, size, seed, hands):
            annotated = set(sequence.annotated)
            for t in range(len(sequence.take)):
                scene = sequence.take.scene(t, sequence.view)
                _write_frame(out / part / sequence.name, scene, t, t in annotated, split, dataset, seed)
                advance(1)
                if t in annotated:
                    lines.append(f"{sequence.name}/{t:04d}")
                    published.append(scene)
        put(out / f"{part}.txt", ("\n".join(lines) + "\n").encode())
        if split == "test":
            joints = [from_fh21(scene.joints, "ho3d") * GL for scene in published]
            put(out / "evaluation_xyz.json", orjson.dumps([one.tolist() for one in joints]))
            put(out / "evaluation_verts.json", orjson.dumps([(scene.vertices * GL).tolist() for scene in published]))
    if dataset == "ho3d-v3":
        _write_more(out, size, seed, hands)


def truth(split: str, size: Size, seed: int, hands: HandOf, dataset: str = "ho3d-v3") -> Hands:
    """What a reader must find with this hand model: frames by sequence, in order."""
    rows: dict[str, list[Any]] = {}

    def add(**values: Any) -> None:
        for name, value in values.items():
            rows.setdefault(name, []).append(value)

    for sequence in _sequences(split, size, seed, hands):
        for t in sequence.annotated:
            scene = sequence.take.scene(t, sequence.view)
            add(
                capture=take_of(sequence.name),
                track=sequence.name,
                frame=t,
                joints=scene.joints,
                vertices=scene.vertices,
                frame_camera=scene.camera,
            )
            if split == "train":
                add(
                    mano_pose=scene.mano_pose,
                    mano_shape=scene.mano_shape,
                    mano_translation=scene.mano_translation,
                )
                if dataset == "ho3d-v3":
                    seen = np.kron(_segmentation(scene)[0], np.ones((4, 4), bool))
                    whole = scene.amodal_mask
                    add(visible_fraction=(whole & seen).sum() / whole.sum() if whole.any() else np.nan)
    n = len(rows["frame"])
    return Hands(
        id=np.array([f"{dataset}/{split}/{i:08d}" for i in range(n)]),
        fps=np.full(n, FPS),
        side=np.full(n, "right"),
        joints_valid=np.ones((n, 21), bool),
        frame_size=np.tile(IMAGE_SIZE, (n, 1)),
        **{name: np.array(values) for name, values in rows.items()},
        meta={"dataset": dataset, "split": split, "fingertips": "ho3d", "joint_source": "model"},
    )


def _length(name: str, size: Size) -> int:
    """Frames of a sequence: those of a take have one length, takes have three."""
    return max(1, size.frames - _seed_of(name) % 3)


def _seed_of(name: str) -> int:
    return zlib.crc32(take_of(name).encode())


def _sequences(split: str, size: Size, seed: int, hands: HandOf) -> Iterator[Sequence]:
    for name in names(split, size):
        take = _take(take_of(name), _length(name, size), (seed, _seed_of(name)), hands("right"))
        yield Sequence(name, take, view_of(name))


@lru_cache(maxsize=4)  # cameras of a take come one after the other
def _take(name: str, frames: int, seed: tuple[int, ...], hand: Any) -> Take:
    return make_take(name, hand, frames, seed, "ho3d")


def view_of(name: str) -> View:
    """The camera of a sequence: camera k of a take has turned about where the hand is by k times 35 degrees."""
    k = int(name[-1]) if name != take_of(name) else 0
    turn = Rotation.from_rotvec([0.0, np.radians(35.0 * k), 0.0]).as_matrix()
    camera = CAMERA + k * np.array([[1.25, 0, -2.5], [0, 1.25, 1.75], [0, 0, 0]])
    return View(camera, IMAGE_SIZE, turn, AROUND - turn @ AROUND)


def _write_frame(folder: Path, scene: Scene, t: int, annotated: bool, split: str, dataset: str, seed: int) -> None:
    label = _label(scene, split, dataset)
    if not annotated:
        label = dict.fromkeys(label)
    put(folder / "meta" / f"{t:04d}.pkl", pickle.dumps(label, protocol=2))
    image = folder / "rgb" / f"{t:04d}{VERSIONS[dataset].suffix}"
    depth, segmented = folder / "depth" / f"{t:04d}.png", folder / "seg" / f"{t:04d}.png"
    if not (image.exists() and depth.exists()):
        frame = Frame(scene)
        put_rgb(image, frame.image(room(IMAGE_SIZE, (seed, zlib.crc32(folder.name.encode()))), (seed, t)))
        put_rgb(depth, split_depth(np.rint(frame.depth / DEPTH_SCALE)))
    if dataset == "ho3d-v3" and split == "train" and not segmented.exists():
        hand, thing = _segmentation(scene)
        put_rgb(segmented, np.stack([np.zeros_like(hand), thing, hand], -1).astype(np.uint8) * 255)


def _segmentation(scene: Scene) -> tuple[NDArray, NDArray]:
    """Hand and object (120, 160) bool, as seen when nothing else is there."""
    camera = QUARTER @ scene.camera
    hand = rasterise(scene.vertices, scene.model.f, camera, QUARTER_SIZE)
    thing = rasterise(*scene.occluders[0], camera, QUARTER_SIZE)
    return hand.mask & (hand.depth <= thing.depth), thing.mask & (thing.depth < hand.depth)


def _label(scene: Scene, split: str, dataset: str) -> dict[str, Any]:
    """The fields of a pickle: m, OpenGL axes."""
    joints = from_fh21(scene.joints, "ho3d") * GL
    label: dict[str, Any] = {"camMat": scene.camera, **_object(scene)}
    if split == "test":
        box = joint_box(project(scene.joints, scene.camera))
        label |= {"handJoints3D": joints[0], "handBoundingBox": [int(v) for v in np.rint(box)]}
        return {name: label[name] for name in EVALUATION_FIELDS}
    turn = np.diag(GL) @ Rotation.from_rotvec(scene.mano_pose[:3]).as_matrix()
    # a hand turns about its wrist's rest place, which does not turn with it
    rest = scene.model.J_regressor[0] @ (scene.model.v_template + scene.model.shapedirs @ scene.mano_shape)
    label |= {
        "handPose": np.concatenate([Rotation.from_matrix(turn).as_rotvec(), scene.mano_pose[3:]]),
        "handTrans": GL * (rest + scene.mano_translation) - rest,
        "handBeta": scene.mano_shape,
        "handJoints3D": joints,
    }
    if dataset == "ho3d-v2":
        return {name: label[name] for name in FIELDS}
    corners = scene.occluders[0][0]
    distance, nearest = cKDTree(corners).query(scene.vertices)
    label |= {
        "camIDList": [str(k) for k in range(5)],
        "handVertContact": distance < CONTACT,
        "handVertDist": distance,
        "handVertIntersec": np.linalg.norm(scene.vertices - corners.mean(0), axis=1) < 0.5 * CONTACT,
        "handVertObjSurfProj": corners[nearest] * GL,
    }
    return {name: label[name] for name in (*FIELDS, *MORE_FIELDS)}


def _object(scene: Scene) -> dict[str, Any]:
    """What is held: its own axes are those of its vertices' spread."""
    points = scene.occluders[0][0] * GL
    middle = points.mean(0)
    _, _, axes = np.linalg.svd(points - middle, full_matrices=False)
    axes[2] *= np.sign(np.linalg.det(axes))
    own = (points - middle) @ axes.T
    low, high = own.min(0), own.max(0)
    corners = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
    return {
        "objRot": Rotation.from_matrix(axes.T).as_rotvec().reshape(3, 1),
        "objTrans": middle,
        "objName": "003_cracker_box",
        "objLabel": 3,
        "objCorners3D": corners @ axes + middle,
        "objCorners3DRest": corners,
    }


def _write_more(out: Path, size: Size, seed: int, hands: HandOf) -> None:
    """Calibration of takes of several cameras; tips marked by hand in their first frame, where camera 1 is there."""
    takes: dict[str, dict[str, View]] = {}
    for split in NAMES:
        for sequence in _sequences(split, size, seed, hands):
            take = take_of(sequence.name)
            if take != sequence.name:
                takes.setdefault(take, {})[sequence.name] = sequence.view
                if sequence.name.endswith("1"):
                    joints = sequence.take.scene(0, sequence.view).joints
                    write_manual(out, take, 0, from_fh21(joints, "ho3d") * GL)
    for take, views in takes.items():
        write_calibration(out, take, views)
