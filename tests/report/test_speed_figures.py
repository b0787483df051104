"""Latencies and accuracy against speed, drawn: what is in the picture, and what is left out of it."""

from __future__ import annotations

import numpy as np
import pytest

from handbench.errors import MissingError
from handbench.report.speed_figures import alike, draw_accuracy, draw_latency, measured_points, published_points
from handbench.store.records import write_json

MACHINE = {"device": "A $GPU$", "threads": 2, "torch": "2.13.0"}


def timing(method: str = "dahyf", **changed):
    ms = np.linspace(9.0, 12.0, 100)
    return {
        "method": method, "variant": "full", "size": "full", "recipe": "r", "tier": "T1", "batch": 1,
        "precision": "fp32", "mode": "eager", "effort": "standard", "n": 100, "p50_ms": 10.5, "p99_ms": 11.9,
        "fps": 1000 / 10.5, "samples_wall_ms": ms, "machine": MACHINE, "made": {"time": "2026-01-02"}, **changed,
    }  # fmt: skip


def test_only_timings_of_the_newest_ones_condition_share_a_picture():
    others = [
        timing("a", machine=MACHINE | {"device": "another"}, made={"time": "2026-01-01"}),
        timing("b", effort="quick", made={"time": "2026-01-01"}),
    ]
    further = [timing("c", tier="T2"), timing("d", mode="cuda-graph"), timing("e", precision="bf16")]
    same, left_out = alike([*others, timing(), *further, timing("deformer")])
    assert [speed["method"] for speed in same] == ["dahyf", "deformer"]
    assert left_out == 2
    with pytest.raises(MissingError):
        alike(further)


def test_the_published_points_are_those_of_the_printed_table():
    points = {point.name: (point.fps, point.error) for point in published_points()}
    assert points["METRO"] == (4.0, 6.7)
    assert points["Ours (CLIP-Hand3D)"] == (77.0, 6.6)
    assert "CycleHand" not in points, "it has no frame rate"


def test_a_scored_row_stands_where_it_was_timed_under_its_own_recipe():
    row = {"method": "dahyf", "variant": "full", "size": "full", "recipe": "r"}
    (point,) = measured_points([{"name": "dahyf", "row": row, "error": 7.5}], [timing(), timing(recipe="other")])
    assert (point.error, point.fps) == (7.5, pytest.approx(95.238, rel=1e-3))
    assert measured_points([{"name": "dahyf", "row": row | {"size": "tiny"}, "error": 7.5}], [timing()]) == []


@pytest.mark.parametrize(("name", "begins"), [("a.png", b"\x89PNG"), ("a.pdf", b"%PDF"), ("a.svg", b"<?xml")])
def test_pictures_by_suffix(tmp_path, name, begins):
    draw_latency([timing(), timing("a$b")], tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(begins)
    draw_accuracy(published_points(), [], [timing()], "freihand", tmp_path / f"b{name}")
    assert (tmp_path / f"b{name}").read_bytes().startswith(begins)


def test_the_command(handbench, home):
    assert handbench("report", "speed", "latency").code == 3
    record = timing(samples_wall_ms=[1.0, 2.0], cost={"parameters": 1, "training_only": 0, "macs": 1})
    write_json(home / "speed" / "speed-x.json", record)
    for kind in ("latency", "accuracy"):
        ran = handbench("report", "speed", kind)
        assert ran.code == 0, ran.err
        assert (home / "pictures" / "speed" / f"{kind}.png").is_file()
