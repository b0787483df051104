"""All 23 tables of the five papers, and handbench's own: every published figure stands where its paper has it."""

from __future__ import annotations

import csv
import json
import re

import pytest

from handbench.report.formats import FORMATS
from handbench.report.published import UNITS, published_rows
from handbench.report.spec import load_spec, table_names
from handbench.report.table import build_table

PAPERS = {
    "clip-hand3d": ("1", "2", "3", "4", "5", "6"),
    "clip-hand": ("3", "4", "5"),
    "clip-dg": ("3", "4", "5", "6"),
    "dahyf": ("1", "2", "3", "4"),
    "deformer": ("1", "2", "3", "4", "5", "6"),
}
OF_PAPERS = [f"{paper}.{number}" for paper, numbers in PAPERS.items() for number in numbers]
OWN = [str(number) for number in range(1, 12)]
# what the specs' numbers are called: column `paper` begins with it
LABELS = {"clip-hand3d": "000", "clip-hand": "001", "clip-dg": "002", "dahyf": "003", "deformer": "004"}


def figures(name: str) -> list[str]:
    """Every published figure of a table, as it is shown."""
    built = build_table(load_spec(name), [])
    rows = [row for section in built.sections for row in section.rows]
    assert not any(row.measured for row in rows)
    return sorted(cell.text for row in rows for cell in row.cells if cell.value is not None)


def of_table(name: str):
    """The published rows whose table's number, without a letter, is this one's."""
    paper, _, number = name.partition(".")
    rows = published_rows()
    return rows[(rows["source"] == paper) & (rows["table"].str.fullmatch(rf"{number}[a-z]?"))]


def test_there_are_all_of_them():
    assert len(OF_PAPERS) == 23
    assert set(table_names()) == {*OF_PAPERS, *OWN}


@pytest.mark.parametrize("name", OF_PAPERS)
def test_a_papers_table_has_every_figure_of_it_and_no_other(name):
    assert figures(name) == sorted(of_table(name)["shown"])


@pytest.mark.parametrize("name", OF_PAPERS)
def test_each_figure_stands_in_the_row_of_its_method_and_under_its_metric(name):
    spec, rows = load_spec(name), of_table(name)
    built = build_table(spec, [])
    (section,) = built.sections
    for row in section.rows:
        words = re.sub(r" \([^()]*\)$", "", row.name)
        for column, cell in zip(spec.columns, row.cells, strict=True):
            if cell.value is None:
                continue
            found = rows[(rows["canonical"] == column.published) & (rows["shown"] == cell.text)]
            if column.dataset:
                found = found[found["dataset"] == column.dataset]
            if column.split:
                found = found[found["split"] == column.split]
            assert any(words in method.replace("Ours (", "") for method in found["method"]), (row.name, column.label)


@pytest.mark.parametrize("name", OF_PAPERS)
def test_it_agrees_with_the_numbers_that_were_gathered_from_the_papers(name, gathered_numbers):
    paper, _, number = name.partition(".")
    (path,) = gathered_numbers.glob(f"{LABELS[paper]}_*.csv")
    with path.open() as file:
        cells = [row for row in csv.DictReader(file) if re.fullmatch(rf"T{number}[a-z]?", row["table"])]
    gathered = sorted(float(row["value"]) * 10.0 ** UNITS[row["unit"]][1] for row in cells)
    assert sorted(map(float, figures(name))) == pytest.approx(gathered)


@pytest.mark.parametrize("name", table_names())
@pytest.mark.parametrize("kind", FORMATS)
def test_every_table_prints_in_every_format_without_anything_measured(name, kind):
    text = FORMATS[kind](build_table(load_spec(name), []))
    assert text.strip()
    if kind == "json":
        assert json.loads(text)["name"] == name
    if kind == "csv":
        lines = list(csv.reader(text.splitlines()))
        assert len({len(line) for line in lines}) == 1
        assert len(lines) - 1 == sum(len(part.rows) for part in build_table(load_spec(name), []).sections)


def test_two_methods_of_one_name_and_different_years_are_two_rows():
    (section,) = build_table(load_spec("clip-hand3d.2"), []).sections
    assert len([row for row in section.rows if row.name.startswith("Yang et al.")]) == 2


def test_a_table_of_two_protocols_fills_each_column_from_its_own(record):
    built = build_table(
        load_spec("2"),
        [record("stb", {"mpjpe": 7.0, "auc@20-50": 0.99}), record("rhd", {"mpjpe": 12.0, "auc@20-50": 0.93})],
    )
    rows = [row for section in built.sections for row in section.rows if row.measured]
    assert [[cell.text for cell in row.cells] for row in rows] == [
        ["0.990", "7.00", "-", "-"],
        ["-", "-", "0.930", "12.00"],
    ]
    assert [row.source.partition(",")[0] for row in rows] == ["measured under stb", "measured under rhd"]


