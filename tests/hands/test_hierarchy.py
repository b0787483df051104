"""A coarser hand is still that hand: same vertices, one piece, one opening, and back up within a millimetre or so."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components

from handbench.errors import InvalidError
from handbench.hands.hierarchy import _Mesh, build_hierarchy, closest_barycentric, upsampling


def tube() -> tuple[np.ndarray, np.ndarray]:
    """A tapered tube with a closed tip: 778 vertices, 1,538 faces, one opening of 16 edges, 20 cm long."""
    rings, around, cap = 48, 16, 9
    t = np.arange(rings)[:, None] / 50
    radius = 0.03 * np.sqrt(1 - t**2) * (1 + 0.2 * np.sin(9 * t))
    angle = 2 * np.pi * np.arange(around) / around
    body = np.stack([radius * np.cos(angle), 0.5 * radius * np.sin(angle), 0.2 * t + 0 * angle], -1).reshape(-1, 3)
    angle = 2 * np.pi * np.arange(cap) / cap
    rim = np.stack([0.004 * np.cos(angle), 0.002 * np.sin(angle), 0.198 + 0 * angle], -1)
    faces = []
    for i in range(rings - 1):
        for j in range(around):
            a, b = around * i + j, around * i + (j + 1) % around
            faces += [[a, b, a + around], [b, b + around, a + around]]
    last, first, i, j = around * (rings - 1), around * rings, 0, 0
    while i < around or j < cap:
        if j >= cap or (i < around and (i + 1) / around <= (j + 1) / cap):
            faces.append([last + i % around, last + (i + 1) % around, first + j % cap])
            i += 1
        else:
            faces.append([last + i % around, first + (j + 1) % cap, first + j % cap])
            j += 1
    faces += [[first + j, first + (j + 1) % cap, first + cap] for j in range(cap)]
    return np.concatenate([body, rim, [[0, 0, 0.2]]]), np.array(faces)


def synthetic() -> tuple[np.ndarray, np.ndarray]:
    hand = pytest.importorskip("handbench.synth.hand").synthetic_hand()
    return hand.v_template, hand.f


@pytest.fixture(scope="module", params=[tube, synthetic], ids=lambda make: make.__name__)
def mesh(request) -> tuple[np.ndarray, np.ndarray]:
    return request.param()


def edge_counts(faces: np.ndarray) -> dict[tuple[int, int], int]:
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), 1)
    values, counts = np.unique(edges, axis=0, return_counts=True)
    return {tuple(edge): int(count) for edge, count in zip(values.tolist(), counts, strict=True)}


def test_every_level_has_its_count_and_only_original_vertices(mesh):
    hierarchy = build_hierarchy(*mesh)
    assert [len(level.vertices) for level in hierarchy.levels] == [778, 389, 195, 98]
    for finer, coarser in zip(hierarchy.levels, hierarchy.levels[1:], strict=False):
        assert np.isin(coarser.vertices, finer.vertices).all()
        assert (np.diff(coarser.vertices) > 0).all()
    assert hierarchy.at(195) is hierarchy.levels[2]


def test_every_level_is_one_manifold_with_one_opening(mesh):
    # far below any level in use, where only the link condition keeps a thin finger from closing on itself
    for level in build_hierarchy(*mesh, levels=(389, 195, 98, 40, 20, 12, 6)).levels:
        n, counts = len(level.vertices), edge_counts(level.faces)
        assert set(counts.values()) == {1, 2}
        # a disc: V - E + F = 1, in one piece, its boundary one loop
        assert n - len(counts) + len(level.faces) == 1
        assert connected_components(level.adjacency())[0] == 1
        boundary = [edge for edge, count in counts.items() if count == 1]
        assert len(boundary) >= 3
        assert (np.unique(boundary, return_counts=True)[1] == 2).all()
        # no face twice, and each edge once in each direction: the winding survived
        assert len({tuple(sorted(face)) for face in level.faces.tolist()}) == len(level.faces)
        directed = np.concatenate([level.faces[:, [0, 1]], level.faces[:, [1, 2]], level.faces[:, [2, 0]]])
        assert len(np.unique(directed, axis=0)) == len(directed)


def test_a_strip_is_not_pinched_across():
    """An inner edge between two vertices of the boundary: collapsing it would leave two pieces that share a corner."""
    points = np.array([[i, j, 0.0] for i in range(4) for j in range(2)])
    faces = np.array([[a, a + 2, a + 1] for a in (0, 2, 4)] + [[a + 1, a + 2, a + 3] for a in (0, 2, 4)])
    mesh = _Mesh(points, faces)
    assert not mesh.may_collapse(2, 3, -1.0)
    assert mesh.may_collapse(2, 0, -1.0)


def test_the_opening_does_not_move_inwards():
    """A peak beside the boundary is dear to lose, and goes all the same: the boundary's vertex stays."""
    points = np.array([[i, j, 0.0] for i in range(4) for j in range(4)])
    points[5, 2] = 1.0
    faces = []
    for a in (0, 1, 2, 4, 5, 6, 8, 9, 10):
        faces += [[a, a + 4, a + 1], [a + 1, a + 4, a + 5]]
    mesh = _Mesh(points, np.array(faces))
    mesh.quadrics[5] *= 1e6
    for boundary in (1, 2, 4, 8):
        assert mesh.entry(boundary, 5)[2:] == (5, boundary)


