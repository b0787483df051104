"""Tables: unlike numbers never share a section, and every row says what it is."""

from __future__ import annotations

import re

import pytest

from handbench.errors import UsageError
from handbench.places import shipped
from handbench.report.markdown import to_markdown
from handbench.report.spec import read_spec
from handbench.report.table import build_table, load_spec, official_ids, table_names
from tests.report.test_speed_figures import timing

OFFICIAL = "freihand@1-0ff1c1a1"
PA = "procrustes-official"
GOOD = {"mpjpe": 6.58, "mpvpe": 6.1, "f@5": 0.9, "f@15": 0.99}
TRAINED = {"clip": "openai", "imagenet": "timm"}
RANDOM = {"clip": "random", "imagenet": "none"}


def record(protocol_id=OFFICIAL, n=3960, values=GOOD, name="freihand", alignment=PA, given=(), **row):
    row = {"method": "clip-hand3d", "variant": "full", "size": "full", "seed": 0, "weights": TRAINED, **row}
    summary = [
        {"metric": m, "alignment": alignment, "unit": "", "value": v, "n": n,
         "interval": [None, None] if v is None else [v * 0.99, v * 1.01]}
        for m, v in values.items()
    ]  # fmt: skip
    return {
        "protocol": {"name": name, "version": 1, "id": protocol_id, "n_official": 3960}, "n": n, "summary": summary,
        "reflected": 0, "given": list(given), "warnings": [], "row": row, "provenance": {"truth": "a & b"},
    }  # fmt: skip


def table(*results, name="1", speeds=()):
    return build_table(load_spec(name), results, speeds, official=OFFICIAL)


def measured(built):
    return [row for section in built.sections for row in section.rows if row.measured]


def test_the_published_rows_are_those_of_the_papers():
    built = table()
    (section,) = built.sections
    assert len(section.rows) == 17 + 9 + 18
    (ours,) = [row for row in section.rows if row.name == "CLIP-Hand3D (ACM MM 2023)"]
    assert [cell.text for cell in ours.cells] == ["6.6", "6.7", "0.728", "0.981", "77"]
    assert ours.source == "CLIP-Hand3D T1"
    (dahyf,) = [row for row in section.rows if row.name.startswith("DaHyF")]
    assert [cell.text for cell in dahyf.cells] == ["4.0", "4.7", "0.848", "0.998", "-"]
    assert [cell.rank for cell in dahyf.cells] == ["best"] * 4 + [""]
    assert len(table(name="clip-hand3d.1").sections[0].rows) == 17


def test_the_official_id_is_the_protocols_own():
    spec = load_spec("1")
    (ours,) = official_ids(spec)
    assert re.fullmatch(r"freihand@1-[0-9a-f]{8}", ours)
    (section,) = build_table(spec, [record(ours)]).sections
    assert section.rows[-1].measured


def test_rows_of_different_protocols_never_share_a_section():
    built = table(
        record(),
        record("freihand@1-aaaa", 120),
        record("freihand@1-bbbb", 120),
        record("freihand@1-aaaa", 120, size="tiny"),
    )
    assert [section.protocol_id for section in built.sections] == [OFFICIAL, "freihand@1-aaaa", "freihand@1-bbbb"]
    assert [len([r for r in s.rows if r.measured]) for s in built.sections] == [1, 2, 1]
    for section in built.sections[1:]:
        assert not any(not row.measured for row in section.rows)
        assert "Not comparable with the rows above" in section.sentence
        assert "120 of the 3,960" in section.sentence
        assert not any(cell.rank for row in section.rows for cell in row.cells)


def test_synthetic_truth_of_full_length_stands_apart():
    synthetic = record("freihand@1-cccc") | {"truth": {"partial": False, "source": "a synthetic hand"}}
    first, second = table(synthetic).sections
    assert not any(row.measured for row in first.rows)
    assert "the truth is of a synthetic hand" in second.sentence


def test_another_protocols_results_are_left_out():
    assert not measured(table(record("ho3d@1-aaaa", name="ho3d")))


def test_a_measured_row_says_what_it_is():
    given = record(given=["box", "root"]) | {"reflected": 3, "suspicions": ["units look like cm"]}
    built = table(given, record(size="tiny", weights=RANDOM), record(variant="wo_clip", seed=1))
    first, second, third = measured(built)
    assert (first.name, first.source) == ("clip-hand3d", "measured, n = 3,960")
    assert (first.cells[0].text, first.cells[0].interval) == ("6.58", "[6.51, 6.65]")
    said = " ".join(built.footnotes[mark - 1] for mark in first.marks)
    assert "box, root" in said
    assert "3 of 3,960" in said
    assert "units look like cm" in said
    assert second.name == "clip-hand3d tiny (random CLIP, scratch)"
    assert "says nothing about the published method" in built.footnotes[second.marks[0] - 1]
    assert third.name == "clip-hand3d wo_clip seed 1"


