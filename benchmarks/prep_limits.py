"""The bare limits of `prep.py`: `copy ROOT OUT WORKERS`, `crop ROOT WINDOWS OUT WORKERS`. Nothing is checked."""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np


def copy(files: list[str], out: str) -> None:
    with open(out, "wb") as target:
        for file in files:
            with open(file, "rb") as source:
                target.write(source.read())


def crop(root: str, files: list[str], windows: np.ndarray, out: str) -> None:
    import cv2

    cv2.setNumThreads(1)
    settings = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    with open(out, "wb") as target:
        for file, (left, top, right, bottom) in zip(files, windows.tolist(), strict=True):
            with open(f"{root}/{file}", "rb") as source:
                image = cv2.imdecode(np.frombuffer(source.read(), np.uint8), cv2.IMREAD_COLOR)
            target.write(cv2.imencode(".jpg", image[top:bottom, left:right], settings)[1].tobytes())


def main() -> None:
    what, root, *rest = sys.argv[1:]
    workers = int(rest[-1])
    with ProcessPoolExecutor(workers) as pool:
        if what == "copy":
            files = sorted(str(path) for path in Path(root).rglob("*") if path.suffix in (".jpg", ".json"))
            # the two large lists would end in one worker: images and lists are dealt out in turn
            futures = [pool.submit(copy, files[k::workers], f"{rest[0]}-{k}") for k in range(workers)]
        else:
            with np.load(rest[0]) as known:
                files, windows = known["files"].tolist(), known["windows"]
            step = -(-len(files) // workers)
            parts = [slice(k * step, (k + 1) * step) for k in range(workers)]
            futures = [
                pool.submit(crop, root, files[part], windows[part], f"{rest[1]}-{k}") for k, part in enumerate(parts)
            ]
        for future in futures:
            future.result()


if __name__ == "__main__":
    main()
