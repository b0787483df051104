"""`handbench --help` and scoring never import torch, and answer at once."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import hands_in_view

# what the base install does not have
BLOCKED = ("torch", "torchvision", "timm", "open_clip", "smplx", "lightning_fabric", "tensorboard", "safetensors")
RUN = f"""
import sys
for name in {BLOCKED!r}:
    sys.modules[name] = None
from handbench.cli import main
sys.argv = ["handbench", *sys.argv[1:]]
main()
"""


def run(*arguments: object, cwd=None) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", RUN, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


@pytest.fixture
def folders(tmp_path):
    """A truth folder and a pred.json as the official script takes them."""
    truth = hands_in_view(6)
    rng = np.random.default_rng(0)
    (tmp_path / "ref").mkdir()
    (tmp_path / "ref/evaluation_xyz.json").write_text(json.dumps(truth.tolist()))
    pred = truth + rng.normal(0, 0.004, truth.shape)
    (tmp_path / "pred.json").write_text(json.dumps([pred.tolist(), []]))
    return tmp_path, 1000 * np.linalg.norm(pred - truth, axis=-1).mean()


def test_help_of_every_command(tmp_path):
    for command in (
        (),
        [
            "prep",
            "synth",
            "train",
            "predict",
            "import",
            "eval",
            "compare",
            "submit",
            "speed",
            "report",
            "demo",
            "doctor",
            "ls",
        ],
    ):
        for name in command or ("",):
            done = run(*filter(None, (name,)), "--help", cwd=tmp_path)
            assert done.returncode == 0, done.stderr
            assert "Usage" in done.stdout
            if name:
                assert f"handbench {name}" in done.stdout.split("Example")[1]
    assert list(tmp_path.iterdir()) == []


def test_scoring_a_file_needs_no_torch(folders):
    folder, error = folders
    done = run("eval", "--protocol", "freihand", "--truth", "ref", "--pred", "pred.json", "--json", "-", cwd=folder)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    value = next(m["value"] for m in record["summary"] if (m["metric"], m["alignment"]) == ("mpjpe", "none"))
    assert value == pytest.approx(error, abs=1e-6)
    assert record["n"] == 6


def test_a_command_that_needs_torch_says_how_to_get_it(tmp_path):
    done = run("train", "mean-pose", cwd=tmp_path)
    assert done.returncode == 3
    assert "handbench[methods]" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_imports_nothing_heavy():
    script = """
import sys
from handbench.cli import main
sys.argv = ["handbench", "--help"]
try:
    main()
except SystemExit:
    pass
print([name for name in ("numpy", "h5py", "cv2", "pandas", "torch", "scipy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
