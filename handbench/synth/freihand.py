"""Writing synthetic hands in the official layout of FreiHAND v2, with the published evaluation annotations."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import orjson
from numpy.typing import NDArray

from handbench.datasets.freihand import SYNTHETIC_MARK
from handbench.errors import InvalidError, UsageError
from handbench.hands.camera import project
from handbench.hands.joints import MIDDLE_MCP, MIDDLE_PIP
from handbench.hands.mano import HandModel
from handbench.synth.background import background
from handbench.synth.dataset import SyntheticHands
from handbench.synth.hand import VERSION
from handbench.synth.picture import foreground, paint
from handbench.synth.scene import Scene

# The four versions of a training image: the studio's green cloth, then three other backgrounds; file id = i + n * k.
VERSIONS = ("gs", "hom", "sample", "auto")
KINDS = ("studio", "noise", "clutter", "checks")
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95]
# Ten nanometres: ten times less text than the digits of a float64 that mean nothing.
DECIMALS = 8
FIELDS = ("K", "mano", "scale", "xyz", "verts")


def write_freihand(
    out: Path,
    n: int,
    n_eval: int,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    model: HandModel | None = None,
) -> None:
    """Write `n` training samples (4 n images) and `n_eval` evaluation samples under `out`; `progress(done, samples)`.

    training_{K,mano,scale,xyz,verts}.json, training/rgb (4 n), training/mask (n), evaluation_{K,scale}.json,
    evaluation/rgb, and the published evaluation_{xyz,verts,mano}.json and evaluation/anno. A marker file at the root
    says that this is not FreiHAND. Images that are there are kept, the JSONs come last: an interrupted run continues.

    Raises UsageError for counts below zero, InvalidError where `out` holds something else.
    """
    if n < 0 or n_eval < 0:
        raise UsageError("Counts of samples cannot be negative.", "Give n >= 0 and n_eval >= 0.")
    training = SyntheticHands(n, seed, model=model, split="freihand-training")
    evaluation = SyntheticHands(n_eval, seed, model=model, split="freihand-evaluation")
    _claim(out, training, n_eval)
    for folder in ("training/rgb", "training/mask", "evaluation/rgb", "evaluation/anno"):
        (out / folder).mkdir(parents=True, exist_ok=True)

    total = n + n_eval
    with _Lists(out, "training", FIELDS) as lists:
        for i in range(n):
            scene = training.sample(i)
            lists.add(annotation(scene))
            _training_images(out, scene, i, n)
            if progress:
                progress(i + 1, total)
    with _Lists(out, "evaluation", FIELDS) as lists:
        for i in range(n_eval):
            scene = evaluation.sample(i)
            entry = annotation(scene)
            lists.add(entry)
            _write(out / f"evaluation/anno/{i:08d}.json", _json({k: entry[k] for k in ("K", "scale", "verts")}))
            path = out / f"evaluation/rgb/{i:08d}.jpg"
            if not path.exists():
                _write_image(path, paint(scene, KINDS[0]))
            if progress:
                progress(n + i + 1, total)


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


def _training_images(out: Path, scene: Scene, i: int, n: int) -> None:
    """The four versions and the mask of sample i, those that are missing."""
    mask = out / f"training/mask/{i:08d}.jpg"
    paths = [out / f"training/rgb/{i + n * k:08d}.jpg" for k in range(len(VERSIONS))]
    missing = [k for k, path in enumerate(paths) if not path.exists()]
    if not mask.exists():
        _write_image(mask, np.repeat(scene.hand_mask[..., None].astype(np.uint8) * 255, 3, 2))
    if not missing:
        return
    front = foreground(scene)
    for k in missing:
        # The same hand, pose and camera; the background differs, and the light a little, as after harmonisation.
        rng = np.random.default_rng((*scene.paint, 10 + k))
        tint = rng.uniform(0.88, 1.08, 3) if k else np.ones(3)
        _write_image(paths[k], front.over(background(scene.image_size, rng, KINDS[k]), rng, tint))


def _claim(out: Path, training: SyntheticHands, n_eval: int) -> None:
    """Put the marker down before anything else; refuse a folder with other content than this run's."""
    marker = {
        "source": "handbench synthetic hand",
        "layout": "FreiHAND v2",
        "version": VERSION,
        "hand": training.hand.source,
        "hand_digest": training.hand.digest(),
        "seed": training.seed,
        "n": training.n,
        "n_eval": n_eval,
    }
    path = out / SYNTHETIC_MARK
    if path.exists():
        try:
            found = orjson.loads(path.read_bytes())
        except orjson.JSONDecodeError:
            found = None
        if found != marker:
            raise InvalidError(
                f"{out} holds a synthetic set that was made otherwise.", "Choose another folder, or the same numbers."
            )
    elif out.exists() and any(out.iterdir()):
        raise InvalidError(f"{out} is not empty.", "Choose an empty folder: official files are never written over.")
    out.mkdir(parents=True, exist_ok=True)
    _write(path, orjson.dumps(marker, option=orjson.OPT_INDENT_2))


class _Lists:
    """The JSON lists of a split, written entry by entry beside their names and put in place together at the end."""

    def __init__(self, out: Path, split: str, fields: tuple[str, ...]):
        self.paths = {name: out / f"{split}_{name}.json" for name in fields}
        self.count = 0

    def __enter__(self) -> _Lists:
        self.files = {name: open(_part(path), "wb") for name, path in self.paths.items()}  # noqa: SIM115
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
                _part(self.paths[name]).replace(self.paths[name])
            else:
                _part(self.paths[name]).unlink()


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY, default=_plain)


def _plain(value: Any) -> Any:
    # orjson takes only arrays that lie in memory row by row
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(type(value))


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _write(path: Path, content: bytes) -> None:
    part = _part(path)
    part.write_bytes(content)
    os.replace(part, path)


def _write_image(path: Path, image: NDArray) -> None:
    _write(path, cv2.imencode(".jpg", image[..., ::-1], JPEG)[1].tobytes())
