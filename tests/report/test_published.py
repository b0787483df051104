"""The published numbers: all there, under one name and in one unit."""

from __future__ import annotations

import pandas as pd
import pytest

from handbench.errors import UsageError
from handbench.places import shipped
from handbench.report.published import (
    ALIASES,
    PAPERS,
    UNITS,
    about_method,
    disagreement,
    published_rows,
    published_table,
    remarks,
    tables,
)


def cell(table: str, method: str, metric: str) -> pd.Series:
    rows = published_table(table)
    rows = rows[(rows["method"] == method) & (rows["canonical"] == metric)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_every_cell_of_the_five_papers_is_there():
    rows = published_rows()
    assert len(rows) == 645
    assert rows.groupby("source").size().to_dict() == {
        "clip-hand3d": 179, "clip-hand": 65, "clip-dg": 40, "dahyf": 144, "deformer": 217,
    }  # fmt: skip


def test_the_files_are_those_that_are_loaded():
    names = {path.stem for path in shipped("results", "published").glob("*.csv")}
    assert names == set(PAPERS)


@pytest.mark.parametrize(
    ("table", "method", "metric", "value", "unit", "printed"),
    [
        ("clip-hand3d.1", "Ours (CLIP-Hand3D)", "pa-mpjpe", 6.6, "mm", "6.6"),
        ("clip-hand3d.1", "Ours (CLIP-Hand3D)", "pa-mpvpe", 6.7, "mm", "6.7"),
        ("clip-hand3d.1", "Ours (CLIP-Hand3D)", "f@5/pa", 0.728, "ratio", "0.728"),
        ("clip-hand3d.1", "Ours (CLIP-Hand3D)", "f@15/pa", 0.981, "ratio", "0.981"),
        ("clip-hand3d.1", "Ours (CLIP-Hand3D)", "fps", 77, "frame/s", "77"),
        ("clip-hand3d.1", "Boukh.et al.", "pa-mpvpe", 35.0, "mm", "35.0"),
        ("dahyf.1", "DaHyF (Ours)", "f@5/pa", 0.848, "ratio", "84.8"),
        ("dahyf.1", "HaMeR", "pa-mpjpe", 6.0, "mm", "6.0"),
        ("clip-hand.3", "CLIP-Hand-cls-S24", "pa-mpjpe", 6.3, "mm", "6.3"),
        ("clip-hand.3", "CLIP-Hand-cls-S24", "params", 40.20, "M", "40.20"),
    ],
)
def test_known_cells(table, method, metric, value, unit, printed):
    found = cell(table, method, metric)
    assert (found["value"], found["unit"], found["printed"]) == (value, unit, printed)


def test_percentages_become_ratios_and_keep_their_digits():
    found = cell("dahyf.1", "HaMeR", "f@15/pa")
    assert (found["value"], found["shown"], found["printed"], found["printed_unit"]) == (0.99, "0.990", "99.0", "%")
    ratios = published_rows().query("unit == 'ratio'")
    assert ratios["value"].between(0, 1).all()


def test_every_printed_metric_and_unit_has_a_name_here_and_none_is_idle():
    raw = pd.concat(
        pd.read_csv(path, dtype=str, keep_default_na=False)
        for path in sorted(shipped("results", "published").glob("*.csv"))
    )
    assert set(raw["metric"]) == set(ALIASES)
    assert set(raw["unit"]) == set(UNITS)
    assert published_rows()[["canonical", "unit"]].notna().all(axis=None)


def test_one_metric_has_one_unit_and_one_direction():
    rows = published_rows()
    assert (rows.groupby("canonical")["unit"].nunique() == 1).all()
    assert (rows.groupby("canonical")["higher_is_better"].nunique() == 1).all()


def test_the_rows_that_are_handed_out_are_the_readers_own():
    for mine in (published_rows(), published_table("clip-hand3d.1")):
        mine["value"] = 0
    assert published_rows()["value"].min() > 0


def test_what_is_said_of_a_method_is_of_one_that_papers_print_on_that_dataset():
    rows = published_rows()
    for dataset, method in (("FreiHAND", "METRO"), ("FreiHAND", "MeshGraphormer")):
        assert len(rows[(rows["dataset"] == dataset) & (rows["method"] == method)])
        assert "95 test-time passes" in about_method(dataset, method)[0]
    assert about_method("HO3Dv2", "METRO") == []
    assert about_method("FreiHAND", "FastMETRO") == []


def test_an_unknown_table_gets_a_suggestion():
    with pytest.raises(UsageError, match=r"did you mean 'clip-hand3d\.1'"):
        published_table("clip-hand-3d.1")
    assert {"clip-hand3d.1", "clip-hand.3", "clip-dg.4a", "dahyf.1", "deformer.6"} <= set(tables())


def test_what_papers_disagree_about_is_read_from_the_notes():
    rows = published_rows()
    disputed = rows[rows["note"].str.contains("papers disagree")]
    assert len(disputed) == 53
    for note in disputed["note"]:
        assert len(disagreement(note)) == note.count("): ") >= 2
    metro = cell("clip-hand3d.1", "METRO", "fps")["note"]
    assert disagreement(metro) == [("CLIP-Hand3D T1", "METRO", "4"), ("CLIP-Hand T3", "METRO", "19.55")]
    assert [text[:13] for text in remarks(metro)] == ["device not st", "printed venue"]
    assert remarks("") == []
    assert "'Hasson et al. (ObMan)', '11.1'" in str(disputed["note"].map(disagreement).tolist())
