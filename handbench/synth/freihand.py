"""Writing synthetic hands in the official layout of FreiHAND v2, with the published evaluation annotations.

    training_{K,mano,scale,xyz,verts}.json, training/rgb (4 n), training/mask (n)
    evaluation_{K,mano,scale,xyz,verts}.json, evaluation/rgb, evaluation/anno

The lists come last: one that is there is whole. Decimal digits of metres are cut after the tenth.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson

from handbench.hands.camera import joint_box, project
from handbench.hands.joints import MIDDLE_MCP, MIDDLE_PIP
from handbench.hands.record import Hands
from handbench.synth.background import background
from handbench.synth.dataset import SyntheticHands
from handbench.synth.layout import Advance, HandOf, Size, claim, part_of, put, put_rgb, require_sizes
from handbench.synth.picture import foreground, paint
from handbench.synth.scene import Scene

SIZE = Size(samples=64, held=32)
# The four versions of a training image: the studio's green cloth, then three other backgrounds; file id = i + n * k.
VERSIONS = ("gs", "hom", "sample", "auto")
KINDS = ("studio", "noise", "clutter", "checks")
# A tenth of a nanometre: half the text of the digits of a float64, which mean nothing.
DECIMALS = 10
FIELDS = ("K", "mano", "scale", "xyz", "verts")


def images(size: Size) -> int:
    return len(VERSIONS) * size.samples + size.held


def write(out: Path, size: Size, seed: int, hands: HandOf, advance: Advance) -> None:
    """`size.samples` training samples of four images each, and `size.held` evaluation samples."""
    require_sizes(size, "samples", "held")
    claim(out, "freihand", {"seed": seed, "samples": size.samples, "held": size.held, "hand": hands("right").digest()})
    n = size.samples
    training, evaluation = (_samples(split, size, seed, hands) for split in ("train", "test"))
    for folder in ("training/rgb", "training/mask", "evaluation/rgb", "evaluation/anno"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    with _Lists(out, "training", FIELDS) as lists:
        for i in range(n):
            scene = training.sample(i)
            lists.add(annotation(scene))
            _training_images(out, scene, i, n, advance)
    with _Lists(out, "evaluation", FIELDS) as lists:
        for i in range(size.held):
            scene = evaluation.sample(i)
            entry = annotation(scene)
            lists.add(entry)
            put(out / f"evaluation/anno/{i:08d}.json", _json({k: entry[k] for k in ("K", "scale", "verts")}))
            path = out / f"evaluation/rgb/{i:08d}.jpg"
            if not path.exists():
                put_rgb(path, paint(scene, KINDS[0]))
            advance(1)


def truth(split: str, size: Size, seed: int, hands: HandOf) -> Hands:
    """Each image of the split, in the order of its file id; joints and vertices have `DECIMALS` digits."""
    samples = _samples(split, size, seed, hands)
    scenes = [samples.sample(i) for i in range(len(samples))]
    n = len(scenes)
    entry = np.tile(np.arange(n), len(VERSIONS) if split == "train" else 1)
    joints = np.array([scene.joints for scene in scenes]).round(DECIMALS)
    camera = np.array([scene.camera for scene in scenes])
    return Hands(
        id=np.array([f"freihand/{split}/{i:08d}" for i in range(len(entry))]),
        capture=np.array([f"freihand/{split}/{i:08d}" for i in entry]),
        side=np.full(len(entry), "right"),
        joints=joints[entry],
        joints_valid=np.ones((len(entry), 21), bool),
        vertices=np.array([scene.vertices for scene in scenes]).round(DECIMALS)[entry],
        mano_pose=np.array([scene.mano_pose for scene in scenes])[entry],
        mano_shape=np.array([scene.mano_shape for scene in scenes])[entry],
        mano_translation=np.array([scene.mano_translation for scene in scenes])[entry],
        image_size=np.array([scene.image_size for scene in scenes])[entry],
        camera=camera[entry],
        box=joint_box(project(joints, camera))[entry],
        meta={"dataset": "freihand", "split": split},
    )


def _samples(split: str, size: Size, seed: int, hands: HandOf) -> SyntheticHands:
    n, part = (size.samples, "training") if split == "train" else (size.held, "evaluation")
    return SyntheticHands(n, seed, model=hands("right"), split=f"freihand-{part}")


def annotation(scene: Scene) -> dict[str, Any]:
    """FreiHAND's entries for one sample: K (3, 3), mano (1, 61), scale, xyz (21, 3) m, verts (778, 3) m.

    mano is 48 pose values (the 45 of the fingers relative to the mean pose), 10 betas, the root's pixel (u, v) and
    scale s, with the root (joint 9) at (u - cx, v - cy, f) / s (FreiHAND's `recover_root`).
    """
    pose = scene.mano_pose.copy()
    pose[3:] -= scene.model.hands_mean
    root = scene.joints[MIDDLE_MCP]
    focal = (scene.camera[0, 0] + scene.camera[1, 1]) / 2
    vector = np.concatenate([pose, scene.mano_shape, project(root[None], scene.camera)[0], [focal / root[2]]])
    return {
        "K": scene.camera,
        "mano": vector[None],
        "scale": float(np.linalg.norm(scene.joints[MIDDLE_MCP] - scene.joints[MIDDLE_PIP])),
        "xyz": scene.joints.round(DECIMALS),
        "verts": scene.vertices.round(DECIMALS),
    }


def _training_images(out: Path, scene: Scene, i: int, n: int, advance: Advance) -> None:
    """The four versions and the mask of sample i, those that are missing."""
    mask = out / f"training/mask/{i:08d}.jpg"
    paths = [out / f"training/rgb/{i + n * k:08d}.jpg" for k in range(len(VERSIONS))]
    missing = [k for k, path in enumerate(paths) if not path.exists()]
    if not mask.exists():
        put_rgb(mask, np.repeat(scene.hand_mask[..., None].astype(np.uint8) * 255, 3, 2))
    advance(len(VERSIONS) - len(missing))
    if not missing:
        return
    front = foreground(scene)
    for k in missing:
        # The same hand, pose and camera; the background differs, and the light a little, as after harmonisation.
        rng = np.random.default_rng((*scene.paint, 10 + k))
        tint = rng.uniform(0.88, 1.08, 3) if k else np.ones(3)
        put_rgb(paths[k], front.over(background(scene.image_size, rng, KINDS[k]), rng, tint))
        advance(1)


class _Lists:
    """The JSON lists of a split, written entry by entry beside their names and put in place together at the end."""

    def __init__(self, out: Path, split: str, fields: tuple[str, ...]):
        self.paths = {name: out / f"{split}_{name}.json" for name in fields}
        self.count = 0

    def __enter__(self) -> _Lists:
        self.files = {name: open(part_of(path), "wb") for name, path in self.paths.items()}  # noqa: SIM115
        return self

    def add(self, entry: dict[str, Any]) -> None:
        for name, file in self.files.items():
            file.write((b"[" if self.count == 0 else b", ") + _json(entry[name]))
        self.count += 1

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for name, file in self.files.items():
            file.write(b"]" if self.count else b"[]")
            file.close()
            if kind is None:
                part_of(self.paths[name]).replace(self.paths[name])
            else:
                part_of(self.paths[name]).unlink()


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY, default=_plain)


def _plain(value: Any) -> Any:
    # orjson takes only arrays that lie in memory row by row
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(type(value))
