"""Runs that differ in their seed are one row: mean, standard deviation, number of runs."""

from __future__ import annotations

import math

import pytest

from handbench.report.markdown import to_markdown
from handbench.report.repeats import repeats_text, with_repeats
from handbench.report.table import build_table, load_spec
from tests.report.test_table import OFFICIAL, PA, measured, record, table


def runs(*values, **row):
    return [record(values={"mpjpe": value}, seed=seed, **row) for seed, value in enumerate(values)]


def test_mean_and_spread_worked_by_hand():
    (one,) = with_repeats(runs(6.0, 7.0, 9.5))
    (line,) = one["summary"]
    assert line["value"] == 7.5
    # deviations -1.5, -0.5, 2: squares 2.25 + 0.25 + 4 over n - 1
    assert line["spread"] == pytest.approx(math.sqrt(6.5 / 2))
    assert (line["runs"], line["interval"]) == (3, [None, None])
    assert one["row"]["seeds"] == [0, 1, 2]
    assert "seed" not in one["row"]


def test_only_the_seed_may_differ():
    one = runs(6.0, 7.0)
    others = [
        record(values={"mpjpe": 1.0}, seed=2, variant="wo_clip"),
        record(values={"mpjpe": 1.0}, seed=3, changed=["train.epochs=1"]),
        record("freihand@1-aaaa", 9, values={"mpjpe": 1.0}, seed=4),
        record(values={"mpjpe": 1.0}, seed=5, given=["root"]),
        record(values={"mpjpe": 1.0}, seed=None, name="somebody's"),
    ]
    found = with_repeats([*one, *others])
    assert [len(r["row"].get("seeds", [])) for r in found] == [2, 0, 0, 0, 0, 0]
    assert found[1:] == others
    # one seed twice is no repetition
    twice = [record(seed=0), record(seed=0)]
    assert with_repeats(twice) == twice


def test_a_run_without_a_figure_leaves_none():
    (one,) = with_repeats(runs(6.0, None))
    assert one["summary"][0]["value"] is None
    assert one["summary"][0]["spread"] is None


def test_a_table_has_one_row_for_them_with_n():
    built = table(*runs(6.0, 7.0, 9.5), record(variant="wo_clip"))
    several, one = measured(built)
    assert several.name == "clip-hand3d"
    assert several.source == "measured, n = 3,960, mean ± s.d. of 3 seeds"
    assert (several.cells[0].text, several.cells[0].interval) == ("7.50", "± 1.80")
    assert one.source == "measured, n = 3,960"
    assert "7.50 ± 1.80" in to_markdown(built)
    assert build_table(load_spec("1"), runs(6.0, 7.0), (), official=OFFICIAL)


def test_the_terminal_says_mean_spread_and_runs():
    (one,) = with_repeats(runs(6.0, 7.0, 9.5))
    text = repeats_text(one)
    assert "3 runs, seeds 0, 1, 2" in text
    assert PA in text
    # the unit of this record is not mm
    assert "7.5000" in text


def test_held_frames_are_told_run_by_run():
    (row,) = measured(table(*(record(seed=seed, hold=0.5, frames_held=3 + seed) for seed in (0, 1))))
    built = table(*(record(seed=seed, hold=0.5, frames_held=3 + seed) for seed in (0, 1)))
    assert row.name == "clip-hand3d held 0.5"
    assert any("3, 4 of 3,960 frames" in note for note in built.footnotes)
