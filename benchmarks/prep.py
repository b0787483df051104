"""How fast `handbench prep` is, beside the bare limit of the same work, and whether its memory grows.

    python benchmarks/prep.py --json prep.json

copy    FreiHAND: images kept as they are. Limit: the same files read and written again, nothing else.
crop    DexYCB: context crops of frames. Limit: the same JPEGs decoded, cut and encoded, nothing else.
read    random samples of the finished file. Limit: the same JPEGs decoded from memory.
memory  HanCo with 200,000 frames against 20,000: the largest process's peak. (Blocks reach their full size of 1,024
        frames at 16,384; below, memory grows with them.)

Every run of `prep` is a fresh process, its start included; the limit is a process as well and uses as many workers.
The best of the runs counts, and runs alternate. All files are in the page cache: what is measured is the work, not the
disk.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import prep_trees
from tabulate import tabulate

from handbench.layouts.mark import SYNTHETIC_MARK
from handbench.store.hands_file import HandsFile
from handbench.store.records import write_json

HERE = Path(__file__).parent
# floors: prep's rate as a share of its limit's
FLOORS = {"copy": 0.80, "crop": 0.80, "read": 0.90}
# peak of the larger set over that of the smaller
FLAT = 1.15


def measured(log: Path, *command: object, home: Path) -> dict[str, Any]:
    """Run a command: seconds and peak bytes of its largest process."""
    environment = {**os.environ, "HANDBENCH_HOME": str(home)}
    words = [sys.executable, str(HERE / "measured.py"), str(log), *map(str, command)]
    done = json.loads(subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout)
    if done["code"] != 0:
        raise SystemExit(f"{' '.join(words)} failed: {log.read_text()[-2000:]}")
    return done


def against_limit(
    name: str,
    frames: int,
    work: Path,
    prep: list[object],
    limit: list[object],
    workers: int,
    runs: int,
    models: bool = False,
) -> dict[str, Any]:
    """Rates of `prep` and of its limit with as many workers, in turn."""
    best: dict[str, float] = {}
    peak = 0
    for run in range(runs):
        words = (sys.executable, "-m", "handbench", *prep, "--workers", workers)
        # a home of its own: what is prepared already would be found
        home = work / f"{name.replace(' ', '-')}-{run}"
        if models:
            prep_trees.hand_models(home)
        ours = measured(work / "log", *words, home=home)
        bare = measured(work / "log", *limit, workers, home=work)
        peak = max(peak, ours["peak_bytes"])
        for what, seen in (("prep", ours), ("limit", bare)):
            best[what] = min(best.get(what, float("inf")), seen["seconds"])
    rates = {what: frames / seconds for what, seconds in best.items()}
    share = rates["prep"] / rates["limit"]
    return {
        "case": name,
        "frames": frames,
        "workers": workers,
        "prep_per_s": rates["prep"],
        "limit_per_s": rates["limit"],
        "share": share,
        "floor": FLOORS[name.split()[0]],
        "peak_bytes": peak,
    }


def copy(work: Path, n: int, runs: int) -> tuple[list[dict[str, Any]], Path]:
    root = prep_trees.freihand(work / "freihand", n)
    prep = ["prep", "freihand", root, "--split", "train", "--partial"]
    limit = [sys.executable, HERE / "prep_limits.py", "copy", root, work / "copied"]
    rows = [against_limit(f"copy {k}", 4 * n, work, prep, limit, k, runs) for k in (1, 2)]
    return rows, work / f"copy-2-{runs - 1}" / "data/freihand-train.h5"


def crop(work: Path, sequences: int, frames: int, runs: int) -> list[dict[str, Any]]:
    root, names = prep_trees.dexycb(work / "dexycb", sequences, frames)
    rows = []
    # without its mark a set's poses are of MANO
    (root / SYNTHETIC_MARK).unlink()
    for kind, models in (("no MANO", False), ("with MANO", True)):
        prep = ["prep", "dexycb", root, "--split", "s0-train", "--partial", "--sequence-names", names]
        probe = work / f"probe-{models}"
        measured(work / "log", sys.executable, "-m", "handbench", *prep, home=probe)
        with HandsFile(probe / "data/dexycb-s0-train.h5") as file:
            count = int(file.meta["frames"])
            prep_trees.windows(file, work / "windows.npz")
        limit = [sys.executable, HERE / "prep_limits.py", "crop", root, work / "windows.npz", work / "cropped"]
        rows += [against_limit(f"crop {kind} {k}", count, work, prep, limit, k, runs, models) for k in (1, 2)]
    return rows


def read(path: Path, samples: int, runs: int) -> list[dict[str, Any]]:
    """Random samples: the image alone, and the image with its annotations, against decoding from memory."""
    import cv2

    cv2.setNumThreads(1)
    with HandsFile(path) as file:
        index = np.random.default_rng(0).integers(0, len(file), samples).tolist()
        images = [np.frombuffer(file.image(i), np.uint8) for i in index]

        def bare() -> None:
            for image in images:
                cv2.imdecode(image, cv2.IMREAD_COLOR)

        def image_only() -> None:
            for i in index:
                cv2.imdecode(np.frombuffer(file.image(i), np.uint8), cv2.IMREAD_COLOR)

        def whole() -> None:
            for i in index:
                file.read(i, i + 1)
                cv2.imdecode(np.frombuffer(file.image(i), np.uint8), cv2.IMREAD_COLOR)

        best = dict.fromkeys((bare, image_only, whole), float("inf"))
        for _ in range(runs + 2):
            for work in best:
                begun = time.perf_counter()
                work()
                best[work] = min(best[work], time.perf_counter() - begun)
    limit = samples / best[bare]
    return [
        {"case": name, "frames": samples, "workers": 1, "prep_per_s": samples / best[work], "limit_per_s": limit,
         "share": best[bare] / best[work], "floor": FLOORS["read"] if work is image_only else None, "peak_bytes": None}
        for name, work in (("read image", image_only), ("read image and annotation", whole))
    ]  # fmt: skip


def memory(work: Path, few: int, many: int) -> dict[str, Any]:
    peaks, seconds = {}, {}
    for n in (few, many):
        root = prep_trees.hanco(work / f"hanco-{n}", n)
        command = [sys.executable, "-m", "handbench", "prep", "hanco", root, "--partial", "--workers", 2]
        seen = measured(work / "log", *command, home=work / f"hanco-home-{n}")
        peaks[str(n)], seconds[str(n)] = seen["peak_bytes"], seen["seconds"]
    ratio = peaks[str(many)] / peaks[str(few)]
    return {"few": few, "many": many, "peak_bytes": peaks, "seconds": seconds, "ratio": ratio}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="keep the figures")
    parser.add_argument("--quick", action="store_true", help="small sets, to see that it runs")
    parser.add_argument("--only", choices=("copy", "crop", "memory"), action="append")
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    only = given.only or ["copy", "crop", "memory"]
    runs = 1 if given.quick else given.runs
    rows: list[dict[str, Any]] = []
    flat: dict[str, Any] | None = None
    with tempfile.TemporaryDirectory(prefix="handbench-prep-") as name:
        work = Path(name)
        if "copy" in only:
            copied, finished = copy(work, 50 if given.quick else 10000, runs)
            rows += copied + read(finished, 100 if given.quick else 5000, runs)
        if "crop" in only:
            rows += crop(work, *((10, 2) if given.quick else (120, 12)), runs)
        if "memory" in only:
            flat = memory(work, *((200, 400) if given.quick else (20000, 200000)))
    table = [
        [r["case"], f"{r['frames']:,}", f"{r['prep_per_s']:,.0f}", f"{r['limit_per_s']:,.0f}", f"{r['share']:.0%}",
         f"{r['floor']:.0%}" if r["floor"] else "-", f"{r['peak_bytes'] / 1e6:,.0f}" if r["peak_bytes"] else "-"]
        for r in rows
    ]  # fmt: skip
    print(tabulate(table, ["case, workers", "frames", "handbench/s", "limit/s", "share", "floor", "peak MB"]))
    if flat:
        for n in (flat["few"], flat["many"]):
            peak, seconds = flat["peak_bytes"][str(n)], flat["seconds"][str(n)]
            print(f"memory: {n:,} frames, peak {peak / 1e6:,.0f} MB, {seconds:.1f} s")
        print(f"ratio {flat['ratio']:.2f}, at most {FLAT}")
    if given.json:
        machine = {"python": platform.python_version(), "cores": os.cpu_count(), "system": platform.system()}
        write_json(given.json, {"machine": machine, "cases": rows, "memory": flat})


if __name__ == "__main__":
    main()
