"""The command line, run in this process: what it prints, and its exit code."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest

from handbench.cli import main


@dataclass
class Ran:
    code: int
    out: str
    err: str


@pytest.fixture
def handbench(home, capsys, monkeypatch):
    """`handbench("eval", "--table", "1")` with HANDBENCH_HOME and HANDBENCH_DATA of the test's own."""

    def run(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["handbench", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return run