def test_ranking_marks_are_off_for_random_weights():
    perfect = {"mpjpe": 1.0, "mpvpe": 1.0, "f@5": 1.0, "f@15": 1.0}
    (row,) = measured(table(record(values=perfect, weights=RANDOM)))
    assert not any(cell.rank for cell in row.cells)
    assert "best" in {
        cell.rank for row in table(record(values=perfect, weights=RANDOM)).sections[0].rows for cell in row.cells
    }
    (row,) = measured(table(record(values=perfect)))
    assert [cell.rank for cell in row.cells] == ["best"] * 4 + [""]


def test_a_row_on_the_synthetic_hand_is_not_ranked_on_official_files_and_says_so():
    for source, ranked in (("official files", False), ("handbench HandSynth v1", True)):
        one = record(hand_model="synthetic 1234") | {"provenance": {"truth": {"source": source}}}
        built = table(one)
        (row,) = measured(built)
        assert row.ranked == ranked
        assert any("synthetic hand in place of MANO" in note for note in built.footnotes) != ranked
    (row,) = measured(table(record(hand_model="mano 1234")))
    assert row.ranked


def test_a_threshold_of_nought_is_a_threshold():
    built = table(record(hold=0.0, frames_held=17))
    (row,) = measured(built)
    assert row.name == "clip-hand3d held 0.0"
    assert any("17 of 3,960 frames" in note for note in built.footnotes)


def test_more_digits_do_not_win():
    """5.86 measured is not better than 5.9 printed."""
    built = table(record(values={"mpjpe": 5.86}))
    ranks = {row.name: row.cells[0].rank for row in built.sections[0].rows}
    assert ranks["clip-hand3d"] == ranks["MeshGraphormer (ICCV 2021)"] == "second"


def test_what_is_missing_is_a_dash():
    (row,) = measured(table(record(values={"mpjpe": None, "mpvpe": float("nan")})))
    assert [cell.text for cell in row.cells] == ["-"] * 5
    assert [cell.value for cell in row.cells] == [None] * 5
    line = next(line for line in to_markdown(table(record(values={}))).splitlines() if "measured, n" in line)
    assert [part.strip() for part in line.split("|")[3:-1]] == ["-"] * 5
    assert " 0 " not in line


def test_other_alignments_do_not_fill_a_column():
    (row,) = measured(table(record(alignment="procrustes")))
    assert all(cell.text == "-" for cell in row.cells)


def test_a_measured_frame_rate_names_its_device():
    speed = {
        "method": "clip-hand3d", "variant": "full", "size": "full", "tier": "T1", "batch": 1, "fps": 61.26,
        "device": "A & B 2000", "p50_ms": 16.3,
    }  # fmt: skip
    others = [
        speed | {"batch": 8, "fps": 400.0},
        speed | {"mode": "cuda-graph", "precision": "fp32", "fps": 300.0},
        speed | {"mode": "eager", "precision": "bf16", "fps": 200.0},
        speed | {"tier": "T2", "fps": 9.0},
        speed | {"size": "tiny", "fps": 99.0},
    ]
    speed |= {
        "machine": {"threads": 2, "torch": "2.13.0"},
        "processes": 5,
        "effort": "strict",
        "warnings": ["throttled"],
    }
    built = table(record(), speeds=[*others, speed])
    (row,) = measured(built)
    assert row.cells[4].text == "61.3"
    condition, warned = (built.footnotes[mark - 1] for mark in row.cells[4].marks)
    assert "A & B 2000" in condition
    assert "threads: 2, torch 2.13.0, processes: 5, strict run" in condition
    assert warned == "Warned: throttled."
    assert "cannot be compared" in built.footnotes[built.heads[4].marks[0] - 1]
    assert not any(row.cells[4].rank for row in built.sections[0].rows)


@pytest.mark.parametrize(
    ("alignment", "given", "apart"),
    [
        ("none", ["root"], True),
        ("none", ["box"], False),
        ("none", None, True),
        ("root", ["root"], False),
        ("root", ["root depth"], True),
        ("root", ["scale"], True),
        ("procrustes-official", ["scale"], False),
        ("procrustes-official", None, False),
    ],
)
def test_rows_that_were_given_what_an_error_gains_from_stand_apart(tmp_path, alignment, given, apart):
    recipe = shipped("recipes", "tables", "1.toml").read_text().replace(
        'metric = "mpjpe", alignment = "procrustes-official"', f'metric = "mpjpe", alignment = "{alignment}"'
    )  # fmt: skip
    path = tmp_path / "unaligned.toml"
    path.write_text(recipe)
    one = record(alignment=alignment, size="small") | {"given": given}
    built = build_table(read_spec(path), [record(alignment=alignment), one], official=OFFICIAL)
    assert [len([r for r in s.rows if r.measured]) for s in built.sections] == ([1, 1] if apart else [2])
    if apart:
        assert "given the hand's place or scale" in built.sections[1].title


