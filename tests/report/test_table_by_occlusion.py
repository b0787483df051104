"""Tables of Deformer: published splits as columns of one row, measured figures by bucket, and what is missing."""

from __future__ import annotations

import csv

import pytest

from handbench.errors import UsageError
from handbench.evaluation.buckets import BUCKETS
from handbench.places import shipped
from handbench.report.latex import to_latex
from handbench.report.markdown import to_markdown
from handbench.report.spec import read_spec
from handbench.report.table import build_table, load_spec
from tests.report.test_table import PA, measured, record

OFFICIAL = "deformer-dexycb@1-0ff1c1a1"
SPLITS = ("S0 test, all", *(f"S0 test, occlusion {bin}%" for bin in ("25-50", "50-75", "75-100")))
METRICS = ("PA-MPJPE", "AUC of PA-MPJPE")


def lines(mpjpe, auc, n):
    """The summary of n samples, with figures beside the table's own."""
    figures = (("mpjpe", "root", 99.0), ("mpjpe", PA, mpjpe), ("auc", "root", 0.01), ("auc", PA, auc))
    return [
        {"metric": metric, "alignment": alignment, "unit": "", "value": value, "n": n,
         "interval": [None, None] if value is None else [value * 0.9, value * 1.1]}
        for metric, alignment, value in figures
    ]  # fmt: skip


def by_bucket(*values, unknown=0):
    """(mpjpe, auc, n) of each of the four buckets, the empty ones as an evaluation has them."""
    names = [name for name, _, _ in BUCKETS]
    found = {
        name: {"range": [], "n": value[2], "summary": lines(*value)} for name, value in zip(names, values, strict=True)
    }
    return found | ({"unknown": {"range": None, "n": unknown, "summary": []}} if unknown else {})


COVERED = by_bucket((5.0, 0.9, 1400), (6.25, 0.8754, 60), (7.126, 0.85, 40), (None, None, 0))


def made(buckets=COVERED, protocol_id=OFFICIAL, whole=(5.126, 0.8976), **row):
    one = record(protocol_id, 1500, name="deformer-dexycb", method="deformer", **row)
    return one | {"summary": lines(*whole, 1500), "per_bucket": buckets}


def table(*results, name="deformer.1"):
    return build_table(load_spec(name), results, (), official=OFFICIAL)


@pytest.mark.parametrize("number", ["1", "4", "5"])
def test_every_published_figure_is_in_its_table_and_nothing_else(number):
    with shipped("results", "published", "deformer.csv").open() as file:
        printed = [row for row in csv.DictReader(file) if row["table"] == f"T{number}"]
    wanted: dict[str, dict] = {}
    for row in printed:
        wanted.setdefault(row["method"].removesuffix(" (Ours)"), {})[row["split"], row["metric"]] = row["value"]
    (section,) = table(name=f"deformer.{number}").sections
    assert [row.name.rsplit(" (", 1)[0] for row in section.rows] == list(wanted)
    places = [(split, metric) for split in SPLITS for metric in METRICS]
    for row, figures in zip(section.rows, wanted.values(), strict=True):
        assert figures.keys() == set(places)
        # AUC is printed in percent, to a tenth
        expected = [
            v if m == "PA-MPJPE" else f"{float(v) / 100:.3f}" for (_, m), v in ((p, figures[p]) for p in places)
        ]
        assert [cell.text for cell in row.cells] == expected
    assert sum(len(row.cells) for row in section.rows) == len(printed)


def test_rows_say_their_input_in_the_order_of_the_paper():
    (section,) = table().sections
    assert [row.input for row in section.rows] == ["Depth"] + ["Monocular"] * 5 + ["Sequence"] * 4
    assert "| A2J (ICCV 2019)¹ " in to_markdown(table())
    assert "| Input " in to_markdown(table())
    assert "& Input &" in to_latex(table())


def test_a_measured_row_has_its_buckets_with_intervals_and_counts():
    built = table(made())
    (row,) = measured(built)
    assert [cell.text for cell in row.cells] == ["5.13", "0.898", "6.25", "0.875", "7.13", "0.850", "-", "-"]
    assert [cell.interval for cell in row.cells[2:4]] == ["[5.62, 6.88]", "[0.788, 0.963]"]
    said = [built.footnotes[mark - 1] for mark in row.marks]
    assert "Samples by covered share: 0-25 % 1,400, 25-50 % 60, 50-75 % 40, 75-100 % 0." in said
    for cell in row.cells[6:]:
        assert [built.footnotes[mark - 1] for mark in cell.marks] == ["No sample of the truth is covered by 75-100 %."]


