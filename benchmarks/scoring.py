"""How long `handbench eval` takes, and how much memory, from the command line to the last figure.

    python benchmarks/scoring.py --json scoring.json

Every run is a fresh process, its start included. The hands are synthetic and the predictions wrong as good methods'
are (checked). Beside each time stands that of a plain script that handles one sample at a time (`yardstick.py`), timed
on some of the samples and multiplied; its figures and handbench's must agree on those.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import made_hands
import numpy as np
import yardstick
from tabulate import tabulate

from handbench.hands.record import Hands
from handbench.store.records import write_json

# What the plain script's figures are called in a result, `PA-` aside.
NAMES = {
    **{"MPJPE": "mpjpe", "AUC-J": "auc", "MPVPE": "mpvpe", "AUC-V": "auc-vertices"},
    **{"F@5": "f@5", "F@15": "f@15"},
}
# mm for errors; shares are counts over the same points and thresholds
AGREEMENT = 1e-6
QUICK = {"joints-1m": 1000, "joints-10k": 200}


@dataclass(frozen=True)
class Case:
    """What is scored. `form`: h5, json (the official pair of files), or joints (h5 without meshes)."""

    name: str
    title: str
    protocol: str
    n: int
    form: str
    ids: str
    meta: dict[str, str]
    pa: str = "procrustes-official"


def _of(dataset: str, split: str = "test") -> dict[str, Any]:
    meta = {"dataset": dataset, "split": split, "source": made_hands.SOURCE}
    return {"ids": f"{dataset}/{split}/{{:08d}}", "meta": meta}


CASES = (
    Case("freihand-h5", "FreiHAND, HDF5", "freihand", 3960, "h5", **_of("freihand")),
    Case("freihand-json", "FreiHAND, official JSON", "freihand", 3960, "json", **_of("freihand")),
    Case("ho3d-h5", "HO-3D v2, HDF5", "ho3d-v2", 11524, "h5", **_of("ho3d-v2")),
    Case("joints-10k", "joints only, HDF5", "synthetic", 10_000, "joints", **_of("synthetic"), pa="procrustes"),
    Case("joints-1m", "joints only, HDF5", "synthetic", 1_000_000, "joints", **_of("synthetic"), pa="procrustes"),
)


def write(case: Case, folder: Path) -> None:
    if case.form == "joints":
        made_hands.write_pair(folder, made_hands.only_joints(case.n, case.ids), case.meta)
    else:
        _write_blocks(case, folder, made_hands.meshes(case.n, case.ids))


def _write_blocks(case: Case, folder: Path, blocks: Any) -> None:
    if case.form == "json":
        made_hands.write_official(folder, blocks)
    else:
        made_hands.write_pair(folder, blocks, case.meta)


def evaluate(case: Case, folder: Path) -> tuple[dict[str, float], dict[str, float]]:
    """What one run took, and its figures by the plain script's names."""
    truth = folder if case.form == "json" else folder / "truth.h5"
    pred = folder / ("pred.json" if case.form == "json" else "pred.h5")
    result, log = folder / "result.json", folder / "log.txt"
    command = [sys.executable, "-m", "handbench", "eval", "--protocol", case.protocol]
    command += ["--truth", str(truth), "--pred", str(pred), "--json", str(result)]
    took = _process(command, log)
    rows = {(row["metric"], row["alignment"]): row["value"] for row in json.loads(result.read_text())["summary"]}
    figures = {}
    for name, metric in NAMES.items():
        for prefix, alignment in (("", "none"), ("PA-", case.pa)):
            if (metric, alignment) in rows:
                figures[prefix + name] = rows[metric, alignment]
    return took, figures


def _process(command: list[str], log: Path) -> dict[str, float]:
    """Seconds and peak memory of a fresh process; SystemExit with what it said where it fails."""
    launcher = [sys.executable, "-I", "-S", str(Path(__file__).with_name("measured.py")), str(log), *command]
    nowhere = str(log.parent / "nowhere")
    environment = {**os.environ, "HANDBENCH_HOME": nowhere, "HANDBENCH_DATA": nowhere}
    ran = subprocess.run(launcher, env=environment, stdout=subprocess.PIPE, check=True)
    took: dict[str, float] = json.loads(ran.stdout)
    if took["code"]:
        raise SystemExit(f"{' '.join(command)}\nended with {took['code']:.0f}:\n{log.read_text()}")
    return took


def plain(case: Case, folder: Path, runs: int, subset: int) -> dict[str, Any]:
    """The plain script on the first samples: its time for all of them, and how far its figures are from handbench's."""
    imports = "import h5py, json, numpy, scipy.linalg, scipy.spatial"
    starting = min(_process([sys.executable, "-c", imports], folder / "log.txt")["seconds"] for _ in range(runs))
    if case.form == "json":
        reading, points = _timed(yardstick.read_json, folder, folder / "pred.json")
    else:
        reading, points = _timed(yardstick.read_h5, folder / "truth.h5", folder / "pred.h5")
    some = tuple(None if array is None else array[:subset] for array in points)
    del points
    official = case.pa == "procrustes-official"
    tried = [_timed(yardstick.sample_by_sample, some, official) for _ in range(runs)]
    scoring, found = min(seconds for seconds, _ in tried), tried[0][1]
    figures = yardstick.figures(found)
    # The curves cost little more for many samples than for few: they are timed on as many as there would be.
    all_of_them = {name: np.resize(values, (case.n, *values.shape[1:])) for name, values in found.items()}
    averaging, _ = _timed(yardstick.figures, all_of_them)
    ids = np.array([case.ids.format(i) for i in range(min(subset, case.n))])
    pair = tuple(Hands(id=ids, joints=some[i], vertices=some[2 + i]) for i in (0, 1))
    with tempfile.TemporaryDirectory(dir=folder) as part:
        _write_blocks(case, Path(part), iter([pair]))
        _, own = evaluate(case, Path(part))
    if figures.keys() != own.keys():
        raise SystemExit(f"{case.name}: the figures have other names: {sorted(figures)} and {sorted(own)}.")
    return {
        "samples": len(ids),
        "starting_seconds": starting,
        "reading_seconds": reading,
        "scoring_seconds": scoring,
        "averaging_seconds": averaging,
        "seconds_scaled": starting + reading + scoring * case.n / len(ids) + averaging,
        "figures": figures,
        "largest_difference": max(abs(figures[name] - own[name]) for name in figures),
    }


