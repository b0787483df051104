"""What a record is warned of: each flag where it is earned, with its remedy, and none where not."""

from __future__ import annotations

import types

import pytest
import torch

from handbench.speed.flags import flags
from handbench.speed.sensors import Sensors

CALM = {
    "driver": "550", "samples": 20, "sm_mhz": [1960, 1980], "memory_mhz": [2600, 2600], "watts": [300.0, 310.0],
    "celsius": [50, 55], "throttled": [], "others": 0,
}  # fmt: skip
GOOD = {
    "effort": "standard", "n": 1000, "processes": 1, "measured_s": 12.0, "stationary": True, "pool": 256,
    "p50_ms": 10.0, "p99_ms": 11.0, "device_p50_ms": 9.0,
    "machine": {"kind": "cuda", "load_before": 9.0, "cores": 2, "sensors": CALM},
}  # fmt: skip


def with_sensors(**changed):
    return GOOD | {"machine": {**GOOD["machine"], "sensors": {**CALM, **changed}}}


def test_a_good_run_is_not_warned_of():
    assert flags(GOOD) == []
    assert flags(GOOD | {"machine": {**GOOD["machine"], "sensors": "unknown"}}) == []


@pytest.mark.parametrize(
    ("record", "flag", "remedy"),
    [
        (GOOD | {"n": 999}, "too short: 999 iterations", "measure longer"),
        (GOOD | {"measured_s": 9.9}, "too short: 1,000 iterations in 9.9 s", "measure longer"),
        (GOOD | {"n": 3000, "processes": 5}, "too short: 600", "measure longer"),
        (GOOD | {"n": 100, "effort": "quick"}, "too short: a quick run", "leave out --quick"),
        (GOOD | {"stationary": False}, "not stationary", "run again"),
        (GOOD | {"device_p50_ms": 6.6}, "launch-bound (wall / device > 1.5)", "--mode cuda-graph"),
        (GOOD | {"p99_ms": 20.1}, "outliers", "run again"),
        (GOOD | {"pool": 255}, "255 distinct inputs", "prepared file"),
        (with_sensors(throttled=["power cap"]), "throttled (power cap)", "let the GPU cool"),
        (with_sensors(sm_mhz=[1900, 1980]), "clock drift > 3 %", "lock its clocks"),
        (with_sensors(others=2), "shared GPU: 2 other", "nobody else uses"),
        (GOOD | {"machine": {"kind": "cpu", "load_before": 1.5, "cores": 2}}, "busy machine", "close other programs"),
        (GOOD | {"drift": {"max_mm": 0.4, "flagged": True}}, "joints move by up to 0.4 mm", "score the method"),
    ],
)
def test_each_flag_says_its_remedy(record, flag, remedy):
    (said,) = flags(record)
    assert flag in said
    assert remedy in said


def fake_nvml(reasons: int, clocks: list[int], pids: list[int]):
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
    with Sensors(torch.device("cpu"), library) as sensors:
        sensors.samples += [sensors._look() for _ in range(times)]
    return sensors.record()


def test_sensors_keep_ranges_and_name_what_throttled():
    record = sampled(fake_nvml(0x4 | 0x1, [1500, 1980], [77]))
    assert record["sm_mhz"] == [1500, 1980]
    assert record["throttled"] == ["power cap"]
    assert (record["watts"], record["celsius"], record["driver"]) == ([300.5, 300.5], [61, 61], "550.1")


def test_an_idle_clock_or_one_that_was_set_is_no_throttling():
    assert sampled(fake_nvml(0x1 | 0x2, [1980], [77]))["throttled"] == []


def test_one_process_on_the_gpu_is_ours_and_two_share_it():
    assert sampled(fake_nvml(0, [1980], [77]))["others"] == 0
    assert sampled(fake_nvml(0, [1980], [77, 78]))["others"] == 1


def test_without_the_library_all_is_unknown():
    with Sensors(torch.device("cpu")) as sensors:
        pass
    assert sensors.record() == "unknown"


def test_a_reading_that_fails_leaves_what_was_read():
    library = fake_nvml(0, [1980], [77])
    library.nvmlDeviceGetPowerUsage = lambda gpu: 1 / 0
    with Sensors(torch.device("cpu"), library) as sensors:
        pass
    assert sensors.record() == "unknown"
