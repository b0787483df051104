"""Occlusion buckets: bounds, counts that add up, and an empty bucket that is shown as empty."""

import numpy as np
import pytest

from handbench.errors import InvalidError
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


def test_a_share_beyond_0_and_1_is_rounding_or_wrong(covered, noisy):
    covered.visible_fraction[0] = 1 + 1e-9
    assert evaluate(covered, noisy(covered), "dexycb-s0").per_bucket["unknown"]["n"] == 3
    covered.visible_fraction[4] = 1.2
    with pytest.raises(InvalidError, match=r"Sample 4 .* is visible to 1.2"):
        evaluate(covered, noisy(covered), "dexycb-s0")


def test_few_captures_in_a_bucket_are_warned_of_though_there_are_many_in_all(make_hands, noisy):
    truth = make_hands(60, vertices=False)
    capture = np.array([f"take {i % 20}" for i in range(60)])
    share = np.where(np.arange(60) % 20 < 3, 0.8, 0.1)
    truth = truth.replace(capture=capture, visible_fraction=1 - share)
    result = evaluate(truth, noisy(truth), "dexycb-s0")
    few = [warning for warning in result.warnings if "captures" in warning]
    assert few == ["The intervals of 75-100 % covered rest on 3 captures: fewer than 10 say little about others."]
    assert result.per_bucket["75-100 %"]["summary"][0]["clusters"] == 3


def test_an_interval_ends_where_the_figure_does(make_hands, noisy):
    truth = make_hands(4, vertices=False).replace(capture=np.array(["a", "a", "b", "b"]))
    predicted = noisy(truth, 1.0)
    predicted.joints[:2] += np.random.default_rng(0).normal(0, 0.03, (2, 21, 3))
    for row in evaluate(truth, predicted, "dexycb-s0").summary:
        low, high = row["interval"]
        assert low >= 0
        assert high <= (np.inf if row["unit"] else 1.0)
