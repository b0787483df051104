"""Variants that do not rest on CLIP's knowledge, on HandSynth's small edition, its two domains, and its tracks."""

from __future__ import annotations

import json
import os
import time

import numpy as np
import pytest

from handbench.evaluation.buckets import BUCKETS, bucket_of
from handbench.evaluation.compare import compare
from handbench.evaluation.result_file import read_result
from handbench.metrics.intervals import mean_interval

pytestmark = pytest.mark.proof

# method -> the two variants, and how long they train: some minutes on one thread of a CPU
PAIRS = {
    "dahyf": (("full", "baseline"), ("train.epochs=4", "train.lr_decay_every=3")),
    "clip-hand3d": (
        ("wo_clip", "baseline"),
        ("train.epochs=3", "train.pretrain_epochs=1", "train.lr_decay_every=2"),
    ),
    "clip-hand-s24": (
        ("c_hfa", "a_baseline"),
        ("data.rotation=0", "train.epochs=8", "train.batch=16", "train.lr_decay_every=7"),
    ),
}
TINY = ("--size", "tiny", "--device", "cpu")
# minutes of one processor that a run may take
MOST = 40


def train(handbench, method: str, variant: str, data: str, settings: tuple[str, ...]) -> float:
    """Minutes of this process and its loaders."""
    begun = sum(os.times()[:4])
    sets = [word for setting in settings for word in ("--set", setting)]
    ran = handbench("train", method, "--variant", variant, *TINY, "--data", data, *sets)
    assert ran.code == 0, ran.err
    return (sum(os.times()[:4]) - begun) / 60


def mean_pose(handbench, data: str, *protocols: str) -> None:
    assert handbench("train", "mean-pose", "--data", data).code == 0
    for protocol in protocols:
        assert handbench("predict", "mean-pose", "--protocol", protocol).code == 0


@pytest.mark.parametrize("method", PAIRS)
def test_two_variants_of_a_method(handbench, home, keep, method):
    variants, settings = PAIRS[method]
    assert handbench("prep", "handsynth-small").code == 0
    mean_pose(handbench, "handsynth-small", "handsynth-small")
    minutes = {}
    for variant in variants:
        minutes[variant] = train(handbench, method, variant, "handsynth-small", settings)
        row = ("predict", method, "--variant", variant, *TINY)
        assert handbench(*row, "--protocol", "handsynth-small").code == 0
    assert handbench("eval", "--protocol", "handsynth-small").code == 0
    results = home / "results/handsynth-small"
    a, b = (read_result(results / f"{method}-{variant}.tiny-0.h5") for variant in variants)
    floor = read_result(results / "mean-pose-full-0.h5")
    rows = [row for row in compare(a, b, anyway=True).rows if row.metric in ("mpjpe", "mpvpe")]
    keep(
        f"handsynth-small-{method}",
        {
            "what": f"{method} tiny, one seed: {variants[0]} (a) against {variants[1]} (b); mm, paired, 95 %",
            "settings": settings,
            "processor_minutes": minutes,
            "weights": a.row["weights"],
            "n": a.n,
            "given": a.given,
            "rows": [
                {
                    "metric": f"{row.metric}/{row.alignment}",
                    **dict(zip(("a", "b", "difference", "low", "high"),
                               (row.a, row.b, row.difference, row.low, row.high), strict=True)),
                    "mean-pose": floor.value(row.metric, row.alignment),
                }
                for row in rows
            ],
        },
    )  # fmt: skip
    assert max(minutes.values()) <= MOST
    # each knows more of a hand's turn (root) or of its shape (procrustes) than the mean hand
    for result in (a, b):
        assert any(result.value("mpjpe", how) < floor.value("mpjpe", how) for how in ("root", "procrustes"))