def test_rows_of_one_truth_share_the_footnote_on_its_counts():
    built = table(made(), made(variant="agg_center"), made(by_bucket(*[(5.0, 0.9, 375)] * 4), "deformer-dexycb@1-b"))
    assert len([text for text in built.footnotes if text.startswith("Samples by covered share")]) == 2


@pytest.mark.parametrize(
    "buckets", [{}, by_bucket(*[(None, None, 0)] * 4, unknown=1500)], ids=["no column", "nothing in it"]
)
def test_a_truth_without_masks_has_the_whole_and_says_why_no_buckets(buckets):
    built = table(made(buckets))
    (row,) = measured(built)
    assert [cell.text for cell in row.cells] == ["5.13", "0.898", *["-"] * 6]
    (mark,) = {mark for cell in row.cells[2:] for mark in cell.marks}
    assert "for want of masks" in built.footnotes[mark - 1]


def test_samples_of_which_it_is_not_known_are_counted_apart():
    built = table(made(by_bucket(*[(5.0, 0.9, 300)] * 4, unknown=300)))
    assert any(text.endswith("75-100 % 300, unknown 300.") for text in built.footnotes)


def test_measured_buckets_take_no_part_in_best_and_second_best():
    """They are not of the frames of the papers' bins."""
    built = table(made(by_bucket(*[(1.0, 0.99, 375)] * 4), whole=(1.0, 0.99)))
    (row,) = measured(built)
    assert [cell.rank for cell in row.cells] == ["best", "best", *[""] * 6]
    ours = next(row for row in built.sections[0].rows if row.name.startswith("Deformer"))
    assert [cell.rank for cell in ours.cells] == ["second"] * 2 + ["best"] * 6


def test_several_seeds_have_mean_and_spread_in_every_bucket():
    other = by_bucket((5.0, 0.9, 1400), (7.25, 0.8754, 60), (7.126, 0.85, 40), (None, None, 0))
    built = table(made(seed=0), made(other, seed=1))
    (row,) = measured(built)
    # 6.25 and 7.25: deviations of a half, squares 0.5 over n - 1 = 1
    assert (row.cells[2].text, row.cells[2].interval) == ("6.75", "± 0.71")
    assert (row.cells[4].text, row.cells[4].interval) == ("7.13", "± 0.00")
    assert row.cells[6].text == "-"
    assert any("25-50 % 60" in built.footnotes[mark - 1] for mark in row.marks)


def test_seeds_that_were_scored_by_other_buckets_are_not_made_one():
    first, second = measured(table(made(seed=0), made({}, seed=1)))
    assert first.cells[2].text != "-"
    assert [cell.text for cell in second.cells] == ["5.13", "0.898", *["-"] * 6]


def test_neighbours_of_a_group_share_a_head():
    built = table(made())
    assert "All: PA-MPJPE ↓ (mm)" in to_markdown(built)
    body = to_latex(built, standalone=True)
    assert body.startswith(r"\documentclass[landscape]{article}")
    assert body.count(r"\multicolumn{2}{c}{25-50 \%}") == 1
    assert r"\cmidrule(l){4-5}\cmidrule(l){6-7}\cmidrule(l){8-9}\cmidrule(l){10-11}" in body


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ('bucket = "25-50 %"', 'bucket = "25-50%"', "did you mean '25-50 %'"),
        ('split = "S0 test, all"', 'split = "S0 test, al"', "did you mean 'S0 test, all'"),
        ('published = "auc/pa"\n', "", "a column with a split says of what"),
        (
            'measured = { metric = "auc", alignment = "procrustes-official" }\n',
            "",
            "with a bucket says of what",
        ),
    ],
)
def test_a_column_that_cannot_be_is_an_error(old, new, match, tmp_path):
    path = tmp_path / "a.toml"
    path.write_text(shipped("recipes", "tables", "deformer.1.toml").read_text().replace(old, new))
    with pytest.raises(UsageError, match=match):
        read_spec(path)
