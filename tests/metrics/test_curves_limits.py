"""Curves over a single threshold, and counts that are whole numbers."""

import numpy as np

from handbench.metrics.curves import Tally, first_within


def test_a_single_threshold_divides_by_nothing():
    with np.errstate(all="raise"):
        found = first_within([[2.9, 3.0, 3.1, np.nan]], np.array([3.0]))
    np.testing.assert_array_equal(found, [[0, 0, 1, 2]])


def test_counts_are_whole_numbers():
    tally = Tally(np.array([0.0, 1.0]))
    tally.add([[0.5, np.nan], [2.0, 0.0]])
    assert tally.count.dtype.kind == tally.within.dtype.kind == "i"
