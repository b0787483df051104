"""`eval --table N --run`: what is missing is said, then run command by command; nothing else is run."""

from __future__ import annotations

import subprocess
import sys

import pytest

from handbench import places
from handbench.errors import CheckFailed
from handbench.report import missing_runs
from handbench.report.missing_runs import missing_steps, run_missing
from handbench.report.spec import load_spec, table_names


def typed(name: str, size: str = "full", speeds=()) -> list[str]:
    return [step.typed for step in missing_steps(load_spec(name), size, speeds)]


def touch(path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_an_ablation_wants_each_of_its_variants_trained_and_predicted(home):
    assert typed("clip-hand3d.4") == [
        line.replace("VARIANT", variant)
        for variant in ("wo_clip", "B8", "B16", "B32")
        for line in (
            "handbench train clip-hand3d --variant VARIANT",
            "handbench predict clip-hand3d --variant VARIANT --protocol clip-hand3d-ablation",
        )
    ]


def test_a_method_is_trained_once_for_two_protocols_and_what_is_there_is_not_run_again(home):
    lines = typed("2", "tiny")
    assert lines[:3] == [
        "handbench train clip-hand3d --size tiny",
        "handbench predict clip-hand3d --size tiny --protocol stb",
        "handbench predict clip-hand3d --size tiny --protocol rhd",
    ]
    touch(places.run_folder("clip-hand3d", "full.tiny", 0) / "best.pt")
    touch(places.predictions_file("stb", "clip-hand3d-full.tiny-0"))
    assert typed("2", "tiny")[0] == "handbench predict clip-hand3d --size tiny --protocol rhd"
    assert len(typed("2", "tiny")) == len(lines) - 2


def test_a_table_with_speeds_wants_them_once(home):
    assert typed("10") == [
        f"handbench speed {method}"
        for method in ("clip-hand3d", "clip-hand-s12", "clip-hand-s24", "clip-dg", "dahyf", "deformer")
    ]
    one = {
        "tier": "T1",
        "batch": 1,
        "mode": "eager",
        "precision": "fp32",
        "method": "dahyf",
        "variant": "full",
        "size": "full",
    }
    assert "handbench speed dahyf" not in typed("10", speeds=[one])
    assert "handbench speed dahyf" in typed("10", speeds=[{**one, "tier": "T2"}])


@pytest.mark.parametrize("name", table_names())
def test_every_command_is_of_a_recipe_that_there_is(name, home):
    for step in missing_steps(load_spec(name), "tiny"):
        assert step.words[0] in ("train", "predict", "speed")
        assert step.cost


def test_commands_are_said_and_run_until_one_fails(home, monkeypatch, capsys):
    ran = []

    def run(words, **_):
        ran.append(words)
        return subprocess.CompletedProcess(words, 0 if len(ran) < 3 else 4)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(CheckFailed, match="`handbench speed clip-hand-s24` ended with exit code 4"):
        run_missing(load_spec("10"), "full")
    assert ran[0] == [sys.executable, "-m", "handbench", "speed", "clip-hand3d"]
    assert len(ran) == 3
    said = capsys.readouterr().err
    assert "Table 10 wants 6 commands:" in said
    assert said.index("handbench speed deformer") < said.index("handbench speed clip-hand3d\n")


def test_without_run_nothing_is_run(handbench, home, monkeypatch):
    monkeypatch.setattr(missing_runs, "run_missing", lambda *_: pytest.fail("something was run"))
    assert handbench("eval", "--table", "10").code == 0
    assert handbench("eval", "--table", "10", "--size", "tiny").code == 2
    assert handbench("eval", "--protocol", "freihand", "--run").code == 2
