"""What a record is warned of: each flag where it is earned, with its remedy, and none where not."""

from __future__ import annotations

import subprocess
import sys
import time
import types

import pytest
import torch

from handbench.speed.flags import flags
from handbench.speed.machine import OtherWork
from handbench.speed.sensors import REASONS, Sensors

CALM = {
    "driver": "550", "samples": 20, "sm_mhz": [1960, 1980], "memory_mhz": [2600, 2600], "watts": [300.0, 310.0],
    "celsius": [50, 55], "throttled": [], "others": 0, "failed": {},
}  # fmt: skip
GOOD = {
    "tier": "T1", "effort": "standard", "n": 1000, "processes": 1, "measured_s": 12.0, "stationary": True, "pool": 256,
    "p50_ms": 10.0, "p99_ms": 11.0, "host_p50_ms": 8.9, "device_p50_ms": 9.9,
    "machine": {"kind": "cuda", "others_cpu": 9.0, "cpus": 10, "sensors": CALM},
}  # fmt: skip
ON_CPU = {"kind": "cpu", "others_cpu": 1.1, "cpus": 10}


def with_sensors(**changed):
    return GOOD | {"machine": {**GOOD["machine"], "sensors": {**CALM, **changed}}}


def test_a_good_run_is_not_warned_of():
    assert flags(GOOD) == []
    assert flags(GOOD | {"machine": {**GOOD["machine"], "sensors": "unknown"}}) == []
    # what a GPU does not tell is no fault of the run
    assert flags(with_sensors(sm_mhz=None, throttled=None, others=None)) == []
    # T2 waits for its own results
    assert flags(GOOD | {"tier": "T2", "host_p50_ms": 9.9}) == []
    assert flags(GOOD | {"host_p50_ms": None, "device_p50_ms": None}) == []
    for others in (1.0, "unknown"):
        assert flags(GOOD | {"machine": ON_CPU | {"others_cpu": others}}) == []


@pytest.mark.parametrize(
    ("record", "flag", "remedy"),
    [
        (GOOD | {"n": 999}, "too short: 999 iterations", "measure longer"),
        (GOOD | {"measured_s": 9.9}, "too short: 1,000 iterations in 9.9 s", "measure longer"),
        (GOOD | {"n": 3000, "processes": 5}, "too short: 600", "measure longer"),
        (GOOD | {"n": 100, "effort": "quick"}, "too short: a quick run", "leave out --quick"),
        (GOOD | {"stationary": False}, "not stationary", "run again"),
        (
            GOOD | {"host_p50_ms": 9.1},
            "launch-bound (launching takes the host over 90 % of a call)",
            "--mode cuda-graph",
        ),
        (GOOD | {"p99_ms": 20.1}, "outliers", "run again"),
        (GOOD | {"pool": 255}, "255 distinct inputs", "prepared file"),
        (with_sensors(throttled=["power cap"]), "throttled (power cap)", "let the GPU cool"),
        (with_sensors(sm_mhz=[1900, 1980]), "clock drift > 3 %", "lock its clocks"),
        (with_sensors(others=2), "shared GPU: 2 other", "nobody else uses"),
        (GOOD | {"machine": ON_CPU}, "busy machine: other programs kept 1.1 of 10", "close them"),
        (GOOD | {"drift": {"max_mm": 0.4, "flagged": True}}, "joints move by up to 0.4 mm", "score the method"),
        (GOOD | {"drift": {"max_mm": 0.4, "flagged": None}}, "drift of random weights", "train it"),
    ],
)
def test_each_flag_says_its_remedy(record, flag, remedy):
    (said,) = flags(record)
    assert flag in said
    assert remedy in said


def fake_nvml(reasons: int = 0, clocks: tuple[int, ...] = (1980,), pids: tuple[int, ...] = (77,)):
    """A library of NVIDIA's that answers with what a test says."""
    every = iter([*clocks, *[clocks[-1]] * 1000])
    return types.SimpleNamespace(
        NVML_CLOCK_SM=1,
        NVML_CLOCK_MEM=2,
        NVML_TEMPERATURE_GPU=0,
        nvmlDeviceGetHandleByIndex=lambda index: "gpu",
        nvmlSystemGetDriverVersion=lambda: "550.1",
        nvmlDeviceGetComputeRunningProcesses=lambda gpu: [types.SimpleNamespace(pid=pid) for pid in pids],
        nvmlDeviceGetClockInfo=lambda gpu, what: next(every) if what == 1 else 2600,
        nvmlDeviceGetPowerUsage=lambda gpu: 300_500,
        nvmlDeviceGetTemperature=lambda gpu, what: 61,
        nvmlDeviceGetCurrentClocksThrottleReasons=lambda gpu: reasons,
    )


