"""Bone lengths and the bias of their size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from handbench.errors import InvalidError
from handbench.hands.joints import BONES
from handbench.metrics.bones import bone_length_bias, bone_length_differences, bone_lengths
from tests.conftest import open_hand

SEEDS = st.integers(0, 2**32 - 1)
# parent of each joint 1..20, written out
PARENTS = [0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19]


def hands(seed, n=3):
    generator = np.random.default_rng(seed)
    return generator, generator.normal(0, 0.05, (n, 21, 3)), generator.normal(0, 0.05, (n, 21, 3))


def test_the_twenty_bones_end_at_joints_1_to_20():
    assert list(BONES) == list(zip(PARENTS, range(1, 21), strict=True))


def test_lengths_by_hand():
    """One bone of 5 at a time: joint j and all that hang on it are moved by (0, 3, 4)."""
    for child in range(1, 21):
        joints = np.zeros((1, 21, 3))
        last = child + (-child) % 4
        joints[0, child : last + 1] = [0.0, 3.0, 4.0]
        np.testing.assert_array_equal(bone_lengths(joints), [5.0 * (np.arange(1, 21) == child)])


def test_lengths_of_an_open_hand():
    found = bone_lengths(open_hand()[None])[0]
    index = [np.hypot(0.02, 0.09)] + [np.hypot(0.02 * step, step) for step in (0.04, 0.025, 0.02)]
    np.testing.assert_allclose(found[4:8], index, rtol=1e-12)
    np.testing.assert_allclose(found[8:12], [0.092, 0.04, 0.025, 0.02], rtol=1e-12)


def test_bias_by_hand():
    """A hand that is a tenth too large is too long by a tenth of its mean bone; too small, by less than nothing."""
    hand = open_hand()[None]
    mean = bone_lengths(hand).mean()
    assert bone_length_bias(hand, hand * 1.1)[0] == pytest.approx(mean * 0.1, rel=1e-12)
    assert bone_length_bias(hand, hand * 0.9)[0] == pytest.approx(-mean * 0.1, rel=1e-12)
    np.testing.assert_allclose(bone_length_differences(hand, hand * 1.1), bone_lengths(hand) * 0.1, rtol=1e-12)


def test_too_long_and_too_short_cancel():
    target, points = np.zeros((1, 21, 3)), np.zeros((1, 21, 3))
    target[0, 4], points[0, 20] = [2.0, 0, 0], [3.0, 0, 0]
    expected = np.zeros(20)
    expected[[3, 19]] = -2.0, 3.0
    np.testing.assert_array_equal(bone_length_differences(target, points)[0], expected)
    assert bone_length_bias(target, points)[0] == pytest.approx(1 / 20)


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_where_a_hand_is_and_how_it_is_turned_or_mirrored_does_not_matter(seed):
    generator, target, points = hands(seed)
    turn = Rotation.random(3, random_state=int(generator.integers(2**31))).as_matrix() * [1, -1, 1]
    moved = points @ turn + generator.normal(0, 1, (3, 1, 3))
    np.testing.assert_allclose(bone_lengths(moved), bone_lengths(points), atol=1e-13)
    np.testing.assert_allclose(bone_length_bias(target, moved), bone_length_bias(target, points), atol=1e-13)
    np.testing.assert_allclose(bone_length_bias(points, target), -bone_length_bias(target, points), atol=1e-16)
    np.testing.assert_allclose(bone_length_bias(target * 3, points * 3), bone_length_bias(target, points) * 3)


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_a_bone_counts_where_both_its_joints_are_annotated(seed):
    generator, target, points = hands(seed)
    valid = generator.random((3, 21)) > 0.3
    valid[2] = np.isin(np.arange(21), [4, 8, 12, 16, 20])
    both = valid[:, PARENTS] & valid[:, 1:]
    full = bone_length_differences(target, points)
    np.testing.assert_array_equal(bone_length_differences(target, points, valid), np.where(both, full, np.nan))
    known = bone_length_bias(target, points, valid)
    target[~valid] = np.nan
    found = bone_length_differences(target, points, valid)
    np.testing.assert_array_equal(found, np.where(both, full, np.nan))
    bias = bone_length_bias(target, points, valid)
    for i in range(3):
        if both[i].any():
            assert bias[i] == pytest.approx(full[i, both[i]].mean(), rel=1e-12)
        else:
            assert np.isnan(bias[i])
    assert np.isnan(bias[2])
    np.testing.assert_array_equal(bias, known)


def test_single_precision_is_computed_in_double():
    _, target, points = (p if i == 0 else p.astype(np.float32) for i, p in enumerate(hands(1)))
    assert bone_lengths(points).dtype == np.float64
    np.testing.assert_array_equal(bone_lengths(points), bone_lengths(points.astype(np.float64)))
    valid = np.arange(63).reshape(3, 21) % 4 != 1
    found = bone_length_differences(target.tolist(), points.tolist(), (valid * (1 + np.arange(21) // 2 % 2)).tolist())
    np.testing.assert_array_equal(found, bone_length_differences(target, points, valid))


def test_shapes():
    for bad in (np.zeros((21, 3)), np.zeros((2, 20, 3)), np.zeros((2, 21, 2)), np.zeros((1, 2, 21, 3))):
        with pytest.raises(InvalidError, match=r"^Cannot measure the bones of points \(.*\)\.$") as e:
            bone_lengths(bad)
        assert e.value.hint == "Give (samples, 21, 3) in FH21 order."
