"""Which methods to time, on which inputs; one JSON file each, named after its condition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from handbench import places
from handbench.console import say, warn
from handbench.inference.checkpoint import build, read_checkpoint
from handbench.inference.device import choose_device
from handbench.inference.predict import crops_for
from handbench.methods import find
from handbench.methods.base import Method
from handbench.preparation.generated import GENERATED, SyntheticSplit
from handbench.preparation.source import present_hand
from handbench.recipe import load_recipe
from handbench.sections import validated
from handbench.speed.clock import QUICK, STANDARD
from handbench.speed.latency import time_method
from handbench.store.hands_file import HandsFile
from handbench.store.hands_writer import write_hands
from handbench.store.records import hand_over, write_json
from handbench.synth.hand import synthetic_hand

POOL, QUICK_POOL = 256, 32


def time_all(
    method: str | None,
    variant: str,
    size: str,
    seed: int,
    *,
    device: str,
    data: Path | None,
    quick: bool,
    threads: int | None,
    json: str | None,
) -> None:
    where = choose_device(device)
    if threads:
        torch.set_num_threads(threads)
    label = places.row_label(variant, size)
    runs = sorted((places.home() / "train").glob("*/*/*/best.pt"))
    if method is not None:
        jobs = [(method, label, places.run_folder(method, label, seed) / "best.pt")]
    else:
        jobs = [(run.parts[-4], run.parts[-3], run) for run in runs] or [("clip-hand3d", "full", Path("none"))]
    pool = QUICK_POOL if quick else POOL
    given = HandsFile(data, "`handbench prep DATASET` makes one.") if data else None
    records = []
    for name, what, checkpoint in jobs:
        model, margin, about = _method(name, what, checkpoint)
        file = given or _synthetic_inputs(pool, video=model.frames > 1)
        crops = crops_for(model, file, margin)
        record = {"method": name, **about, **time_method(model, crops, where, QUICK if quick else STANDARD, pool)}
        path = places.home() / "speed" / f"{file_name(record)}.json"
        write_json(path, record)
        for warning in record["warnings"]:
            warn(warning)
        say(str(path))
        records.append(record)
    if not hand_over(records, json):
        _print(records)


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
    model = cls(validated(cls.Config, recipe.model, "The recipe", "model"), present_hand(), "freihand")
    row = {"variant": variant, "size": size or "full", "seed": None, "weights": model.weights, "trained": False}
    return model, recipe.data.margin, row


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


def file_name(record: dict[str, Any]) -> str:
    """The condition of a measurement, as timm names its result files."""
    machine = record["machine"]
    torch_version = machine["torch"].split("+")[0]
    cuda = f"-cu{machine['cuda'].replace('.', '')}" if machine["kind"] == "cuda" else ""
    device = machine["device"] if machine["kind"] == "cuda" else f"cpu{machine['threads']}"
    label = places.row_label(record["variant"], record["size"])
    quick = "-quick" if record["effort"] == "quick" else ""
    slug = "".join(c if c.isalnum() else "-" for c in device.lower()).removeprefix("nvidia-")
    return (
        f"speed-{record['method']}-{label}-{record['tier']}-b{record['batch']}-{record['precision']}-{record['mode']}"
        f"-torch{torch_version}{cuda}-{slug}{quick}"
    )


def _print(records: list[dict[str, Any]]) -> None:
    from tabulate import tabulate

    rows = []
    for r in records:
        low, high = r["p50_interval_ms"]
        rows.append(
            {
                "method": f"{r['method']} {r['variant']} {r['size']}" + ("" if r["trained"] else " (random weights)"),
                "T1 FPS": f"{r['fps']:.1f}",
                "p50 ms [95 %]": f"{r['p50_ms']:.2f} [{low:.2f}, {high:.2f}]",
                "p90 ms": f"{r['p90_ms']:.2f}",
                "p99 ms": f"{r['p99_ms']:.2f}",
                "n": r["n"],
                "params M": f"{r['cost']['parameters'] / 1e6:.2f}",
                "GMACs": f"{r['cost']['macs'] / 1e9:.3f}",
                "GFLOPs": f"{r['cost']['flops'] / 1e9:.3f}",
                "device": r["machine"]["device"],
            }
        )
    print(tabulate(rows, headers="keys", tablefmt="github"))
    for r in records:
        if r["frames"] > 1:
            each = "its centre frame" if r["frames_per_call"] == 1 else f"all {r['frames_per_call']}"
            print(
                f"\n{r['method']} {r['variant']}: ms are of a window of {r['frames']} frames, "
                f"MACs and FLOPs of one of them; FPS counts the frames it predicts, {each}: "
                f"{r['ms_per_frame']:.2f} ms each."
            )
        _print_stages(r)
    effort = records[0]["effort"]
    print(f"\nTier T1 (normalised tensor to joints and vertices, on the device), batch 1, eager, fp32; {effort}.")


def _print_stages(record: dict[str, Any]) -> None:
    """Where a call's time goes; no shares where the stages do not add up to the whole."""
    stages = record["stages"]
    if not stages["holds"]:
        print(f"\n{record['method']}: no shares by stage: {stages['why_not']}.")
        return
    each = ", ".join(f"{name} {ms:.2f} ({100 * ms / stages['sum_ms']:.0f} %)" for name, ms in stages["ms"].items())
    print(f"\n{record['method']}, ms by stage (a pass of its own): {each}.")
    if stages["groups_ms"]:
        rows = ", ".join(f"{name} {ms:.2f}" for name, ms in stages["groups_ms"].items())
        print(f"As the paper's timing table groups them: {rows}.")
