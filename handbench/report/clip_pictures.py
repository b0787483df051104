"""Pictures of CLIP's space: t-SNE of domains, and the images nearest to a prompt (clip-dg, figures 3 and 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from handbench.errors import UsageError
from handbench.report.figure import COLOURS, save

MARKERS = ("o", "x", "^", "s", "D", "v", "P")
PERPLEXITY = 30.0
# inches
CELL, WORDS = 1.5, 2.6


def embed(features: Mapping[str, NDArray], seed: int = 0) -> dict[str, NDArray]:
    """t-SNE (van der Maaten and Hinton, JMLR 2008; scikit-learn's) of all features together: name (n,512) -> (n,2).

    Raises UsageError for fewer than 5 points.
    """
    from sklearn.manifold import TSNE

    together = np.concatenate(list(features.values()))
    if len(together) < 5:
        raise UsageError(f"{len(together)} points are too few for t-SNE.", "Give --samples 50 or more.")
    perplexity = min(PERPLEXITY, (len(together) - 1) / 3)
    placed = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(together.astype(np.float32))
    ends = np.cumsum([len(each) for each in features.values()])[:-1]
    return dict(zip(features, np.split(placed, ends), strict=True))


def draw_domains(placed: Mapping[str, NDArray], path: Path, title: str) -> None:
    """Points (n,2) of each set -> PNG, written atomically."""
    figure = Figure(figsize=(7.5, 6.2), layout="constrained")
    axes = figure.subplots()
    for (name, points), colour, marker in zip(placed.items(), cycle(COLOURS), cycle((*MARKERS, "*")), strict=False):
        x, y = points.T
        axes.scatter(x, y, 18, color=colour, marker=marker, label=f"{name} (n = {len(points):,})", linewidths=0.8)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title, fontsize=10)
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(0, -0.02), ncols=2, frameon=False)
    save(figure, path)


def draw_nearest(rows: Sequence[Any], path: Path, title: str) -> None:
    """Rows of `inference.clip_space.Nearest`: the image put in, the prompt, the nearest images with cosines -> PNG."""
    best = max(len(row.ids) for row in rows)
    figure = Figure(figsize=(CELL * (best + 1) + WORDS, (CELL + 0.35) * len(rows) + 0.5), layout="constrained")
    grid = figure.subplots(
        len(rows), best + 2, squeeze=False, width_ratios=[CELL, WORDS, *[CELL] * best], gridspec_kw={"wspace": 0.02}
    )
    for row, line in zip(rows, grid, strict=True):
        for axes in line:
            axes.axis("off")
        line[0].imshow(row.given)
        line[0].set_title(_short(row.given_id), fontsize=7)
        line[1].text(
            0.5, 0.5, f"+ “{row.prompt}”\n→ nearest", ha="center", va="center", fontsize=9, wrap=True, parse_math=False
        )
        for axes, image, name, cosine in zip(line[2:], row.images, row.ids, row.cosines, strict=False):
            axes.imshow(image)
            axes.set_title(f"{_short(name)}\ncosine {cosine:.3f}", fontsize=7)
    figure.suptitle(title, fontsize=10)
    save(figure, path)


def nearest_record(rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [
        {"prompt": row.prompt, "sample": row.given_id, "ids": row.ids, "cosines": row.cosines.tolist()} for row in rows
    ]


def _short(name: str) -> str:
    return name.split("/", 1)[-1]
