"""The spread of very many units and of very small ones."""

import numpy as np
import pytest
from scipy.special import stdtrit

from handbench.metrics.spread import spread


def test_very_many_units():
    parts = np.tile([-1.0, 1.0], 1500) / 3000
    found = spread(parts, np.full((3000, 1), 1 / 3000), 0.95)
    assert found == pytest.approx((1 / np.sqrt(2999), 0, stdtrit(2999, 0.975), 2999), rel=1e-6, abs=1e-9)


def test_a_unit_of_next_to_no_weight_changes_next_to_nothing():
    parts = np.array([-0.75, 0.75])
    alone = spread(parts, np.array([[0.5], [0.5]]), 0.95)
    found = spread(np.r_[parts, 1e-13], np.array([[0.5], [0.5], [1e-13]]), 0.95)
    assert found.error == pytest.approx(alone.error)
    assert found.t == pytest.approx(alone.t, rel=1e-6)
