"""Every table, alone and as part of one document, through a real LaTeX."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from handbench.report.latex import to_latex
from handbench.report.spec import load_spec, table_names
from handbench.report.table import build_table
from handbench.report.table_parts import Cell, Head, Row, Section, Table

pytestmark = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex is installed")

PAPER = r"""\documentclass[landscape]{article}
\usepackage[margin=2cm]{geometry}
\usepackage{booktabs,longtable}
\begin{document}
%s
\end{document}
"""


def compiled(folder, text: str) -> str:
    """The log of a document that compiles."""
    (folder / "it.tex").write_text(text)
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "it.tex"]
    ran = subprocess.run(words, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    assert ran.returncode == 0, ran.stdout[-800:]
    assert (folder / "it.pdf").stat().st_size > 1000
    return (folder / "it.log").read_text(errors="replace")


def test_one_paper_holds_them_all_within_its_margins(tmp_path):
    tables = [to_latex(build_table(load_spec(name), [])) for name in table_names()]
    log = compiled(tmp_path, PAPER.replace("%s", "\\clearpage\n".join(tables)))
    too_wide = [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)]
    assert max(too_wide, default=0) < 10


@pytest.mark.parametrize("name", ["1", "5", "clip-dg.4"])
def test_a_table_is_a_document_of_its_own(tmp_path, name):
    compiled(tmp_path, to_latex(build_table(load_spec(name), []), standalone=True))


NAMES = ("[ours] net", "手ネット", "a\x00b\x7fc", "--strict", "50 % & $x$ #1 _y_ {z} ~^ \\end", '"quoted" <b>')


def test_names_that_would_break_a_table(tmp_path):
    rows = tuple(Row(name, f"measured, n = 1 {name}", True, (Cell("1.0", 1.0, "[0.9, 1.1]"),)) for name in NAMES)
    head = Head("[MPJPE]", "mm", "↓")
    table = Table("1", NAMES[0], (head,), (Section(NAMES[0], NAMES[1], "", rows),), NAMES, NAMES, ())
    compiled(tmp_path, to_latex(table, standalone=True))
    compiled(tmp_path, PAPER.replace("%s", to_latex(table)))
