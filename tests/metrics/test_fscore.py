"""F-scores: cases worked by hand, and bit for bit those of the definition, however near to a threshold and how far
away the points are."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handbench.errors import InvalidError
from handbench.metrics import fscore as module
from handbench.metrics.fscore import fscore

SEEDS = st.integers(0, 2**32 - 1)
LIMITS = (0.005, 0.015)


def by_definition(target, points, limits):
    """(N, T) each: f, covered, accurate, from all distances in float64."""
    found = []
    for a, b in zip(target, points, strict=True):
        dx, dy, dz = (a[:, None, k] - b[None, :, k] for k in range(3))
        with np.errstate(over="ignore"):
            distance = np.sqrt(dx * dx + dy * dy + dz * dz)
        for limit in limits:
            covered, accurate = (np.mean(distance.min(axis) < limit) for axis in (1, 0))
            total = covered + accurate
            found.append((2 * covered * accurate / total if total else 0.0, covered, accurate))
    return np.moveaxis(np.array(found).reshape(len(target), len(limits), 3), -1, 0)


def same_as_definition(target, points, limits=LIMITS):
    expected = by_definition(target, points, limits)
    np.testing.assert_array_equal(np.stack(fscore(target, points, limits)), expected)
    return expected


def clouds(seed, v=40, w=25, n=3, spread=0.02):
    generator = np.random.default_rng(seed)
    return generator.normal(0, spread, (n, v, 3)), generator.normal(0, spread, (n, w, 3))


def directions(generator, *shape):
    vectors = generator.normal(size=(*shape, 3))
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def test_by_hand():
    """Of two true points one is covered; of three predictions one is near a true point: P = 1/3, R = 1/2, F = 0.4."""
    target = np.array([[[0.0, 0, 0], [1, 0, 0]]])
    points = np.array([[[0.004, 0, 0], [0.5, 0, 0], [0.6, 0, 0]]])
    found = fscore(target, points, (0.005,))
    assert found.covered.item() == 0.5
    assert found.accurate.item() == pytest.approx(1 / 3)
    assert found.f.item() == pytest.approx(0.4)


class TestTheDefinition:
    @given(SEEDS, st.integers(1, 60), st.integers(1, 60), st.floats(1e-4, 1.0))
    @settings(max_examples=60, deadline=None)
    def test_random_points(self, seed, v, w, spread):
        same_as_definition(*clouds(seed, v, w, spread=spread))

    @given(SEEDS)
    @settings(max_examples=30, deadline=None)
    def test_clustered_and_duplicate_points(self, seed):
        generator = np.random.default_rng(seed)
        centres = generator.normal(0, 0.03, (5, 3))
        target = centres[generator.integers(5, size=(4, 50))]
        points = centres[generator.integers(5, size=(4, 70))] + generator.choice([0, 0.003, 0.005, 0.015], (4, 70, 1))
        target[:, 10:20] = target[:, :10]
        same_as_definition(target, points)

    @given(SEEDS, st.sampled_from([0.005, 0.015]), st.sampled_from([0.0, 0.3, 1.0, 5.0]))
    @settings(max_examples=60, deadline=None)
    def test_distances_equal_to_a_threshold_and_its_neighbours(self, seed, limit, away):
        """In every direction at the threshold, at the two floats beside it, and at all that float32 cannot tell."""
        generator = np.random.default_rng(seed)
        target = generator.uniform(-1, 1, (2, 60, 3)) + away
        off = 1 + np.concatenate([[0, 2.0**-53, -(2.0**-53), 2.0**-52], generator.normal(0, 1e-7, 56)])
        points = target + directions(generator, 2, 60) * (limit * off)[:, None]
        along = generator.random(60) < 0.3
        points[:, along] = target[:, along] + [limit, 0, 0]
        same_as_definition(target, points)
        same_as_definition(target - target, points - target)

    def test_at_the_threshold_it_is_strict(self):
        target = np.zeros((1, 4, 3))
        points = np.full((1, 4, 3), [0.005, 0.0, 0.0])
        assert fscore(target, points, (0.005,)).f.item() == 0.0
        assert fscore(target, points, (np.nextafter(0.005, 1),)).f.item() == 1.0
        assert fscore(target, points, (np.nextafter(0.005, 0),)).f.item() == 0.0

    @given(SEEDS, st.sampled_from([1.0, 1e3, 1e4, 1e6]))
    @settings(max_examples=30, deadline=None)
    def test_millimetres_far_from_the_origin(self, seed, away):
        target, points = clouds(seed, 50, 50, spread=20.0)
        same_as_definition(target + away, points + away, (5.0, 15.0))

    @given(SEEDS, st.sampled_from([1e-3, 1e-12, 1e-21, 1e-40, 1e-160]))
    @settings(max_examples=30, deadline=None)
    def test_tiny_hands(self, seed, size):
        """At the usual thresholds, and at thresholds as tiny: below what float32 can square, or hold."""
        target, points = clouds(seed, spread=size)
        same_as_definition(target, points)
        same_as_definition(target, points, (0.3 * size, size))

    @pytest.mark.parametrize("away", [1e3, 1e6, 1e12, 1e20, 1e60, 1e160])
    def test_predictions_far_away(self, away):
        target, points = clouds(1)
        assert same_as_definition(target, points + away).max() == 0
        points[:, 3] = away  # one stray vertex among good ones
        points[:, 5:9] = target[:, 5:9] + [0.0, 0.0, 0.005]
        same_as_definition(target, points)

    @pytest.mark.parametrize("away", [1.3e19, 1.35e19, 1.4e19])
    def test_where_float32_overflows(self, away):
        """Twice the product of two coordinates is beyond float32, their squares are not."""
        target, points = clouds(4, 400, 400, 1)
        target[:, 0, 0], points[:, 0, 0] = away, 1.01 * away
        same_as_definition(target, points)

    def test_a_hand(self):
        """As many vertices as MANO has, a smooth error, so that tiles are many and uneven."""
        generator = np.random.default_rng(0)
        target = generator.uniform(-0.08, 0.08, (20, 778, 3)) * [1, 1, 0.1]
        points = target + np.sin(40 * target[..., ::-1]) * 0.006 + generator.normal(0, 0.001, target.shape)
        expected = same_as_definition(target, points, (0.005, 0.015, 0.0))
        assert 0.3 < expected[0, :, 0].mean() < 0.95
        same_as_definition(target, points[:, :501])

    @pytest.mark.parametrize("limits", [(-0.01,), (0.0,), (1e300,), (np.inf, 0.015), (np.nan,), (0.015, 0.005)])
    def test_odd_thresholds(self, limits):
        same_as_definition(*clouds(2), limits)


@given(SEEDS, st.sampled_from([0.0, 0.6, 1e3]), st.sampled_from([1e-6, 0.05, 1e3]))
@settings(max_examples=60, deadline=None)
def test_what_the_rough_distances_promise(seed, away, spread):
    """Each is within the slack of the true one, and the slack is some micrometres for a hand."""
    target, points = (cloud + away for cloud in clouds(seed, 90, 70, spread=spread))
    points[0] = target[0, :70]
    near, back, slack = module._roughly(target, points)
    exact = ((target[:, :, None] - points[:, None]) ** 2).sum(-1)
    assert (np.abs(near - exact.min(2)) <= slack[:, None]).all()
    assert (np.abs(back - exact.min(1)) <= slack[:, None]).all()
    assert (slack < 1e-4 * spread**2).all()


class TestInvariance:
    @given(SEEDS)
    @settings(max_examples=30, deadline=None)
    def test_swapping_the_sets_swaps_the_shares(self, seed):
        a, b = clouds(seed)
        forth, back = fscore(a, b, LIMITS), fscore(b, a, LIMITS)
        np.testing.assert_array_equal(forth.covered, back.accurate)
        np.testing.assert_array_equal(forth.accurate, back.covered)
        np.testing.assert_allclose(forth.f, back.f, rtol=1e-15)

    @given(SEEDS)
    @settings(max_examples=30, deadline=None)
    def test_the_order_of_points_does_not_matter(self, seed):
        a, b = clouds(seed)
        generator = np.random.default_rng(seed)
        other = fscore(generator.permutation(a, axis=1), generator.permutation(b, axis=1), LIMITS)
        np.testing.assert_array_equal(np.stack(other), np.stack(fscore(a, b, LIMITS)))

    @given(SEEDS, st.integers(-(2**20), 2**20))
    @settings(max_examples=30, deadline=None)
    def test_where_both_are_does_not_matter(self, seed, steps):
        """On a grid of powers of two, where moving both is exact."""
        a, b = (np.round(cloud * 2**20) / 2**20 for cloud in clouds(seed))
        moved = fscore(a + steps / 2**10, b + steps / 2**10, LIMITS)
        np.testing.assert_array_equal(np.stack(moved), np.stack(fscore(a, b, LIMITS)))

    @given(SEEDS)
    @settings(max_examples=30, deadline=None)
    def test_it_rises_with_the_threshold(self, seed):
        found = fscore(*clouds(seed), (0.001, 0.005, 0.015, 0.1))
        assert (np.diff(np.stack(found), axis=2) >= 0).all()

    def test_a_sample_does_not_depend_on_its_neighbours(self):
        a, b = clouds(3, n=9)
        b[4] *= 1e9
        whole = np.stack(fscore(a, b, LIMITS), -1)
        for i in range(9):
            np.testing.assert_array_equal(np.stack(fscore(a[i : i + 1], b[i : i + 1], LIMITS), -1)[0], whole[i])

    def test_callers_may_have_threads(self):
        blocks = [clouds(seed, 300, 200, 10) for seed in range(8)]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda block: np.stack(fscore(*block, LIMITS)), blocks))
        for block, scores in zip(blocks, found, strict=True):
            np.testing.assert_array_equal(scores, by_definition(*block, LIMITS))


class TestWhatIsNotThere:
    @pytest.mark.parametrize(("v", "w"), [(4, 0), (0, 4), (0, 0)])
    def test_empty_meshes_score_zero(self, v, w):
        found = fscore(np.zeros((2, v, 3)), np.zeros((2, w, 3)), LIMITS)
        np.testing.assert_array_equal(np.stack(found), np.zeros((3, 2, 2)))

    def test_no_samples_and_no_thresholds(self):
        assert fscore(np.zeros((0, 4, 3)), np.zeros((0, 4, 3)), LIMITS).f.shape == (0, 2)
        assert fscore(np.zeros((2, 4, 3)), np.zeros((2, 4, 3)), ()).f.shape == (2, 0)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_nan_and_infinity_stop(self, value):
        bad = np.zeros((2, 4, 3))
        bad[1, 0, 0] = value
        with pytest.raises(InvalidError, match="Sample 1 of the points"):
            fscore(np.zeros((2, 4, 3)), bad, LIMITS)
        with pytest.raises(InvalidError, match="Sample 1 of the target"):
            fscore(bad, np.zeros((2, 4, 3)), LIMITS)

    @pytest.mark.parametrize("shape", [(3, 4, 3), (2, 4), (2, 4, 2)])
    def test_other_shapes_stop(self, shape):
        with pytest.raises(InvalidError, match="Cannot compare meshes"):
            fscore(np.zeros((2, 4, 3)), np.zeros(shape), LIMITS)