def test_up_sampling_comes_back_close_and_moves_with_the_hand(mesh):
    vertices, faces = mesh
    hierarchy = build_hierarchy(vertices, faces)
    limits = {389: (0.3, 3.0), 195: (0.7, 6.0), 98: (1.4, 8.0)}
    for finer, coarser in zip(hierarchy.levels, hierarchy.levels[1:], strict=False):
        up = coarser.up
        assert up.shape == (len(finer.vertices), len(coarser.vertices))
        np.testing.assert_allclose(up.sum(1), 1, atol=1e-12)
        assert up.data.min() > 0
        assert np.diff(up.indptr).max() <= 3
        error = 1000 * np.linalg.norm(up @ vertices[coarser.vertices] - vertices[finer.vertices], axis=-1)
        mean, largest = limits[len(coarser.vertices)]
        assert error.mean() < mean
        assert error.max() < largest
        # half a metre away, the error is the same: rows that do not sum to one would be centimetres off
        moved = vertices + [0.5, -0.5, 0.5]
        again = 1000 * np.linalg.norm(up @ moved[coarser.vertices] - moved[finer.vertices], axis=-1)
        np.testing.assert_allclose(again, error, atol=1e-9)
        # a vertex that stayed is itself
        stayed = np.flatnonzero(np.isin(finer.vertices, coarser.vertices))
        np.testing.assert_allclose(
            up[stayed] @ vertices[coarser.vertices], vertices[finer.vertices[stayed]], atol=1e-12
        )


def test_straight_to_195_is_another_set_than_by_way_of_389(mesh):
    straight = build_hierarchy(*mesh, levels=(195,)).at(195)
    assert straight.up.shape == (778, 195)
    assert set(straight.vertices) != set(build_hierarchy(*mesh).at(195).vertices)


def test_hops_of_the_195_graph_are_as_dense_as_those_that_mesh_transformers_mask_with():
    adjacency = build_hierarchy(*synthetic(), levels=(195,)).at(195).adjacency().toarray()
    assert (adjacency == adjacency.T).all()
    assert (np.diag(adjacency) == 1).all()
    # METRO's graph of MANO: 0.035, 0.198, 0.500, 0.830
    for hops, density in ((1, 0.035), (3, 0.198), (5, 0.500), (7, 0.830)):
        assert (np.linalg.matrix_power(adjacency, hops) > 0).mean() == pytest.approx(density, abs=0.03)


def test_the_same_mesh_gives_the_same_hierarchy_again_and_at_once(mesh):
    vertices, faces = mesh
    assert build_hierarchy(vertices.copy(), faces.copy()) is build_hierarchy(vertices, faces)


def test_levels_must_fall_and_have_a_limit(mesh):
    with pytest.raises(InvalidError, match="389 vertices cannot follow one of 195"):
        build_hierarchy(*mesh, levels=(195, 389))
    with pytest.raises(InvalidError, match="cannot be reduced"):
        build_hierarchy(*mesh, levels=(2,))


def test_a_vertex_that_no_face_uses_is_refused(mesh):
    vertices, faces = mesh
    with pytest.raises(InvalidError, match="no face uses"):
        build_hierarchy(np.concatenate([vertices, [[0, 0, 0]]]), faces, levels=(389,))


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ((0.25, 0.25, 3.0), (0.5, 0.25, 0.25)),  # above the inside
        ((-1.0, -1.0, 0.0), (1, 0, 0)),  # each corner
        ((3.0, -1.0, 0.0), (0, 1, 0)),
        ((-1.0, 3.0, 0.0), (0, 0, 1)),
        ((0.5, -2.0, 0.0), (0.5, 0.5, 0)),  # each edge
        ((-2.0, 0.5, 0.0), (0.5, 0, 0.5)),
        ((1.0, 1.0, 0.0), (0, 0.5, 0.5)),
    ],
)
def test_closest_point_in_each_region_of_a_triangle(point, expected):
    triangle = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    np.testing.assert_allclose(closest_barycentric(np.array(point), triangle), expected, atol=1e-12)


def test_closest_points_are_no_further_than_any_sampled_one():
    rng = np.random.default_rng(0)
    points, coarse = rng.normal(size=(20, 3)), rng.normal(size=(9, 3))
    faces = np.arange(9).reshape(3, 3)
    found = np.linalg.norm(upsampling(points, coarse, faces) @ coarse - points, axis=-1)
    samples = rng.dirichlet(np.ones(3), 4000) @ coarse[faces]
    nearest = np.linalg.norm(samples.reshape(-1, 1, 3) - points, axis=-1).min(0)
    assert (found <= nearest + 1e-12).all()
    assert (found > nearest - 0.15).all()
