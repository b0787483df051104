"""Differences by occlusion, by joint and by sample; figures that samples or joints are missing from."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from handbench.errors import UsageError
from handbench.evaluation.compare import compare
from handbench.evaluation.scoring import evaluate
from tests.evaluation.two_results import made, methods, only


def test_one_family_is_corrected_for_all_figures_and_buckets():
    """Holm by hand: the smallest p times the number of tests, the next times one less, never falling."""
    covered = np.concatenate([np.full(40, 0.1), np.full(30, 0.3), np.full(20, 0.6), np.full(9, 1.0), [np.nan]])
    a, b = (dataclasses.replace(result, covered=covered) for result in methods(100, better_by=0.4))
    found = compare(a, b)
    assert [(bucket["bucket"], bucket["n"]) for bucket in found.per_bucket] == [
        *(("0-25 %", 40), ("25-50 %", 30), ("50-75 %", 20), ("75-100 %", 9), ("unknown", 1)),
    ]
    assert sum(bucket["n"] for bucket in found.per_bucket) == found.n == 100
    assert found.per_bucket[-1]["rows"] == []
    for bucket in found.per_bucket[:-1]:
        assert [row.n for row in bucket["rows"]] == [bucket["n"]] * 3
    known = sum(bucket["rows"][0].difference * bucket["n"] for bucket in found.per_bucket[:-1])
    last = a.samples["mpjpe/root"][-1] - b.samples["mpjpe/root"][-1]
    assert (known + last) / 100 == pytest.approx(found.rows[0].difference)
    rows = [*found.rows, *(row for bucket in found.per_bucket for row in bucket["rows"])]
    assert found.family["tests"] == len(rows) == 15
    order = np.argsort([row.p for row in rows], kind="stable")
    least = 0.0
    for rank, i in enumerate(order):
        least = max(least, min(1.0, (15 - rank) * rows[i].p))
        assert rows[i].p_adjusted == pytest.approx(least)


def test_buckets_need_both_results_to_know_and_to_agree():
    a, b = methods(40)
    half = dataclasses.replace(a, covered=np.full(40, 0.5))
    assert compare(half, b).per_bucket == []
    other = compare(half, dataclasses.replace(b, covered=np.full(40, 0.6)))
    assert other.per_bucket == []
    assert any("do not agree" in warning for warning in other.warnings)


def test_a_sample_without_a_value_is_left_out_of_that_figure_only():
    a = made({"mpjpe/root": [1.0, np.nan, 3.0, 4.0], "mpjpe/procrustes": [1.0, 2.0, 3.0, 4.0]})
    b = made({"mpjpe/root": [2.0, 2.0, np.nan, 6.0], "mpjpe/procrustes": [1.0, 2.0, 3.0, 5.0]})
    found = compare(a, b)
    assert found.n == 4
    row = only(found)
    assert (row.n, row.a, row.b, row.difference) == (2, 2.5, 4.0, -1.5)
    assert only(found, "mpjpe", "procrustes").n == 4
    assert [one["id"][-1] for one in found.most_different["below"]] == ["3", "0"]
    nothing = compare(made({"mpjpe/root": [1.0, np.nan]}), made({"mpjpe/root": [np.nan, 1.0]}))
    assert (nothing.rows[0].n, nothing.rows[0].verdict, nothing.family["tests"]) == (0, "not tested", 0)
    json.dumps(nothing.to_record(), allow_nan=False)


def test_where_joints_are_missing_the_figure_is_the_mean_over_joints():
    """As `eval` has it: one sample with one joint does not weigh as much as one with twenty-one."""
    rng = np.random.default_rng(0)
    errors = rng.gamma(4, 1, (2, 60, 21))
    errors[:, :30, 3:] = np.nan
    errors[:, 59] = np.nan
    results = [made({"mpjpe/root": np.nanmean(e[:59], 1).tolist() + [np.nan]}, {"root": e}) for e in errors]
    row = only(compare(*results))
    expected = np.nanmean(errors, 1).mean(1)
    assert (row.a, row.b) == pytest.approx(tuple(expected))
    assert row.difference == pytest.approx(expected[0] - expected[1])
    assert row.low < row.difference < row.high
    assert row.n == 59
    assert 0 < row.p <= 1


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_the_figures_are_those_of_eval(make_hands, noisy, missing):
    truth = make_hands(40)
    if missing:
        truth = truth.replace(joints_valid=np.random.default_rng(0).random((40, 21)) >= missing)
    a, b = (evaluate(truth, noisy(truth, 5.0, rng), "freihand") for rng in (1, 2))
    found = compare(a, b)
    assert len(found.rows) == len(a.summary)
    for row in found.rows:
        assert row.a == pytest.approx(a.value(row.metric, row.alignment), rel=1e-9), row
        assert row.b == pytest.approx(b.value(row.metric, row.alignment), rel=1e-9), row
        assert row.difference == pytest.approx(row.a - row.b, abs=1e-9)


def test_the_difference_of_each_joint():
    errors = np.tile(np.arange(21.0), (30, 1)) + np.random.default_rng(0).normal(0, 0.1, (30, 21))
    worse = errors.copy()
    worse[:, 8] += 2.0 + np.linspace(-0.1, 0.1, 30)
    worse[:, 4] = np.nan
    samples = [{"mpjpe/root": np.nanmean(e, 1)} for e in (errors, worse)]
    found = compare(made(samples[0], {"root": errors}), made(samples[1], {"root": worse}))
    joints = {row["joint"]: row for row in found.per_joint["root"]}
    assert list(found.per_joint) == ["root"]
    assert len(joints) == 20
    assert "thumb fingertip" not in joints
    tip = joints.pop("index fingertip")
    assert tip["difference"] == pytest.approx(-2.0)
    assert tip["low"] < -2.0 < tip["high"] < -1.9
    assert all(row["difference"] == 0.0 for row in joints.values())


def test_the_joints_are_of_the_protocols_first_alignment_and_procrustes_unless_another_is_asked_for():
    a, b = methods(40)
    assert list(compare(a, b).per_joint) == ["root", "procrustes"]
    assert compare(a, b).most_different["figure"] == "mpjpe/root"
    asked = compare(a, b, figure="mpjpe/procrustes")
    assert list(asked.per_joint) == ["procrustes"]
    assert asked.most_different["figure"] == "mpjpe/procrustes"
    with pytest.raises(UsageError, match="did you mean 'mpjpe/procrustes'"):
        compare(a, b, figure="mpjpe/procrust")


def test_the_samples_that_differ_most():
    a = made({"mpjpe/root": [5.0, 1.0, 1.0, 9.0, 2.0, 2.0]})
    b = made({"mpjpe/root": [1.0, 4.0, 4.0, 4.0, 2.0, 3.0]})
    found = compare(a, b, top=2).most_different
    assert [(s["id"][-1], s["difference"]) for s in found["below"]] == [("1", -3.0), ("2", -3.0)]
    assert [(s["id"][-1], s["a"], s["b"]) for s in found["above"]] == [("3", 9.0, 4.0), ("0", 5.0, 1.0)]
    whole = compare(a, b).most_different
    assert (len(whole["below"]), len(whole["above"])) == (3, 2)


def test_a_median_has_no_test_and_a_bias_no_winner():
    metrics = (
        {"name": "median-pjpe", "alignments": ["root"]},
        {"name": "median-pjpe-plain", "alignments": ["root"]},
        {"name": "bone-bias", "alignments": ["none"]},
    )
    errors = np.array([[1.0] * 20 + [10.0], [2.0] * 20 + [20.0], [6.0] * 20 + [30.0]])
    bias = [{"bone-bias/none": values} for values in ([-1.0, -2.0, -1.5], [1.0, 2.5, 1.0])]
    found = compare(*(made(v, {"root": errors * (1 + k)}, metrics=metrics) for k, v in enumerate(bias)))
    medians, plain, signed = found.rows
    assert (medians.a, medians.b) == pytest.approx((60 / 21, 120 / 21))
    assert (plain.a, plain.b) == pytest.approx((2.0, 4.0))
    assert signed.difference == pytest.approx(-3.0)
    assert signed.low < signed.difference < signed.high
    for row in found.rows:
        assert (row.verdict, row.better) == ("not tested", "")
        assert row.note
    assert found.family["tests"] == 0
