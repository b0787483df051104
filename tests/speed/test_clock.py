"""The harness on a clock made of numbers: what it waits for, when it calls times stationary, what it counts."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
import torch

from handbench.errors import UsageError
from handbench.speed.clock import QUICK, STANDARD, STRICT, Effort, effort_of, measure
from handbench.speed.percentiles import median_interval, ratio_interval, summary
from handbench.speed.throughput import until_saturated
from tests.speed.fake_clock import FakeClock

SHORT = Effort("short", 50, 0.0, 60.0, 200, 0.0, 5)


def test_a_device_that_runs_behind_is_waited_for():
    """1 ms to launch, 20 ms to do: a harness that times launches would say 1."""
    clock = FakeClock()
    timing = measure(lambda _: clock.work(1, 20), clock, SHORT)
    assert np.allclose(timing.wall_ms, 21)
    assert np.allclose(timing.device_ms, 21)
    assert np.allclose(timing.host_ms, 1)
    # before the start and after the end of every one
    assert clock.waits == 2 * (1 + timing.warm_up_iterations - 1 + len(timing.wall_ms))


def test_work_left_over_from_before_is_not_counted():
    clock = FakeClock()
    clock.work(0, 500)
    assert measure(lambda _: clock.work(1, 20), clock, SHORT).first_ms == pytest.approx(21)


def test_without_waiting_the_fake_device_is_mistimed():
    """The trap is a trap."""
    clock = FakeClock()
    start = clock.now()
    clock.work(1, 20)
    assert 1000 * (clock.now() - start) == pytest.approx(1)


def test_launches_that_take_longer_than_the_work_show_in_the_hosts_own_time():
    """Not in the device's: between two events lie the gaps in which it waits for the next launch."""
    clock = FakeClock()

    def launches(_: int) -> None:
        for _ in range(10):
            clock.work(2, 0.5)

    timing = measure(launches, clock, SHORT)
    assert np.allclose(timing.wall_ms, 20.5)
    assert np.allclose(timing.device_ms, 20.5)
    assert np.allclose(timing.host_ms, 20)


def test_a_cpu_has_no_time_of_its_own():
    clock = FakeClock(apart=False)
    timing = measure(lambda _: clock.work(3, 0), clock, SHORT)
    assert timing.device_ms is None
    assert timing.host_ms is None


def test_watches_are_open_while_it_is_measured_and_not_before():
    clock, calls, open_at = FakeClock(), [], []

    @contextmanager
    def watch():
        open_at.append(len(calls))
        yield
        open_at.append(len(calls))

    def call(i: int) -> None:
        calls.append(i)
        clock.work(1, 9)

    timing = measure(call, clock, SHORT, watch())
    assert open_at == [timing.warm_up_iterations, timing.warm_up_iterations + len(timing.wall_ms)]


def test_warm_up_ends_after_three_calm_windows_and_not_before_its_seconds():
    clock = FakeClock()
    timing = measure(lambda _: clock.work(1, 9), clock, SHORT)
    # the first call, one window to compare with, and three that do not move
    assert timing.warm_up_iterations == 1 + 4 * 50
    assert timing.stationary
    clock = FakeClock()
    timing = measure(lambda _: clock.work(1, 9), clock, STANDARD)
    assert timing.warm_up_iterations >= 3000 / 10
    assert timing.wall_ms.sum() >= 10_000 - 1e-6


def test_times_that_settle_are_waited_for():
    clock, calls = FakeClock(), iter(range(10**6))
    timing = measure(lambda _: clock.work(1, 10 + max(0, 300 - next(calls)) / 10), clock, SHORT)
    assert timing.stationary
    assert timing.warm_up_iterations > 300
    assert np.allclose(timing.wall_ms, 11)


def test_times_that_never_settle_are_called_so_after_60_s():
    clock, calls = FakeClock(), iter(range(10**6))
    timing = measure(lambda _: clock.work(1, 10 * 1.001 ** next(calls)), clock, STANDARD)
    assert not timing.stationary
    assert clock.now() > 60


def test_the_first_call_is_a_figure_of_its_own():
    clock, calls = FakeClock(), []

    def call(i: int) -> None:
        calls.append(i)
        clock.work(1, 5000 if len(calls) == 1 else 10)

    timing = measure(call, clock, SHORT)
    assert timing.first_ms == pytest.approx(5001)
    assert timing.wall_ms.max() == pytest.approx(11)
    # the pool is walked through, not one input again and again
    assert calls == list(range(len(calls)))


