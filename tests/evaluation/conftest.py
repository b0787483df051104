import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from handbench.hands.record import Hands


def skeleton() -> np.ndarray:
    """An open right hand, (21, 3) m: wrist, then five fingers from base to tip, not quite flat."""
    joints = [np.zeros(3)]
    for finger, (x, length) in enumerate(zip((-0.035, -0.025, 0.0, 0.02, 0.04), (7, 9, 10, 9, 7), strict=True)):
        base = np.array([x, -0.04 if finger == 0 else -0.09, 0.004 * (finger - 2) ** 2])
        step = np.array([(finger - 2) * 0.004 - (finger == 0) * 0.02, -0.003 * length, 0.004])
        joints += [base + step * s for s in (0.0, 1.0, 1.8, 2.4)]
    return np.array(joints)


@pytest.fixture(scope="session")
def make_hands():
    """`make_hands(n, seed)`: hands turned and placed at random before the camera, with a mesh of 60 vertices."""

    def make(n: int = 12, seed: int = 0, vertices: bool = True, **meta) -> Hands:
        generator = np.random.default_rng(seed)
        rotation = Rotation.random(n, random_state=seed).as_matrix()
        place = np.array([0.0, 0.0, 0.6]) + generator.normal(0, 0.05, (n, 1, 3))
        joints = (skeleton() + generator.normal(0, 0.002, (n, 21, 3))) @ rotation + place
        around = generator.normal(0, 0.006, (60, 3))
        mesh = joints[:, np.arange(60) % 21] + around
        ids = np.array([f"freihand/test/{i:08d}" for i in range(n)])
        meta = {"source": "official files", **meta}
        return Hands(id=ids, joints=joints, vertices=mesh if vertices else None, meta=meta)

    return make


@pytest.fixture(scope="session")
def noisy():
    """`noisy(hands, mm, rng)`: predictions of them, off by that much."""

    def make(hands: Hands, mm: float = 5.0, rng: int = 1, **meta) -> Hands:
        generator = np.random.default_rng(rng)
        joints = hands.joints + generator.normal(0, mm / 1000, hands.joints.shape)
        mesh = None if hands.vertices is None else hands.vertices + generator.normal(0, mm / 1000, hands.vertices.shape)
        return Hands(id=hands.id, joints=joints, vertices=mesh, meta=meta)

    return make


@pytest.fixture
def official_folder(tmp_path):
    """Arrays as the official JSON files: a folder with evaluation_xyz.json, evaluation_verts.json and pred.json."""

    def write(gt_xyz, gt_verts, pred_xyz, pred_verts) -> Path:
        (tmp_path / "evaluation_xyz.json").write_text(json.dumps(gt_xyz.tolist()))
        (tmp_path / "evaluation_verts.json").write_text(json.dumps(gt_verts.tolist()))
        (tmp_path / "pred.json").write_text(json.dumps([pred_xyz.tolist(), pred_verts.tolist()]))
        return tmp_path

    return write
