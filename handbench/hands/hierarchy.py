"""Coarser versions of a hand mesh: 778 -> 389 -> 195 -> 98 vertices, or straight to any other count.

Quadric edge collapse (Garland and Heckbert, SIGGRAPH 1997) onto endpoints, so that the vertices of a level are a
subset of the original ones, as in the mesh sampling of CoMA that METRO and CMR use. Three things are ours: the link
condition keeps every level a manifold, boundary quadrics keep the open wrist in place, and the up-sampling is
barycentric (rows sum to one), so that it commutes with moving the hand; a least-squares fit without that constraint
puts a METRO mesh up to 111 mm off after a translation of half a metre.
"""

from __future__ import annotations

import functools
import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from handbench.errors import InvalidError

# An edge of the boundary weighs as much as this many faces of its size.
BOUNDARY_WEIGHT = 10.0
# A collapse that turns a face by more than this (cosine) is refused while others remain.
LEAST_TURN = 0.2


@dataclass(frozen=True, eq=False)
class Level:
    """One mesh: `vertices` (n,) which of the original vertices, ascending; `faces` (m, 3) numbered within the level;
    `up` (n_finer, n) sparse, barycentric: the finer level's vertices from this one's (None on the original mesh).
    """

    vertices: NDArray
    faces: NDArray
    up: sparse.csr_array | None

    def adjacency(self) -> sparse.csr_array:
        """(n, n) of ones: vertices that share an edge, and each with itself."""
        n = len(self.vertices)
        a, b = np.concatenate([self.faces[:, [i, j]] for i, j in ((0, 1), (1, 2), (2, 0))]).T
        ones = sparse.coo_array((np.ones(2 * len(a) + n), (np.r_[a, b, :n], np.r_[b, a, :n])), (n, n)).tocsr()
        ones.data[:] = 1.0
        return ones


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """`levels`, finest (the original mesh) first."""

    levels: tuple[Level, ...]

    def at(self, count: int) -> Level:
        """The level with `count` vertices."""
        return next(level for level in self.levels if len(level.vertices) == count)


def build_hierarchy(vertices: NDArray, faces: NDArray, levels: Sequence[int] = (389, 195, 98)) -> Hierarchy:
    """Mesh (V, 3), (F, 3) -> the original and a level of each of the counts, each made from the one before.

    The same input gives the same hierarchy on every machine. The result is kept for the life of the process.
    Raises InvalidError where the counts do not fall or the mesh cannot be reduced that far.
    """
    vertices = np.ascontiguousarray(vertices, np.float64)
    faces = np.ascontiguousarray(faces, np.int64)
    return _build(vertices.tobytes(), faces.tobytes(), tuple(levels))


@functools.lru_cache(maxsize=16)
def _build(vertex_bytes: bytes, face_bytes: bytes, counts: tuple[int, ...]) -> Hierarchy:
    vertices = np.frombuffer(vertex_bytes).reshape(-1, 3)
    faces = np.frombuffer(face_bytes, np.int64).reshape(-1, 3)
    levels = [Level(np.arange(len(vertices)), faces, None)]
    for count in counts:
        finer = levels[-1]
        if count >= len(finer.vertices):
            raise InvalidError(
                f"A level of {count} vertices cannot follow one of {len(finer.vertices)}.", "Give falling counts."
            )
        points = vertices[finer.vertices]
        kept, coarse = decimate(points, finer.faces, count)
        levels.append(Level(finer.vertices[kept], coarse, upsampling(points, points[kept], coarse)))
    return Hierarchy(tuple(levels))


def decimate(vertices: NDArray, faces: NDArray, count: int) -> tuple[NDArray, NDArray]:
    """Mesh (V, 3), (F, 3) -> which `count` vertices stay (ascending), and the faces (m, 3) numbered among them."""
    mesh = _Mesh(vertices, faces)
    for least_turn in (LEAST_TURN, -1.0):
        heap = [mesh.entry(a, b) for a, neighbours in enumerate(mesh.neighbours) for b in neighbours if a < b]
        heapq.heapify(heap)
        while heap and mesh.alive > count:
            _, stamp, gone, stays = heapq.heappop(heap)
            if stamp != mesh.stamp(gone, stays) or not mesh.may_collapse(gone, stays, least_turn):
                continue
            for a, b in mesh.collapse(gone, stays):
                heapq.heappush(heap, mesh.entry(a, b))
        if mesh.alive == count:
            return mesh.result()
    raise InvalidError(f"The mesh cannot be reduced below {mesh.alive} vertices.", "Ask for a finer level.")


