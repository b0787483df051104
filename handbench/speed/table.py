"""Speed records on a terminal. Figures of one column share their condition; other modes have a table of their own."""

from __future__ import annotations

from typing import Any

from tabulate import tabulate

from handbench.report.speeds import called, headline, inference_parameters
from handbench.speed.tiers import TIERS


def print_records(records: list[dict[str, Any]], comparisons: list[dict[str, Any]]) -> None:
    groups: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        groups.setdefault(called(record), []).append(record)
    heads = [headline_row(name, group) for name, group in groups.items() if any(headline(r) for r in group)]
    if heads:
        print(tabulate(heads, headers="keys", tablefmt="github"))
    own = [_own(record) for record in records if "variant" not in record]
    if own:
        print(tabulate(own, headers="keys", tablefmt="github"))
    modes = [row for name, group in groups.items() for row in mode_rows(name, group)]
    if modes:
        print("\nOther modes, tier T1, batch 1; drift is of joints, against eager fp32 on the same inputs:\n")
        print(tabulate(modes, headers="keys", tablefmt="github"))
    swept = [(called(r), r["throughput"]) for r in records if "throughput" in r]
    batches = sorted({row["batch"] for _, found in swept for row in found["rows"]})
    sweeps = [throughput_row(name, found, batches) for name, found in swept]
    if sweeps:
        print("\nThroughput, tier T1, batches without waiting between them (not FPS):\n")
        print(tabulate(sweeps, headers="keys", tablefmt="github"))
    for name, group in groups.items():
        for record in group:
            if headline(record):
                _print_windows(name, record)
            if record["tier"] in ("T1", "T2") and "stages" in record:
                _print_stages(name, record)
    if comparisons:
        print()
        for c in comparisons:
            print(f"{c['a']} / {c['b']}: {_ratio(c)}{c['verdict']}.")
    tiers = [tier for tier in TIERS if any(r["tier"] == tier for r in records)]
    first = records[0]
    count = first["processes"]
    print(
        f"\n{'; '.join(f'{tier}: {TIERS[tier]}' for tier in tiers)}. {_condition(first)}; "
        f"{first['effort']}, {count} process{'es' if count > 1 else ''}. Parameters are those that inference uses."
    )


def headline_row(name: str, group: list[dict[str, Any]]) -> dict[str, str]:
    """One method's line: FPS is T1's, T2 stands beside it."""
    by_tier = {r["tier"]: r for r in group if r["mode"] == "eager" and r["precision"] == "fp32"}
    r = by_tier["T1"]
    # of the process: no other tier has a first call of its own
    first = by_tier["T0"]["first_ms"] if "T0" in by_tier else None
    row = {"method": name, "T1 FPS": f"{r['fps']:.1f}", "T1 p50 ms [95 %]": _median(r)}
    row |= {"p90 ms": f"{r['p90_ms']:.2f}", "p99 ms": f"{r['p99_ms']:.2f}"}
    row |= {f"{tier} p50 ms": f"{by_tier[tier]['p50_ms']:.2f}" for tier in ("T0", "T2") if tier in by_tier}
    return row | {
        "n": str(r["n"]),
        "T0 first ms": "-" if first is None else f"{first:.1f}",
        "params M": f"{inference_parameters(r) / 1e6:.2f}",
        "GMACs": f"{r['cost']['macs'] / 1e9:.3f}",
        "GFLOPs": f"{r['cost']['flops'] / 1e9:.3f}",
        "device": r["machine"]["device"],
    }


def mode_rows(name: str, group: list[dict[str, Any]]) -> list[dict[str, str]]:
    """One line for each further mode, with its gain over the headline of the same run."""
    base = next((r for r in group if headline(r)), None)
    return [
        {
            "method": name,
            "mode": r["mode"],
            "precision": r["precision"],
            "FPS": f"{r['fps']:.1f}",
            "p50 ms [95 %]": _median(r),
            "against eager fp32": f"{base['p50_ms'] / r['p50_ms']:.2f} x" if base else "-",
            "drift max mm": f"{r['drift']['max_mm']:.4f}" + (" (!)" if r["drift"]["flagged"] else ""),
            "drift mean mm": f"{r['drift']['mean_mm']:.4f}",
            "cold start s": f"{r['cold_start_s']:.2f}",
        }
        for r in group
        if "drift" in r
    ]


def throughput_row(name: str, found: dict[str, Any], batches: list[int]) -> dict[str, str]:
    rates = {row["batch"]: f"{row['images_per_s']:.1f}" for row in found["rows"]}
    return {"method": name, **{f"images/s at {b}": rates.get(b, "-") for b in batches}, "ended by": found["stopped"]}


def _own(r: dict[str, Any]) -> dict[str, str]:
    macs = r["cost"]["macs"]
    return {
        "network": r["method"],
        "T0 calls/s": f"{r['fps']:.1f}",
        "p50 ms [95 %]": _median(r),
        "p90 ms": f"{r['p90_ms']:.2f}",
        "p99 ms": f"{r['p99_ms']:.2f}",
        "n": str(r["n"]),
        "batch": str(r["batch"]),
        "precision": r["precision"],
        "mode": r["mode"],
        "params M": f"{inference_parameters(r) / 1e6:.2f}",
        "GMACs": "not counted" if macs is None else f"{macs / 1e9:.3f}",
        "device": r["machine"]["device"],
    }


def _condition(r: dict[str, Any]) -> str:
    """Of a method's main row; networks of somebody's own have columns for it."""
    return f"Batch {r['batch']}, eager, fp32" if "variant" in r else "As built, in eval"


def _median(r: dict[str, Any]) -> str:
    """With its interval, where there were calls enough for one."""
    low, high = r["p50_interval_ms"] or (None, None)
    return f"{r['p50_ms']:.2f}" + ("" if low is None else f" [{low:.2f}, {high:.2f}]")


def _ratio(c: dict[str, Any]) -> str:
    if c["ratio"] is None:
        return ""
    low, high = c["interval"] or (None, None)
    interval = "" if low is None else f" [{low:.3f}, {high:.3f}]"
    return f"p50 ratio {c['ratio']:.3f}{interval}, processes from {c['range'][0]:.3f} to {c['range'][1]:.3f}: "


def _print_windows(name: str, r: dict[str, Any]) -> None:
    if r["frames"] == 1:
        return
    each = "its centre frame" if r["frames_per_call"] == 1 else f"all {r['frames_per_call']}"
    print(
        f"\n{name}: ms are of a window of {r['frames']} frames, MACs and FLOPs of one of them; FPS counts the frames "
        f"it predicts, {each}: {r['ms_per_frame']:.2f} ms each."
    )


def _print_stages(name: str, r: dict[str, Any]) -> None:
    """Where a call's time goes; no shares where the stages do not add up to the whole."""
    stages = r["stages"]
    if not stages["holds"]:
        print(f"\n{name}, {r['tier']}: no shares by stage: {stages['why_not']}.")
        return
    each = ", ".join(f"{stage} {ms:.2f} ({100 * ms / stages['sum_ms']:.0f} %)" for stage, ms in stages["ms"].items())
    print(f"\n{name}, {r['tier']}, ms by stage (a pass of its own): {each}.")
    if stages["groups_ms"] and r["tier"] == "T1":
        rows = ", ".join(f"{row} {ms:.2f}" for row, ms in stages["groups_ms"].items())
        print(f"As the paper's timing table groups them: {rows}.")
