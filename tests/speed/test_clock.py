"""The harness on a clock made of numbers: what it waits for, when it calls times stationary, what it counts."""

from __future__ import annotations

import numpy as np
import pytest

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


def test_launches_that_take_longer_than_the_work_show_in_the_difference():
    clock = FakeClock()

    def launches(_: int) -> None:
        for _ in range(10):
            clock.work(2, 0.5)

    timing = measure(launches, clock, SHORT)
    assert np.allclose(timing.wall_ms, 20.5)
    assert np.allclose(timing.device_ms, 20.5)


def test_a_cpu_has_no_time_of_its_own():
    clock = FakeClock(apart=False)
    assert measure(lambda _: clock.work(3, 0), clock, SHORT).device_ms is None


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
    told = summary(np.arange(1.0, 102.0))
    assert (told["n"], told["min_ms"], told["max_ms"], told["mean_ms"]) == (101, 1.0, 101.0, 51.0)
    assert (told["p50_ms"], told["p90_ms"], told["p95_ms"], told["p99_ms"]) == (51.0, 91.0, 96.0, 100.0)
    low, high = told["p50_interval_ms"]
    assert low <= 51 <= high


def test_the_interval_keeps_neighbours_together():
    """Slow and fast spells of 100 iterations: single draws would give a far narrower interval than blocks."""
    spells = np.tile(np.repeat([1.0, 2.0], 100), 5) + np.random.default_rng(0).normal(0, 0.01, 1000)
    wide = np.subtract(*median_interval([spells])[::-1])
    narrow = np.subtract(*median_interval([np.random.default_rng(1).permutation(spells)])[::-1])
    assert wide > 0.5
    assert narrow <= wide


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
            raise MemoryError
        return lambda _: clock.work(0.1, 10 * (per_image * batch or 1))

    found = until_saturated(call_of, clock, 1.0)
    assert found["stopped"] == stopped
    assert [row["batch"] for row in found["rows"]] == batches
    # launched without waiting between: the host's own 0.1 ms hides behind the device
    assert found["rows"][0]["images_per_s"] == pytest.approx(100, rel=0.01)