def test_a_shipped_table_sets_apart_what_its_root_aligned_errors_gain_from():
    own = {"name": "deformer-dexycb", "alignment": "root", "values": {"mpjpe": 1.0, "auc": 0.99}}
    built = table(record(**own), record(**own, size="small", given=["scale"]), name="deformer.2")
    best, apart = built.sections[0].rows[-1], built.sections[1].rows[0]
    assert best.cells[0].rank == "best"
    assert apart.cells[0].rank == ""


@pytest.mark.parametrize("name", ["dahyf.4", "clip-dg.3", "clip-hand3d.2", "clip-hand.4", "7", "2", "8"])
def test_where_papers_do_not_say_what_they_measure_no_measured_figure_is_best(name):
    spec = load_spec(name)
    unlike = [i for i, column in enumerate(spec.columns) if column.unlike]
    assert unlike
    for at in unlike:
        column = spec.columns[at]
        better = 0.001 if column.better == "lower" else 0.9999
        own = {"name": spec.protocol_of(column), "values": {column.measured.metric: better}}
        built = table(record(**own, alignment=column.measured.alignment, given=["box"]), name=name)
        row = built.sections[0].rows[-1]
        assert row.measured
        assert row.cells[at].value is not None
        assert row.cells[at].rank == ""
        assert any(other.cells[at].rank == "best" for other in built.sections[0].rows)


def test_a_whole_result_of_a_list_with_gaps_joins_the_published_rows():
    """DexYCB leaves out the frames without a hand: only its truth knows the ids."""
    from handbench.evaluation.protocol import load

    protocol = load("deformer-dexycb")
    whole = record("deformer-dexycb@1-1111", 78_768, name="deformer-dexycb", alignment="root")
    whole["protocol"] |= {"complete": True, "definition": protocol.definition()}
    (section,) = build_table(load_spec("6"), [whole]).sections
    assert section.rows[-1].measured
    for changed in ({"complete": False}, {"definition": protocol.definition() | {"unit": "m"}}):
        other = {**whole, "protocol": whole["protocol"] | changed}
        assert len(build_table(load_spec("6"), [other]).sections) == 2
    # the frames of the ablations were never published: nothing measured can join them
    ablation = load("clip-hand3d-ablation")
    own = record("clip-hand3d-ablation@1-1111", 13_024, name="clip-hand3d-ablation")
    own["protocol"] |= {"complete": True, "definition": ablation.definition()}
    assert len(build_table(load_spec("clip-hand3d.3"), [own]).sections) == 2


def with_digest(digest, **changed):
    one = record(**changed)
    return {**one, "provenance": {"predictions_digest": digest}}


def test_one_result_twice_is_one_row_and_does_not_stop_seeds_from_being_averaged():
    copy = with_digest("a") | {"provenance": {"predictions_digest": "a", "read from": "lab/a.h5"}}
    built = table(with_digest("a"), copy)
    (row,) = measured(built)
    assert row.source.startswith("measured, n")
    runs = [with_digest(digest, seed=seed) for seed, digest in enumerate("abc")]
    (row,) = measured(table(*runs, copy))
    assert "of 3 seeds" in row.source


def test_two_results_of_one_row_are_both_shown_and_it_is_said():
    other = with_digest("b") | {"provenance": {"predictions_digest": "b", "read from": "lab/a.h5"}}
    built = table(with_digest("a"), other)
    own, theirs = measured(built)
    notes = {row.source: [built.footnotes[mark - 1] for mark in row.marks] for row in (own, theirs)}
    assert all(
        any("Rows of this name are of different predictions" in text for text in said) for said in notes.values()
    )
    assert theirs.source.startswith("measured elsewhere, n")
    assert any("read from lab/a.h5" in text for text in notes[theirs.source])
    assert own.source.startswith("measured, n")


# ---- footnotes


