"""Proofs take minutes, and what they find is kept as data under results/proof/."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from handbench.store.records import made, write_json

KEPT = Path(os.environ.get("HANDBENCH_PROOF", Path(__file__).parents[2] / "results" / "proof"))


@pytest.fixture
def keep():
    """`keep("name", {...})` writes results/proof/name.json."""

    def write(name: str, record: dict) -> None:
        who = {key: value for key, value in made().items() if key != "command"}
        write_json(KEPT / f"{name}.json", {**record, "made": who})

    return write
