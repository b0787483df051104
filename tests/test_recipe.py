"""The recipe language: recipe, size, variant, --set; and a suggestion for what is misspelt."""

from __future__ import annotations

import pytest

from handbench.errors import UsageError
from handbench.methods import find
from handbench.recipe import load_recipe, recipe_names
from handbench.sections import validated

OWN = """
method = "mean-pose"
[model]
depth = { layers = 2, width = 8 }
[train]
epochs = 7
batch = 4
[sizes.tiny.train]
epochs = 3
[sizes.tiny.model]
depth = { width = 4 }
[variants.longer.train]
epochs = 9
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    return path


def test_size_then_variant_then_set(own):
    assert load_recipe("own", path=own).train.epochs == 7
    assert load_recipe("own", size="tiny", path=own).train.epochs == 3
    assert load_recipe("own", "longer", "tiny", path=own).train.epochs == 9
    assert load_recipe("own", "longer", "tiny", ["train.epochs=1"], own).train.epochs == 1
    assert load_recipe("own", "longer", "tiny", path=own).label == "longer.tiny"


def test_sections_within_sections_are_merged_not_replaced(own):
    assert load_recipe("own", size="tiny", path=own).model == {"depth": {"layers": 2, "width": 4}}
    changed = load_recipe("own", sets=["model.depth.layers=5"], path=own)
    assert changed.model == {"depth": {"layers": 5, "width": 8}}


def test_a_set_value_is_toml_or_a_bare_word(own):
    recipe = load_recipe(
        "own", sets=["data.train=synthetic", "data.margin=1.25", "train.precision='bf16-mixed'"], path=own
    )
    assert (recipe.data.train, recipe.data.margin, recipe.train.precision) == ("synthetic", 1.25, "bf16-mixed")


def test_the_digest_tells_recipes_apart(own):
    digests = {load_recipe("own", sets=[f"train.epochs={n}"], path=own).digest() for n in (1, 2, 2)}
    assert len(digests) == 2


@pytest.mark.parametrize(
    ("sets", "message", "hint"),
    [
        (["train.epoch=1"], "unknown key 'train.epoch'", "'epochs'"),
        (["data.rotations=3"], "unknown key 'data.rotations'", "'rotation"),
        (["trian.epochs=1"], "no section 'trian'", "'train'"),
        (["train.epochs"], "not understood", "train.epochs=1"),
        (["train.epochs=-1"], "train.epochs: Input should be greater", ""),
        (["train.precision=fp8"], "train.precision: Input should be", ""),
    ],
)
def test_what_is_misspelt_gets_a_suggestion(own, sets, message, hint):
    with pytest.raises(UsageError) as error:
        load_recipe("own", sets=sets, path=own)
    assert message in error.value.message
    assert hint in error.value.message + error.value.hint


@pytest.mark.parametrize(("variant", "size", "hint"), [("wo_clipp", "full", "'wo_clip'"), ("full", "tinny", "'tiny'")])
def test_an_unknown_variant_or_size_gets_a_suggestion(variant, size, hint):
    with pytest.raises(UsageError) as error:
        load_recipe("clip-hand3d", variant, size)
    assert hint in error.value.message + error.value.hint


def test_an_unknown_recipe_gets_a_suggestion():
    with pytest.raises(UsageError) as error:
        load_recipe("clip-hand")
    assert "clip-hand3d" in error.value.hint


def test_an_unknown_model_key_gets_a_suggestion():
    recipe = load_recipe("clip-hand3d", sets=["model.clip.n_joint=5"])
    with pytest.raises(UsageError) as error:
        validated(find("clip-hand3d").Config, recipe.model, "The recipe", "model")
    assert "model.clip.n_joint" in error.value.message
    assert "n_joints" in error.value.message


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_is_valid_in_every_size_and_variant(name):
    import tomllib

    from handbench.places import shipped

    raw = tomllib.loads((shipped("recipes", "methods") / f"{name}.toml").read_text())
    for size in ("full", *raw.get("sizes", {})):
        for variant in ("full", *raw.get("variants", {})):
            recipe = load_recipe(name, variant, size)
            validated(find(recipe.method).Config, recipe.model, "The recipe", "model")
