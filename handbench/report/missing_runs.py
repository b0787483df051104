"""What a table still wants measured: the commands that train, predict and time it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from handbench import places
from handbench.console import say
from handbench.errors import EXIT_INTERRUPTED, CheckFailed
from handbench.recipe import load_recipe, variants
from handbench.report.spec import TableSpec
from handbench.report.speeds import headline, read_speeds

# the published methods; and in whose tables they stand
METHODS = {
    "clip-hand3d": "clip-hand3d",
    "clip-hand-s12": "clip-hand",
    "clip-hand-s24": "clip-hand",
    "clip-dg": "clip-dg",
    "dahyf": "dahyf",
    "deformer": "deformer",
}


@dataclass(frozen=True)
class Step:
    """One command, as the words after `handbench`, and what it costs in words."""

    words: tuple[str, ...]
    cost: str

    @property
    def typed(self) -> str:
        return " ".join(("handbench", *self.words))


def missing_steps(spec: TableSpec, size: str, speeds: Sequence[dict[str, Any]] = ()) -> list[Step]:
    """The commands that would fill the table's measured rows, in the order in which they run; of what is there already
    none. Rows are of seed 0.
    """
    steps: list[Step] = []
    timed = {(s.get("method"), s.get("variant"), s.get("size")) for s in speeds if headline(s)}
    for method, variant in _rows(spec):
        which = [*(["--variant", variant] if variant != "full" else []), *(["--size", size] if size != "full" else [])]
        label = places.row_label(variant, size)
        trained = (places.run_folder(method, label, 0) / "best.pt").exists()
        wanted = [
            protocol
            for protocol in spec.protocols
            if not places.predictions_file(protocol, f"{method}-{label}-0").exists()
        ]
        if wanted and not trained:
            train = load_recipe(method, variant, size).train
            epochs = train.epochs + train.pretrain_epochs
            steps.append(Step(("train", method, *which), f"{epochs:,} epochs: hours to days on a GPU at full size"))
        steps += [Step(("predict", method, *which, "--protocol", name), "minutes") for name in wanted]
        if any(column.speed for column in spec.columns) and (method, variant, size) not in timed:
            steps.append(Step(("speed", method, *which), "a minute or two"))
    return steps


def _rows(spec: TableSpec) -> list[tuple[str, str]]:
    """Which method and variant the table is about: of a paper's table those that it names as its rows, of handbench's
    own every method as it is.
    """
    paper, _, number = spec.name.partition(".")
    if not number:
        return [(method, "full") for method in METHODS]
    return [
        (method, variant.name)
        for method, of in METHODS.items()
        if of == paper
        for variant in variants(method)
        if any(re.sub(r"[a-z]$", "", row.table) == number for row in variant.rows)
    ]


def run_missing(spec: TableSpec, size: str) -> None:
    """Each missing command in a process of its own, after all of them were said; stops at the first that fails.

    Raises CheckFailed naming the command that failed.
    """
    steps = missing_steps(spec, size, read_speeds(places.home() / "speed"))
    say(f"Table {spec.name} wants {len(steps)} commands:" if steps else f"Nothing is missing for table {spec.name}.")
    for step in steps:
        say(f"  {step.typed}   ({step.cost})")
    for step in steps:
        say(step.typed)
        # what it prints is not the table
        ran = subprocess.run([sys.executable, "-m", "handbench", *step.words], stdout=sys.stderr, check=False)
        if ran.returncode == EXIT_INTERRUPTED:
            raise KeyboardInterrupt
        if ran.returncode:
            raise CheckFailed(
                f"`{step.typed}` ended with exit code {ran.returncode}: what comes after it was not run.",
                "What was finished is kept; the same command goes on from there.",
            )