def sampled(library, times=3):
    sensors = Sensors(torch.device("cpu"), library)
    sensors.samples += [sensors._look() for _ in range(times)]
    return sensors.record()


def test_sensors_keep_ranges_and_name_what_throttled():
    record = sampled(fake_nvml(0x4 | 0x1, (1500, 1980)))
    assert record["sm_mhz"] == [1500, 1980]
    assert record["throttled"] == ["power cap"]
    assert (record["watts"], record["celsius"], record["driver"]) == ([300.5, 300.5], [61, 61], "550.1")


def test_an_idle_clock_or_one_that_was_set_is_no_throttling():
    """Of all nine bits of NVML, four are no throttling: idle, a set clock, synchronised boost, display."""
    named = sampled(fake_nvml(0x1FF))["throttled"]
    assert named == list(REASONS.values())
    assert len(named) == 5
    assert sampled(fake_nvml(0x1 | 0x2 | 0x10 | 0x100))["throttled"] == []


def test_one_process_on_the_gpu_is_ours_and_two_share_it():
    assert sampled(fake_nvml(pids=(77,)))["others"] == 0
    assert sampled(fake_nvml(pids=(77, 78)))["others"] == 1
    # before our own work is there
    assert sampled(fake_nvml(pids=()))["others"] == 0


def test_without_the_library_all_is_unknown():
    with Sensors(torch.device("cpu")) as sensors:
        pass
    assert sensors.record() == "unknown"


def test_a_thread_looks_while_it_is_open():
    with Sensors(torch.device("cpu"), fake_nvml()) as sensors:
        assert sensors.samples == [] or sensors.samples[0]["celsius"] == 61
    assert sensors.record()["samples"] >= 1


def test_a_reading_that_fails_leaves_the_others_and_is_counted():
    library = fake_nvml(0x4)
    library.nvmlDeviceGetPowerUsage = lambda gpu: 1 / 0
    record = sampled(library)
    assert (record["samples"], record["watts"], record["failed"]) == (3, None, {"watts": 3})
    assert (record["sm_mhz"], record["throttled"]) == ([1980, 1980], ["power cap"])


def test_one_failing_moment_does_not_end_the_sampling():
    library, answers = fake_nvml(), iter([300_000, None, 310_000])
    library.nvmlDeviceGetPowerUsage = lambda gpu: next(answers)
    record = sampled(library)
    assert (record["watts"], record["failed"]) == ([300.0, 310.0], {"watts": 1})


def busy(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_our_own_work_is_nobody_elses():
    """A child's too, whether it has ended or not; only another's would be."""
    code = "import time\nwhile time.process_time() < 0.5: pass\nprint(flush=True)\ninput()"
    child = [sys.executable, "-c", code]
    with OtherWork() as others:
        busy(0.5)
        subprocess.run(child, input=b"\n", stdout=subprocess.DEVNULL, check=True)
        alive = subprocess.Popen(child, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert alive.stdout is not None
        alive.stdout.readline()
    alive.communicate(b"\n")
    assert others._end[2] - others._start[2] >= 1.4
    found = others.record()
    assert found["cpus"] >= 1
    assert found["others_cpu"] == "unknown" or 0 <= found["others_cpu"] <= found["cpus"]


def test_the_work_of_others_is_what_is_busy_beside_our_own():
    others = OtherWork()
    others._start, others._end = (0.0, 100.0, 50.0), (10.0, 125.0, 60.0)
    assert others.record()["others_cpu"] == 1.5
    others._end = (10.0, 109.0, 60.0)
    assert others.record()["others_cpu"] == 0
    # a container whose system counts nothing
    others._end = (10.0, 100.0, 60.0)
    assert others.record()["others_cpu"] == "unknown"