def _timed(work: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work(*arguments)
    return time.perf_counter() - start, result


def measure(case: Case, folder: Path, runs: int, subset: int) -> dict[str, Any]:
    taken: list[dict[str, float]] = []
    figures: dict[str, float] = {}
    for _ in range(runs):
        took, figures = evaluate(case, folder)
        taken.append(took)
    seconds = [took["seconds"] for took in taken]
    beside = plain(case, folder, runs, min(subset, case.n))
    credible = {
        name: low <= figures[name] <= high for name, (low, high) in made_hands.EXPECTED.items() if name in figures
    }
    return {
        "case": case.name,
        "title": case.title,
        "protocol": case.protocol,
        "samples": case.n,
        "best_seconds": min(seconds),
        "median_seconds": statistics.median(seconds),
        "samples_per_second": case.n / statistics.median(seconds),
        "peak_bytes": max(took["peak_bytes"] for took in taken),
        "runs": taken,
        "figures": figures,
        "credible": credible,
        "plain": beside,
        "times_faster": beside["seconds_scaled"] / statistics.median(seconds),
    }


def machine() -> dict[str, Any]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        cpu = platform.processor() or "unknown"
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.platform(),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        **{name: version(name) for name in ("handbench", "numpy", "scipy", "h5py", "orjson", "pysimdjson")},
    }


def table(found: list[dict[str, Any]]) -> str:
    rows = [
        [
            case["title"],
            f"{case['samples']:,}",
            f"{case['best_seconds']:.2f}",
            f"{case['median_seconds']:.2f}",
            f"{case['samples_per_second']:,.0f}",
            f"{case['peak_bytes'] / 1e6:,.0f}",
            f"{case['plain']['seconds_scaled']:,.1f}",
            f"{case['times_faster']:.1f}",
            f"{case['plain']['largest_difference']:.0e}",
        ]
        for case in found
    ]
    headers = ["", "samples", "best s", "median s", "samples/s", "peak MB", "plain s", "faster", "differs by"]
    return str(tabulate(rows, headers, tablefmt="github", disable_numparse=True, colalign=["left"] + ["right"] * 8))


def figures_text(found: list[dict[str, Any]]) -> str:
    lines = []
    for case in found:
        shown = [
            f"{name} {case['figures'][name]:.2f}{'' if credible else ' (NOT CREDIBLE)'}"
            for name, credible in case["credible"].items()
        ]
        lines.append(f"{case['case']}: {', '.join(shown)}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=[case.name for case in CASES], help="these cases")
    parser.add_argument("--runs", type=int, default=3, help="of each case (default 3)")
    parser.add_argument("--subset", type=int, default=200, help="samples that the plain script scores (default 200)")
    parser.add_argument("--dir", type=Path, help="where to keep the hands, to use them again (default: nowhere)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything here")
    parser.add_argument("--quick", action="store_true", help="a few samples, to see that it runs")
    options = parser.parse_args()
    cases = [case for case in CASES if not options.only or case.name in options.only]
    if options.quick:
        cases = [replace(case, n=QUICK.get(case.name, 40)) for case in cases]
        options.runs, options.subset = 1, 20
    found = []
    about = machine()
    with tempfile.TemporaryDirectory() as temporary:
        for case in cases:
            print(f"{case.name}: {case.n:,} samples", file=sys.stderr, flush=True)
            kept = (options.dir or Path(temporary)) / case.name
            folder = made_hands.kept(kept, {"case": case.name, "samples": case.n}, partial(write, case))
            found.append(measure(case, folder, options.runs, options.subset))
    print(table(found))
    print(
        f"\nplain: one sample at a time, timed on {options.subset} samples and multiplied; its start, reading and "
        f"curves in full.\n"
        f"differs by: largest difference between its figures and handbench's on those samples, mm and 0..1.\n\n"
        f"{figures_text(found)}"
    )
    if options.json:
        write_json(options.json, {"machine": about, "quick": options.quick, "cases": found})
    differ = [case["case"] for case in found if not case["plain"]["largest_difference"] <= AGREEMENT]
    odd = [case["case"] for case in found if not all(case["credible"].values()) and not options.quick]
    for names, why in ((differ, "the plain script finds other figures"), (odd, "the predictions are not realistic")):
        if names:
            print(f"{', '.join(names)}: {why}", file=sys.stderr)
    return 1 if differ or odd else 0


if __name__ == "__main__":
    sys.exit(main())
