"""Occlusion buckets: bounds, counts that add up, and an empty bucket that is shown as empty."""

import numpy as np
import pytest

from handbench.evaluation.buckets import BUCKETS, bucket_of
from handbench.evaluation.scoring import evaluate
from handbench.report.summary import summary_text


def test_the_bounds_are_included_below_and_the_last_above():
    share = [0.0, 0.2499999, 0.25, 0.4999, 0.5, 0.7499, 0.75, 0.99, 1.0, np.nan]
    assert list(bucket_of(share)) == [0, 0, 1, 1, 2, 2, 3, 3, 3, -1]


@pytest.fixture
def covered(make_hands):
    """Twelve hands: four hardly covered, three by a third, two by half, none by more; of three it is not known."""
    truth = make_hands(12, vertices=False)
    share = np.array([0.0, 0.1, 0.2, 0.24, 0.3, 0.3, 0.3, 0.5, 0.6, np.nan, np.nan, np.nan])
    return truth.replace(visible_fraction=1 - share)


def test_each_bucket_is_the_mean_of_its_samples_and_the_counts_add_up(covered, noisy):
    result = evaluate(covered, noisy(covered), "dexycb-s0")
    which = bucket_of(result.covered)
    for b, (name, _, _) in enumerate(BUCKETS[:3]):
        found = result.per_bucket[name]
        row = next(r for r in found["summary"] if (r["metric"], r["alignment"]) == ("mpjpe", "root"))
        assert row["value"] == pytest.approx(result.samples["mpjpe/root"][which == b].mean(), rel=1e-12)
        assert row["n"] == found["n"] == (which == b).sum()
        assert row["interval"][0] < row["value"] < row["interval"][1]
        auc = next(r for r in found["summary"] if (r["metric"], r["alignment"]) == ("auc", "root"))
        assert auc["value"] == pytest.approx(result.samples["auc/root"][which == b].mean(), rel=1e-12)
        median = next(r for r in found["summary"] if (r["metric"], r["alignment"]) == ("median-pjpe", "root"))
        expected = np.median(result.joint_errors["root"][which == b], axis=0).mean()
        assert median["value"] == pytest.approx(expected, rel=1e-12)
    assert {name: found["n"] for name, found in result.per_bucket.items()} == {
        "0-25 %": 4,
        "25-50 %": 3,
        "50-75 %": 2,
        "75-100 %": 0,
        "unknown": 3,
    }
    assert sum(found["n"] for found in result.per_bucket.values()) == result.n


def test_an_empty_bucket_is_empty_and_not_zero(covered, noisy):
    result = evaluate(covered, noisy(covered), "dexycb-s0")
    empty = result.per_bucket["75-100 %"]["summary"]
    assert np.isnan([row["value"] for row in empty]).all()
    assert {row["n"] for row in empty} == {0}
    record = result.to_record()
    assert {row["value"] for row in record["per_bucket"]["75-100 %"]["summary"]} == {None}
    text = summary_text(record)
    assert "75-100 % (n = 0)" in text
    assert "empty" in text
    assert "never published" in text


def test_a_truth_that_does_not_know_is_said_so(make_hands, noisy):
    truth = make_hands(6, vertices=False)
    result = evaluate(truth, noisy(truth), "dexycb-s0")
    assert result.per_bucket == {}
    assert any("no occlusion buckets" in warning for warning in result.warnings)
