"""`handbench compare`: what it prints, what it writes, and what it refuses."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from handbench.evaluation.result_file import write_result
from tests.cli.test_bad_input import refused
from tests.evaluation.two_results import captures, methods


@pytest.fixture
def files(tmp_path):
    """Two methods, the first better, over 24 captures with a quarter of the hands in each occlusion bucket."""
    paths = []
    for name, result in zip(("a", "b"), methods(480, better_by=0.5), strict=True):
        covered = np.tile([0.1, 0.3, 0.6, 0.9], 120)
        result = dataclasses.replace(result, covered=covered, clusters=captures(480, 20))
        paths.append(tmp_path / f"{name}.h5")
        write_result(paths[-1], result)
    return paths


def test_it_prints_verdicts_buckets_joints_samples_and_notes(handbench, files):
    ran = handbench("compare", *files)
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[:2] == ["A: first seed 0", "B: second seed 0"]
    assert "480 samples of 24 captures" in lines[2]
    figure = next(line for line in lines if line.startswith("| mpjpe, mm") and " root " in line)
    assert "A is better" in figure
    assert ran.out.count("| 75-100 %") == 2
    assert "A - B by joint, procrustes" in ran.out
    assert ran.out.count("| little") == 2
    assert ran.out.count("| trial/") == 10
    assert "corrected for 15 tests" in ran.out
    assert handbench("compare", *files).out == ran.out
    assert max(map(len, lines)) <= 150


def test_the_record_is_json_on_stdout_or_in_a_file(handbench, files, tmp_path):
    ran = handbench("compare", *files, "--json", "-", "--top", "1", "--metric", "mpjpe/procrustes")
    record = json.loads(ran.out)
    assert set(record) >= {"protocol", "unlike", "n", "clusters", "rows", "per_bucket", "per_joint", "warnings"}
    assert record["family"]["tests"] == 15
    assert list(record["per_joint"]) == ["procrustes"]
    assert len(record["most_different"]["below"]) == len(record["most_different"]["above"]) == 1
    handbench("compare", *files, "--json", tmp_path / "found.json")
    assert json.loads((tmp_path / "found.json").read_text())["rows"] == record["rows"]


def test_what_is_no_result_is_refused(handbench, files, tmp_path):
    (tmp_path / "a.json").write_text('{"protocol": {}}')
    refused(handbench("compare", tmp_path / "a.json", files[1]), 4, "a.json is JSON", "--result")
    refused(handbench("compare", files[0], tmp_path / "no.h5"), 3, "no.h5")
    refused(handbench("compare", *files, "--metric", "mpjpe/rot"), 2, "mpjpe/root")


def test_unlike_results_are_refused_unless_overruled(handbench, files):
    a, _ = methods(480)
    write_result(files[0], dataclasses.replace(a, given=["root"]))
    refused(handbench("compare", *files), 4, "given: root against not stated")
    ran = handbench("compare", *files, "--anyway")
    assert ran.code == 0
    assert "unlike: given: root against not stated" in ran.out
