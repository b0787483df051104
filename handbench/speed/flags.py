"""What is to be said about a measurement before anybody believes it: in words, with the remedy."""

from __future__ import annotations

from typing import Any

from handbench.speed.clock import STANDARD
from handbench.speed.modes import DRIFT

LAUNCH_BOUND = 0.9
CLOCK_DRIFT = 0.03
# of all processors
BUSY = 0.1


def flags(record: dict[str, Any]) -> list[str]:
    """Every flag of HB-Speed 1 that a record earns."""
    found = [*_too_short(record), *_times(record)]
    if record.get("pool") is not None and record["pool"] < STANDARD.pool:
        found.append(
            f"{record['pool']} distinct inputs; the protocol asks for {STANDARD.pool}: give a prepared file with more"
        )
    found += _machine(record["machine"])
    drift = record.get("drift")
    if drift and drift["flagged"] is None:
        found.append("drift of random weights: it says little of a trained network's; train it and measure again")
    elif drift and drift["flagged"]:
        found.append(
            f"joints move by up to {drift['max_mm']:.3g} mm against eager fp32, more than {DRIFT} mm: "
            "score the method in this mode before its speed is quoted"
        )
    return found


def _too_short(record: dict[str, Any]) -> list[str]:
    seconds, each = record["measured_s"], record["n"] / record["processes"]
    if each >= STANDARD.iterations and seconds >= STANDARD.seconds:
        return []
    name = "a quick run, " if record["effort"] == "quick" else ""
    remedy = "leave out --quick" if record["effort"] == "quick" else "measure longer"
    return [
        f"too short: {name}{each:,.0f} iterations in {seconds:.1f} s; the protocol asks for {STANDARD.iterations:,} "
        f"and {STANDARD.seconds:.0f} s, and this is not for a table: {remedy}"
    ]


def _times(record: dict[str, Any]) -> list[str]:
    found = []
    if not record["stationary"]:
        found.append("not stationary: times still moved after the warm-up; close other programs and run again")
    # T2 waits for its own results: there the host is busy to the end, whatever it waits for
    host = record["host_p50_ms"] if record["tier"] != "T2" else None
    if host and host > LAUNCH_BOUND * record["p50_ms"]:
        found.append(
            f"launch-bound (launching takes the host over {100 * LAUNCH_BOUND:.0f} % of a call): it cannot keep the "
            "GPU busy; try a CUDA graph or torch.compile (--mode cuda-graph, --mode compile)"
        )
    if record["p99_ms"] > 2 * record["p50_ms"]:
        found.append("outliers: p99 is more than twice p50; something else ran on this machine: close it and run again")
    return found


def _machine(machine: dict[str, Any]) -> list[str]:
    found = []
    others, cpus = machine["others_cpu"], machine["cpus"]
    if machine["kind"] == "cpu" and isinstance(others, float) and others > BUSY * cpus:
        found.append(
            f"busy machine: other programs kept {others:.1f} of {cpus} processors busy; close them and run again"
        )
    sensors = machine.get("sensors", "unknown")
    if not isinstance(sensors, dict):
        return found
    if sensors["throttled"]:
        found.append(f"throttled ({', '.join(sensors['throttled'])}): let the GPU cool, or raise its power limit")
    low, high = sensors["sm_mhz"] or (0, 0)
    if low < (1 - CLOCK_DRIFT) * high:
        found.append(
            f"clock drift > 3 %: the GPU ran at {low} to {high} MHz; lock its clocks (nvidia-smi -lgc), or run --strict"
        )
    if sensors["others"]:
        found.append(f"shared GPU: {sensors['others']} other process(es) on it; take one that nobody else uses")
    return found
