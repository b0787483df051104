"""How fast windows of video are made, beside how fast their frames can be decoded at all.

    python benchmarks/windows.py --json windows.json

In one process and one run, of HandSynth-Video or of a prepared file (--data). The limit decodes every frame once and
does nothing else: at stride 1, one window a frame, windows cannot come faster.
Beside it, how often a frame was decoded.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tabulate import tabulate

from handbench.inference.window_crops import WindowCrops
from handbench.methods.base import Method
from handbench.preparation.generated import GENERATED, SyntheticSplit
from handbench.store.hands_file import HandsFile
from handbench.store.hands_writer import write_hands
from handbench.store.records import write_json
from handbench.synth.hand import synthetic_hand

LENGTH = 7


class Asked:
    """What windows are asked for: all that `WindowCrops` needs to know of a method."""

    name, input_size, frames, mirrors_left = "windows", 128, LENGTH, False
    given = ("box", "camera")

    def __init__(self, gap: int, stride: int):
        self.gap, self.stride = gap, stride


def made(path: Path, frames: int) -> HandsFile:
    split = SyntheticSplit("test", frames, 0, synthetic_hand("right"), GENERATED["handsynth-video"])
    block = split.read(0, frames)
    assert block.hands is not None
    write_hands(path, block.hands, block.images)
    return HandsFile(path)


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def decode_all(file: HandsFile) -> None:
    for i in range(len(file)):
        cv2.imdecode(np.frombuffer(file.image(i), np.uint8), cv2.IMREAD_COLOR)


def measure(file: HandsFile, gap: int, stride: int, repeats: int) -> dict[str, Any]:
    """Windows and limit in turns; medians of `repeats`."""
    method: Method = Asked(gap, stride)  # type: ignore[assignment]
    limits, times = [], []
    for _ in range(repeats):
        limits.append(seconds(lambda: decode_all(file)))
        crops = WindowCrops(file, method, 1.5)
        times.append(seconds(lambda crops=crops: [crops[i] for i in range(len(crops))]))
    limit, took = statistics.median(limits), statistics.median(times)
    return {
        "case": f"gap {gap}, stride {stride}",
        "windows": len(crops),
        "windows_per_s": len(crops) / took,
        "limit_per_s": len(crops) / limit,
        "share": limit / took,
        "decodes_per_frame": crops.decoded.count / len(file),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="a prepared file with tracks")
    parser.add_argument("--quick", action="store_true", help="few frames, once")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    # one thread each: what is compared is work, not cores
    cv2.setNumThreads(1)
    frames, repeats = (64, 1) if asked.quick else (640, 5)
    with tempfile.TemporaryDirectory() as folder:
        file = HandsFile(asked.data) if asked.data else made(Path(folder) / "video.h5", frames)
        cases = [measure(file, gap, stride, repeats) for gap in (1, 10) for stride in (1, LENGTH)]
    rows = [
        [c["case"], c["windows"], f"{c['windows_per_s']:.0f}", f"{c['limit_per_s']:.0f}", f"{c['share']:.2f}",
         f"{c['decodes_per_frame']:.2f}"]
        for c in cases
    ]  # fmt: skip
    headers = ("case", "windows", "windows/s", "decode-limited /s", "share of the limit", "decodes a frame")
    print(tabulate(rows, headers, tablefmt="github"))
    if asked.json:
        write_json(asked.json, {"length": LENGTH, "input_size": Asked.input_size, "cases": cases})


if __name__ == "__main__":
    main()
