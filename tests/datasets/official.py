"""Official files as tests open and prepare them, without a hand model unless one is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from handbench.datasets.card import Split, Wanted
from handbench.preparation.prepare import prepare
from handbench.preparation.source import Source
from handbench.store.hands_file import HandsFile

SYNTHETIC = (("right", "synthetic"), ("left", "synthetic"))


def source(dataset: str, root: Path, split: str, hands: tuple = (), **wanted: Any) -> Source:
    return Source(dataset, root, split, Wanted(**wanted), hands)


def opened(dataset: str, root: Path, split: str, hands: tuple = (), **wanted: Any) -> Split:
    return source(dataset, root, split, hands, **wanted).open()


def prepared(dataset: str, root: Path, split: str, path: Path, hands: tuple = (), **wanted: Any) -> HandsFile:
    return prepare(source(dataset, root, split, hands, **wanted), path)
