"""Slow, plain geometry that the tests check the hand against; nothing of it is shared with the package."""

from __future__ import annotations

import numpy as np


def edges(faces):
    """Directed edges (3F, 2) of triangles (F, 3)."""
    return np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])


def self_intersections(vertices, faces):
    """Pairs of triangles without a common corner, one of which is pierced by an edge of the other."""
    corners = vertices[faces]
    low, high = corners.min(1), corners.max(1)
    overlap = np.ones((len(faces), len(faces)), bool)
    for k in range(3):
        overlap &= (low[:, None, k] <= high[None, :, k]) & (low[None, :, k] <= high[:, None, k])
    one, two = np.nonzero(overlap)
    apart = ~(faces[one][:, :, None] == faces[two][:, None, :]).any((1, 2))
    one, two = one[apart], two[apart]
    hit = np.zeros(len(one), bool)
    a, b, c = (corners[two, k] for k in range(3))
    for i, j in ((0, 1), (1, 2), (2, 0)):
        hit |= segment_hits(corners[one, i], corners[one, j], a, b, c)
    return np.stack([one[hit], two[hit]], 1)


def segment_hits(start, end, a, b, c):
    """Does the segment start-end (N, 3) cross the triangle abc (Moeller and Trumbore)?"""
    way, e1, e2 = end - start, b - a, c - a
    p = np.cross(way, e2)
    det = (e1 * p).sum(-1)
    safe = np.where(np.abs(det) < 1e-18, 1.0, det)
    s = start - a
    u = (s * p).sum(-1) / safe
    q = np.cross(s, e1)
    v = (way * q).sum(-1) / safe
    t = (e2 * q).sum(-1) / safe
    return (np.abs(det) >= 1e-18) & (u >= 0) & (v >= 0) & (u + v <= 1) & (t >= 0) & (t <= 1)


def capped(vertices, faces, loop):
    """The mesh closed over its boundary loop by a fan; the fan's faces continue the orientation of the mesh."""
    middle = len(vertices)
    directed = {tuple(e) for e in edges(faces).tolist()}
    fan = []
    for i, j in zip(loop, np.roll(loop, -1), strict=True):
        fan.append((j, i, middle) if (i, j) in directed else (i, j, middle))
    return np.concatenate([vertices, vertices[loop].mean(0)[None]]), np.concatenate([faces, np.array(fan)])
