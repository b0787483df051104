"""Hands to score: synthetic true ones, and predictions that are wrong as a good method's are.

Errors of a real prediction are smooth over the mesh (a finger bent too little, a hand too large, the whole of it too
far away): a mesh with as much independent noise on every vertex would have another F-score and other neighbours. So a
prediction is the same hand model with its pose, shape, rotation and place disturbed, then bent by a slow random field,
and only a little noise is independent. `EXPECTED` says what figures that must give.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handbench.hands.record import Hands
from handbench.store.hands_writer import join_files, write_hands
from handbench.synth.hand import synthetic_hand
from handbench.synth.poses import sample_poses

# Raised whenever the hands change: data of another version is made again.
VERSION = 1
SOURCE = "the synthetic hand, predictions disturbed"
# What good methods have: lowest and highest credible value, mm or 0..1; PA is the protocol's own Procrustes alignment.
EXPECTED = {
    "MPJPE": (15.0, 30.0),
    "PA-MPJPE": (6.0, 7.5),
    "MPVPE": (15.0, 30.0),
    "PA-MPVPE": (6.0, 7.0),
    "PA-F@5": (0.65, 0.75),
}
BLOCK = 500
# How wrong predictions are: radians (joint angles, global rotation), metres (place; the field; noise), betas
ANGLES, ROTATION, BETAS = 0.085, 0.08, 0.6
PLACE = (0.006, 0.006, 0.018)
FIELD, WAVELENGTH, NOISE = 0.003, 0.10, 0.0004
# Severity of a sample: some are harder than others
SPREAD = 0.3

Pair = tuple[Hands, Hands]


def meshes(n: int, name: str, seed: int = 0) -> Iterator[Pair]:
    """Blocks of (truth float64, predictions float32) with joints (N, 21, 3) and vertices (N, 778, 3), m.

    `name` is the pattern of the ids, such as `freihand/test/{:08d}`.
    """
    rng = np.random.default_rng(seed)
    for start in range(0, n, BLOCK):
        joints, vertices, predicted_joints, predicted_vertices = _disturbed(min(BLOCK, n - start), rng)
        ids = np.array([name.format(i) for i in range(start, start + len(joints))])
        yield (
            Hands(id=ids, joints=joints, vertices=vertices),
            Hands(id=ids, joints=_single(predicted_joints), vertices=_single(predicted_vertices)),
        )


def only_joints(n: int, name: str, seed: int = 0, block: int = 50_000) -> Iterator[Pair]:
    """Blocks of (truth, predictions), float32 joints (N, 21, 3) m and no vertices, in any number.

    A few thousand pairs of hands, each turned, placed and disturbed a little anew every time that it is drawn.
    """
    rng = np.random.default_rng(seed)
    pool = _disturbed(min(n, 2000), rng)
    true, predicted = pool[0], pool[2]
    centre = true.mean(1, keepdims=True)
    for start in range(0, n, block):
        m = min(block, n - start)
        drawn = rng.integers(len(true), size=m)
        turn = np.linalg.qr(rng.normal(size=(m, 3, 3)))[0]
        turn *= np.linalg.det(turn)[:, None, None]
        place = rng.normal(0, (0.05, 0.05, 0.1), (m, 1, 3)) + (0, 0, 0.7)
        moved = [(cloud[drawn] - centre[drawn]) @ turn + place for cloud in (true, predicted)]
        moved[1] += rng.normal(0, NOISE, moved[1].shape)
        ids = np.array([name.format(i) for i in range(start, start + m)])
        yield Hands(id=ids, joints=_single(moved[0])), Hands(id=ids, joints=_single(moved[1]))


def _single(array: NDArray) -> NDArray:
    return array.astype(np.float32)


def _disturbed(n: int, rng: np.random.Generator) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Joints and vertices, true and predicted, m."""
    hand = synthetic_hand()
    pose, shape = sample_poses(n, rng), rng.normal(0, 0.7, (n, 10))
    axis = rng.normal(size=(n, 3))
    pose[:, :3] = axis / np.linalg.norm(axis, axis=1, keepdims=True) * rng.uniform(0, np.pi, (n, 1))
    place = rng.normal(0, (0.03, 0.03, 0.1), (n, 3)) + (0, 0, 0.7)
    hard = np.exp(rng.normal(0, SPREAD, (n, 1)))
    wrong_pose = pose + hard * rng.normal(0, (ROTATION,) * 3 + (ANGLES,) * 45, (n, 48))
    wrong_shape = shape + rng.normal(0, BETAS, (n, 10))
    wrong_place = place + hard * rng.normal(0, PLACE, (n, 3))
    vertices, inner = hand.forward(pose, shape, place)
    moved, moved_inner = hand.forward(wrong_pose, wrong_shape, wrong_place)
    joints = hand.joints21(vertices, inner, "freihand")
    # One field for mesh and joints, slow over the hand at rest, so that neighbours move together.
    rest = np.concatenate([hand.v_template, hand.J_regressor @ hand.v_template])
    waves = rng.normal(0, 2 * np.pi / WAVELENGTH / np.sqrt(3), (3, 12))
    basis = np.concatenate([np.cos(rest @ waves), np.sin(rest @ waves)], 1) / np.sqrt(12)
    field = np.einsum("vk,nkc->nvc", basis, rng.normal(0, FIELD, (n, 24, 3)) * hard[:, None])
    moved = moved + field[:, :778] + rng.normal(0, NOISE, moved.shape)
    moved_inner = moved_inner + field[:, 778:]
    return joints, vertices, hand.joints21(moved, moved_inner, "freihand"), moved


def write_pair(folder: Path, blocks: Iterator[Pair], meta: dict[str, Any]) -> None:
    """truth.h5 and pred.h5 in `folder`, one block in memory at a time."""
    parts: tuple[list[Path], list[Path]] = ([], [])
    for number, pair in enumerate(blocks):
        for hands, name, written in zip(pair, ("truth", "pred"), parts, strict=True):
            written.append(folder / f"{name}-{number:05d}.h5")
            write_hands(written[-1], hands)
    for name, written, about in zip(("truth", "pred"), parts, (meta, {}), strict=True):
        join_files(folder / f"{name}.h5", written, about)
        for part in written:
            part.unlink()


def write_official(folder: Path, blocks: Iterator[Pair]) -> None:
    """evaluation_xyz.json, evaluation_verts.json and pred.json as the official scripts write them, all digits."""
    pairs = list(blocks)
    for name, which in (("evaluation_xyz", "joints"), ("evaluation_verts", "vertices")):
        true = np.concatenate([getattr(true, which) for true, _ in pairs])
        (folder / f"{name}.json").write_text(json.dumps(true.tolist()))
    predictions = [
        np.concatenate([getattr(predicted, which) for _, predicted in pairs]).astype(np.float64).tolist()
        for which in ("joints", "vertices")
    ]
    (folder / "pred.json").write_text(json.dumps(predictions))
    # handbench must not take them for the published ones
    (folder / "handbench-synthetic.json").write_text(json.dumps({"source": SOURCE}))


def kept(folder: Path, what: dict[str, Any], write: Callable[[Path], None]) -> Path:
    """`folder` with data described by `what`: as it is where that was finished before, made anew otherwise."""
    mark = folder / "made.json"
    what = {**what, "version": VERSION}
    if not mark.exists() or json.loads(mark.read_text()) != what:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write(folder)
        mark.write_text(json.dumps(what))
    return folder
