"""Faster, or not: what five processes may say and four may not; and processes in turn."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from handbench.errors import InvalidError
from handbench.inference.device import choose_device
from handbench.speed import processes
from handbench.speed.compare import by_process, compare, compare_all
from handbench.speed.processes import in_turn, merged
from handbench.speed.table import print_records

MACHINE = {
    "device": "A GPU", "kind": "cuda", "threads": 4, "torch": "2.13.0", "cores": 8, "others_cpu": 0.1, "cpus": 8,
    "sensors": "unknown",
}  # fmt: skip


COST = {"parameters": 1, "training_only": 0, "macs": None}


def one(method: str, level: float, seed: int = 0, n: int = 200, **changed):
    ms = level + np.random.default_rng(seed).normal(0, 0.05, n)
    return {
        "method": method, "variant": "full", "size": "full", "trained": True, "tier": "T1", "batch": 1, "passes": 1,
        "precision": "fp32", "mode": "eager", "effort": "quick", "processes": 1, "pool": 256, "frames_per_call": 1,
        "frames": 1, "pool_from": "freihand", "inputs": "synthetic", "host_p50_ms": None,
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
    assert found["faster"] == "a"
    assert found["verdict"] == "a is faster"
    assert compare(many("b", [12.0] * 5), many("a", [10.0] * 5))["faster"] == "a"


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
    a = one("a", 10.0)
    unlike = {
        "tier": "T2", "batch": 8, "passes": 95, "effort": "strict", "precision": "bf16", "mode": "cuda-graph",
        "pool_from": "dexycb", "inputs": "freihand-test", "frames": 9, "frames_per_call": 9,
    }  # fmt: skip
    for key, value in unlike.items():
        with pytest.raises(InvalidError, match=f"a was timed with .* b with .* {value}"):
            compare(a, one("b", 10.0, **{key: value}))
    with pytest.raises(InvalidError, match="different machines"):
        compare(a, one("b", 10.0, machine=MACHINE | {"device": "another"}))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"stationary": False}, "no claim: b was not stationary"),
        ({"warnings": ["throttled (power cap): let the GPU cool"]}, "no claim: b was throttled"),
        ({"warnings": ["shared GPU: 1 other process(es) on it"]}, "no claim: b was on a shared GPU"),
    ],
)
def test_a_machine_in_doubt_makes_nobody_faster(changed, said):
    found = compare(many("a", [10.0] * 5), many("b", [12.0] * 5, **changed))
    assert found["faster"] is None
    assert found["verdict"] == said


def test_too_few_calls_have_no_interval_and_make_no_claim():
    found = compare(many("a", [10.0] * 5, n=60), many("b", [20.0] * 5, n=60))
    assert (found["interval"], found["faster"]) == (None, None)
    assert found["verdict"] == "no claim: too few calls for an interval"
    assert found["ratio"] == pytest.approx(0.5, rel=0.02)


def own(name: str, level: float, **changed):
    record = one(name, level, tier="T0", pool_from="given", **changed)
    return {
        key: value for key, value in record.items() if key not in ("variant", "size", "trained", "frames", "inputs")
    }


def test_networks_of_ones_own_are_compared_with_each_other_only():
    (found,) = compare_all([own("nets:small", 10.0), own("nets:big", 12.0)])
    assert (found["a"], found["b"]) == ("nets:small", "nets:big")
    assert found["ratio"] < 1
    with pytest.raises(InvalidError, match=r"nets:small was timed to its output \(T0\), a to its joints"):
        compare_all([one("a", 10.0), own("nets:small", 10.0)])


def test_a_pair_of_unlike_conditions_is_told_why_and_the_others_are_compared(capsys):
    found = compare_all([own("x:a", 10.0), own("x:b", 11.0), own("x:c", 12.0, batch=8)])
    assert [c["verdict"].startswith("not compared: ") for c in found] == [False, True, True]
    assert found[1]["verdict"] == "not compared: x:a was timed with batch 1, x:c with batch 8"
    print_records([own("x:a", 10.0) | {"fps": 1, "p90_ms": 1, "p50_interval_ms": None, "cost": COST}], found)
    assert "x:a / x:c: not compared: x:a was timed with batch 1" in capsys.readouterr().out


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


def test_what_the_host_needs_and_what_only_the_first_tier_has_come_through():
    records = [one("a", 10.0, host_p50_ms=host, first_ms=None, cold_start_s=None) for host in (1.0, 2.0, 9.0)]
    assert [merged(records)[key] for key in ("host_p50_ms", "first_ms", "cold_start_s")] == [2.0, None, None]


@pytest.mark.parametrize("asked", [["a", "b"], ["one/nets.py:net", "two/nets.py:net"]])
def test_processes_take_turns(tmp_path, monkeypatch, asked):
    """A B A B, each a command of its own; two that call themselves the same stay two."""
    order = []

    class Done:
        returncode = 0

    def run(command, **_):
        method, target = command[4], command[command.index("--json") + 1]
        order.append(method)
        assert command[command.index("--size") + 1] == "tiny"
        record = one(method.rpartition(":")[2], 10.0, len(order))
        record["samples_wall_ms"] = record["samples_wall_ms"].tolist()
        (tmp_path / str(1 + (len(order) - 1) // 2)).mkdir(exist_ok=True)
        with open(target, "w") as file:
            json.dump([record], file)
        return Done

    monkeypatch.setattr(processes.subprocess, "run", run)
    found = in_turn(asked, 2, ["--size", "tiny"], tmp_path)
    assert order == asked * 2
    assert [record["processes"] for record in found] == [2, 2]
    assert [record["method"] for record in found] == [name.rpartition(":")[2] for name in asked]


def test_two_real_processes(handbench, home):
    ran = handbench("speed", "mean-pose", "--quick", "--device", "cpu", "--processes", 2, "--json", "-")
    assert ran.code == 0, ran.err
    records = json.loads(ran.out)
    assert [record["tier"] for record in records] == ["T0", "T1", "T2"]
    assert all(record["processes"] == 2 and sum(record["process_n"]) == record["n"] for record in records)
    assert [path.stem.endswith("-random-quick-p2") for path in (home / "speed").glob("speed-*.json")] == [True] * 3


def test_a_method_that_fails_in_its_process_ends_with_its_code(handbench, tmp_path):
    path = tmp_path / "net.py"
    path.write_text("def build():\n    raise KeyError('x')")
    ran = handbench("speed", path, "--quick", "--device", "cpu", "--processes", 2)
    assert ran.code == 4
    assert f"The process that timed {path} ended with exit code 4" in ran.err


def test_who_only_starts_other_processes_keeps_off_the_gpu(monkeypatch):
    """Else each of them would find its GPU shared."""
    taken = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    assert choose_device("cuda", use=False).type == "cuda"
    assert taken == []
    assert choose_device("cuda").type == "cuda"
    assert len(taken) == 1
