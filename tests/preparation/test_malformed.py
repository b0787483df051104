"""Whatever is wrong with an official folder, `prep` says it in one sentence that names the file, and nothing is lost in
silence."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from handbench.store.hands_file import HandsFile
from tests.preparation.conftest import options_of
from tests.preparation.malformed import CASES, Case

PATIENCE = 20


@pytest.fixture(autouse=True)
def in_time():
    """A pipe has no end, and some files claim none: whoever waits for them is stopped."""

    def stop(*_):
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(PATIENCE)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def official(written, tmp_path):
    """A copy of a written layout, to be spoilt."""

    def of(dataset: str) -> Path:
        return Path(shutil.copytree(written(dataset), tmp_path / "official", copy_function=os.link))

    return of


def prep(handbench, root: Path, dataset: str, split: str, *words):
    return handbench("prep", dataset, root, "--split", split, "--workers", 1, *options_of(dataset, root), *words)


def assert_refused(ran, code: int, home: Path) -> str:
    """One sentence, its hint, the exit code, and no file; returns the sentence."""
    said = ran.err + ran.out
    assert "Traceback" not in said
    assert "bug:" not in said
    assert ran.code == code, said
    errors = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, said
    assert errors[0].endswith((".", "?", "!")), errors[0]
    assert not ran.out
    assert not list(home.parent.rglob("*.h5"))
    return errors[0]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_is_wrong_is_said(handbench, official, home, case: Case):
    root = official(case.dataset)
    case.spoil(root / case.inside)
    words = ["--partial"] if case.partial else []
    ran = prep(handbench, root, case.dataset, case.split, *words, *case.options)
    sentence = assert_refused(ran, case.code, home)
    assert (case.names or case.inside) in sentence
    assert case.says in sentence + ran.err
    if case.samples:
        assert_only_these_are_left_out(handbench, root, home, case)


def assert_only_these_are_left_out(handbench, root: Path, home: Path, case: Case) -> None:
    ran = prep(handbench, root, case.dataset, case.split, "--partial", "--skip-bad", *case.options)
    assert ran.code == 0, ran.err
    assert "bug:" not in ran.err
    file = HandsFile(ran.out.strip())
    assert tuple(name for name, _ in file.left_out) == case.samples
    assert all(case.inside in why for _, why in file.left_out)
    assert all(name in ran.err for name in case.samples)
    assert file.meta["partial"]
    assert file.meta["left_out"] == len(case.samples)
    assert file.meta["frames"] == len(file) + len(case.samples)
    assert not set(case.samples) & set(file.ids.tolist())