def test_aggregations_by_occlusion(handbench, home, keep):
    """What is found is kept, whatever it is: for each bucket that has samples a paired difference with its interval."""
    data = "handsynth-video-small"
    settings = (
        *("train.epochs=12", "train.lr_decay_every=9", "train.lr=3e-4", "train.validate_every=4"),
        *("data.limit=400", "model.input=64"),
    )
    assert handbench("prep", data).code == 0
    mean_pose(handbench, data, data)
    minutes = {}
    variants = ("agg_dynamic", "agg_average", "agg_center")
    for variant in variants:
        minutes[variant] = train(handbench, "deformer", variant, data, settings)
        row = ("predict", "deformer", "--variant", variant, *TINY)
        assert handbench(*row, "--protocol", data).code == 0
    assert handbench("eval", "--protocol", data).code == 0
    results = home / f"results/{data}"
    found = {variant: read_result(results / f"deformer-{variant}.tiny-0.h5") for variant in variants}
    floor = read_result(results / "mean-pose-full-0.h5")
    differences = {}
    for variant in variants[:-1]:
        compared = compare(found[variant], found["agg_center"], anyway=True).to_record()
        differences[f"{variant} - agg_center"] = {key: compared[key] for key in ("n", "clusters", "rows", "per_bucket")}
    keep(
        "handsynth-video-small-deformer",
        {
            "what": "deformer tiny, one seed: aggregations by the share of the hand that is covered; mm, paired, 95 %",
            "settings": settings,
            "processor_minutes": minutes,
            "n": floor.n,
            "mean-pose": {key: floor.value("mpjpe", key) for key in ("root", "procrustes")},
            "differences": differences,
        },
    )
    counts = np.bincount(bucket_of(floor.covered), minlength=len(BUCKETS))
    there = {name: int(n) for (name, _, _), n in zip(BUCKETS, counts, strict=True) if n}
    for difference in differences.values():
        assert {bucket["bucket"]: bucket["n"] for bucket in difference["per_bucket"]} == there
        for bucket in difference["per_bucket"]:
            for row in bucket["rows"]:
                assert row["low"] is None or row["low"] <= row["difference"] <= row["high"]


def gap(home, row: str, protocols: tuple[str, str]) -> dict[str, dict]:
    """Target - source, mm, sample by sample: number i has one pose in the two domains."""
    source, target = (read_result(home / f"results/{protocol}/{row}.h5") for protocol in protocols)
    numbers = [[str(name).rpartition("/")[2] for name in result.ids] for result in (source, target)]
    assert numbers[0] == numbers[1]
    found = {}
    for name in ("mpjpe/root", "mpjpe/root-scale", "mpjpe/procrustes"):
        difference = target.samples[name] - source.samples[name]
        interval = mean_interval(difference)
        found[name] = {"value": float(difference.mean()), "interval": [interval.low, interval.high]}
    return found


def test_from_one_synthetic_domain_to_another(handbench, home, keep):
    settings = ("train.epochs=5", "train.lr_decay_every=4")
    for name in ("handsynth-source", "handsynth-target"):
        assert handbench("prep", name).code == 0
    protocols = ("handsynth-source", "handsynth-source-to-handsynth-target")
    mean_pose(handbench, "handsynth-source", *protocols)
    minutes = {}
    for variant in ("baseline", "normal_aug", "full"):
        begun = time.perf_counter()
        minutes[variant] = train(handbench, "clip-dg", variant, "handsynth-source", settings)
        for protocol in protocols:
            row = ("predict", "clip-dg", "--variant", variant, *TINY)
            assert handbench(*row, "--protocol", protocol).code == 0
        print(variant, f"{(time.perf_counter() - begun) / 60:.1f} min")
    ran = handbench("eval", "--cross", "handsynth-source:handsynth-target", "--json", "-")
    assert ran.code == 0, ran.err
    record = json.loads(ran.out)
    table = handbench("eval", "--cross", "handsynth-source:handsynth-target").out
    gaps = {variant: gap(home, f"clip-dg-{variant}.tiny-0", protocols) for variant in minutes}
    keep(
        "handsynth-domains",
        {
            "what": "trained on one rendering, tested on it and on another; clip-dg tiny, one seed; mm",
            "settings": settings,
            "processor_minutes": minutes,
            "gap": gaps,
            "table": table.splitlines(),
            **record,
        },
    )
    figures = {row["row"].get("method") + "-" + row["row"]["variant"]: row["figures"] for row in record["rows"]}
    floor = figures.pop("mean-pose-full")
    assert set(figures) == {"clip-dg-baseline", "clip-dg-normal_aug", "clip-dg-full"}
    source = record["columns"][0]
    # it has learnt where a hand's joints are, and loses some of that where the rendering is another
    baseline = figures["clip-dg-baseline"]
    assert baseline[source]["root"]["value"] < floor[source]["root"]["value"]
    for variant in ("baseline", "normal_aug"):
        assert gaps[variant]["mpjpe/root"]["interval"][0] > 0
    assert max(minutes.values()) <= MOST
