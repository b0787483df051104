"""clip-dg: every row of its tables 3 to 6 is a named variant, and every variant trains."""

from __future__ import annotations

import csv
import json

import pytest
import torch

from handbench import places
from handbench.inference.checkpoint import read_checkpoint
from handbench.recipe import load_recipe, variants

TABLES = ("4a", "4b", "5", "6")
QUICK = ("data.limit=32", "train.epochs=1", "train.workers=0")
# the paper's own settings, in the rows of its tables that are its whole model
WHOLE = {"w06", "ie_te_concat", "l3_01"}


@pytest.fixture(scope="module")
def named():
    return variants("clip-dg")


def test_the_rows_of_the_tables_are_variants_and_the_other_way_round(named):
    with places.shipped("results", "published", "clip-dg.csv").open() as file:
        printed = {(row["table"][1:], row["method"].split(" | ")[-1]) for row in csv.DictReader(file)}
    rows = {(row.table, row.row) for variant in named for row in variant.rows}
    assert rows <= printed
    assert {row for row in printed if row[0] in TABLES} <= rows
    # of table 3 all but the other authors' row
    assert printed - rows == {("3", "Zhang et al. (causal, generative interventions)")}
    assert all(variant.rows or variant.note for variant in named)
    # a dot joins variant and size in names of files
    assert not any("." in variant.name for variant in named)


def test_a_variant_changes_what_it_says(named):
    whole = load_recipe("clip-dg").model
    assert {v.name for v in named if load_recipe("clip-dg", v.name).model == whole} == {"full"} | WHOLE
    for variant in named:
        own = load_recipe("clip-dg", variant.name)
        assert (own.data, own.train) == (load_recipe("clip-dg").data, load_recipe("clip-dg").train)
        for key, value in variant.switches.items():
            at = {"model": own.model}
            for word in key.split("."):
                at = at[word]
            assert at == value, (variant.name, key)


def test_every_variant_trains_at_size_tiny(handbench, home, named):
    assert handbench("prep", "handsynth-small", "--split", "train", "--limit", "40").code == 0
    sets = [word for setting in QUICK for word in ("--set", setting)]
    digests = set()
    for variant in named:
        train = ("train", "clip-dg", "--variant", variant.name, "--size", "tiny", "--data", "handsynth-small")
        ran = handbench(*train, "--device", "cpu", *sets)
        assert ran.code == 0, (variant.name, ran.err)
        assert ("no lower bound" in ran.err) == (variant.name == "con_paper")
        run = home / "train" / "clip-dg" / f"{variant.name}.tiny" / "0"
        record = read_checkpoint(run / "best.pt", method="clip-dg")
        assert all(torch.isfinite(value).all() for value in record["state"].values() if value.is_floating_point())
        plain = variant.name in ("baseline", "normal_aug")
        assert record["weights"] == {"clip": "off" if plain else "random"}
        logged = json.loads((run / "log.jsonl").read_text().splitlines()[-1])
        assert ("loss/contrast" in logged) == (variant.name != "baseline")
        digests.add(record["about"]["recipe_digest"])
    assert len(digests) == len(named)


def test_two_runs_from_one_seed_are_the_same(handbench, tmp_path):
    """Prompts and augmentations are drawn from the generator that a checkpoint keeps."""
    assert handbench("prep", "handsynth-small", "--split", "train", "--limit", "20").code == 0
    for variant in ("full", "normal_aug"):
        logs = []
        for name in ("one", "two"):
            command = ("train", "clip-dg", "--variant", variant, "--size", "tiny", "--data", "handsynth-small")
            sets = ("--set", "train.epochs=1", "--set", "train.workers=0", "--set", "train.batch=8")
            out = tmp_path / f"{variant}-{name}"
            assert handbench(*command, "--device", "cpu", *sets, "--out", out).code == 0
            logs.append((out / "log.jsonl").read_text())
        assert logs[0] == logs[1]


def test_bad_beginnings_are_said(handbench, home):
    assert handbench("prep", "handsynth-small", "--split", "train", "--limit", "20").code == 0
    ran = handbench("train", "clip-dg", "--data", "handsynth-small", "--device", "cpu")
    assert ran.code == 3
    assert str(home / "data/clip-vit-b-32.safetensors") in ran.err
    assert "model.clip.weights=random" in ran.err
    tiny = ("train", "clip-dg", "--size", "tiny", "--data", "handsynth-small", "--device", "cpu")
    ran = handbench(*tiny, "--set", "train.batch=1")
    assert ran.code == 2
    assert "other images" in ran.err
