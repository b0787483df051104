"""The visible fraction that preparation finds, against one by ray casts that shares no code with the z-buffer."""

from __future__ import annotations

import numpy as np
import pytest

from handbench.layouts.occlusion import visible_fraction
from handbench.synth.dataset import SyntheticHands
from handbench.synth.scene import join

pytestmark = pytest.mark.proof
FRAMES = 1000


def first_hits(vertices, faces, camera, size):
    """(H, W) int: the face that the ray through each pixel centre meets first, by embree; -1 for none."""
    import trimesh
    from trimesh.ray.ray_pyembree import RayMeshIntersector

    width, height = size
    # embree works in single precision: about the scale of one
    mesh = trimesh.Trimesh(vertices * 10, faces, process=False)
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    rays = np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3) @ np.linalg.inv(camera).T
    hit = RayMeshIntersector(mesh).intersects_first(np.zeros_like(rays), rays)
    return hit.reshape(height, width)


def test_a_thousand_hands(keep):
    pytest.importorskip("embreex")
    hands = SyntheticHands(FRAMES, seed=5, split="visible")
    differences, fractions = [], []
    for i in range(FRAMES):
        scene = hands.sample(i)
        model, camera, size = scene.model, scene.camera, scene.image_size
        # what prep does: the silhouette by the z-buffer, against a segmentation; here the ray casts' own
        everything = join([(scene.vertices, model.f), scene.arm, *scene.occluders])
        seen = first_hits(*everything, camera, size)
        hand = (seen >= 0) & (seen < len(model.f))
        amodal = first_hits(scene.vertices, model.f, camera, size) >= 0
        cast = (amodal & hand).sum() / amodal.sum()
        found = (visible_fraction(scene.vertices, model.f, camera, hand), scene.visible_fraction)
        differences.append([abs(value - cast) for value in found])
        fractions.append(cast)
    mean, worst = np.mean(differences, 0), np.max(differences, 0)
    assert (mean < 1e-4).all()
    assert (worst < 2e-3).all()
    what = "visible fraction by the z-buffer against ray casts (trimesh, embree) at every pixel centre, 224 x 224"
    spread = np.percentile(fractions, [0, 10, 50, 100]).tolist()
    keep(
        "visible-fraction",
        {
            "what": what,
            "frames": FRAMES,
            "fractions_0_10_50_100": spread,
            "preparation": {"mean": float(mean[0]), "worst": float(worst[0])},
            "renderer": {"mean": float(mean[1]), "worst": float(worst[1])},
        },
    )