def test_strict_measures_600_s():
    clock = FakeClock()
    assert measure(lambda _: clock.work(1, 200), clock, STRICT).wall_ms.sum() >= 600_000 - 1e-6
    assert effort_of(False, False) is STANDARD
    assert effort_of(True, False) is QUICK
    with pytest.raises(UsageError, match="exclude each other"):
        effort_of(True, True)


def test_ten_seconds_of_short_calls_are_ten_seconds():
    """What passes between two calls belongs to the measurement, though to no call."""

    class Slow(FakeClock):
        def synchronise(self) -> None:
            super().synchronise()
            self.host += 0.001 * (self.waits % 2)

    clock = Slow()
    timing = measure(lambda _: clock.work(0, 2), clock, STANDARD)
    assert timing.measured_s >= STANDARD.seconds > timing.wall_ms.sum() / 1000


def test_percentiles_worked_by_hand():
    told = summary([np.arange(1.0, 102.0)])
    assert (told["n"], told["min_ms"], told["max_ms"], told["mean_ms"]) == (101, 1.0, 101.0, 51.0)
    assert (told["p50_ms"], told["p90_ms"], told["p95_ms"], told["p99_ms"]) == (51.0, 91.0, 96.0, 100.0)


def test_ten_blocks_of_50_make_an_interval_and_nine_do_not():
    assert summary([np.arange(499.0)])["p50_interval_ms"] is None
    low, high = summary([np.arange(500.0)])["p50_interval_ms"]
    assert low <= 249.5 <= high
    assert summary([np.arange(250.0)] * 2)["p50_interval_ms"] is not None
    assert ratio_interval([np.ones(500)], [np.ones(499)]) is None


def test_a_process_that_did_more_calls_counts_no_more_than_the_others():
    """The fast one has most of the calls; two of three are slow."""
    processes = [np.full(900, 1.0), np.full(100, 10.0), np.full(100, 10.0)]
    assert summary(processes)["p50_ms"] == 10
    assert summary(processes)["p50_interval_ms"] == [1, 10]
    assert summary(processes)["mean_ms"] == pytest.approx(2900 / 1100)
    assert ratio_interval(processes, [np.full(500, 10.0)] * 3) == [0.1, 1]


def test_the_interval_keeps_neighbours_together():
    """Fast spells of 150 iterations and slow ones of 100: whole spells may be missed, single slow calls may not."""
    spells = np.tile(np.repeat([1.0, 2.0], [150, 100]), 4) + np.random.default_rng(0).normal(0, 0.01, 1000)
    wide = np.subtract(*median_interval([spells])[::-1])
    narrow = np.subtract(*median_interval([spells], block=1, resamples=100)[::-1])
    assert wide > 0.9
    assert narrow < 0.1


def test_the_interval_over_processes_knows_that_they_differ():
    """Each process is steady, and each at another speed: pooled blocks would be far too sure."""
    draw = np.random.default_rng(0)
    apart = [level + draw.normal(0, 0.01, 500) for level in (9.0, 10.0, 11.0, 12.0, 13.0)]
    low, high = median_interval(apart)
    assert high - low > 1
    alike = [10 + draw.normal(0, 0.01, 500) for _ in range(5)]
    assert np.subtract(*median_interval(alike)[::-1]) < 0.02


def test_a_ratio_of_medians_and_its_interval():
    draw = np.random.default_rng(0)
    a, b = ([level + draw.normal(0, 0.1, 500) for _ in range(5)] for level in (10.0, 20.0))
    low, high = ratio_interval(a, b)
    assert 0.49 < low < 0.5 < high < 0.51


@pytest.mark.parametrize(
    ("per_image", "limit", "stopped", "batches"),
    [(1.0, 10**9, "saturation, at batch 8", [1, 8]), (0.0, 10**9, "end of the sweep", [1, 8, 32, 128])]
    + [(0.0, 40, "memory, at batch 128", [1, 8, 32])],
)
def test_the_sweep_ends_at_memory_or_saturation(per_image, limit, stopped, batches):
    clock = FakeClock()

    def call_of(batch: int):
        if batch > limit:
            torch.empty(10**15)
        return lambda _: clock.work(0.1, 10 * (per_image * batch or 1))

    found = until_saturated(call_of, clock, 1.0)
    assert found["stopped"] == stopped
    assert [row["batch"] for row in found["rows"]] == batches
    # launched without waiting between: the host's own 0.1 ms hides behind the device
    assert found["rows"][0]["images_per_s"] == pytest.approx(100, rel=0.01)


def test_an_error_that_is_not_of_memory_ends_more_than_the_sweep():
    def call_of(batch: int):
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="do not fit"):
        until_saturated(call_of, FakeClock(), 1.0)
