"""F-scores of meshes larger than any piece, where floating point is watched, and what the rough stage promises."""

import numpy as np
import pytest

from handbench.metrics import fscore as module
from handbench.metrics.fscore import fscore
from tests.metrics.test_fscore import clouds, same_as_definition


@pytest.mark.parametrize(("v", "w"), [(1, 800_001), (800_001, 1), (2, 60_000)])
def test_a_mesh_of_more_vertices_than_are_held_at_once(v, w):
    target, points = clouds(5, v, w, 1)
    # at the threshold, where only float64 can tell
    points[0, 0] = target[0, 0] + [0.005, 0.0, 0.0]
    points[0, 1:] += 9.0
    target[0, 1:] -= 9.0
    same_as_definition(target, points)


def test_what_overflows_or_underflows_is_no_ones_trouble():
    """Also where a caller has floating point raise."""
    with np.errstate(all="raise"):
        for size in (1e-160, 1e-30, 1.0, 1e19, 1e25, 1e150):
            target, points = clouds(6, spread=size)
            assert np.isfinite(np.stack(fscore(target, points, (size, 0.3 * size)))).all()


def test_the_slack_is_no_less_than_its_terms_add_up_to():
    """8 + 6 + 20 + 6 times the rounding of float32."""
    assert module.SLACK >= 40 * 2.0**-24