class _Mesh:
    """A triangle mesh under edge collapse."""

    def __init__(self, vertices: NDArray, faces: NDArray):
        self.points = vertices
        self.faces: dict[int, tuple[int, int, int]] = {i: (int(a), int(b), int(c)) for i, (a, b, c) in enumerate(faces)}
        self.around: list[set[int]] = [set() for _ in vertices]
        self.neighbours: list[set[int]] = [set() for _ in vertices]
        for i, face in self.faces.items():
            for a in face:
                self.around[a].add(i)
                self.neighbours[a].update(b for b in face if b != a)
        self.exists = np.array([bool(faces) for faces in self.around])
        self.alive = len(vertices)
        if not self.exists.all():
            raise InvalidError("The mesh has vertices that no face uses.", "Give one connected mesh.")
        self.times = [0] * len(vertices)
        self.quadrics = self._quadrics()

    def _quadrics(self) -> NDArray:
        """(V, 4, 4): squared distances to the planes around each vertex, weighted by area; at the boundary also to
        the planes that stand on its edges at a right angle to the face.
        """
        quadrics = np.zeros((len(self.points), 4, 4))
        for face in self.faces.values():
            a, b, c = self.points[list(face)]
            normal = np.cross(b - a, c - a)
            double = float(np.linalg.norm(normal))
            if double == 0.0:
                continue
            normal = normal / double
            quadrics[list(face)] += double / 2 * _plane(normal, a)
            for i, j in ((0, 1), (1, 2), (2, 0)):
                p, q = face[i], face[j]
                if len(self.around[p] & self.around[q]) == 1:
                    edge = self.points[q] - self.points[p]
                    wall = np.cross(edge, normal)
                    quadrics[[p, q]] += (
                        BOUNDARY_WEIGHT * float(edge @ edge) * _plane(wall / np.linalg.norm(wall), self.points[p])
                    )
        return quadrics

    def on_boundary(self, a: int) -> bool:
        return len(self.neighbours[a]) != len(self.around[a])

    def stamp(self, a: int, b: int) -> tuple[int, int]:
        """Changes whenever something around the edge's ends does: older entries of the queue are then void."""
        return self.times[a], self.times[b]

    def entry(self, a: int, b: int) -> tuple[float, tuple[int, int], int, int]:
        """(cost, stamp, the end that goes, the end that stays) of an edge: the cheaper direction that may be taken."""
        quadric = self.quadrics[a] + self.quadrics[b]
        options = []
        for gone, stays in ((a, b), (b, a)):
            # the boundary never moves inwards
            if self.on_boundary(gone) and not self.on_boundary(stays):
                continue
            p = np.append(self.points[stays], 1.0)
            options.append((max(float(p @ quadric @ p), 0.0), self.stamp(gone, stays), gone, stays))
        return min(options)

    def may_collapse(self, gone: int, stays: int, least_turn: float) -> bool:
        if not (self.exists[gone] and self.exists[stays]) or stays not in self.neighbours[gone]:
            return False
        shared = self.around[gone] & self.around[stays]
        # link condition: the ends have no common neighbour but the tips of the edge's own faces
        if len(self.neighbours[gone] & self.neighbours[stays]) != len(shared):
            return False
        if len(shared) == 2 and self.on_boundary(gone) and self.on_boundary(stays):
            return False
        # and no corner of a face may be left hanging with the boundary on both sides
        for face in shared:
            tip = next(v for v in self.faces[face] if v not in (gone, stays))
            if len(self.around[tip]) <= (1 if self.on_boundary(tip) else 3):
                return False
        for face in self.around[gone] - shared:
            old = self.points[list(self.faces[face])]
            new = self.points[[stays if v == gone else v for v in self.faces[face]]]
            before, after = (np.cross(p[1] - p[0], p[2] - p[0]) for p in (old, new))
            size = float(np.linalg.norm(before) * np.linalg.norm(after))
            if size == 0.0 or float(before @ after) < least_turn * size:
                return False
        return True

    def collapse(self, gone: int, stays: int) -> list[tuple[int, int]]:
        """Move `gone` onto `stays`; the edges whose cost or legality has changed."""
        shared = self.around[gone] & self.around[stays]
        for i in shared:
            for v in self.faces.pop(i):
                self.around[v].discard(i)
        for i in self.around[gone]:
            a, b, c = (stays if v == gone else v for v in self.faces[i])
            self.faces[i] = (a, b, c)
            self.around[stays].add(i)
        ring = self.neighbours[gone] - {stays}
        for v in ring:
            self.neighbours[v].discard(gone)
            self.neighbours[v].add(stays)
        self.neighbours[stays] = (self.neighbours[stays] | ring) - {gone}
        self.neighbours[gone], self.around[gone] = set(), set()
        self.exists[gone] = False
        self.alive -= 1
        self.quadrics[stays] += self.quadrics[gone]
        touched = {stays, *self.neighbours[stays]}
        for v in touched:
            self.times[v] += 1
        return [(a, b) for a in sorted(touched) for b in sorted(self.neighbours[a]) if a < b or b not in touched]

    def result(self) -> tuple[NDArray, NDArray]:
        kept = np.flatnonzero(self.exists)
        number = np.full(len(self.points), -1)
        number[kept] = np.arange(len(kept))
        return kept, number[np.array([self.faces[i] for i in sorted(self.faces)])]


