"""`eval --table` in every format, rows that were measured elsewhere, and `ls published`."""

from __future__ import annotations

import csv
import json

import pytest

from tests.report.test_every_table import OF_PAPERS


@pytest.mark.parametrize("name", ["2", "10", "clip-dg.4", "dahyf.4"])
def test_a_table_prints_where_nothing_was_measured(handbench, home, name):
    ran = handbench("eval", "--table", name)
    assert ran.code == 0
    assert ran.out.startswith(f"## Table {name}")
    lines = list(csv.reader(handbench("eval", "--table", name, "--format", "csv").out.splitlines()))
    assert len({len(line) for line in lines}) == 1 < len(lines)
    assert json.loads(handbench("eval", "--table", name, "--format", "json").out)["name"] == name
    assert r"\toprule" in handbench("eval", "--table", name, "--format", "latex").out
    assert "Source" in handbench("eval", "--table", name, "--format", "terminal").out


def test_a_table_without_any_row_says_what_makes_one(handbench, home):
    ran = handbench("eval", "--table", "11")
    assert ran.code == 0
    assert "nothing was measured for it yet: `handbench predict METHOD --protocol handsynth`" in ran.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("eval", "--table", "clip-dg.7"), "did you mean"),
        (("eval", "--table", "1", "--format", "latx"), "did you mean 'latex'"),
        (("eval", "--table", "1", "--standalone"), "--standalone is of LaTeX"),
        (("eval", "--table", "1", "--measured", "nowhere"), "There is no folder nowhere"),
        (("eval", "--protocol", "freihand", "--format", "csv"), "are for tables"),
        (("ls", "published", "--method", "METRQ"), "No paper prints a method 'METRQ'"),
        (("ls", "published", "--table", "clip-hand3d.9"), "did you mean"),
        (("ls", "--method", "METRO"), "are of the published numbers"),
        (("ls", "publishd"), "did you mean 'published'"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(handbench, home, words, said):
    ran = handbench(*words)
    assert ran.code in (2, 3, 4, 5)
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_rows_that_were_measured_elsewhere_stand_in_the_table(handbench, home, tmp_path):
    there = tmp_path / "elsewhere"
    there.mkdir()
    figure = {"metric": "mpjpe", "alignment": "procrustes-official", "unit": "mm"}
    figure |= {"value": 7.25, "interval": [7.0, 7.5]}
    record = {
        "protocol": {"name": "freihand", "version": 1, "id": "freihand@1-0123abcd", "n_official": 3960},
        "n": 120,
        "summary": [figure],
        "row": {"name": "theirs <b>"},
        "given": ["box"],
    }
    other = {**record, "protocol": {**record["protocol"], "name": "rhd"}}
    (there / "a.json").write_text(json.dumps({"table": "1", "results": [record, other]}))
    (there / "b.json").write_text("{}")
    # what `eval --protocol freihand --json` writes: every run, and the mean of those that differ by their seed
    (there / "c.json").write_text(json.dumps([{**record, "row": {"name": "mean", "seeds": [0, 1]}}]))
    for name, near in (("d", {"protocol": "freihand"}), ("e", {"summary": [3]}), ("f", {"row": None})):
        (there / f"{name}.json").write_text(json.dumps({**record, **near}))
    ran = handbench("eval", "--table", "1", "--measured", there)
    assert ran.code == 0
    for name in "bcdef":
        assert f"{name}.json is no result and is left out" in ran.err
    assert "| mean" not in ran.out
    (there / "a.json").write_text(json.dumps([record, other]))
    ran = handbench("eval", "--table", "1", "--measured", there)
    assert ran.code == 0
    (line,) = [line for line in ran.out.splitlines() if line.startswith("| theirs")]
    assert "7.25 [7.00, 7.50]" in line
    assert "measured elsewhere, n = 120" in line
    assert "Measured elsewhere, read from" in ran.out
    assert r"\<b\>" in line
    assert "freihand@1-0123abcd, 120 samples" in ran.out
    assert "120 of the 3,960 official samples" in ran.out
    assert "a.json" in handbench("eval", "--table", "1", "--measured", there, "--format", "latex").out


def test_the_published_numbers_say_who_says_what(handbench, home):
    listed = json.loads(handbench("ls", "published", "--method", "metro", "--json").out)
    assert {row["table"] for row in listed} >= {"clip-hand3d.1", "clip-hand.3", "dahyf.1"}
    assert all("metro" in row["method"].lower() for row in listed)
    (pa,) = [r for r in listed if (r["table"], r["method"], r["metric"]) == ("clip-hand3d.1", "METRO", "pa-mpjpe")]
    assert pa["papers disagree"] == "6.7 (CLIP-Hand3D T1); 6.8 (CLIP-Hand T3); 6.3 (DaHyF T1)"
    assert len(json.loads(handbench("ls", "published", "--json").out)) == 645
    text = handbench("ls", "published", "--table", "clip-hand3d.6").out
    assert text.count("\n") == 2 + 6
    assert len(OF_PAPERS) == 23
