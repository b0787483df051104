"""The z-buffer, against ray casts that share nothing with it, and against triangles worked out by hand."""

from __future__ import annotations

import time

import numpy as np
import pytest

from handbench.hands.raster import rasterise, silhouette

CAMERA = np.array([[200.0, 0, 32], [0, 200.0, 24], [0, 0, 1]])
SIZE = (64, 48)


def cast(vertices, faces, camera, size):
    """Depth and face at every pixel centre by embree; faces are hit from both sides."""
    trimesh = pytest.importorskip("trimesh")
    pytest.importorskip("embreex")
    from trimesh.ray.ray_pyembree import RayMeshIntersector

    # embree works in single precision: about the scale of one
    mesh = trimesh.Trimesh(vertices * 10, faces, process=False)
    width, height = size
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    rays = np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3) @ np.linalg.inv(camera).T
    points, ray, face = RayMeshIntersector(mesh).intersects_location(np.zeros_like(rays), rays, multiple_hits=False)
    del face
    depth = np.full(len(rays), np.inf)
    depth[ray] = points[:, 2] / 10
    return depth.reshape(height, width)


@pytest.fixture(scope="module")
def crumpled():
    """A ball whose surface folds over itself, so that many pixels see several layers."""
    trimesh = pytest.importorskip("trimesh")
    ball = trimesh.creation.icosphere(3)
    rng = np.random.default_rng(3)
    vertices = ball.vertices * 0.05 * (1 + 0.35 * rng.random((len(ball.vertices), 1))) + [0.004, -0.003, 0.5]
    return np.asarray(vertices), np.asarray(ball.faces)


def test_depth_and_silhouette_agree_with_ray_casts(crumpled):
    vertices, faces = crumpled
    got = rasterise(vertices, faces, CAMERA, SIZE)
    want = cast(vertices, faces, CAMERA, SIZE)
    both = got.mask & np.isfinite(want)
    assert both.sum() > 1000
    # A ray through an edge may go either way in single precision.
    assert (got.mask != np.isfinite(want)).sum() <= 2
    assert np.percentile(np.abs(got.depth[both] - want[both]), 99.5) < 2e-6


def test_the_silhouette_is_the_mask_of_the_depth_map(crumpled):
    vertices, faces = crumpled
    for camera, size in ((CAMERA, SIZE), (CAMERA * [[4], [4], [1]], (150, 190)), (CAMERA, (3, 2))):
        assert np.array_equal(silhouette(vertices, faces, camera, size), rasterise(vertices, faces, camera, size).mask)
    for moved in (vertices - [0, 0, 1.0], vertices - [0, 0, 0.5], vertices + [9.0, 0, 0]):
        assert np.array_equal(silhouette(moved, faces, CAMERA, SIZE), rasterise(moved, faces, CAMERA, SIZE).mask)


def test_the_point_at_the_barycentric_coordinates_lies_on_the_pixel_and_at_the_depth(crumpled):
    vertices, faces = crumpled
    got = rasterise(vertices, faces, CAMERA, SIZE)
    points = got.interpolate(faces, vertices)
    y, x = np.nonzero(got.mask)
    seen = points @ CAMERA.T
    assert np.allclose(seen[:, :2] / seen[:, 2:], np.stack([x, y], 1), atol=1e-9)
    assert np.allclose(points[:, 2], got.depth[got.mask], atol=1e-12)
    weights = got.barycentric[got.mask]
    assert np.allclose(weights.sum(1), 1, atol=1e-12)
    assert weights.min() > -1e-9


def test_depth_is_perspective_correct_not_linear_in_the_image():
    # A wall from depth 1 on the left to 3 on the right: half way across the image it is at 1.5, not 2.
    camera = np.array([[10.0, 0, 0], [0, 10.0, 0], [0, 0, 1]])
    ends = np.array([[0.0, 1.0], [2.0, 3.0]])  # x and z: pixel columns 0 and 20 / 3
    ends[1, 0] = 2.0 * ends[1, 1]  # column 20
    vertices = np.array([[x, y * z, z] for x, z in ends for y in (-1.0, 1.0)])
    got = rasterise(vertices, np.array([[0, 1, 2], [1, 3, 2]]), camera, (21, 5))
    assert got.depth[2, 10] == pytest.approx(1.5)


def test_pixel_zero_is_the_centre_of_the_first_pixel():
    # A square from -0.4 to 1.4 px covers exactly the centres 0 and 1; from 0.1 on only the centre 1.
    camera = np.eye(3)
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    for low, columns in ((-0.4, [0, 1]), (0.1, [1])):
        corners = np.array([[low, low, 1], [1.4, low, 1], [1.4, 1.4, 1], [low, 1.4, 1]], np.float64)
        mask = silhouette(corners, faces, camera, (4, 3))
        assert np.flatnonzero(mask.any(0)).tolist() == columns
        assert np.flatnonzero(mask.any(1)).tolist() == columns


def test_the_nearer_of_two_triangles_is_seen():
    far = np.array([[-1, -1, 2], [3, -1, 2], [-1, 3, 2]], np.float64)
    near = far * 0.5
    got = rasterise(np.concatenate([far, near]), np.arange(6).reshape(2, 3), np.eye(3), (1, 1))
    assert got.face[0, 0] == 1
    assert got.depth[0, 0] == 1.0


def test_nothing_is_seen_beside_the_image_behind_the_camera_or_of_a_mesh_without_area():
    triangle = np.array([[0, 0, 1], [1, 0, 1], [0, 1, 1]], np.float64)
    faces = np.array([[0, 1, 2]])
    for vertices in (triangle + [500, 0, 0], triangle * [1, 1, -1], triangle * [1, 0, 1]):
        got = rasterise(vertices, faces, CAMERA, SIZE)
        assert not got.mask.any()
        assert np.isinf(got.depth).all()


def test_a_closed_mesh_looks_the_same_when_faces_turned_away_are_left_out():
    trimesh = pytest.importorskip("trimesh")
    ball = trimesh.creation.icosphere(3)
    vertices, faces = ball.vertices * 0.05 + [0.01, 0, 0.5], ball.faces
    whole, culled = (rasterise(vertices, faces, CAMERA, SIZE, cull=c) for c in (False, True))
    assert np.allclose(whole.depth, culled.depth, atol=1e-12)
    inside_out = rasterise(vertices, faces[:, ::-1], CAMERA, SIZE, cull=True)
    assert inside_out.depth[24, 36] > whole.depth[24, 36] + 0.05


def test_a_hand_is_drawn_in_milliseconds():
    from handbench.synth.hand import synthetic_hand

    model = synthetic_hand()
    vertices = model.v_template + [0, 0, 0.5]
    camera = np.array([[480.0, 0, 112], [0, 480.0, 112], [0, 0, 1]])
    rasterise(vertices, model.f, camera, (224, 224))
    times = []
    for _ in range(5):
        start = time.perf_counter()
        rasterise(vertices, model.f, camera, (224, 224))
        times.append(time.perf_counter() - start)
    assert min(times) < 0.06
