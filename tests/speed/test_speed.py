"""The cost counter against layers worked by hand; records, and what they are called."""

from __future__ import annotations

import json
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from handbench.inference.predict import crops_for
from handbench.methods.base import Method, ModelConfig, Prediction
from handbench.speed import latency
from handbench.speed.clock import Effort
from handbench.speed.cost import cost
from handbench.speed.latency import time_method
from handbench.speed.memory import memory, start_counting
from handbench.speed.names import file_name
from handbench.speed.table import headline_row
from handbench.speed.tiers import as_call, make_pool, steps_of
from tests.training.test_loop import toy_hand
from tests.video_file import ToyWindows, video_file

CPU = torch.device("cpu")
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


def test_counting_leaves_the_method_where_it_was_and_copies_no_weight(monkeypatch):
    method = Layers().train()
    monkeypatch.setattr(nn.Parameter, "__deepcopy__", lambda *_: pytest.fail("a tensor was copied where it lay"))
    cost(method)
    assert {p.device.type for p in method.parameters()} == {"cpu"}
    assert all(p.requires_grad for p in method.parameters())
    assert method.training


def test_the_name_of_a_record_is_its_condition():
    record = {
        "method": "deformer", "variant": "full", "size": "tiny", "tier": "T1", "batch": 1, "precision": "fp32",
        "mode": "eager", "effort": "standard", "trained": True, "inputs": "synthetic", "processes": 1,
        "machine": {"kind": "cuda", "device": "NVIDIA H200", "torch": "2.13.0+cu130", "cuda": "13.0", "threads": 8},
    }  # fmt: skip
    assert file_name(record) == "speed-deformer-full.tiny-T1-b1-fp32-eager-torch2.13.0-cu130-h200"
    record["machine"] |= {"kind": "cpu", "device": "AMD EPYC"}
    record["effort"] = "quick"
    assert file_name(record) == "speed-deformer-full.tiny-T1-b1-fp32-eager-torch2.13.0-cpu8-quick"
    record |= {"trained": False, "inputs": "freihand-test", "processes": 5}
    name = "speed-deformer-full.tiny-T1-b1-fp32-eager-torch2.13.0-cpu8-random-freihand-test-quick-p5"
    assert file_name(record) == name


def test_a_network_of_ones_own_is_called_by_file_and_function():
    """And by no name that a method's variant could have."""
    record = {
        "method": "dahyf:full", "tier": "T0", "batch": 1, "precision": "fp16", "mode": "compile", "effort": "standard",
        "processes": 1, "machine": {"kind": "cpu", "device": "AMD", "torch": "2.13.0", "threads": 8},
    }  # fmt: skip
    assert file_name(record) == "speed-dahyf--full-T0-b1-fp16-compile-torch2.13.0-cpu8"
    assert file_name(record | {"method": "a b/ü:net"}).startswith("speed-a-b-ü--net-T0")


def test_a_record_on_disk_has_every_sample_and_its_conditions(handbench, home):
    ran = handbench("speed", "mean-pose", "--quick", "--device", "cpu", "--json", "-")
    assert ran.code == 0
    records = json.loads(ran.out)
    assert [record["tier"] for record in records] == ["T0", "T1", "T2"]
    for record in records:
        assert "a quick run" in " ".join(record["warnings"])
        assert record["fps"] == pytest.approx(1000 / record["p50_ms"])
        assert record["n"] == len(record["samples_wall_ms"]) >= 100
        assert np.median(record["samples_wall_ms"]) == pytest.approx(record["p50_ms"], abs=1e-4)
        assert {"torch", "cpu", "threads", "cores", "others_cpu", "cpus"} <= set(record["machine"])
        assert record["machine"]["sensors"] == "unknown"
        assert record["memory"]["host_rss_mb"] > 10
        assert record["memory"]["peak_allocated_mb"] is None
        assert record["host_p50_ms"] is None
        assert record["inputs"] == "synthetic"
        name = f"speed-mean-pose-full-{record['tier']}-b1-fp32-eager-torch"
        (path,) = (home / "speed").glob(f"{name}*-random-quick.json")
        assert json.loads(path.read_text())["samples_wall_ms"] == record["samples_wall_ms"]
    assert records[0]["cold_start_s"] >= records[0]["first_ms"] / 1000
    # only one tier can be the first
    assert [record[key] for record in records[1:] for key in ("cold_start_s", "first_ms")] == [None] * 4
    assert records[2]["decode_ms"] > 0
    assert list(records[2]["stages"]["ms"]) == [
        "preprocess", "h2d", "normalise", "to camera frame", "d2h", "postprocess"
    ]  # fmt: skip


def test_what_was_measured_is_handed_over_before_the_sweep_and_again_with_it(tmp_path, monkeypatch):
    """A sweep that ends the process takes no tier with it."""
    method = ToyWindows(1)
    crops = crops_for(method, video_file(tmp_path / "video.h5", (8,)), 1.3)
    monkeypatch.setattr(latency, "sweep", lambda *_: 1 / 0)
    records = time_method(method, crops, torch.device("cpu"), SHORT, throughput=True)
    assert [next(records)["tier"] for _ in range(3)] == ["T0", "T1", "T2"]
    with pytest.raises(ZeroDivisionError):
        next(records)
    monkeypatch.setattr(latency, "sweep", lambda *_: {"rows": []})
    *_, once_more = time_method(method, crops, torch.device("cpu"), SHORT, throughput=True)
    assert (once_more["tier"], once_more["throughput"]) == ("T1", {"rows": []})
    assert list(once_more)[-2:] == ["samples_wall_ms", "samples_device_ms"]