def _plane(normal: NDArray, point: NDArray) -> NDArray:
    """The quadric (4, 4) of squared distances to the plane through `point`."""
    p = np.append(normal, -(normal @ point))
    return np.outer(p, p)


def upsampling(fine: NDArray, coarse: NDArray, faces: NDArray) -> sparse.csr_array:
    """(V, n) sparse: each fine vertex (V, 3) as the closest point on the coarse mesh (n, 3), (m, 3), in barycentric
    coordinates. Rows sum to one; a vertex of the coarse mesh is itself.
    """
    corners = coarse[faces]
    weights, chosen = np.zeros((len(fine), 3)), np.zeros(len(fine), np.int64)
    for start in range(0, len(fine), 128):
        part = slice(start, start + 128)
        coordinates = closest_barycentric(fine[part, None], corners[None])
        distance = np.linalg.norm(np.einsum("vfk,fkc->vfc", coordinates, corners) - fine[part, None], axis=-1)
        rows = np.arange(distance.shape[0])
        chosen[part] = distance.argmin(1)
        weights[part] = coordinates[rows, chosen[part]]
    rows = np.repeat(np.arange(len(fine)), 3)
    matrix = sparse.coo_array((weights.ravel(), (rows, faces[chosen].ravel())), (len(fine), len(coarse))).tocsr()
    matrix.eliminate_zeros()
    return matrix


def closest_barycentric(points: NDArray, triangles: NDArray) -> NDArray:
    """Points (..., 3) and triangles (..., 3, 3), broadcast -> barycentric coordinates (..., 3) of the closest point.

    Ericson, Real-Time Collision Detection, 5.1.5: the region of the triangle decides.
    """
    a, b, c = triangles[..., 0, :], triangles[..., 1, :], triangles[..., 2, :]
    ab, ac = b - a, c - a

    def dot(u: NDArray, v: NDArray) -> NDArray:
        return (u * v).sum(-1)

    d1, d2 = dot(ab, points - a), dot(ac, points - a)
    d3, d4 = dot(ab, points - b), dot(ac, points - b)
    d5, d6 = dot(ab, points - c), dot(ac, points - c)
    va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
    with np.errstate(divide="ignore", invalid="ignore"):
        on_ab, on_ac = d1 / (d1 - d3), d2 / (d2 - d6)
        on_bc = (d4 - d3) / ((d4 - d3) + (d5 - d6))
        inside = np.stack([va, vb, vc], -1) / (va + vb + vc)[..., None]
    zero, one = np.zeros_like(d1), np.ones_like(d1)
    regions = [
        ((d1 <= 0) & (d2 <= 0), (one, zero, zero)),
        ((d3 >= 0) & (d4 <= d3), (zero, one, zero)),
        ((d6 >= 0) & (d5 <= d6), (zero, zero, one)),
        ((vc <= 0) & (d1 >= 0) & (d3 <= 0), (1 - on_ab, on_ab, zero)),
        ((vb <= 0) & (d2 >= 0) & (d6 <= 0), (1 - on_ac, zero, on_ac)),
        ((va <= 0) & (d4 >= d3) & (d5 >= d6), (zero, 1 - on_bc, on_bc)),
    ]
    result = inside
    for where, coordinates in reversed(regions):
        result = np.where(where[..., None], np.stack(coordinates, -1), result)
    return result