@pytest.mark.parametrize("name", [name for name in table_names() if load_spec(name).protocols])
def test_footnotes_are_numbered_as_they_come_and_said_once(name):
    own = {"name": load_spec(name).protocols[0]}
    results = [record(**own), record("another@1-aaaa", 9, weights=RANDOM, **own), record(weights=RANDOM, **own)]
    built = table(*results, name=name)
    assert len(measured(built)) == 3
    seen = [mark for head in built.heads for mark in head.marks]
    for section in built.sections:
        for row in section.rows:
            seen += [*row.marks, *(mark for cell in row.cells for mark in cell.marks)]
    assert list(dict.fromkeys(seen)) == list(range(1, len(built.footnotes) + 1))
    assert len(set(built.footnotes)) == len(built.footnotes)


def test_a_printed_count_that_does_not_follow_is_said_to():
    built = table(name="clip-hand.3")
    (row,) = [row for row in built.sections[0].rows if "S24" in row.name]
    flops = row.cells[[head.label for head in built.heads].index("FLOPs")]
    assert flops.text == "34.89"
    notes = [built.footnotes[mark - 1] for mark in (*flops.marks, *row.marks)]
    assert any("about 35.6 G" in note for note in notes)


def test_measured_counts_are_of_inference_and_have_no_device(tmp_path, capsys):
    from handbench.report.speeds import read_speeds
    from handbench.store.records import write_json

    cost = {"parameters": 31_000_000, "training_only": 1_000_000, "macs": 34_000_000_000}
    speed = timing("clip-hand3d", fps=20.0, cost=cost)
    del speed["recipe"]
    write_json(tmp_path / "speed-x.json", speed)
    # what lacks something that is printed or drawn is left out, and not half read
    for lacking in ("made", "machine", "samples_wall_ms", "cost"):
        write_json(tmp_path / f"speed-{lacking}.json", {key: speed[key] for key in speed if key != lacking})
    speeds = read_speeds(tmp_path)
    assert len(speeds) == 1
    assert capsys.readouterr().err.count("is no speed record and is left out") == 4
    (row,) = measured(table(record(), name="clip-hand.3", speeds=speeds))
    assert [(cell.text, bool(cell.marks)) for cell in row.cells[2:]] == [
        ("20.0", True),
        ("30.00", False),
        ("34.00", False),
    ]


def test_rows_of_one_method_share_the_footnote_on_what_papers_disagree_about():
    built = table()
    metro = [row for row in built.sections[0].rows if row.name.startswith("METRO")]
    assert len(metro) == 3
    shared = [built.footnotes[mark - 1] for mark in set.intersection(*(set(row.marks) for row in metro))]
    assert len(shared) == 2
    assert any("95 test-time passes" in text for text in shared)
    (text,) = [text for text in shared if text.startswith("Papers disagree")]
    assert "PA-MPJPE 6.7 (CLIP-Hand3D T1), 6.8 (CLIP-Hand T3), 6.3 (DaHyF T1)" in text
    assert "F@5 0.717 (CLIP-Hand3D T1), 0.731 (DaHyF T1)" in text


# ---- recipes


@pytest.mark.parametrize("name", table_names())
def test_a_recipe_is_found_by_its_own_name(name):
    assert load_spec(name).name == name


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ('titel = "x"', "unknown key 'titel'; did you mean 'title'"),
        ("[[columns]]\nlabel = 'a'\nunits = 'mm'", "did you mean 'unit'"),
        ("[[published]]\ntable = 'clip-hand3d.1'\ndataset = 'F'\nsplits = 'a'", "did you mean 'split'"),
        ("[[published]]\ntable = 'clip-hand3d.11'\ndataset = 'F'", "did you mean"),
        (
            "[[columns]]\nlabel='a'\nunit='mm'\nbetter='lower'\ndecimals=1\npublished='pa-mpjp'",
            "did you mean 'pa-mpjpe'",
        ),
        ("[[columns]]\nlabel='a'\nunit='mm'\nbetter='down'\ndecimals=1", "better"),
        ("name = ", "not TOML"),
        ('like = "deformer.11"', "did you mean"),
    ],
)
def test_an_unknown_key_is_an_error(line, match, tmp_path):
    text = shipped("recipes", "tables", "1.toml").read_text()
    path = tmp_path / "a.toml"
    path.write_text(text + "\n" + line if line.startswith("[[") else line + "\n" + text)
    with pytest.raises(UsageError, match=match):
        read_spec(path)


def test_a_table_takes_from_another_what_it_does_not_say():
    own, other = load_spec("5"), load_spec("deformer.1")
    assert own.title == "DexYCB S0 test by occlusion"
    assert own.model_copy(update={"name": other.name, "title": other.title}) == other


def test_an_unknown_table_gets_a_suggestion():
    with pytest.raises(UsageError, match=r"did you mean 'clip-hand3d\.1'"):
        load_spec("clip-hand3d1")