@pytest.mark.parametrize("stride", [1, 3])
def test_a_window_is_a_call_and_frames_per_second_count_what_it_predicts(tmp_path, stride):
    file = video_file(tmp_path / "video.h5", (8,))
    method = ToyWindows(stride)
    records = time_method(method, crops_for(method, file, 1.3), torch.device("cpu"), SHORT)
    for record in records:
        assert record["frames"] == 3
        assert record["frames_per_call"] == stride
        assert record["fps"] == pytest.approx(1000 * stride / record["p50_ms"])
        assert record["ms_per_frame"] == pytest.approx(record["p50_ms"] / stride)
        assert record["pool_from"] == "video"
        assert record["cost"]["macs"] == 63 * 3 * 16 * 16


def test_the_peak_is_counted_from_a_clean_start_beside_what_was_there_before(monkeypatch):
    done = []
    for name, answer in (
        ("empty_cache", None), ("reset_peak_memory_stats", None), ("memory_allocated", 300_000_000),
        ("max_memory_allocated", 500_000_000), ("max_memory_reserved", 700_000_000),
    ):  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, lambda *_, name=name, answer=answer: done.append(name) or answer)
    gpu = torch.device("cuda")
    before = start_counting(gpu)
    assert done == ["empty_cache", "reset_peak_memory_stats", "memory_allocated"]
    taken = memory(nn.Linear(10, 10), gpu, before)
    assert [taken[f"{key}_mb"] for key in ("allocated_before", "peak_allocated", "peak_reserved")] == [300, 500, 700]
    assert memory(nn.Linear(10, 10), torch.device("cpu"), None)["allocated_before_mb"] is None


def test_memory_is_read_right_after_the_measurement_and_the_first_call_is_the_first(tmp_path, monkeypatch):
    """Neither counting nor the pass by stage comes between, and nothing is counted before."""
    done = []
    for name in ("measure", "memory", "cost", "time_stages"):
        real = getattr(latency, name)
        monkeypatch.setattr(latency, name, lambda *args, name=name, real=real: done.append(name) or real(*args))
    method = ToyWindows(1)
    list(time_method(method, crops_for(method, video_file(tmp_path / "video.h5", (8,)), 1.3), CPU, SHORT))
    again = ["measure", "memory", "time_stages"]
    assert done == ["measure", "memory", "cost", *again, *again]


def test_t2_answers_what_predict_does(tmp_path):
    """From the picture on the host to arrays on the host: the joints of `predict`."""
    file = video_file(tmp_path / "video.h5", (8,))
    method = ToyWindows(1).eval()
    crops = crops_for(method, file, 1.3)
    device = torch.device("cpu")
    pool = make_pool(method, crops, device, 4)
    at_host, on_device = (as_call(steps_of(tier, method, pool, device)) for tier in ("T2", "T1"))
    order = torch.randperm(len(crops), generator=torch.Generator().manual_seed(0))[:4].tolist()
    for i, item in enumerate(order):
        expected = method.predict(crops.collate([crops[item]])).joints.numpy()
        np.testing.assert_allclose(at_host(i)["joints"], expected, atol=1e-6)
        np.testing.assert_allclose(on_device(i).joints.numpy(), expected, atol=1e-6)


def test_what_counted_for_nothing_is_listed():
    counted = cost(Layers())
    assert any("softmax" in op for op in counted["counted_as_zero"])
    assert not any("convolution" in op or op == "aten.mm" for op in counted["counted_as_zero"])
    # what makes the batch that it is counted on is no part of the method
    assert not any(op in counted["counted_as_zero"] for op in ("aten.eye", "aten.arange", "aten.full"))


def test_the_terminal_prints_the_parameters_that_inference_uses():
    made = {
        "method": "layers", "variant": "full", "size": "full", "tier": "T1", "batch": 1, "precision": "fp32",
        "mode": "eager", "fps": 100.0, "p50_ms": 10.0, "p50_interval_ms": [9.0, 11.0], "p90_ms": 11.0, "p99_ms": 12.0,
        "n": 1000, "first_ms": 50.0, "machine": {"device": "A GPU"},
        "cost": {"parameters": 30_000_000, "training_only": 1_000_000, "macs": 1, "flops": 2},
    }  # fmt: skip
    row = headline_row("layers", [made])
    assert row["params M"] == "29.00"
    assert row["T0 first ms"] == "-"
    assert row["T1 p50 ms [95 %]"] == "10.00 [9.00, 11.00]"
    row = headline_row("layers", [made | {"p50_interval_ms": None}, made | {"tier": "T0"}])
    assert (row["T0 first ms"], row["T1 p50 ms [95 %]"]) == ("50.0", "10.00")
