"""The picture of logit matrices: which prompt a pose is nearest to, along x, y and z (CLIP-Hand3D, figures 4, 10)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from handbench.report.figure import save

AXES = ("left to right", "top to bottom", "near to far")
# inches
LEFT, AFTER, GAP, BAR, TOP, BOTTOM = 1.6, 0.6, 1.15, 0.12, 1.0, 0.65
# up to so many samples each cell has its number
NUMBERED = 10


def matched(logits: NDArray, prompts: Sequence[str]) -> int:
    """How many poses, rows of logits (n,n), are nearest to their own prompt, which another sample may have too."""
    return sum(prompts[int(best)] == own for best, own in zip(logits.argmax(1), prompts, strict=True))


def matrices_record(
    logits: NDArray, ids: Sequence[str], prompts: Sequence[Sequence[str]], scales: NDArray
) -> dict[str, Any]:
    """Logits (3,n,n), ids (n,), prompts (3 times n), scales (3,) as plain JSON."""
    return {
        "ids": list(ids),
        "rows": "pose features",
        "columns": "text features",
        "axes": [
            {
                "axis": name,
                "scale": float(scale),
                "matched": matched(matrix, said),
                "prompts": list(said),
                "logits": matrix.tolist(),
            }
            for name, scale, matrix, said in zip(AXES, scales, logits, prompts, strict=True)
        ],
    }


def draw_matrices(
    logits: NDArray, prompts: Sequence[Sequence[str]], images: NDArray, ids: Sequence[str], path: Path, title: str
) -> None:
    """Logits (3,n,n), prompts (3 times n), images (n,S,S,3) uint8 RGB and ids (n,) -> PNG, written atomically."""
    n = len(ids)
    cell = float(np.clip(4.4 / n, 0.27, 0.62))
    side = cell * n
    width = LEFT + cell + AFTER + 3 * side + 3 * GAP
    height = TOP + side + BOTTOM
    figure = Figure(figsize=(width, height))

    def place(x: float, wide: float) -> Axes:
        return figure.add_axes((x / width, BOTTOM / height, wide / width, side / height))

    size = 8.0 if cell > 0.3 else 6.0
    _thumbnails(place(LEFT, cell), images, ids, size)
    for axis, matrix in enumerate(logits):
        x = LEFT + cell + AFTER + axis * (side + GAP)
        text = f"from {AXES[axis]}\n{matched(matrix, prompts[axis])} of {n} poses nearest to their own text"
        _matrix(place(x, side), matrix, text, size)
        bar = figure.colorbar(figure.axes[-1].images[0], cax=place(x + side + 0.08, BAR))
        bar.ax.tick_params(labelsize=7)
        bar.set_label("s · cosine", fontsize=8)
    figure.text(0.15 / width, 1 - 0.25 / height, title, fontsize=10, va="center")
    save(figure, path)


def _thumbnails(axes: Axes, images: NDArray, ids: Sequence[str], size: float) -> None:
    """One square above the other, as high as the rows of the matrices, each with number and id."""
    n = len(ids)
    for row, image in enumerate(images):
        axes.imshow(image, extent=(0.0, 1.0, row + 0.97, row + 0.03), interpolation="antialiased", aspect="auto")
    axes.set_xlim(0, 1)
    axes.set_ylim(n, 0)
    # without the dataset, which all have in common
    names = [name.split("/", 1)[-1] for name in ids]
    axes.set_yticks(np.arange(n) + 0.5, [f"{name}  {row}" for row, name in enumerate(names, 1)], fontsize=size)
    axes.set_xticks([])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _matrix(axes: Axes, matrix: NDArray, title: str, size: float) -> None:
    n = len(matrix)
    axes.imshow(matrix, cmap="viridis", interpolation="nearest", aspect="auto")
    every = 1 if n <= 32 else 4
    ticks = np.arange(0, n, every)
    axes.set_xticks(ticks, ticks + 1, fontsize=size)
    axes.set_yticks(ticks, ticks + 1, fontsize=size)
    axes.set_xlabel("text features", fontsize=9)
    axes.set_ylabel("pose features", fontsize=9, labelpad=1)
    axes.set_title(title, fontsize=9)
    if n > NUMBERED:
        return
    low, high = float(matrix.min()), float(matrix.max())
    # as many digits as tell the cells apart
    digits = 1 if high - low > 4 else 2
    for (row, column), value in np.ndenumerate(matrix):
        colour = "black" if value > low + 0.55 * (high - low) else "white"
        axes.text(column, row, f"{value:.{digits}f}", ha="center", va="center", fontsize=size - 1, color=colour)
