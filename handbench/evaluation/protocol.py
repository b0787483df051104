"""What is measured, on which samples, how: a protocol, read from `recipes/protocols/*.toml`, and its identity."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, model_validator

from handbench.errors import UsageError
from handbench.evaluation.metric import Metric
from handbench.hands.joints import JOINT_NAMES
from handbench.places import shipped
from handbench.sections import read_toml, require_known, validated

Given = Literal["root", "root depth", "scale", "box", "side", "camera", "occlusion"]
OFFICIAL_FILES = "official files"
# the source of a truth that does not say where it is from: it is not taken for official
NOT_SAID = "a source that is not said"
# words about a protocol, not the protocol: they may change without changing its identity
WORDS = ("title", "source", "decision")


class Conventions(NamedTuple):
    """How the points of a file are written: joint order, axes, unit."""

    order: str = "fh21"
    axes: str = "opencv"
    unit: str = "m"


# how the official files of a dataset, of truth and of predictions, are written; FH21, OpenCV, metres elsewhere
WRITTEN = {
    "ho3d-v2": Conventions(order="ho3d", axes="opengl"),
    "ho3d-v3": Conventions(order="ho3d", axes="opengl"),
    "dexycb": Conventions(unit="mm"),
}


class Protocol(BaseModel):
    """A protocol. `count` and `ids` are those of the official list; without them any set of samples will do.

    ids, first     the name of sample i, from `first` on; with `gaps` the list leaves numbers out: frames without a hand
    side           only the samples of this side; subset: only the frames that are held out of training
    joints         which joints count: annotated, visible (joints_visible), or the annotated finger tips
    root           a joint's name; wrist: how joint 0 of the truth, a palm centre, becomes a wrist (hands/palm.py);
                   `palm` leaves it, and the predictions' is made of their wrist and middle MCP; `both palms` does
                   that to a truth with a wrist, too
    unit           that of the official script's computation (its alignment depends on it at the level of 1e-6 mm)
    buckets        by the share of the hand that something else covers
    given          what the official files give to everybody
    truth          the source that the official truth says it is of; other words than `official files` name a set that
                   is made, the same wherever that is, so that no digest is needed
    official       the official script whose figures are printed beside ours
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
    gaps: bool = False
    side: Literal["right", "left"] | None = None
    subset: Literal["validation"] | None = None
    joints: Literal["annotated", "visible", "tips"] = "annotated"
    root: str = "wrist"
    wrist: Literal["ge", "bihand", "bihand-mean", "palm", "both palms"] | None = None
    unit: Literal["m", "mm"] = "m"
    buckets: bool = False
    given: tuple[Given, ...] = ()
    truth: str = OFFICIAL_FILES
    official: Literal["freihand", "ho3d", "dexycb"] | None = None
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

    @property
    def written(self) -> Conventions:
        """How official files are written."""
        return WRITTEN.get(self.dataset or "", Conventions())

    def official_ids(self) -> list[str] | None:
        """The ids of the official list, in its order; None where the protocol has none or it leaves numbers out."""
        if self.ids is None or self.count is None or self.gaps:
            return None
        return [self.ids.format(i) for i in range(self.first, self.first + self.count)]

    def definition(self) -> dict[str, Any]:
        """What matters: everything but words."""
        return {key: value for key, value in self.model_dump(mode="json").items() if key not in WORDS}

    def identity(self, ids: SampleSet | Iterable[str], source: str | None = None, digest: str = "") -> str:
        """`freihand@1-<8 hex>`: over the definition, the set of sample ids, and where the truth comes from.

        Synthetic truth in an official layout has the official ids; its results must not share the official column, nor
        one another's: `digest` is the truth's own, and counts where `source` (None: as it should be) is not `truth`.
        """
        samples = ids if isinstance(ids, SampleSet) else SampleSet().add(ids)
        # what is as it is by default is left out, so that an id outlives a new key of the language
        said = self.model_dump(mode="json", exclude_defaults=True, exclude=set(WORDS))
        parts: list[Any] = [said, samples.count, samples.digest()]
        if source is not None and source != self.truth:
            parts += [source, digest]
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
        return f"{self.name}@{self.version}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def require_given(words: Iterable[str]) -> None:
    """Raises UsageError for a word that is none of `Given`."""
    unknown = [word for word in words if word not in get_args(Given)]
    if unknown:
        raise UsageError(f"Unknown --given {unknown[0]!r}.", f"Known: {', '.join(get_args(Given))}.")


class SampleSet:
    """The digest of a set of ids, fed block by block; it does not depend on their order.

    The sum of the ids' SHA-256: what is kept does not grow with the samples.
    """

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0

    def add(self, ids: Iterable[str]) -> SampleSet:
        for name in ids:
            self._sum += int.from_bytes(hashlib.sha256(str(name).encode()).digest())
            self.count += 1
        return self

    def digest(self) -> str:
        return f"{self._sum % (1 << 256):064x}"


def names() -> list[str]:
    """Every protocol there is, without versions."""
    return sorted({_split(name)[0] for name, _, _ in _all()})


def load(name: str) -> Protocol:
    """`freihand` (its newest version) or `freihand@1`; raises UsageError with a suggestion."""
    wanted, version = _split(name)
    found = {}
    for called, path, settings in _all():
        if _split(called)[0] == wanted:
            protocol = validated(Protocol, settings, path.name)
            found[protocol.version] = protocol
    if not found:
        require_known(wanted, names(), "protocol")
    if version is None:
        return found[max(found)]
    if version not in found:
        versions = ", ".join(f"{wanted}@{v}" for v in sorted(found))
        raise UsageError(f"There is no protocol {name!r}.", f"Versions: {versions}.")
    return found[version]


def read(path: Path) -> list[Protocol]:
    """The protocols of a TOML file; raises UsageError naming the key, with a suggestion."""
    return [validated(Protocol, settings, path.name) for _, settings in _variants(path)]


def _all() -> list[tuple[str, Path, dict[str, Any]]]:
    files = sorted(shipped("recipes", "protocols").glob("*.toml"))
    return [(called, path, settings) for path in files for called, settings in _variants(path)]


def _variants(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """A file is one protocol, NAME, and for each of its `[variants.X]`, which hold only what differs, one NAME-X.

    A file without a `version` at its head is only what its variants have in common.
    """
    settings = read_toml(path)
    variants = settings.pop("variants", {})
    stem, version = _split(path.stem)
    called = f"{{}}@{version}" if version is not None else "{}"
    found = [(called.format(stem), settings)] if "version" in settings else []
    for variant, changes in variants.items():
        name = f"{stem}-{variant}"
        found.append((called.format(name), {**settings, "name": name, **changes}))
    return found


def _split(name: str) -> tuple[str, int | None]:
    base, at, version = name.partition("@")
    if not at:
        return base, None
    if not version.isdigit():
        raise UsageError(f"{name!r} has no version number after the @.", "Write it as freihand@1.")
    return base, int(version)
