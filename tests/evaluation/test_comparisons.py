"""Only like is compared with like, and only a difference that is real has a winner."""

from __future__ import annotations

import dataclasses
import json
import time

import numpy as np
import pytest

from handbench.errors import InvalidError
from handbench.evaluation.compare import compare
from handbench.evaluation.protocol import load
from handbench.evaluation.result_file import write_result
from handbench.evaluation.scoring import evaluate
from tests.evaluation.two_results import METRICS, captures, made, methods, only


def test_six_samples_by_hand():
    a = made({"mpjpe/root": [1, 2, 3, 4, 5, 6], "auc/root": [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]})
    b = made({"mpjpe/root": [2, 4, 4, 6, 6, 8], "auc/root": [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]})
    found = compare(a, b)
    row = only(found)
    assert (row.a, row.b, row.difference, row.n, row.clusters) == (3.5, 5.0, -1.5, 6, 6)
    # six differences of one sign: of 64 patterns of signs, two are as extreme
    assert row.p == pytest.approx(2 / 64)
    assert row.smallest == pytest.approx(2 / 64)
    # standard error of -1,-2,-1,-2,-1,-2 is sqrt(0.3)/sqrt(6); t with 5 degrees of freedom is 2.5706
    assert (row.low, row.high) == pytest.approx((-1.5 - 2.5706 * 0.2236, -1.5 + 2.5706 * 0.2236), abs=1e-4)
    # two tests, so that the smaller p counts twice
    assert found.family["tests"] == 2
    assert row.p_adjusted == pytest.approx(4 / 64)
    assert (row.better, row.verdict) == ("", "cannot be distinguished")
    same = only(found, "auc")
    assert (same.difference, same.p, same.better) == (0.0, 1.0, "")


def test_more_is_better_of_ratios_and_less_of_lengths_in_any_unit():
    metrics = (*METRICS, {"name": "epe-2d", "alignments": ["none"]})
    low, high = np.linspace(1, 2, 20), np.linspace(2, 3.5, 20)
    found = compare(
        made({"mpjpe/root": low, "auc/root": low, "epe-2d/none": high}, metrics=metrics),
        made({"mpjpe/root": high, "auc/root": high, "epe-2d/none": low}, metrics=metrics),
    )
    assert [row.better for row in found.rows] == ["a", "b", "b"]
    assert found.rows[0].verdict == "A is better"


def test_it_reads_the_same_from_both_sides():
    a, b = methods(300)
    covered, clusters = np.linspace(0, 1, 300), captures(300, 12)
    a, b = (dataclasses.replace(result, covered=covered, clusters=clusters) for result in (a, b))
    one, other = compare(a, b), compare(b, a)
    pairs = list(zip(one.rows, other.rows, strict=True))
    for here, there in zip(one.per_bucket, other.per_bucket, strict=True):
        pairs += zip(here["rows"], there["rows"], strict=True)
    assert len(pairs) == 3 * 5
    for here, there in pairs:
        assert here.difference == pytest.approx(-there.difference, abs=1e-12)
        assert (here.low, here.high) == pytest.approx((-there.high, -there.low), abs=1e-12)
        assert (here.p, here.p_adjusted) == (there.p, there.p_adjusted)
        assert {here.better, there.better} in ({""}, {"a", "b"})
    assert [s["id"] for s in one.most_different["below"]] == [s["id"] for s in other.most_different["above"]]


def test_the_order_of_the_samples_does_not_matter():
    a, b = methods(200)
    a, b = (dataclasses.replace(result, clusters=captures(200, 10)) for result in (a, b))
    order = np.random.default_rng(1).permutation(200)

    def shuffled(result):
        tables = {
            name: {key: values[order] for key, values in getattr(result, name).items()}
            for name in ("samples", "joint_errors")
        }
        return dataclasses.replace(result, ids=result.ids[order], clusters=result.clusters[order], **tables)

    expected = compare(a, b).to_record()
    assert compare(shuffled(a), shuffled(b)).to_record() == expected
    assert compare(a, shuffled(b)).to_record() == expected
    assert compare(a, b, seed=1).to_record()["rows"][0]["p"] == pytest.approx(expected["rows"][0]["p"], abs=0.02)


def test_a_tenth_of_a_millimetre_is_seen_where_it_is_there_and_not_where_it_is_not():
    found = compare(*methods())
    assert [row.better for row in found.rows] == ["a", "a", "a"]
    for row in found.rows[:2]:
        assert row.low < -0.1 < row.high < 0
    assert found.n == 3960
    alike = compare(*methods(better_by=0.0))
    assert [row.better for row in alike.rows] == ["", "", ""]
    assert all(row.low < 0 < row.high for row in alike.rows)


def test_frames_of_few_recordings_do_not_pass_for_independent():
    """Each capture has its own offset: thousands of samples, but only twelve things to learn from."""
    rng = np.random.default_rng(3)
    offset = np.repeat(rng.normal(0, 1, 12), 300)
    base = rng.gamma(6.0, 1.0, 3600)
    values = [{"mpjpe/root": base + offset + 0.2}, {"mpjpe/root": base + rng.normal(0, 0.1, 3600)}]
    clusters = captures(3600, 300)
    naive = only(compare(*map(made, values)))
    honest = only(compare(*(made(v, clusters=clusters) for v in values)))
    assert naive.difference == pytest.approx(honest.difference)
    assert naive.better != ""
    assert honest.better == ""
    assert honest.high - honest.low > 5 * (naive.high - naive.low)
    assert honest.clusters == 12


