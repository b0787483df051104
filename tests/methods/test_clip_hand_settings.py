"""CLIP-Hand's settings: what is refused, what a record says, and the recipes."""

from __future__ import annotations

import csv

import pytest
from pydantic import ValidationError

from handbench import places
from handbench.errors import MissingError, UsageError
from handbench.methods import find
from handbench.methods.clip_hand.config import ClipHandConfig
from handbench.recipe import load_recipe, variants
from tests.methods.clip_hand_tiny import WITHOUT_LANGUAGE, build, settings, write_templates


@pytest.fixture(scope="module")
def templates(tmp_path_factory):
    return write_templates(tmp_path_factory.mktemp("templates") / "gestures.json")


# --- bad input ------------------------------------------------------------------------------------------------------


def test_a_batch_of_one_is_refused_by_the_contrast_only(hand, templates):
    with pytest.raises(UsageError, match="other images in a batch"):
        build(hand, templates, train=False).check_batch(1)
    build(hand, templates, train=False).check_batch(2)
    build(hand, templates, train=False, **WITHOUT_LANGUAGE).check_batch(1)


def test_absent_weights_are_said_with_what_does_without(hand, templates, home):
    with pytest.raises(MissingError) as caught:
        build(hand, templates, clip={"weights": "openai"})
    assert "model.clip.weights=random" in str(caught.value.hint)
    with pytest.raises(MissingError) as caught:
        build(hand, templates, backbone={"weights": "imagenet"})
    assert "potter-s4-imagenet.safetensors" in str(caught.value)
    assert "model.backbone.weights=none" in str(caught.value.hint)


def test_the_record_says_which_weights_went_in(hand, templates):
    assert build(hand, templates, train=False).weights == {
        "clip": "random",
        "imagenet": "none",
        "templates": "gestures.json",
    }
    assert build(hand, templates, train=False, **WITHOUT_LANGUAGE).weights["clip"] == "off"
    assert build(hand, templates, train=False, clip={"weights": "/a/b.safetensors"}).weights["clip"] == "b.safetensors"
    # labels are wanted by the contrast alone
    assert build(hand, templates, train=False).labels == ("background", "gesture")
    assert build(hand, templates, train=False, **WITHOUT_LANGUAGE).labels == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hfa": {"enabled": False}}, "mhf.enabled=false"),
        ({"backbone": {"dims": (64, 128, 320, 500)}}, "multiples of 32"),
        ({"pat": (0, 1, 1, 1)}, "greater than 0"),
        ({"mted": {"width": 100}}, "heads"),
        ({"pj": {"width": 30}}, "pj.heads"),
    ],
)
def test_a_model_that_contradicts_itself_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        ClipHandConfig.model_validate(changes)


# --- the recipes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["clip-hand-s12", "clip-hand-s24"])
def test_every_variant_is_a_valid_model_at_every_size(method):
    for variant in variants(method):
        for size in ("full", "small", "tiny"):
            recipe = load_recipe(method, variant.name, size)
            config = find(method).Config.model_validate(recipe.model)
            assert size == "full" or (config.backbone.weights, config.clip.weights) == ("none", "random")
    full = load_recipe(method)
    openai = {"backbone": {"weights": "imagenet"}}
    assert find(method).Config.model_validate(full.model) == find(method).Config.model_validate(openai)
    assert (full.train.optimiser, full.train.lr, full.train.epochs, full.train.batch) == ("adamw", 1e-4, 120, 8)


def test_the_rows_of_the_papers_tables_are_variants():
    with places.shipped("results", "published", "clip-hand.csv").open() as file:
        printed = {(row["table"][1:], row["method"].split(" | ")[-1]) for row in csv.DictReader(file)}
    own = {row for row in printed if row[0] == "5" or (row[0] in "34" and row[1].startswith("CLIP-Hand"))}
    named = {(r.table, r.row) for m in ("clip-hand-s12", "clip-hand-s24") for v in variants(m) for r in v.rows}
    assert named == own
    # the last row of the ablation is the whole method
    assert settings("g_pj") == settings("full") == {}
