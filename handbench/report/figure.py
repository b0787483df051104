"""Figures of matplotlib, drawn without a screen, on disk."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from handbench.store.atomic import replacing

DPI = 120
# Okabe and Ito's palette without its yellow, and dashes for print without colours
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":")


def save(figure: Figure, path: Path) -> None:
    """Write as PNG, or as PDF or SVG where the path ends so, atomically."""
    FigureCanvasAgg(figure)
    suffix = path.suffix.removeprefix(".").lower()
    with replacing(path) as part:
        figure.savefig(part, format=suffix if suffix in ("pdf", "svg") else "png", dpi=DPI)
