"""Triangle bodies of a scene other than the hand: the forearm, and simple solids that stand in front of it.

A body is (vertices (V, 3) m, faces (F, 3) turned outwards); edges that should look sharp have their own vertices.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

Body = tuple[NDArray, NDArray]
SHAPES = ("box", "ellipsoid", "cylinder")


def boundary_loop(faces: NDArray) -> NDArray:
    """The vertices of a mesh's only boundary, in order, along the direction of the faces' edges."""
    directed = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    there = set(map(tuple, directed.tolist()))
    following = {a: b for a, b in there if (b, a) not in there}
    loop = [min(following)]
    while following[loop[-1]] != loop[0]:
        loop.append(following[loop[-1]])
    return np.array(loop)


def forearm(loop: NDArray, away: NDArray, bend: NDArray, rings: int = 7, length: float = 0.24) -> Body:
    """A forearm that carries on from the wrist's loop (B, 3) m in direction `away` (3,), bent over its first
    centimetres by the axis-angle `bend` (3,), widening a little, closed at its end.
    """
    middle = loop.mean(0)
    shape = loop - middle
    points = [loop]
    turned = Rotation.identity()
    for k in range(1, rings):
        # Half of the bend is over within the first ring: the wrist bends where it is.
        turned = Rotation.from_rotvec(bend * (1 - 0.5**k))
        step = length / (rings - 1)
        middle = middle + step * turned.apply(away)
        points.append(middle + turned.apply(shape) * (1 + 0.32 * k / (rings - 1)))
    points.append(middle[None])
    n = len(loop)
    faces = []
    for k in range(rings - 1):
        for i in range(n):
            a, b, c, d = k * n + i, k * n + (i + 1) % n, (k + 1) * n + (i + 1) % n, (k + 1) * n + i
            # Each boundary edge is run the other way than by the hand's own face.
            faces += [(b, a, d), (b, d, c)]
    last = (rings - 1) * n
    faces += [(last + (i + 1) % n, last + i, rings * n) for i in range(n)]
    return np.concatenate(points), np.array(faces)


def solid(shape: str, half: NDArray, rotation: NDArray, middle: NDArray) -> Body:
    """A box, ellipsoid or cylinder (its axis the third) with half-extents (3,) m, turned by (3, 3), at (3,) m."""
    vertices, faces = {"box": _box, "ellipsoid": _ellipsoid, "cylinder": _cylinder}[shape]()
    return (vertices * half) @ np.asarray(rotation).T + middle, faces


def vertex_normals(vertices: NDArray, faces: NDArray) -> NDArray:
    """Unit normals (V, 3), the mean over the faces around a vertex weighted by area."""
    corners = vertices[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    flat, each = faces.ravel(), np.repeat(normal, 3, 0)
    total = np.stack([np.bincount(flat, each[:, k], len(vertices)) for k in range(3)], 1)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)


def _box() -> Body:
    vertices: list[NDArray] = []
    faces = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            u, v = np.roll(np.eye(3), axis, 0)[1:]
            out = np.cross(u, v) * sign
            corner = [out + a * u + b * v for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
            first = len(vertices)
            vertices += corner
            order = (0, 1, 2, 3) if sign > 0 else (3, 2, 1, 0)
            a, b, c, d = (first + k for k in order)
            faces += [(a, b, c), (a, c, d)]
    return np.array(vertices), np.array(faces)


def _revolved(profile: NDArray, around: int = 20) -> Body:
    """A profile (P, 2) of (radius, height), from bottom to top, both ends on the axis."""
    turn = 2 * np.pi * np.arange(around) / around
    ring = np.stack([np.cos(turn), np.sin(turn)], 1)
    vertices = np.concatenate([np.column_stack([r * ring, np.full(around, h)]) for r, h in profile])
    faces = []
    for k in range(len(profile) - 1):
        for i in range(around):
            a, b = k * around + i, k * around + (i + 1) % around
            faces += [(a, b, b + around), (a, b + around, a + around)]
    return vertices, np.array(faces)


def _ellipsoid() -> Body:
    angle = np.linspace(-np.pi / 2, np.pi / 2, 13)
    return _revolved(np.stack([np.cos(angle), np.sin(angle)], 1))


def _cylinder() -> Body:
    # The rims are doubled, so that they look sharp.
    return _revolved(np.array([[0, -1], [1, -1], [1, -1], [1, 1], [1, 1], [0, 1]], np.float64))
