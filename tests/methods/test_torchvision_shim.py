"""A torchvision that does not fit the installed torch is made to import; any other is left as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FITS = "import torch\nloaded = True\n"
DOES_NOT_FIT = """
import torch
torch.library.register_fake("torchvision::nms")(lambda *a: None)
torch.library.register_fake("torchvision::qnms")(lambda *a: None)
loaded = True
"""


def run(folder: Path, package: str, code: str) -> subprocess.CompletedProcess:
    """`code` in a process of its own, with a torchvision of ours in front of the installed one."""
    (folder / "torchvision").mkdir()
    (folder / "torchvision" / "__init__.py").write_text(package)
    paths = [str(folder), str(Path(__file__).parents[2])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    script = "from handbench.methods.blocks.torchvision_shim import ensure_torchvision\nimport torch, sys\n" + code
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, env=environment)


def test_a_torchvision_that_fits_is_left_untouched(tmp_path):
    code = """
assert ensure_torchvision() is False
import torchvision
assert torchvision.loaded
assert not hasattr(torch.ops.torchvision, "nms")
"""
    done = run(tmp_path, FITS, code)
    assert done.returncode == 0, done.stderr


def test_missing_schemas_are_declared_and_the_import_succeeds(tmp_path):
    code = """
assert ensure_torchvision() is True
import torchvision
assert torchvision.loaded
assert hasattr(torch.ops.torchvision, "nms") and hasattr(torch.ops.torchvision, "qnms")
assert ensure_torchvision() is True
"""
    done = run(tmp_path, DOES_NOT_FIT, code)
    assert done.returncode == 0, done.stderr


def test_another_failure_comes_through_as_it_is(tmp_path):
    done = run(tmp_path, "raise RuntimeError('the disk is on fire')", "ensure_torchvision()")
    assert "RuntimeError: the disk is on fire" in done.stderr


def test_an_operator_that_nobody_knows_comes_through_too(tmp_path):
    unknown = "import torch\ntorch.library.register_fake('torchvision::teleport')(lambda *a: None)\n"
    done = run(tmp_path, unknown, "ensure_torchvision()")
    assert "operator torchvision::teleport does not exist" in done.stderr


def test_timm_and_open_clip_import_beside_the_installed_torch():
    code = """
from handbench.methods.blocks.torchvision_shim import import_with_torchvision
assert import_with_torchvision("timm").create_model("resnet18", pretrained=False)
assert import_with_torchvision("open_clip").get_tokenizer("ViT-B-32-quickgelu")
"""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
