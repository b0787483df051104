"""The handful of names at the top."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import handbench
from tests.conftest import hands_in_view


def test_evaluate_and_compare_from_python(tmp_path):
    truth = hands_in_view(12)
    (tmp_path / "evaluation_xyz.json").write_text(json.dumps(truth.tolist()))
    results = []
    for name, noise in (("a", 0.002), ("b", 0.006)):
        pred = truth + np.random.default_rng(0).normal(0, noise, truth.shape)
        (tmp_path / f"{name}.json").write_text(json.dumps([pred.tolist(), []]))
        results.append(handbench.evaluate(tmp_path, tmp_path / f"{name}.json", protocol="freihand"))
        expected = 1000 * np.linalg.norm(pred - truth, axis=-1).mean()
        assert results[-1].value("mpjpe", "none") == pytest.approx(expected, abs=1e-6)
    assert all(row.better == "a" for row in handbench.compare(*results).rows if row.metric == "mpjpe")


def test_every_name_is_there_and_nothing_is_loaded_before_it_is_used():
    for name in handbench.__all__:
        assert getattr(handbench, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        _ = handbench.nonsense
    script = "import handbench, sys; print('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout.strip() == "False"
