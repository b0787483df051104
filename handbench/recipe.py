"""Recipes: what to train and how, as TOML. `--variant`, `--size` and `--set` are the whole configuration language.

    method = "clip-hand3d"
    [model] [data] [train]                     the paper's settings
    [sizes.tiny.model] ...                     what a smaller size changes
    [variants.wo_clip.model] ...               what a named variant changes

The order is: recipe, then size, then variant, then `--set`. An unknown key is an error with a suggestion.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from handbench.errors import UsageError
from handbench.places import shipped

S = TypeVar("S", bound=BaseModel)
SECTIONS = ("model", "data", "train")


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

    epochs: int = Field(1, ge=0)
    pretrain_epochs: int = Field(0, ge=0)
    batch: int = Field(32, gt=0)
    lr: float = Field(1e-3, gt=0)
    lr_decay: float = Field(0.25, gt=0, le=1)
    lr_decay_every: int = Field(50, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    clip_grad: float = Field(0.0, ge=0, description="largest gradient norm; 0: not clipped")
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    workers: int = Field(2, ge=0)
    validate_every: int = Field(1, gt=0, description="epochs")


class Recipe(Section):
    method: str
    variant: str
    size: str
    model: dict[str, Any]
    data: Data
    train: Train

    def digest(self) -> str:
        """Twelve hex digits of everything that is set."""
        return hashlib.sha256(json.dumps(self.model_dump(), sort_keys=True).encode()).hexdigest()[:12]

    @property
    def label(self) -> str:
        """The variant's name in files: the variant, and the size where it is not full."""
        return self.variant if self.size == "full" else f"{self.variant}.{self.size}"


def recipe_names() -> list[str]:
    return sorted(path.stem for path in shipped("recipes", "methods").glob("*.toml"))


def load_recipe(
    name: str, variant: str = "full", size: str = "full", sets: Sequence[str] = (), path: Path | None = None
) -> Recipe:
    """The recipe `recipes/methods/NAME.toml` (or a file of your own) with its size, variant and `--set` applied.

    Raises UsageError for an unknown recipe, variant, size or key, with a suggestion.
    """
    if path is None:
        _known(name, recipe_names(), "recipe")
        path = shipped("recipes", "methods", f"{name}.toml")
    try:
        raw = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}.") from None
    _only_known(raw, ("method", *SECTIONS, "sizes", "variants"), "")
    sizes, variants = raw.get("sizes", {}), raw.get("variants", {})
    merged = {section: dict(raw.get(section, {})) for section in SECTIONS}
    for kind, chosen, overlays in (("size", size, sizes), ("variant", variant, variants)):
        if chosen != "full" or "full" in overlays:
            _known(chosen, ["full", *overlays], kind)
            _only_known(overlays[chosen], SECTIONS, f"{kind}s.{chosen}.")
            for section in SECTIONS:
                merged[section] = _overlay(merged[section], overlays[chosen].get(section, {}))
    for text in sets:
        _apply_set(merged, text)
    return Recipe(
        method=raw.get("method", name),
        variant=variant,
        size=size,
        model=merged["model"],
        data=validated(Data, merged["data"], "data"),
        train=validated(Train, merged["train"], "train"),
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
    _known(section, SECTIONS, "section")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    change: Any = parsed
    for key in reversed(keys):
        change = {key: change}
    merged[section] = _overlay(merged[section], change)


def validated(model: type[S], values: dict[str, Any], where: str) -> S:
    """`values` as a pydantic section; raises UsageError in one sentence, with a suggestion for an unknown key."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            close = difflib.get_close_matches(str(first["loc"][-1]), _keys_at(model, first["loc"][:-1]), 1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Keys: {', '.join(_keys_at(model, first['loc'][:-1]))}."
            raise UsageError(f"The recipe has an unknown key {where}.{key}.", hint) from None
        raise UsageError(f"The recipe's {where}.{key} is {first.get('input')!r}: {first['msg']}.") from None


def _keys_at(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    for part in path:
        inner = model.model_fields[str(part)].annotation if str(part) in model.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return list(model.model_fields)


def _only_known(section: dict[str, Any], known: Iterable[str], where: str) -> None:
    for key in section:
        if key not in known:
            close = difflib.get_close_matches(key, list(known), 1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Keys: {', '.join(known)}."
            raise UsageError(f"The recipe has an unknown key {where}{key}.", hint)


def _known(name: str, known: Sequence[str], kind: str) -> None:
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"Did you mean {close[0]!r}?" if close else f"There is: {', '.join(known)}."
        raise UsageError(f"There is no {kind} {name!r}.", hint)