def test_with_five_captures_nothing_can_be_told_apart():
    a, b = methods(100, better_by=3.0)
    a, b = (dataclasses.replace(result, clusters=captures(100, 20)) for result in (a, b))
    found = compare(a, b)
    assert found.clusters == 5
    for row in found.rows:
        assert row.p == row.smallest == 0.0625
        assert (row.better, row.verdict) == ("", "cannot be distinguished")
        assert row.note == "cannot be distinguished with 5 captures: the smallest p is 0.0625"
    assert any("only 5 captures" in warning for warning in found.warnings)
    assert any("0.1875 after Holm" in warning for warning in found.warnings)


def test_what_is_the_same_or_all_but_the_same():
    a, _ = methods(100)
    found = compare(a, a)
    for row in found.rows:
        assert (row.difference, row.p, row.better, row.note) == (0.0, 1.0, "", "the same in every sample")
    assert found.most_different["below"] == found.most_different["above"] == []
    values = np.arange(100.0)
    other = values + np.isin(values, [3, 50, 80])
    row = only(compare(made({"mpjpe/root": values}), made({"mpjpe/root": other})))
    assert row.note == "cannot be distinguished where only 3 of 100 samples differ: the smallest p is 0.25"


def test_without_captures_it_says_that_samples_are_taken_as_independent():
    found = compare(*methods(50))
    assert found.clusters is None
    assert any("independent" in warning for warning in found.warnings)


def test_unlike_results_are_refused_in_words(make_hands, noisy):
    truth = make_hands(60)
    predicted = noisy(truth)
    result = evaluate(truth, predicted)
    fewer = evaluate(truth.take(slice(0, 50)), predicted.take(slice(0, 50)))
    with pytest.raises(InvalidError, match="samples: 60 against 50, 50 in common"):
        compare(result, fewer)
    rooted = evaluate(truth, predicted.replace(meta={"given": ["root"]}))
    with pytest.raises(InvalidError, match="given: not stated against root"):
        compare(result, rooted)
    other = load("freihand").model_copy(update={"root": "middle MCP"})
    with pytest.raises(InvalidError, match="root: wrist against middle MCP"):
        compare(result, evaluate(truth, predicted, other))
    anyway = compare(result, fewer, anyway=True)
    assert anyway.rows[0].n == anyway.n == 50
    assert anyway.unlike


def test_anyway_leaves_out_what_is_measured_otherwise():
    wider = ({"name": "mpjpe", "alignments": ["root"]}, {**METRICS[1], "high": 30.0})
    samples = {"mpjpe/root": np.arange(9.0), "auc/root": np.arange(9.0) / 9}
    b = made(samples, metrics=wider)
    b.protocol["id"] = "trial@1-11111111"
    found = compare(made(samples), b, anyway=True)
    assert [row.metric for row in found.rows] == ["mpjpe"]
    assert any("auc/root" in warning for warning in found.warnings)
    b = dataclasses.replace(b, ids=np.char.add(b.ids, "x"))
    with pytest.raises(InvalidError, match="no sample in common"):
        compare(made(samples), b, anyway=True)


def test_captures_that_disagree_are_joined():
    values = {"mpjpe/root": np.arange(12.0)}
    first = np.repeat(["p", "q", "r", "s"], 3)
    second = np.repeat(["x", "y", "y", "z"], 3)
    found = compare(made(values, clusters=first), made(values, clusters=second))
    assert found.clusters == 3
    renamed = compare(made(values, clusters=first), made(values, clusters=np.repeat(["4", "3", "2", "1"], 3)))
    assert renamed.clusters == 4


def test_files_do_as_well_and_give_their_names(tmp_path):
    a, b = methods(30)
    write_result(tmp_path / "one.h5", a)
    write_result(tmp_path / "two.h5", dataclasses.replace(b, row=a.row))
    found = compare(tmp_path / "one.h5", str(tmp_path / "two.h5"))
    assert found.names == ("first seed 0 (one)", "first seed 0 (two)")
    assert found.rows == compare(a, b).rows
    assert compare(a, b).names == ("first seed 0", "second seed 0")
    record = found.to_record()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    (tmp_path / "a.json").write_text('{"protocol": 1}')
    with pytest.raises(InvalidError, match="sample by sample"):
        compare(tmp_path / "a.json", tmp_path / "two.h5")


def test_many_samples_do_not_take_long():
    n = 200_000
    base = np.random.default_rng(0).gamma(6, 1, n)
    clusters = captures(n, 100)
    a, b = (made({"mpjpe/root": base + k * 0.1}, clusters=clusters) for k in range(2))
    start = time.perf_counter()
    assert compare(a, b).rows[0].better == "a"
    assert time.perf_counter() - start < 20


def test_results_on_different_truths_are_refused_though_their_samples_have_the_same_names():
    a, b = (
        made({"mpjpe/root": np.ones(12)}, provenance={"truth": {"source": "official files", "digest": digest}})
        for digest in ("aaaa", "bbbb")
    )
    with pytest.raises(InvalidError, match=r"truth: official files \(aaaa\) against official files \(bbbb\)"):
        compare(a, b)
    assert compare(a, b, anyway=True).unlike
