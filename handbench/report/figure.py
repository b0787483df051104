"""Figures of matplotlib, drawn without a screen, on disk."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from handbench.store.atomic import replacing

DPI = 120


def save(figure: Figure, path: Path) -> None:
    """Write as PNG, atomically."""
    FigureCanvasAgg(figure)
    with replacing(path) as part:
        figure.savefig(part, format="png", dpi=DPI)