@pytest.fixture
def record():
    def make(name: str, values: dict[str, float]) -> dict:
        summary = [
            {"metric": m, "alignment": "root-scale", "unit": "mm", "value": v, "n": 9, "interval": [v, v]}
            for m, v in values.items()
        ]
        row = {"method": "clip-dg", "variant": "full", "size": "full", "seed": 0, "weights": {}}
        protocol = {"name": name, "version": 1, "id": f"{name}@1-feed", "n_official": 9}
        rest = {"reflected": 0, "given": [], "warnings": [], "provenance": {}}
        return {"protocol": protocol, "n": 9, "summary": summary, "row": row, **rest}

    return make


def test_a_table_of_speeds_has_the_headline_of_each_record():
    speed = {
        "tier": "T1", "batch": 1, "mode": "eager", "precision": "fp32", "method": "dahyf", "variant": "full",
        "size": "full", "recipe": None, "device": "H100", "fps": 50.0, "p50_ms": 20.0, "params": 50.3, "gmacs": 6.05,
        "n": 1000, "machine": {"threads": 8, "torch": "2.13.0"}, "processes": 5,
        "effort": "standard", "made": {"time": "1"}, "trained": False, "warnings": ["throttled"],
    }  # fmt: skip
    others = [
        {**speed, "tier": "T2"},
        {**speed, "batch": 8},
        {**speed, "mode": "compile"},
        {**speed, "precision": "bf16"},
    ]
    again = {**speed, "p50_ms": 21.0, "made": {"time": "0"}}
    elsewhere = {**speed, "device": "cpu", "p50_ms": 200.0, "fps": 5.0}
    built = build_table(load_spec("10"), [], [speed, *others, again, elsewhere])
    rows = [row for section in built.sections for row in section.rows if row.measured]
    assert [[cell.text for cell in row.cells] for row in rows] == [
        ["20.00", "50.0", "50.30", "6.05"],
        ["200.00", "5.0", "50.30", "6.05"],
    ]
    said = " ".join(built.footnotes[mark - 1] for row in rows for mark in row.marks)
    assert all(words in said for words in ("H100", "cpu", "random weights", "throttled"))
    assert "threads: 8, torch 2.13.0, processes: 5, standard run" in said
    assert not any(cell.rank for row in rows for cell in row.cells)
    # each under a condition of its own
    unlike = [
        {**speed, "effort": "quick"},
        {**speed, "machine": {"threads": 1, "torch": "2.13.0"}},
        {**speed, "machine": {"threads": 8, "torch": "2.4.0"}},
    ]
    built = build_table(load_spec("10"), [], [speed, *unlike])
    assert sum(row.measured for section in built.sections for row in section.rows) == 4
    assert any("quick run, shorter than the protocol asks for" in text for text in built.footnotes)


def test_a_row_of_a_part_has_the_parts_own_time_or_none():
    """Three rows of one paper's table are one network: the whole, and two parts of it."""
    stages = {"groups_ms": {"Pose Feature Generation": 6.5, "Mesh Regressor": 8.0}, "holds": True, "why_not": None}
    speed = {
        "tier": "T1", "batch": 1, "mode": "eager", "precision": "fp32", "method": "clip-hand3d", "size": "full",
        "device": "H100", "fps": 66.7, "p50_ms": 15.0, "params": 31.0, "gmacs": 34.0, "n": 1000, "processes": 1,
        "effort": "standard", "stages": stages, "frames_per_call": 1,
    }  # fmt: skip
    three = [speed | {"variant": name} for name in ("speed_full", "speed_pose", "speed_mesh")]

    def rows(name, speeds):
        built = build_table(load_spec(name), [], speeds)
        found = [row for section in built.sections for row in section.rows if row.measured]
        return {row.name: [cell.text for cell in row.cells] for row in found}, " ".join(built.footnotes)

    cells, said = rows("clip-hand3d.6", three)
    assert cells == {
        "clip-hand3d speed_full": ["15.00", "66.7"],
        "clip-hand3d speed_pose": ["6.50", "153.8"],
        "clip-hand3d speed_mesh": ["8.00", "125.0"],
    }
    assert "Pose Feature Generation: its stages, in a pass" in said
    # the whole network's parameters are none of a part's
    assert rows("10", three)[0]["clip-hand3d speed_pose"] == ["6.50", "153.8", "-", "-"]
    apart = [one | {"stages": stages | {"holds": False, "why_not": "the sum is off"}} for one in three]
    cells, said = rows("clip-hand3d.6", apart)
    assert cells["clip-hand3d speed_pose"] == ["-", "-"]
    assert cells["clip-hand3d speed_full"] == ["15.00", "66.7"]
    assert "Mesh Regressor: no time: the sum is off" in said
