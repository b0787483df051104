"""Where files are: the official data, what handbench makes, and the recipes that it ships."""

from __future__ import annotations

import os
from pathlib import Path

from handbench.errors import MissingError


def data_home() -> Path:
    """`HANDBENCH_DATA` (default ./data): the official files, one folder a dataset, as downloaded."""
    return Path(os.environ.get("HANDBENCH_DATA", "data"))


def home() -> Path:
    """`HANDBENCH_HOME` (default ./runs): everything that handbench writes."""
    return Path(os.environ.get("HANDBENCH_HOME", "runs"))


def prepared(dataset: str, split: str) -> Path:
    return home() / "data" / f"{dataset}-{split}.h5"


def hand_model_file(side: str) -> Path:
    return home() / "data" / f"mano-{side}.npz"


def row_label(variant: str, size: str) -> str:
    """A variant's name in files: the variant, and the size where it is not full."""
    return variant if size == "full" else f"{variant}.{size}"


def run_folder(method: str, variant: str, seed: int) -> Path:
    return home() / "train" / method / variant / str(seed)


def predictions_file(protocol: str, row: str) -> Path:
    """`row` is METHOD-VARIANT-SEED, or the name under which somebody's predictions were imported."""
    return home() / "predictions" / protocol / f"{row}.h5"


def result_file(protocol: str, row: str) -> Path:
    return home() / "results" / protocol / f"{row}.h5"


def shipped(*parts: str) -> Path:
    """A file or folder that travels with handbench: `recipes/...` or `results/published/...`."""
    package = Path(__file__).parent
    for root in (package / "_data", package.parent):
        path = root.joinpath(*parts)
        if path.exists():
            return path
    raise MissingError(f"handbench's own {'/'.join(parts)} is not installed.", "Install handbench again.")
