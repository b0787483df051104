"""Training adds up in one thread, in this process and in those that it starts."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Sums of floats depend on how many threads add them up, and what ran before in this process may have set another
    number than a process that is started has."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield
    torch.set_num_threads(before)
