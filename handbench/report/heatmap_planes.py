"""The picture of the heat-maps that are lifted: a hand in the planes xy, xz and yz (CLIP-Hand3D, figure 9)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from handbench.hands.joints import BONES
from handbench.report.contact_sheet import FINGER_COLOURS
from handbench.report.figure import save

# (name, column axis, row axis)
PLANES = (("xy", 0, 1), ("xz", 0, 2), ("yz", 1, 2))
# inches
SIDE, LEFT, GAP_X, GAP_Y, TOP, BOTTOM, RIGHT = 2.3, 0.25, 0.85, 0.75, 0.75, 0.6, 0.8
COLOURS = [tuple(channel / 255 for channel in colour) for colour in FINGER_COLOURS]


def draw_planes(
    maps: NDArray, joints: NDArray, images: NDArray, ids: Sequence[str], depth: float, path: Path, title: str
) -> None:
    """One row a sample -> PNG, written atomically.

    maps (n,3,s,s) [row, column] in 0..1; joints (n,21,3) in uvd; images (n,S,S,3) uint8 RGB; `depth`: bone lengths
    that d in [0, 1] covers, the wrist in the middle.
    """
    n = len(ids)
    width = LEFT + 4 * SIDE + 3 * GAP_X + RIGHT
    height = TOP + n * SIDE + (n - 1) * GAP_Y + BOTTOM
    figure = Figure(figsize=(width, height))

    def place(row: int, x: float, wide: float) -> Axes:
        y = height - TOP - SIDE - row * (SIDE + GAP_Y)
        return figure.add_axes((x / width, y / height, wide / width, SIDE / height))

    # what an axis covers, from edge to edge
    ranges = ((0.0, 1.0), (0.0, 1.0), (-depth / 2, depth / 2))
    names = ("u (of the crop)", "v (of the crop)", "d (bone lengths from the wrist)")
    for row in range(n):
        _crop(place(row, LEFT, SIDE), images[row], joints[row], ids[row])
        for plane, (name, column, down) in enumerate(PLANES):
            x = LEFT + (plane + 1) * (SIDE + GAP_X)
            axes = place(row, x, SIDE)
            extent = (*ranges[column], ranges[down][1], ranges[down][0])
            shown = axes.imshow(maps[row, plane], extent=extent, vmin=0, vmax=1, cmap="inferno", aspect="auto")
            axes.set_xlabel(names[column], fontsize=8, labelpad=2)
            axes.set_ylabel(names[down], fontsize=8, labelpad=2)
            axes.tick_params(labelsize=7)
            if row == 0:
                axes.set_title(name, fontsize=9)
        bar = figure.colorbar(shown, cax=place(row, width - RIGHT + 0.12, 0.1))
        bar.ax.tick_params(labelsize=7)
    figure.text(LEFT / width, 1 - 0.25 / height, title, fontsize=10, va="center")
    save(figure, path)


def _crop(axes: Axes, image: NDArray, joints: NDArray, name: str) -> None:
    """The crop with the joints over it: u, v from edge to edge."""
    axes.imshow(image, extent=(0, 1, 1, 0), aspect="auto")
    for bone, (parent, child) in enumerate(BONES):
        u, v = joints[[parent, child], :2].T
        axes.plot(u, v, color=COLOURS[bone // 4], linewidth=1.6, marker=".", markersize=4)
    axes.set_xlim(0, 1)
    axes.set_ylim(1, 0)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel(name.split("/", 1)[-1], fontsize=8, labelpad=4)
