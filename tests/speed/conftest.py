"""What tests of speed share."""

from __future__ import annotations

import pytest

from handbench.speed.clock import EFFORTS, Effort


@pytest.fixture
def short(monkeypatch):
    """A quick run of a moment, where what is measured does not matter."""
    monkeypatch.setitem(EFFORTS, "quick", Effort("quick", 4, 0.0, 0.2, 10, 0.0, 5))
