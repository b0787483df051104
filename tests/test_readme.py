"""Every command of the README runs, as it is typed, in the order it is typed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"^```sh( data)?\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
RUN = [line for data, block in BLOCKS if not data for line in block.splitlines() if line.startswith("handbench")]
NEED_DATA = [line for data, block in BLOCKS if data for line in block.splitlines()]
OTHER = [line for _, block in BLOCKS for line in block.splitlines() if not line.startswith("handbench")]


def typed(line: str, folder: Path) -> subprocess.CompletedProcess:
    """The line in a shell where `handbench` is this interpreter's."""
    (folder / "bin").mkdir(exist_ok=True)
    script = folder / "bin/handbench"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m handbench "$@"\n')
    script.chmod(0o755)
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    clean = {key: value for key, value in os.environ.items() if not key.startswith("HANDBENCH")}
    # beside other tests, two threads each would mostly wait for one another
    env = {**clean, "PATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.run(line, shell=True, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_the_readme_has_commands():
    assert len(RUN) >= 10
    assert "handbench eval --table 1" in RUN
    assert any("--device cuda" in line for line in NEED_DATA)


def test_the_chain_on_the_synthetic_hand(tmp_path):
    said = {}
    for line in RUN:
        done = typed(line, tmp_path)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        said[line] = done.stdout
    table = said["handbench eval --table 1"]
    assert "CLIP-Hand3D (ACM MM 2023)" in table
    assert "clip-hand3d tiny (random CLIP, scratch)" in table
    assert "mean-pose" in table
    assert r"\begin{" in said["handbench eval --table 1 --format latex"]
    by_occlusion = said["handbench eval --table deformer.1"]
    assert "HandOccNet (CVPR 2022)" in by_occlusion
    assert "| deformer tiny (scratch)" in by_occlusion
    assert "Samples by covered share: 0-25 %" in by_occlusion
    assert "clip-hand3d/full.tiny/0" in said["handbench ls"]
    assert "2 runs, seeds 0, 1" in said["handbench eval --protocol handsynth-source"]
    assert "mean ± s.d. of 2" in said["handbench eval --cross handsynth-source:handsynth-target"]
    made = {path.name for path in tmp_path.iterdir()}
    assert made == {"bin", "data", "runs"}, "nothing is written outside the places that are named"


@pytest.mark.parametrize("line", NEED_DATA)
def test_a_command_that_needs_what_is_not_here_is_understood_and_says_what(line, tmp_path):
    """It ends well, or says what is missing: never a usage error."""
    if "speed" in line:
        line += " --quick"
        import torch

        if torch.cuda.is_available():
            pytest.skip("would time the full model on the GPU")
    done = typed(line, tmp_path)
    tables = "eval --table" in line
    assert done.returncode == (0 if tables else 3), done.stderr
    assert tables or "hint: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("line", OTHER)
def test_the_other_commands_are_there(line):
    words = shlex.split(line)
    if words[0] == "make":
        done = subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0
        return
    assert words[:2] == ["pip", "install"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    name, _, extra = words[2].rstrip("]").partition("[")
    assert name == "."
    assert not extra or extra in project["optional-dependencies"]
