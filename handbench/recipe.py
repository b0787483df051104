"""Recipes: what to train and how, as TOML. `--variant`, `--size` and `--set` are the whole configuration language.

    method = "clip-hand3d"
    [model] [data] [train]                     the paper's settings
    [sizes.tiny.model] ...                     what a smaller size changes
    [variants.wo_clip.model] ...               what a named variant changes

The order is: recipe, then size, then variant, then `--set`. An unknown key is an error with a suggestion.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from handbench.errors import UsageError
from handbench.places import row_label, shipped
from handbench.sections import did_you_mean, read_toml, require_known, validated

SECTIONS = ("model", "data", "train")
# which rows of the paper's tables a variant is, and what to know of it
ABOUT = ("rows", "note")
# what a variant changes where the size is not full: `[variants.w64.sizes.tiny.model]`
AT_SIZE = "sizes"


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(Section):
    """What is trained on, and how its crops are made and varied."""

    train: str = "freihand"
    # the crop's side as a multiple of the 2D joint box; 0 takes the whole stored image
    margin: float = Field(1.5, ge=0)
    rotation: float = Field(0.0, ge=0, le=180, description="degrees, uniform within plus and minus")
    rotation_probability: float = Field(1.0, ge=0, le=1)
    scale: float = Field(0.0, ge=0, lt=1, description="the crop's side varies by this share")
    shift: float = Field(0.0, ge=0, lt=1, description="the crop's middle moves by this share of its side")
    colour: float = Field(0.0, ge=0, lt=1, description="gain of each channel, and brightness, vary by this share")
    limit: int | None = Field(None, gt=0, description="only the first so many samples: for trial runs")


class Train(Section):
    """Optimisation. Learning rate: times `lr_decay` every `lr_decay_every` epochs."""

    epochs: int = Field(1, gt=0)
    pretrain_epochs: int = Field(0, ge=0)
    batch: int = Field(32, gt=0)
    lr: float = Field(1e-3, gt=0)
    adversary_lr: float = Field(1e-3, gt=0, description="of the part that is trained against the rest")
    lr_decay: float = Field(0.25, gt=0, le=1)
    lr_decay_every: int = Field(50, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    optimiser: Literal["adamw", "adam"] = "adamw"
    # a variant of the same recipe, whose trained weights are the start
    init: str | None = None
    clip_grad: float = Field(0.0, ge=0, description="largest gradient norm; 0: not clipped")
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    # batch norms normalise by their running statistics, and leave them as they are
    frozen_batchnorm: bool = False
    workers: int = Field(2, ge=0)
    validate_every: int = Field(1, gt=0, description="epochs")


class Recipe(Section):
    method: str
    variant: str
    size: str
    model: dict[str, Any]
    data: Data
    train: Train
    # what `--set` changed: such a run is not the recipe's
    changed: tuple[str, ...] = ()

    def digest(self) -> str:
        """Twelve hex digits of everything that is set."""
        settings = self.model_dump(exclude={"changed"})
        if not self.train.frozen_batchnorm:
            # a later setting: recipes without it keep the digests under which runs and results were recorded
            del settings["train"]["frozen_batchnorm"]
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def label(self) -> str:
        return row_label(self.variant, self.size)


class PaperRow(Section):
    """A row of one of the paper's tables."""

    table: str
    row: str


class Variant(Section):
    """A named ablation: the rows of the paper that it is (none: in no table), and the settings that it changes."""

    name: str
    rows: tuple[PaperRow, ...] = ()
    note: str = ""
    switches: dict[str, Any] = {}


def variants(name: str, path: Path | None = None) -> list[Variant]:
    """The variants of a recipe, in its order."""
    found = []
    for variant, overlay in _read(name, path).get("variants", {}).items():
        about = {key: overlay[key] for key in ABOUT if key in overlay}
        switches = {key: value for section in SECTIONS for key, value in _flat(section, overlay.get(section, {}))}
        values = {"name": variant, **about, "switches": switches}
        found.append(validated(Variant, values, f"The variant {variant}"))
    return found


def _read(name: str, path: Path | None) -> dict[str, Any]:
    """The tables of the named recipe, or of a file of your own."""
    if path is None:
        require_known(name, recipe_names(), "recipe")
        path = shipped("recipes", "methods", f"{name}.toml")
    return read_toml(path)


def _flat(prefix: str, section: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """`model.clip.enabled` and its value, for each setting of a section."""
    for key, value in section.items():
        if isinstance(value, dict):
            yield from _flat(f"{prefix}.{key}", value)
        else:
            yield f"{prefix}.{key}", value


def recipe_names() -> list[str]:
    return sorted(path.stem for path in shipped("recipes", "methods").glob("*.toml"))


def load_recipe(
    name: str, variant: str = "full", size: str = "full", sets: Sequence[str] = (), path: Path | None = None
) -> Recipe:
    """The recipe `recipes/methods/NAME.toml` (or a file of your own) with its size, variant and `--set` applied.

    Raises UsageError for an unknown recipe, variant, size or key, with a suggestion.
    """
    raw = _read(name, path)
    _only_known(raw, ("method", *SECTIONS, "sizes", "variants"), "")
    for key in (*SECTIONS, "sizes", "variants"):
        _require_table(raw.get(key, {}), key)
    sizes, variants = raw.get("sizes", {}), raw.get("variants", {})
    merged = {section: dict(raw.get(section, {})) for section in SECTIONS}
    for kind, chosen, overlays in (("size", size, sizes), ("variant", variant, variants)):
        if chosen != "full" or "full" in overlays:
            require_known(chosen, ["full", *overlays], kind)
            _require_table(overlays[chosen], f"{kind}s.{chosen}")
            _only_known(overlays[chosen], (*SECTIONS, *ABOUT, AT_SIZE), f"{kind}s.{chosen}.")
            for overlay in (overlays[chosen], overlays[chosen].get(AT_SIZE, {}).get(size, {})):
                for section in SECTIONS:
                    merged[section] = _overlay(merged[section], overlay.get(section, {}))
    for text in sets:
        _apply_set(merged, text)
    return Recipe(
        method=raw.get("method", name),
        variant=variant,
        size=size,
        model=merged["model"],
        data=validated(Data, merged["data"], "The recipe", "data"),
        train=validated(Train, merged["train"], "The recipe", "train"),
        changed=tuple(text for text in sets if not text.startswith("data.train=")),
    )


def _overlay(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`changes` over `base`, sections within sections merged."""
    merged = dict(base)
    for key, value in changes.items():
        nested = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _overlay(merged[key], value) if nested else value
    return merged


def _apply_set(merged: dict[str, dict[str, Any]], text: str) -> None:
    """One `--set section.key=value`; the value is TOML, or a bare word."""
    path, equals, value = text.partition("=")
    section, *keys = path.strip().split(".")
    if not equals or not keys:
        raise UsageError(f"--set {text} is not understood.", "Write it as --set train.epochs=1.")
    require_known(section, SECTIONS, "section")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    change: Any = parsed
    for key in reversed(keys):
        change = {key: change}
    merged[section] = _overlay(merged[section], change)


def _require_table(value: Any, name: str) -> None:
    if not isinstance(value, dict):
        raise UsageError(f"The recipe's {name} is {value!r}, not a section.", f"Write it as [{name}].")


def _only_known(section: dict[str, Any], known: Iterable[str], where: str) -> None:
    for key in section:
        if key not in known:
            suggestion = did_you_mean(key, known) or "."
            raise UsageError(f"The recipe has an unknown key {where}{key}{suggestion}", f"Keys: {', '.join(known)}.")
