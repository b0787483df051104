"""Every row of the papers' ablation tables is a named variant, and every variant trains."""

from __future__ import annotations

import csv
import json
import os
import re
from collections import defaultdict

import pytest
import torch

from handbench import places
from handbench.inference.checkpoint import read_checkpoint
from handbench.recipe import load_recipe, variants

METHODS = {
    "clip-hand3d": ("3", "4", "5", "6"),
    "dahyf": ("4",),
    "clip-hand-s12": (),
    "clip-hand-s24": ("5",),
    "deformer": ("4", "5", "6"),
}
PAPERS = {"clip-hand-s12": "clip-hand", "clip-hand-s24": "clip-hand"}
# how a method's own rows are called among those of others
OWN = {"clip-hand-s12": "CLIP-Hand-cls-S12", "clip-hand-s24": "CLIP-Hand-cls-S24"}
# what the paper trains once and has in several rows
ALIKE = {
    "clip-hand3d": [{"full", "B32", "N21", "speed_full", "speed_pose", "speed_mesh"}],
    "clip-hand-s24": [{"full", "g_pj"}],
    "deformer": [{"full", "agg_dynamic", "maxmse_disc", "stride1"}],
}
# what is trained on where it is not HandSynth: tracks for methods of windows
DATA = {"deformer": "handsynth-video-small"}
# one or two steps of whole batches of small pictures; B32 contrasts 32 pairs
QUICK = ("data.limit=32", "train.epochs=1", "train.pretrain_epochs=0", "train.workers=0", "model.input=64")
# neighbours one frame apart: eight frames hold whole windows
WINDOWS = ("data.limit=8", "model.gap=1", *QUICK[1:])


@pytest.mark.parametrize("method", METHODS)
def test_the_rows_of_the_ablation_tables_are_variants_and_the_other_way_round(method):
    with places.shipped("results", "published", f"{PAPERS.get(method, method)}.csv").open() as file:
        printed = {(row["table"].removeprefix("T"), row["method"].split(" | ")[-1]) for row in csv.DictReader(file)}
    named = {(row.table, row.row) for variant in variants(method) for row in variant.rows}
    assert named <= printed
    assert {row for row in printed if row[0] in METHODS[method]} <= named
    # and the method's own rows among those of others
    assert {row for row in printed if OWN.get(method, "Ours") in row[1]} <= named
    # a variant that is in no table says what it is
    assert all(variant.rows or variant.note for variant in variants(method))


def test_the_list_is_one_of_names_rows_and_switches(handbench):
    ran = handbench("train", "dahyf", "--list-variants", "--json", "-")
    assert ran.code == 0
    listed = {entry["name"]: entry for entry in json.loads(ran.out)}
    assert listed["baseline"]["table"] == "4"
    assert listed["baseline"]["row"] == "Baseline"
    assert listed["baseline"]["switches"]["model.joint2d"] == "none"
    assert listed["w64_ho3dv3_ft3"]["switches"]["data.train"] == "ho3d-v3"
    assert listed["no_log_sigma"]["row"] is None
    ran = handbench("train", "clip-hand3d", "--list-variants")
    assert ran.code == 0
    assert "table 3: w/o CLIP; table 4: CLIP batch baseline" in ran.out


def test_a_variant_changes_what_it_says_and_nothing_else():
    for method in METHODS:
        whole = load_recipe(method).model_dump()
        for variant in variants(method):
            own = load_recipe(method, variant.name).model_dump()
            changed = {
                f"{section}.{key}": value
                for section in ("model", "data", "train")
                for key, value in _flat(own[section]).items()
                if _flat(whole[section]).get(key) != value
            }
            # B32 and N21 are the paper's own settings
            assert changed.items() <= variant.switches.items(), variant.name
            assert {k: v for k, v in variant.switches.items() if k not in changed}.keys() <= {
                "model.clip.contrast_batch",
                "model.clip.n_joints",
                "train.batch",
            }


def test_no_two_variants_are_the_same_run_but_those_that_the_paper_has_twice():
    for method in METHODS:
        alike = defaultdict(set)
        for variant in variants(method):
            own = load_recipe(method, variant.name).model_dump(mode="json", exclude={"variant", "changed"})
            alike[json.dumps(own, sort_keys=True)].add(variant.name)
        assert [names for names in alike.values() if len(names) > 1] == ALIKE.get(method, [])


