"""What the tests of pickles share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def write(tmp_path: Path):
    def write(data: bytes, name: str = "file.pkl") -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write
