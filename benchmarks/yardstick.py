"""How long scoring takes when it is written plainly: one sample at a time, with numpy and scipy.

What a user writes who knows the definitions and has no toolkit: one orthogonal Procrustes a sample, two k-d trees a
pair of meshes, one loop over points and thresholds. It computes the official figures and nothing else: no other
alignments, no intervals, no checks.
"""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import orthogonal_procrustes
from scipy.spatial import cKDTree

THRESHOLDS = np.linspace(0.0, 0.05, 100)
LIMITS = (0.005, 0.015)

Points = tuple[NDArray, NDArray, NDArray | None, NDArray | None]


def read_h5(truth: Path, pred: Path) -> Points:
    """True and predicted joints (N, 21, 3), then true and predicted vertices or None; float64, m."""
    with h5py.File(truth, "r") as true, h5py.File(pred, "r") as predicted:
        joints, predicted_joints = (file["hands/joints"][:].astype(np.float64) for file in (true, predicted))
        if "hands/vertices" not in true:
            return joints, predicted_joints, None, None
        vertices, predicted_vertices = (file["hands/vertices"][:].astype(np.float64) for file in (true, predicted))
    return joints, predicted_joints, vertices, predicted_vertices


def read_json(truth: Path, pred: Path) -> Points:
    """The same from a folder with the official files and from a pred.json."""
    joints = np.array(json.loads((truth / "evaluation_xyz.json").read_text()))
    vertices = np.array(json.loads((truth / "evaluation_verts.json").read_text()))
    predicted = json.loads(pred.read_text())
    return joints, np.array(predicted[0]), vertices, np.array(predicted[1])


def align(target: NDArray, points: NDArray, reflect: bool) -> NDArray:
    """Points (K, 3) moved onto the target by the best rotation, scale and translation.

    With `reflect` as the official scripts do: mirrored where that is nearer, 1e-8 added to both norms.
    """
    centre = target.mean(0)
    a, b = target - centre, points - points.mean(0)
    little = 1e-8 if reflect else 0.0
    size_a, size_b = np.linalg.norm(a) + little, np.linalg.norm(b) + little
    a, b = a / size_a, b / size_b
    if reflect:
        turn, scale = orthogonal_procrustes(b, a)
    else:
        u, s, vt = np.linalg.svd(b.T @ a)
        s[2] *= np.sign(np.linalg.det(u @ vt))
        u[:, 2] *= np.sign(np.linalg.det(u @ vt))
        turn, scale = u @ vt, s.sum()
    return b @ turn * scale * size_a + centre


def f_scores(target: NDArray, points: NDArray) -> list[float]:
    to_points = cKDTree(points).query(target)[0]
    to_target = cKDTree(target).query(points)[0]
    scores = []
    for limit in LIMITS:
        precision, recall = np.mean(to_points < limit), np.mean(to_target < limit)
        scores.append(2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0)
    return scores


def area(errors: NDArray) -> float:
    """The mean over points of the area under each point's curve."""
    whole = np.trapezoid(np.ones(len(THRESHOLDS)), THRESHOLDS)
    areas = []
    for point in range(errors.shape[1]):
        curve = [np.mean(errors[:, point] <= threshold) for threshold in THRESHOLDS]
        areas.append(np.trapezoid(curve, THRESHOLDS) / whole)
    return float(np.mean(areas))


def sample_by_sample(points: Points, reflect: bool = True) -> dict[str, NDArray]:
    """Errors (N, K) m and F-scores (N, 2) of every sample, by the name of what is made of them."""
    true_joints, joints, true_vertices, vertices = points
    found: dict[str, list] = {}
    for i in range(len(true_joints)):
        for what, target, predicted in (("MPJPE", true_joints, joints), ("MPVPE", true_vertices, vertices)):
            if target is None or predicted is None:
                continue
            for prefix in ("", "PA-"):
                moved = align(target[i], predicted[i], reflect) if prefix else predicted[i]
                found.setdefault(prefix + what, []).append(np.sqrt(((target[i] - moved) ** 2).sum(1)))
                if what == "MPVPE":
                    found.setdefault(prefix + "F", []).append(f_scores(target[i], moved))
    return {name: np.array(values) for name, values in found.items()}


def figures(found: dict[str, NDArray]) -> dict[str, float]:
    """What `sample_by_sample` found as figures by name: mm, or 0..1."""
    made = {}
    for name, values in found.items():
        if name.endswith("F"):
            for limit, column in zip(LIMITS, values.T, strict=True):
                made[f"{name}@{1000 * limit:.0f}"] = float(np.mean(column))
        else:
            made[name] = 1000 * float(np.mean(values))
            made[name.replace("MPJPE", "AUC-J").replace("MPVPE", "AUC-V")] = area(values)
    return made