def _flat(section: dict, prefix: str = "") -> dict:
    found = {}
    for key, value in section.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


@pytest.mark.parametrize("method", METHODS)
def test_every_variant_trains_at_size_tiny(handbench, home, method):
    data, quick = DATA.get(method, "handsynth-small"), WINDOWS if method in DATA else QUICK
    assert handbench("prep", data, "--split", "train", "--limit", "40").code == 0
    sets = [word for setting in quick for word in ("--set", setting)]
    # one run of each; `test_no_two_variants_are_the_same_run` holds which are one
    again = {name for names in ALIKE.get(method, []) for name in sorted(names)[1:]}
    for variant in (one for one in variants(method) if one.name not in again):
        train = ("train", method, "--variant", variant.name, "--size", "tiny", "--data", data)
        ran = handbench(*train, "--device", "cpu", *sets)
        assert ran.code == 0, (variant.name, ran.err)
        best = home / "train" / method / f"{variant.name}.tiny" / "0" / "best.pt"
        record = read_checkpoint(best, method=method)
        assert all(torch.isfinite(value).all() for value in record["state"].values() if value.is_floating_point())
        about = record["about"]
        assert about["variant"] == variant.name
        if method in DATA and "center" not in variant.name and variant.name != "per_frame":
            logged = json.loads((best.parent / "log.jsonl").read_text().splitlines()[-1])
            assert logged["loss/motion_forward"] > 0, variant.name
        assert set(about["changed"]) >= set(quick)
        assert (about["init"] is not None) == (load_recipe(method, variant.name).train.init is not None)


@pytest.mark.parametrize("method", METHODS)
def test_it_trains_in_half_precision(handbench, home, method):
    data, quick = DATA.get(method, "handsynth-small"), WINDOWS if method in DATA else QUICK
    assert handbench("prep", data, "--split", "train", "--limit", "24").code == 0
    sets = [word for setting in (*quick, "train.precision=bf16-mixed") for word in ("--set", setting)]
    ran = handbench("train", method, "--size", "tiny", "--data", data, "--device", "cpu", *sets)
    assert ran.code == 0, ran.err


def test_what_was_changed_in_the_run_that_it_starts_from_is_changed_in_this_one(handbench, home):
    assert handbench("prep", "handsynth-small", "--split", "train", "--limit", "24").code == 0
    train = ("train", "dahyf", "--size", "tiny", "--data", "handsynth-small", "--device", "cpu")
    sets = [word for setting in QUICK for word in ("--set", setting)]
    assert handbench(*train, "--variant", "w64", *sets).code == 0
    start = home / "train/dahyf/w64.tiny/0/best.pt"
    about = {}
    for name, init in (("named", ()), ("given", ("--init", start))):
        out = home / name
        ran = handbench(*train, "--variant", "w64_ho3dv2_ft3", "--out", out, *init, *sets)
        assert ran.code == 0, ran.err
        about[name] = read_checkpoint(out / "best.pt")["about"]["changed"]
        assert "w64: train.epochs=1" in about[name]
    # the path that the recipe names, given by hand, is the recipe's own
    assert about["given"] == about["named"]
    ran = handbench(*train, "--variant", "w64", "--out", home / "other", "--init", start, *sets)
    assert ran.code == 0, ran.err
    assert any(text.startswith("--init w64 ") for text in read_checkpoint(home / "other/best.pt")["about"]["changed"])


def test_two_runs_from_one_seed_are_the_same(handbench, tmp_path):
    """DaHyF, with its patches beside the hand; `test_loop` has the rest."""
    assert handbench("prep", "handsynth-small", "--split", "train", "--limit", "24").code == 0
    logs = []
    for name in ("one", "two"):
        command = ("train", "dahyf", "--size", "tiny", "--data", "handsynth-small", "--device", "cpu")
        sets = ("--set", "train.epochs=2", "--set", "train.workers=0", "--set", "train.batch=8")
        assert handbench(*command, *sets, "--out", tmp_path / name).code == 0
        logs.append((tmp_path / name / "log.jsonl").read_text())
    assert logs[0] == logs[1]
    assert '"loss/lc"' in logs[0]


# --- what cannot be trained says so at once -------------------------------------------------------------------------


