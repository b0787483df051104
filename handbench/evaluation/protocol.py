"""What is measured, on which samples, how: a protocol, read from `recipes/protocols/NAME.toml`, and its identity."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from handbench.errors import UsageError
from handbench.hands.joints import JOINT_NAMES
from handbench.places import shipped
from handbench.sections import read_toml, require_known, validated

Alignment = Literal["none", "root", "rigid", "procrustes", "procrustes-official"]
Given = Literal["root", "root depth", "scale", "box", "side", "camera"]
OFFICIAL_FILES = "official files"
# words about a protocol, not the protocol: they may change without changing its identity
WORDS = ("title", "source", "decision")


class Metric(BaseModel):
    """One `[[metrics]]` table. `low`, `high`, `threshold` in mm.

    mpjpe, mpvpe           mean distance of joints, of vertices (only where prediction and truth share a topology)
    auc, auc-vertices      area under the inclusive PCK curve over linspace(low, high, steps)
    f-score                of the vertex sets, at `threshold`, strict
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal["mpjpe", "mpvpe", "auc", "auc-vertices", "f-score"]
    alignments: tuple[Alignment, ...]
    low: float | None = None
    high: float | None = None
    steps: int | None = None
    threshold: float | None = None
    # how the summary calls it, where one protocol has two ranges
    label: str = ""

    @model_validator(mode="after")
    def _complete(self) -> Metric:
        curve, score = self.name in ("auc", "auc-vertices"), self.name == "f-score"
        if curve and (self.low is None or self.high is None or self.steps is None or self.steps < 2):
            raise ValueError(f"{self.name} needs low, high and steps")
        if score and self.threshold is None:
            raise ValueError("f-score needs a threshold")
        if not curve and (self.low, self.high, self.steps) != (None, None, None):
            raise ValueError(f"{self.name} takes no range")
        if not score and self.threshold is not None:
            raise ValueError(f"{self.name} takes no threshold")
        return self

    @property
    def called(self) -> str:
        if self.label:
            return self.label
        return f"f@{self.threshold:g}" if self.name == "f-score" else self.name

    @property
    def of_mesh(self) -> bool:
        return self.name in ("mpvpe", "auc-vertices", "f-score")

    @property
    def unit(self) -> str:
        return "mm" if self.name in ("mpjpe", "mpvpe") else ""


class Protocol(BaseModel):
    """A protocol. `count` and `ids` are those of the official list; without them any set of samples will do.

    `root` a joint's name; `unit` the unit that the official script computes in (its alignment depends on it at the
    level of 1e-6 mm); `given` what the official files give to everybody; `official` the official script whose
    figures are printed beside ours.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    version: int
    title: str = ""
    dataset: str | None = None
    split: str | None = None
    count: int | None = None
    ids: str | None = None
    first: int = 0
    root: str = "wrist"
    unit: Literal["m", "mm"] = "m"
    given: tuple[Given, ...] = ()
    official: Literal["freihand"] | None = None
    metrics: tuple[Metric, ...]
    source: str = ""
    decision: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Protocol:
        if self.root not in JOINT_NAMES:
            raise ValueError(f"root {self.root!r} is no joint; joints: {', '.join(JOINT_NAMES)}")
        called = [metric.called for metric in self.metrics]
        if len(set(called)) != len(called):
            raise ValueError("two metrics have one name: give them a label each")
        return self

    @property
    def root_index(self) -> int:
        return JOINT_NAMES.index(self.root)

    @property
    def per_metre(self) -> float:
        """What a length in metres is multiplied by before anything is computed."""
        return 1.0 if self.unit == "m" else 1000.0

    def official_ids(self) -> list[str] | None:
        """The ids of the official list, in its order; None where the protocol has none."""
        if self.ids is None or self.count is None:
            return None
        return [self.ids.format(i) for i in range(self.first, self.first + self.count)]

    def definition(self) -> dict[str, Any]:
        """What matters: everything but words."""
        return {key: value for key, value in self.model_dump(mode="json").items() if key not in WORDS}

    def identity(self, ids: Iterable[str], source: str = OFFICIAL_FILES, digest: str = "") -> str:
        """`freihand@1-<8 hex>`: over the definition, the set of sample ids, and where the truth comes from.

        Synthetic truth in an official layout has the official ids; its results must not share the official column, nor
        one another's: `digest` is the truth's own, and counts where the truth is not of official files.
        """
        parts: list[Any] = [self.definition(), sorted(map(str, ids))]
        if source != OFFICIAL_FILES:
            parts += [source, digest]
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
        return f"{self.name}@{self.version}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def names() -> list[str]:
    """Every protocol there is, without versions."""
    return sorted({_split(path.stem)[0] for path in _files()})


def load(name: str) -> Protocol:
    """`freihand` (its newest version) or `freihand@1`; raises UsageError with a suggestion."""
    wanted, version = _split(name)
    found = {}
    for path in _files():
        if _split(path.stem)[0] == wanted:
            protocol = read(path)
            found[protocol.version] = protocol
    if not found:
        require_known(wanted, names(), "protocol")
    if version is None:
        return found[max(found)]
    if version not in found:
        versions = ", ".join(f"{wanted}@{v}" for v in sorted(found))
        raise UsageError(f"There is no protocol {name!r}.", f"Versions: {versions}.")
    return found[version]


def read(path: Path) -> Protocol:
    """A protocol from its TOML file; raises UsageError naming the key, with a suggestion."""
    return validated(Protocol, read_toml(path), path.name)


def describe_difference(a: Protocol, b: Protocol) -> list[str]:
    """In words, what two protocols define differently; empty where they define the same."""
    first, second = a.definition(), b.definition()
    said = [
        f"{key}: {_words(first[key])} against {_words(second[key])}"
        for key in first
        if key != "metrics" and first[key] != second[key]
    ]
    metrics = [{metric.called: metric.model_dump(mode="json") for metric in protocol.metrics} for protocol in (a, b)]
    for label in dict.fromkeys([*metrics[0], *metrics[1]]):
        one, other = (found.get(label) for found in metrics)
        if one is None or other is None:
            has = a if other is None else b
            said.append(f"{label}: only {has.name}@{has.version} has it")
            continue
        said += [
            f"{label}, {key}: {_words(one[key])} against {_words(other[key])}" for key in one if one[key] != other[key]
        ]
    return said


def _words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "none" if value is None else str(value)


def _files() -> list[Path]:
    return sorted(shipped("recipes", "protocols").glob("*.toml"))


def _split(name: str) -> tuple[str, int | None]:
    base, at, version = name.partition("@")
    if not at:
        return base, None
    if not version.isdigit():
        raise UsageError(f"{name!r} has no version number after the @.", "Write it as freihand@1.")
    return base, int(version)
