"""Which methods to time, on which inputs; one JSON file a condition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from handbench import places
from handbench.console import say, warn
from handbench.errors import UsageError
from handbench.inference.checkpoint import build, read_checkpoint
from handbench.inference.device import choose_device
from handbench.inference.predict import crops_for
from handbench.methods import find
from handbench.methods.base import Method
from handbench.preparation.generated import GENERATED, SyntheticSplit
from handbench.preparation.source import present_hand
from handbench.recipe import load_recipe
from handbench.sections import validated
from handbench.speed.clock import Effort, effort_of
from handbench.speed.compare import compare_all
from handbench.speed.latency import time_method
from handbench.speed.modes import HEADLINE, check_modes
from handbench.speed.names import SYNTHETIC, file_name
from handbench.speed.own import speed
from handbench.speed.own_file import check_targets, from_file
from handbench.speed.processes import in_turn
from handbench.speed.table import print_records
from handbench.speed.tiers import TIERS
from handbench.store.hands_file import HandsFile
from handbench.store.hands_writer import write_hands
from handbench.store.records import hand_over, write_json
from handbench.synth.hand import synthetic_hand

# the five methods, CLIP-Hand in its larger size
FIVE = ("clip-hand3d", "clip-hand-s24", "clip-dg", "dahyf", "deformer")


@dataclass(frozen=True)
class Asked:
    """What was typed: see `handbench speed --help`."""

    methods: list[str]
    variant: str = "full"
    size: str = "full"
    seed: int = 0
    device: str = "auto"
    data: Path | None = None
    quick: bool = False
    strict: bool = False
    threads: int | None = None
    processes: int = 1
    compare: bool = False
    modes: list[str] = field(default_factory=list)
    throughput: bool = False
    out: Path | None = None
    json: str | None = None

    @property
    def effort(self) -> Effort:
        return effort_of(self.quick, self.strict)

    def options(self) -> list[str]:
        """For a process that times one of the methods."""
        words = ["--variant", self.variant, "--size", self.size, "--seed", str(self.seed), "--device", self.device]
        words += ["--data", str(self.data)] if self.data else []
        words += ["--threads", str(self.threads)] if self.threads else []
        words += [word for mode in self.modes for word in ("--mode", mode)]
        for name in ("quick", "strict", "throughput"):
            words += [f"--{name}"] if getattr(self, name) else []
        return words


def time_all(asked: Asked) -> None:
    where = choose_device(asked.device, use=asked.processes == 1)
    methods = list(dict.fromkeys(asked.methods)) or list(FIVE)
    _check(asked, methods, where)
    say(_plan(asked, methods))
    folder = asked.out or places.home() / "speed"
    if asked.processes > 1:
        records = in_turn(methods, asked.processes, asked.options(), folder / "processes")
        for record in records:
            _keep(record, folder)
        _warn(records)
    else:
        if asked.threads:
            torch.set_num_threads(asked.threads)
        records = []
        for method in methods:
            found = {}
            for record in _time_own(method, asked) if _is_file(method) else _time_one(method, asked, where):
                # as soon as it is there: what comes after may fail, or complete it
                found[_keep(record, folder)] = record
            _warn(list(found.values()))
            records += found.values()
    comparisons = compare_all(records) if asked.compare else []
    if not hand_over(records if not comparisons else {"records": records, "comparisons": comparisons}, asked.json):
        print_records(records, comparisons)


def _keep(record: dict[str, Any], folder: Path) -> Path:
    path = folder / f"{file_name(record)}.json"
    write_json(path, record)
    say(str(path))
    return path


def _warn(records: list[dict[str, Any]]) -> None:
    """Say once what is to be said of several."""
    said: dict[tuple[str, str], tuple[str, list[str]]] = {}
    for record in records:
        row = record["tier"] + "".join(f" {record[k]}" for k in ("precision", "mode") if record[k] not in HEADLINE)
        for warning in record["warnings"]:
            said.setdefault((record["method"], warning.partition(":")[0]), (warning, []))[1].append(row)
    for (method, _), (warning, rows) in said.items():
        warn(f"{method} {', '.join(rows)}: {warning}")


def _check(asked: Asked, methods: list[str], where: torch.device) -> None:
    """Before anything is timed: everything that can be known to be wrong."""
    _ = asked.effort
    check_modes(asked.modes, where)
    files = [method for method in methods if _is_file(method)]
    for method in methods:
        if method not in files:
            load_recipe(find(method).name, asked.variant, asked.size)
    check_targets(files)
    if asked.data:
        _given(asked.data)
    if files and (asked.modes or asked.throughput):
        raise UsageError(
            f"--mode and --throughput are for methods: what {files[0]} answers has no joints to compare.",
            "Leave them out, or let build() return the network in that mode.",
        )
    if asked.compare and len(methods) < 2:
        raise UsageError("--compare takes two methods or more.", "handbench speed A B --compare --processes 5")
    if asked.compare and 0 < len(files) < len(methods):
        raise UsageError(
            f"{files[0]} is a network of your own, timed to its output (T0); methods are timed to their joints (T1).",
            "Compare networks of your own with each other, or methods with methods.",
        )


def _plan(asked: Asked, methods: list[str]) -> str:
    """What will be done, and how long it takes at least."""
    effort = asked.effort
    parts = [1 if _is_file(m) else len(TIERS) + len(asked.modes) for m in methods]
    each = effort.warm_seconds + effort.seconds
    seconds = asked.processes * sum(parts) * each
    least = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} minutes"
    most = f"{effort.iterations * 0.1 / 60 * sum(parts) * asked.processes:.1f}"
    modes = f", modes {', '.join(asked.modes)}" if asked.modes else ""
    times = f", {asked.processes} processes each, in turn" if asked.processes > 1 else ""
    tiers = "tier T0" if all(_is_file(m) for m in methods) else f"tiers {', '.join(TIERS)}"
    return (
        f"Times {', '.join(methods)}: {tiers}{modes}{times}; {effort.iterations:,} calls and "
        f"{effort.seconds:g} s each ({effort.name}). It takes {least} at least; at 100 ms a call, {most} minutes."
    )


def _is_file(method: str) -> bool:
    return ".py" in method or "/" in method


def _time_own(target: str, asked: Asked) -> Iterator[dict[str, Any]]:
    with from_file(target) as (name, module, inputs):
        yield speed(module, inputs, name=name, device=asked.device, effort=asked.effort.name)


def _time_one(name: str, asked: Asked, where: torch.device) -> Iterator[dict[str, Any]]:
    label = places.row_label(asked.variant, asked.size)
    model, margin, about = _method(name, label, places.run_folder(name, label, asked.seed) / "best.pt")
    file = _given(asked.data) if asked.data else _synthetic_inputs(asked.effort.pool, video=model.frames > 1)
    about["inputs"] = f"{file.meta['dataset']}-{file.meta['split']}" if asked.data else SYNTHETIC
    crops = crops_for(model, file, margin)
    options = {"modes": asked.modes, "throughput": asked.throughput, "trained": about["trained"]}
    for record in time_method(model, crops, where, asked.effort, **options):
        yield {"method": name, **about, **record}


def _method(name: str, label: str, checkpoint: Path) -> tuple[Method, float, dict[str, Any]]:
    """The trained method, or one with random weights built from its recipe."""
    variant, _, size = label.partition(".")
    if checkpoint.exists():
        record = read_checkpoint(checkpoint, method=name)
        about = record["about"]
        row = {key: about[key] for key in ("variant", "size", "seed")}
        row |= {"recipe": about["recipe_digest"], "weights": record["weights"], "trained": True}
        return build(record), about["margin"], row
    recipe = load_recipe(name, variant, size or "full")
    say(f"{name} {label} is not trained here: timed with random weights.")
    cls = find(recipe.method)
    torch.manual_seed(0)
    model = cls(validated(cls.Config, recipe.model, "The recipe", "model"), present_hand(), "freihand")
    row = {"variant": variant, "size": size or "full", "seed": None, "weights": model.weights, "trained": False}
    return model, recipe.data.margin, row


def _given(data: Path) -> HandsFile:
    return HandsFile(data, "`handbench prep DATASET` makes one.")


def _synthetic_inputs(pool: int, video: bool) -> HandsFile:
    """Pictures of the synthetic hand, made once and kept; for windows, the first tracks of HandSynth-Video."""
    path = places.home() / "speed" / "inputs" / f"{'handsynth-video' if video else 'synthetic'}-{pool}.h5"
    if not path.exists():
        if video:
            split = SyntheticSplit("test", pool, 0, synthetic_hand("right"), GENERATED["handsynth-video"])
        else:
            split = SyntheticSplit("test", pool, 0, present_hand())
        say(f"Making {pool} synthetic inputs.")
        block = split.read(0, pool)
        assert block.hands is not None
        write_hands(path, block.hands, block.images)
    return HandsFile(path)
