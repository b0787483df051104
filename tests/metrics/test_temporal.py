"""Acceleration error and jitter: the published code's numbers, cases by hand, and where there is no value."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from handbench.errors import InvalidError
from handbench.hands.joints import to_fh21
from handbench.metrics.temporal import acceleration, acceleration_error, jitter, to_m_per_s2

SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def numbers():
    with np.load(Path(__file__).parents[1] / "golden" / "temporal.npz", allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def walk(seed, frames=12, points=5):
    generator = np.random.default_rng(seed)
    target = generator.normal(0, 0.01, (frames, points, 3)).cumsum(0)
    return generator, target, target + generator.normal(0, 0.01, target.shape)


def along_x(*places):
    """One point moving along x."""
    return np.array(places, float)[:, None, None] * [1.0, 0.0, 0.0]


class TestPublishedNumbers:
    def test_vibe(self, numbers):
        found = acceleration_error(numbers["target"], numbers["points"])
        assert found.shape == (24,)
        assert np.isnan(found[[0, -1]]).all()
        np.testing.assert_allclose(found[1:-1], numbers["out_error"], rtol=0, atol=1e-16)
        own = np.linalg.norm(acceleration(numbers["points"]), axis=-1).mean(1)
        np.testing.assert_allclose(own, numbers["out_acceleration"], rtol=0, atol=1e-16)

    def test_vibe_with_frames_that_are_not_visible(self, numbers):
        valid = numbers["valid"]
        found = acceleration_error(numbers["target"], numbers["points"], valid)
        present = ~np.isnan(found)
        np.testing.assert_array_equal(present[1:-1], valid[:-2] & valid[1:-1] & valid[2:])
        np.testing.assert_allclose(found[present], numbers["out_error_valid"], rtol=0, atol=1e-16)

    def test_all_of_vibe_and_hawor(self, golden):
        g = golden("accel")
        found = acceleration_error(g["gt"], g["pred"])
        np.testing.assert_allclose(found[1:-1], g["out_error_accel"], rtol=0, atol=1e-16)
        masked = acceleration_error(g["gt"], g["pred"], g["vis"])
        np.testing.assert_allclose(masked[~np.isnan(masked)], g["out_error_accel_vis"], rtol=0, atol=1e-16)
        mm = found * 1000
        assert np.nanmean(mm) == pytest.approx(float(g["out_vibe_accel_err_mm_per_frame2"]), rel=1e-14)
        # HaWoR leaves out one more window at each end
        assert to_m_per_s2(mm[2:-2], 30).mean() == pytest.approx(
            float(g["out_hawor_accel_m_per_s2_at_30fps"]), rel=1e-14
        )


def test_real_hands_move_smoothly_once_frames_without_annotation_are_masked(real_data):
    """Joints of such frames lie at the origin: unmasked, a hand flies there and back."""
    masked = []
    for path in sorted((real_data / "dexycb").glob("*.npz")):
        with np.load(path, allow_pickle=False) as file:
            joints, valid = to_fh21(file["joints"], "ho3d") * 1000, file["trans"].any(1)
        still = np.zeros_like(joints)
        masked.append(acceleration_error(still, joints, valid))
        assert 2 < np.nanmean(masked[-1]) < 5
        unmasked = np.nanmean(acceleration_error(still, joints))
        assert unmasked == np.nanmean(masked[-1]) if valid.all() else unmasked > 20
        annotated = valid[:-2] & valid[1:-1] & valid[2:]
        np.testing.assert_array_equal(~np.isnan(masked[-1][1:-1]), annotated)
    assert len(masked) == 10
    assert np.nanmean(masked[0]) == pytest.approx(2.19, abs=0.005)
    assert 3 < np.nanmean(np.concatenate(masked)) < 4


class TestByHand:
    def test_acceleration(self):
        found = acceleration(along_x(0, 1, 4, 4))
        np.testing.assert_array_equal(found, along_x(2, -3))
        assert acceleration(along_x(1, 2)).shape == (0, 1, 3)

    def test_acceleration_error(self):
        """Second differences 2, -3 against 0, 1: errors 2 and 4 at the middle frames."""
        found = acceleration_error(along_x(0, 1, 2, 4), along_x(0, 1, 4, 4))
        np.testing.assert_array_equal(found, [np.nan, 2.0, 4.0, np.nan])

    def test_mean_over_joints_of_the_norm(self):
        """Joints off by (3, 4, 0) and by 0 in the middle frame: second differences of 10 and 0."""
        target, points = np.zeros((3, 2, 3)), np.zeros((3, 2, 3))
        points[1, 0] = [3.0, 4.0, 0.0]
        np.testing.assert_array_equal(acceleration_error(target, points), [np.nan, 5.0, np.nan])

    def test_jitter(self):
        """Third differences of the cubes are 6; each stands at the second frame of four."""
        found = jitter(along_x(0, 1, 8, 27, 64))
        np.testing.assert_array_equal(found, [np.nan, 6.0, 6.0, np.nan, np.nan])
        two = np.concatenate([along_x(0, 1, 8, 27), np.zeros((4, 1, 3))], 1)
        np.testing.assert_array_equal(jitter(two), [np.nan, 3.0, np.nan, np.nan])

    def test_jitter_of_one_shaken_frame(self):
        """Third differences 1, -3, 3, -1 times 5."""
        points = np.zeros((8, 1, 3))
        points[4, 0] = [0.0, 3.0, -4.0]
        np.testing.assert_array_equal(jitter(points), [np.nan, 0, 5, 15, 15, 5, np.nan, np.nan])

    def test_metres_per_second_squared(self):
        assert to_m_per_s2(2.0, 30) == 1.8
        np.testing.assert_array_equal(to_m_per_s2([1.0, np.nan], [10, 10]), [0.1, np.nan])

    def test_three_frames_are_the_shortest_track(self):
        for frames in (0, 1, 2):
            found = acceleration_error(*np.zeros((2, frames, 4, 3)))
            np.testing.assert_array_equal(found, np.full(frames, np.nan))
            np.testing.assert_array_equal(jitter(np.zeros((frames, 4, 3))), found)
        np.testing.assert_array_equal(acceleration_error(*np.zeros((2, 3, 4, 3))), [np.nan, 0, np.nan])
        np.testing.assert_array_equal(jitter(np.zeros((3, 4, 3))), [np.nan] * 3)
        np.testing.assert_array_equal(jitter(np.zeros((4, 4, 3))), [np.nan, 0, np.nan, np.nan])

    def test_single_precision_is_computed_in_double(self):
        _, target, points = walk(1)
        single = target.astype(np.float32), points.astype(np.float32)
        double = tuple(p.astype(np.float64) for p in single)
        for function, given_ in ((acceleration, slice(1)), (jitter, slice(1)), (acceleration_error, slice(2))):
            found = function(*single[given_])
            assert found.dtype == np.float64
            np.testing.assert_array_equal(found, function(*double[given_]))

    def test_masks_and_frames_may_be_lists(self):
        _, target, points = walk(2)
        valid, frame = np.arange(12) != 5, np.r_[:6, 7:13]
        found = acceleration_error(
            target, points, (valid * (1 + np.arange(12) % 2)).tolist(), list("aaaabbbbbbbb"), frame.tolist()
        )
        expected = acceleration_error(target, points, valid, np.repeat(["a", "b"], [4, 8]), frame.astype(np.uint64))
        np.testing.assert_array_equal(found, expected)
        assert to_m_per_s2(np.float32(0.1), 30).dtype == np.float64
        assert to_m_per_s2(2, np.uint8(30)) == 1.8
        assert to_m_per_s2([1, 2], [10, 20]).tolist() == [0.1, 0.8]


class TestProperties:
    @given(SEEDS)
    @settings(max_examples=30, deadline=None)
    def test_a_steady_shift_of_the_prediction_is_not_seen(self, seed):
        generator, target, points = walk(seed)
        drift = generator.normal(0, 1, 3) + np.arange(12)[:, None, None] * generator.normal(0, 1, 3)
        np.testing.assert_allclose(
            acceleration_error(target, points + drift), acceleration_error(target, points), atol=1e-13
        )
        bend = np.arange(12.0)[:, None, None] ** 2 * generator.normal(0, 1, 3)
        np.testing.assert_allclose(jitter(points + drift + bend), jitter(points), atol=1e-11)

    @given(SEEDS)
    @settings(max_examples=30, deadline=None)
    def test_turned_mirrored_reversed_and_scaled(self, seed):
        generator, target, points = walk(seed)
        turn = Rotation.random(random_state=int(generator.integers(2**31))).as_matrix() * [-1, 1, 1]
        found, shaken = acceleration_error(target, points), jitter(points)
        np.testing.assert_allclose(acceleration_error(target @ turn * 3, points @ turn * 3), found * 3, atol=1e-13)
        np.testing.assert_allclose(jitter(points @ turn * 3), shaken * 3, atol=1e-13)
        np.testing.assert_allclose(acceleration_error(points, target), found, atol=1e-16)
        np.testing.assert_allclose(acceleration_error(target[::-1], points[::-1])[::-1], found, atol=1e-13)
        np.testing.assert_allclose(jitter(points[::-1])[1:-2], shaken[1:-2][::-1], atol=1e-13)

    @given(SEEDS, st.integers(1, 4))
    @settings(max_examples=30, deadline=None)
    def test_tracks_are_as_if_each_were_alone(self, seed, tracks):
        generator = np.random.default_rng(seed)
        lengths = generator.integers(1, 9, tracks)
        parts = [walk(int(generator.integers(2**31)), n)[1:] for n in lengths]
        target, points = (np.concatenate([part[i] for part in parts]) for i in range(2))
        track = np.repeat([f"camera {i}" for i in range(tracks)], lengths)
        frame = np.concatenate([np.arange(n) + 7 for n in lengths])
        alone = np.concatenate([acceleration_error(*part) for part in parts])
        np.testing.assert_array_equal(acceleration_error(target, points, None, track, frame), alone)
        np.testing.assert_array_equal(acceleration_error(target, points, track=track), alone)
        shaken = np.concatenate([jitter(part[1]) for part in parts])
        np.testing.assert_array_equal(jitter(points, track, frame), shaken)
        np.testing.assert_array_equal(jitter(points, track), shaken)

    @given(SEEDS)
    @settings(max_examples=20, deadline=None)
    def test_a_joint_counts_where_it_is_annotated_in_all_three_frames(self, seed):
        generator, target, points = walk(seed)
        valid = generator.random((12, 5)) > 0.3
        target[~valid] = np.nan
        found, shaken = acceleration_error(target, points, valid), jitter(points, valid=valid)
        for t in range(12):
            joints = valid[t - 1 : t + 2].all(0) if 0 < t < 11 else np.zeros(5, bool)
            if joints.any():
                own = acceleration(points[t - 1 : t + 2]) - acceleration(target[t - 1 : t + 2])
                assert found[t] == pytest.approx(np.linalg.norm(own[0, joints], axis=-1).mean(), rel=1e-13)
            else:
                assert np.isnan(found[t])
            joints = valid[t - 1 : t + 3].all(0) if 0 < t < 10 else np.zeros(5, bool)
            if joints.any():
                assert shaken[t] == pytest.approx(jitter(points[t - 1 : t + 3, joints])[1], rel=1e-13)
            else:
                assert np.isnan(shaken[t])


class TestGaps:
    def test_frame_numbers_that_do_not_follow_by_one(self):
        """4 to 6 skips a frame, 7 stands twice, and time does not run back."""
        frame = np.array([2, 3, 4, 6, 7, 8, 8, 9, 10, 9, 8], np.uint8)
        points = np.zeros((11, 2, 3))
        there = ~np.isnan(acceleration_error(points, points, frame=frame))
        np.testing.assert_array_equal(np.flatnonzero(there), [1, 4, 7])
        there = ~np.isnan(jitter(points, frame=[0, 1, 2, 3, 5, 6, 7, 8, 8, 9, 10]))
        np.testing.assert_array_equal(np.flatnonzero(there), [1, 5])

    def test_frame_numbers_may_be_nanoseconds(self):
        """Large ones differ by 1 only as integers."""
        points = np.zeros((6, 2, 3))
        there = ~np.isnan(acceleration_error(points, points, frame=2**60 + np.array([0, 1, 2, 4, 5, 6])))
        np.testing.assert_array_equal(np.flatnonzero(there), [1, 4])

    def test_no_frames_at_all(self):
        assert jitter(np.zeros((0, 2, 3)), track=[], frame=[]).shape == (0,)
        assert acceleration_error(*np.zeros((2, 0, 2, 3)), track=[], frame=[]).shape == (0,)

    def test_a_gap_within_a_track_and_a_track_that_follows_on(self):
        points = np.zeros((9, 2, 3))
        track = ["a"] * 5 + ["b"] * 4
        frame = [0, 1, 2, 4, 5, 6, 7, 8, 9]
        there = ~np.isnan(acceleration_error(points, points, None, track, frame))
        np.testing.assert_array_equal(np.flatnonzero(there), [1, 6, 7])
        there = ~np.isnan(jitter(points, track, frame))
        np.testing.assert_array_equal(np.flatnonzero(there), [6])

    def test_a_frame_without_annotation_costs_every_window_that_has_it(self):
        points, valid = np.zeros((9, 2, 3)), np.arange(9) != 4
        there = ~np.isnan(acceleration_error(points, points, valid))
        np.testing.assert_array_equal(np.flatnonzero(there), [1, 2, 6, 7])
        there = ~np.isnan(jitter(points, valid=valid))
        np.testing.assert_array_equal(np.flatnonzero(there), [1, 6])


class TestRefusals:
    def test_shapes(self):
        one = np.zeros((5, 4, 3))
        for other in (np.zeros((6, 4, 3)), np.zeros((5, 3, 3))):
            with pytest.raises(InvalidError, match=r"^Cannot compare tracks \(.*\) with \(5, 4, 3\)\.$") as e:
                acceleration_error(one, other)
            assert e.value.hint == "Both must be (frames, points, 3)."
        with pytest.raises(InvalidError, match=r"^Cannot compare tracks"):
            acceleration_error(one[0], one[0])
        with pytest.raises(InvalidError, match=r"^Cannot follow points \(4, 3\) through time") as e:
            jitter(one[0])
        assert e.value.hint == "They must be (frames, points, 3)."
