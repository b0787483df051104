"""The benchmark scripts run, on a few samples; the plain script they carry finds handbench's figures."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "scoring.py"


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    command = [sys.executable, str(SCRIPT), "--quick", "--only", "freihand-json", "joints-10k"]
    command += ["--dir", str(folder / "hands"), "--json", str(folder / "scoring.json")]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout, json.loads((folder / "scoring.json").read_text())


def test_it_says_how_long_how_much_memory_and_how_much_faster(found):
    text, record = found
    assert [case["case"] for case in record["cases"]] == ["freihand-json", "joints-10k"]
    for case in record["cases"]:
        assert case["title"] in text
        assert 0 < case["best_seconds"] <= case["median_seconds"]
        assert 30e6 < case["peak_bytes"] < 1e9
        assert case["times_faster"] > 0
    assert record["machine"]["cores"] >= 1


def test_the_plain_script_and_handbench_agree(found):
    _, record = found
    for case, figures in zip(record["cases"], (12, 4), strict=True):
        assert len(case["plain"]["figures"]) == figures
        assert case["plain"]["largest_difference"] <= 1e-6


def test_predictions_are_wrong_as_a_methods_are(found):
    _, record = found
    figures = record["cases"][0]["figures"]
    assert 15 < figures["MPJPE"] < 30
    assert 5 < figures["PA-MPVPE"] < 8
    assert 0.6 < figures["PA-F@5"] < 0.8


def test_hands_are_made_once(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(SCRIPT.parent)
    kept = importlib.import_module("made_hands").kept
    written = []
    for samples in (10, 10, 20):
        kept(tmp_path / "hands", {"samples": samples}, written.append)
    assert len(written) == 2


def test_preparation_beside_its_bare_limit(tmp_path):
    script, record = SCRIPT.with_name("prep.py"), tmp_path / "prep.json"
    command = [sys.executable, str(script), "--quick", "--only", "copy", "--json", str(record)]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    cases = json.loads(record.read_text())["cases"]
    assert [case["case"] for case in cases] == ["copy 1", "copy 2", "read image", "read image and annotation"]
    for case in cases:
        assert case["case"] in ran.stdout
        assert case["share"] == pytest.approx(case["prep_per_s"] / case["limit_per_s"], rel=1e-6)
        assert 0 < case["share"] < 2, "a share above the limit's means that nothing was done"


def test_windows_beside_what_decoding_allows(tmp_path):
    script, record = SCRIPT.with_name("windows.py"), tmp_path / "windows.json"
    ran = subprocess.run(
        [sys.executable, str(script), "--quick", "--json", str(record)], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    cases = json.loads(record.read_text())["cases"]
    assert [case["case"] for case in cases] == [f"gap {gap}, stride {stride}" for gap in (1, 10) for stride in (1, 7)]
    for case in cases:
        assert case["case"] in ran.stdout
        assert case["decodes_per_frame"] == 1
        assert case["share"] == pytest.approx(case["windows_per_s"] / case["limit_per_s"], rel=1e-6)
        # a whole window at stride 1 is seven crops of pictures that are decoded already
        assert 0.02 < case["share"] < 2


def test_where_a_training_step_goes_adds_up(tmp_path):
    script, record = SCRIPT.with_name("training.py"), tmp_path / "training.json"
    command = [sys.executable, str(script), "--only", "dahyf", "deformer", "--steps", "1", "--json", str(record)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    cases = json.loads(record.read_text())["cases"]
    assert [case["method"] for case in cases] == ["dahyf", "deformer"]
    for case in cases:
        seconds = case["seconds"]
        assert case["method"] in ran.stdout
        assert all(seconds[part] > 0 for part in ("decode", "augment", "forward", "backward", "optimiser"))
        assert seconds["decode"] + seconds["augment"] <= seconds["waiting"]
        assert 0.8 < case["closure"] <= 1.001
        assert seconds["backward"] < seconds["whole"]
