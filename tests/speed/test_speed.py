"""The clock and the cost counter, against cases worked by hand."""

from __future__ import annotations

import json
import time
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from handbench.inference.predict import crops_for
from handbench.methods.base import Method, ModelConfig, Prediction
from handbench.speed.clock import Effort, Timing, measure, median_interval
from handbench.speed.cost import cost
from handbench.speed.latency import time_method
from handbench.speed.run import file_name
from tests.training.test_loop import toy_hand
from tests.video_file import ToyWindows, video_file

SHORT = Effort("short", 4, 0.0, 0.5, 30, 0.0, 5)


class Layers(Method):
    """A convolution, a linear layer and attention: countable by hand."""

    name = "layers"
    input_size = 8
    stages: ClassVar[dict[str, tuple[str, ...]]] = {"backbone": ("conv",), "pose head": ("linear", "attention")}

    def __init__(self):
        super().__init__(ModelConfig(), toy_hand(), "freihand")
        self.conv = nn.Conv2d(3, 5, 3, padding=1)
        self.linear = nn.Linear(64, 16)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.only_in_training = nn.Linear(7, 7)

    def forward(self, image, batch=None):
        tokens = self.linear(self.conv(image).flatten(2))
        return {"tokens": self.attention(tokens, tokens, tokens, need_weights=False)[0]}

    def lift(self, output, batch):
        return Prediction(output["tokens"], None)


def test_macs_of_convolution_linear_and_attention():
    counted = cost(Layers())
    conv = 8 * 8 * 5 * (3 * 3 * 3)
    linear = 5 * 64 * 16
    # four projections of 5 tokens; queries with keys, weights with values
    attention = 4 * 5 * 16 * 16 + 2 * 5 * 5 * 16
    assert counted["macs"] == conv + linear + attention
    assert counted["flops"] == 2 * counted["macs"]


def test_parameters_by_stage_and_what_is_left_out():
    counted = cost(Layers())
    conv, linear = 5 * 27 + 5, 64 * 16 + 16
    attention = 4 * (16 * 16 + 16)
    assert counted["parameters_by_stage"] == {"backbone": conv, "pose head": linear + attention}
    assert counted["training_only"] == 7 * 7 + 7
    assert counted["parameters"] == conv + linear + attention + 56


def test_counting_leaves_the_method_where_it_was():
    method = Layers()
    cost(method)
    assert {p.device.type for p in method.parameters()} == {"cpu"}


def test_percentiles_worked_by_hand():
    ms = np.arange(1.0, 102.0)
    summary = Timing(ms, None, 1.0, 0, True).summary()
    assert (summary["n"], summary["min_ms"], summary["max_ms"], summary["mean_ms"]) == (101, 1.0, 101.0, 51.0)
    assert (summary["p50_ms"], summary["p90_ms"], summary["p99_ms"]) == (51.0, 91.0, 100.0)
    low, high = summary["p50_interval_ms"]
    assert low <= 51 <= high


def test_the_interval_keeps_neighbours_together():
    """Slow and fast spells of 100 iterations: single draws would give a far narrower interval than blocks."""
    spells = np.tile(np.repeat([1.0, 2.0], 100), 5) + np.random.default_rng(0).normal(0, 0.01, 1000)
    wide = np.subtract(*median_interval(spells)[::-1])
    narrow = np.subtract(*median_interval(np.random.default_rng(1).permutation(spells))[::-1])
    assert wide > 0.5
    assert narrow <= wide


def test_the_clock_times_the_call_and_counts_the_first_apart():
    calls = []

    def call(i: int) -> None:
        calls.append(i)
        time.sleep(0.05 if len(calls) == 1 else 0.002)

    timing = measure(call, torch.device("cpu"), SHORT)
    assert timing.first_ms > 45
    assert len(timing.wall_ms) == 30
    assert 2.0 <= np.median(timing.wall_ms) < 10
    assert timing.warm_up_iterations >= 4
    # the pool is walked through, not one input again and again
    assert calls == list(range(len(calls)))


def test_a_drifting_call_is_not_called_stationary():
    slower = iter(range(10_000))

    def call(i: int) -> None:
        time.sleep(0.0005 * 1.03 ** next(slower))

    timing = measure(call, torch.device("cpu"), Effort("short", 4, 0.0, 0.3, 2, 0.0, 1))
    assert not timing.stationary


def test_the_name_of_a_record_is_its_condition():
    record = {
        "method": "deformer", "variant": "full", "size": "tiny", "tier": "T1", "batch": 1, "precision": "fp32",
        "mode": "eager", "effort": "standard",
        "machine": {"kind": "cuda", "device": "NVIDIA H200", "torch": "2.13.0+cu130", "cuda": "13.0", "threads": 8},
    }  # fmt: skip
    assert file_name(record) == "speed-deformer-full.tiny-T1-b1-fp32-eager-torch2.13.0-cu130-h200"
    record["machine"] |= {"kind": "cpu", "device": "AMD EPYC"}
    record["effort"] = "quick"
    assert file_name(record) == "speed-deformer-full.tiny-T1-b1-fp32-eager-torch2.13.0-cpu8-quick"


def test_a_record_on_disk_has_every_sample_and_its_conditions(handbench, home):
    ran = handbench("speed", "mean-pose", "--quick", "--device", "cpu", "--json", "-")
    assert ran.code == 0
    (record,) = json.loads(ran.out)
    assert "quick" in " ".join(record["warnings"])
    assert record["fps"] == pytest.approx(1000 / record["p50_ms"])
    assert record["n"] == len(record["samples_wall_ms"]) >= 100
    assert np.median(record["samples_wall_ms"]) == pytest.approx(record["p50_ms"], abs=1e-4)
    assert {"torch", "cpu", "threads", "cores", "load_before"} <= set(record["machine"])
    (path,) = (home / "speed").glob("speed-*.json")
    assert json.loads(path.read_text())["samples_wall_ms"] == record["samples_wall_ms"]


@pytest.mark.parametrize("stride", [1, 3])
def test_a_window_is_a_call_and_frames_per_second_count_what_it_predicts(tmp_path, stride):
    file = video_file(tmp_path / "video.h5", (8,))
    method = ToyWindows(stride)
    record = time_method(method, crops_for(method, file, 1.3), torch.device("cpu"), SHORT, 4)
    assert record["frames"] == 3
    assert record["frames_per_call"] == stride
    assert record["fps"] == pytest.approx(1000 * stride / record["p50_ms"])
    assert record["ms_per_frame"] == pytest.approx(record["p50_ms"] / stride)
    assert record["pool_from"] == "video"
    assert record["cost"]["macs"] == 63 * 3 * 16 * 16
