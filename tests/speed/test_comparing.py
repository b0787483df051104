"""Faster, or not: what five processes may say and four may not; and processes in turn."""

from __future__ import annotations

import json

import numpy as np
import pytest

from handbench.errors import InvalidError
from handbench.speed import processes
from handbench.speed.compare import by_process, compare, compare_all
from handbench.speed.processes import in_turn, merged

MACHINE = {
    "device": "A GPU", "kind": "cuda", "threads": 4, "torch": "2.13.0", "cores": 8, "load_before": 0.1,
    "sensors": "unknown",
}  # fmt: skip


def one(method: str, level: float, seed: int = 0, n: int = 200, **changed):
    ms = level + np.random.default_rng(seed).normal(0, 0.05, n)
    return {
        "method": method, "variant": "full", "size": "full", "trained": True, "tier": "T1", "batch": 1, "passes": 1,
        "precision": "fp32", "mode": "eager", "effort": "quick", "processes": 1, "pool": 256, "frames_per_call": 1,
        "stationary": True, "measured_s": ms.sum() / 1000, "n": n, "p50_ms": float(np.median(ms)), "p99_ms": level,
        "device_p50_ms": None, "first_ms": 50.0, "cold_start_s": 1.0, "machine": MACHINE, "warnings": [],
        "samples_wall_ms": ms, "samples_device_ms": None, **changed,
    }  # fmt: skip


def many(method: str, levels, **changed):
    return merged([one(method, level, seed, **changed) for seed, level in enumerate(levels)])


def test_faster_is_said_of_five_processes_whose_interval_excludes_1():
    found = compare(many("a", [10.0] * 5), many("b", [12.0] * 5))
    assert found["ratio"] == pytest.approx(10 / 12, rel=0.01)
    assert found["interval"][1] < 1
    assert found["faster"] == "a full full"
    assert found["verdict"] == "a full full is faster"
    assert compare(many("b", [12.0] * 5), many("a", [10.0] * 5))["faster"] == "a full full"


def test_four_processes_make_no_claim_however_far_apart():
    found = compare(many("a", [10.0] * 4), many("b", [20.0] * 5))
    assert found["faster"] is None
    assert found["verdict"] == "no claim: 4 processes each, and it takes 5"
    assert found["range"][1] < 0.6


def test_processes_that_differ_more_than_the_methods_are_not_told_apart():
    """Pooled, a is the faster by 1 %; its own processes lie 20 % apart."""
    found = compare(many("a", [9.0, 9.5, 9.9, 10.4, 11.0]), many("b", [9.1, 9.6, 10.0, 10.5, 11.1]))
    assert found["interval"][0] < 1 < found["interval"][1]
    assert found["verdict"] == "not distinguishable"
    assert found["faster"] is None


def test_unlike_conditions_are_not_compared():
    a, b = one("a", 10.0), one("b", 10.0, tier="T2")
    with pytest.raises(InvalidError, match="tier"):
        compare(a, b)
    with pytest.raises(InvalidError, match="different machines"):
        compare(a, one("b", 10.0, machine=MACHINE | {"device": "another"}))


def test_every_pair_of_headlines_and_no_other_mode():
    records = [one("a", 10.0), one("a", 5.0, mode="cuda-graph"), one("b", 11.0), one("c", 12.0)]
    assert [(c["a"][0], c["b"][0]) for c in compare_all(records)] == [("a", "b"), ("a", "c"), ("b", "c")]


def test_merged_records_keep_every_sample_and_whose_it_is():
    record = many("a", [10.0, 20.0, 12.0])
    assert (record["processes"], record["process_n"], record["n"]) == (3, [200, 200, 200], 600)
    assert record["process_p50_ms"] == pytest.approx([10, 20, 12], abs=0.05)
    assert record["p50_ms"] == pytest.approx(12, abs=0.1)
    assert record["fps"] == pytest.approx(1000 / record["p50_ms"])
    assert [np.median(ms) for ms in by_process(record)] == pytest.approx([10, 20, 12], abs=0.05)
    low, high = record["p50_interval_ms"]
    assert low < 11
    assert high > 19


def test_one_process_that_was_throttled_marks_them_all():
    records = [one("a", 10.0), one("a", 10.0, warnings=["throttled (power cap): let the GPU cool"])]
    assert any(warning.startswith("throttled") for warning in merged(records)["warnings"])


def test_processes_take_turns(tmp_path, monkeypatch):
    """A B A B, each a command of its own."""
    order = []

    class Done:
        returncode = 0

    def run(command, **_):
        method, target = command[4], command[command.index("--json") + 1]
        order.append(method)
        assert command[command.index("--size") + 1] == "tiny"
        record = one(method, 10.0, len(order))
        record["samples_wall_ms"] = record["samples_wall_ms"].tolist()
        (tmp_path / str(1 + (len(order) - 1) // 2)).mkdir(exist_ok=True)
        with open(target, "w") as file:
            json.dump([record], file)
        return Done

    monkeypatch.setattr(processes.subprocess, "run", run)
    found = in_turn(["a", "b"], 2, ["--size", "tiny"], tmp_path)
    assert order == ["a", "b", "a", "b"]
    assert [(record["method"], record["processes"]) for record in found] == [("a", 2), ("b", 2)]


def test_two_real_processes(handbench, home):
    ran = handbench("speed", "mean-pose", "--quick", "--device", "cpu", "--processes", 2, "--json", "-")
    assert ran.code == 0, ran.err
    records = json.loads(ran.out)
    assert [record["tier"] for record in records] == ["T0", "T1", "T2"]
    assert all(record["processes"] == 2 and sum(record["process_n"]) == record["n"] for record in records)
    assert len(list((home / "speed").glob("speed-*.json"))) == 3


def test_a_method_that_fails_in_its_process_ends_with_its_code(handbench, tmp_path):
    ran = handbench("speed", "mean-pose", "--quick", "--device", "cpu", "--processes", 2, "--data", tmp_path / "no.h5")
    assert ran.code == 3
    assert "mean-pose" in ran.err