def test_bad_beginnings_are_said_with_the_setting_that_does_without(handbench, home, real_or_made_ge):
    """Ge et al.'s set has neither vertices nor MANO; there is no MANO file either."""
    tiny = ("--size", "tiny", "--data", "ge-realworld", "--device", "cpu")
    for method in METHODS:
        ran = handbench("train", method, *tiny)
        assert ran.code == 3
        assert "--hand synthetic" in ran.err
    ran = handbench("train", "clip-hand3d", *tiny, "--hand", "synthetic")
    assert ran.code == 4
    assert "no vertices" in ran.err
    assert "model.mesh_losses=false" in ran.err
    ran = handbench("train", "dahyf", *tiny, "--hand", "synthetic")
    assert ran.code == 4
    assert "no mano_pose and no mano_shape" in ran.err
    assert 'model.losses=["2d","3d","projected","bone"]' in ran.err
    ran = handbench("train", "deformer", *tiny, "--hand", "synthetic")
    assert ran.code == 4
    assert "has no tracks, and deformer looks at several frames" in ran.err
    sets = ["train.epochs=1", "data.limit=8", "train.batch=8", "train.workers=0"]
    sets.append('model.losses=["2d","3d","projected","bone"]')
    ran = handbench("train", "dahyf", *tiny, "--hand", "synthetic", *[w for s in sets for w in ("--set", s)])
    assert ran.code == 0, ran.err
    record = read_checkpoint(home / "train/dahyf/full.tiny/0/best.pt")
    assert record["about"]["hand_model"].startswith("synthetic ")


@pytest.fixture
def real_or_made_ge(handbench, home):
    data = os.environ["HANDBENCH_DATA"]
    assert handbench("synth", "ge-realworld", "--out", f"{data}/ge-realworld", "--n", "12", "--n-eval", "4").code == 0
    # as official files would be: without the mark, the synthetic hand is nobody's to take
    (home.parent / "data/ge-realworld/handbench-synthetic.json").unlink()
    assert handbench("prep", "ge-realworld", "--partial").code == 0


def test_a_batch_too_small_for_the_contrast_is_said_at_once(handbench):
    assert handbench("prep", "handsynth-small", "--split", "train", "--limit", "24").code == 0
    tiny = ("train", "clip-hand3d", "--size", "tiny", "--data", "handsynth-small", "--device", "cpu")
    ran = handbench(*tiny, "--set", "train.batch=8")
    assert ran.code == 2
    assert "model.clip.contrast_batch=8" in ran.err
    ran = handbench(*tiny, "--set", "train.batch=1")
    assert ran.code == 2
    assert "other images" in ran.err


def test_prompts_without_labels_are_refused_and_known_ones_are_counted(handbench, home):
    assert handbench("prep", "handsynth-small", "--split", "train", "--limit", "24").code == 0
    sets = [word for setting in QUICK for word in ("--set", setting)]
    train = ("train", "clip-hand-s12", "--size", "tiny", "--data", "handsynth-small", "--device", "cpu", *sets)
    assert handbench(*train).code == 0
    about = read_checkpoint(home / "train/clip-hand-s12/full.tiny/0/best.pt")["about"]
    assert re.fullmatch(r"[0-9a-f]{12}, known of \d+ of 22 training samples", about["labels"])
    side = home / "data/handsynth-small-train.labels.csv"
    header, *lines = side.read_text().splitlines()
    # a detector that found the gesture of one sample only
    rows = [f"{line.split(',')[0]},white,{'fist' if i == 0 else ''}" for i, line in enumerate(lines)]
    side.write_text("\n".join([header, *rows]) + "\n")
    ran = handbench(*train, "--restart")
    assert ran.code == 4
    assert "no prompts to tell apart" in ran.err
    assert "model.clip.enabled=false" in ran.err


def test_a_fine_tuning_without_what_it_starts_from_names_the_command(handbench):
    assert handbench("prep", "handsynth-small", "--split", "train", "--limit", "24").code == 0
    ran = handbench("train", "dahyf", "--variant", "w64_ho3dv2_ft3", "--size", "tiny", "--data", "handsynth-small")
    assert ran.code == 3
    assert "handbench train dahyf --variant w64 --size tiny" in ran.err


def test_weights_that_are_absent_are_named_with_their_path(handbench, home):
    assert handbench("prep", "handsynth-small", "--split", "train", "--limit", "24").code == 0
    ran = handbench("train", "dahyf", "--data", "handsynth-small", "--device", "cpu")
    assert ran.code == 3
    assert str(home / "data/resnet50-imagenet.safetensors") in ran.err
