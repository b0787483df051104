"""Tables as LaTeX and as Markdown: nothing is lost, nothing is obeyed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from handbench.report.latex import escape, to_latex
from handbench.report.markdown import to_markdown
from handbench.report.table import load_spec, table_names
from tests.report.test_table import RANDOM, record, table


def test_latex_escapes_what_it_would_obey():
    assert escape(r"50% & a_b #1 $x$ {y} ~ ^ \input") == (
        r"50\% \& a\_b \#1 \$x\$ \{y\} \textasciitilde{} \textasciicircum{} \textbackslash{}input"
    )
    assert escape("é → 手") == r"é $\rightarrow$ {[}U+624B]"
    evil = to_latex(table(record(method="a_b & \\input{x} 100%", size="full")))
    assert r"a\_b \& \textbackslash{}input\{x\} 100\%" in evil


def test_latex_holds_its_provenance_and_can_be_a_document():
    built = table(record("freihand@1-aaaa", 9), name="clip-hand3d.1")
    part = to_latex(built)
    comments = [line for line in part.splitlines() if line.startswith("%")]
    assert any('"protocol": "freihand@1-aaaa"' in line and '"truth": "a & b"' in line for line in comments)
    assert any("results/published/clip-hand3d.csv" in line for line in comments)
    assert r"\documentclass" not in part
    assert part.count(r"\begin{tabular}") == part.count(r"\end{tabular}") == 2
    document = to_latex(built, standalone=True)
    assert document.startswith(r"\documentclass{article}")
    assert document.rstrip().endswith(r"\end{document}")
    assert part in document
    assert to_latex(table()).count(r"\begin{longtable}") == 1


def test_latex_columns_are_complete():
    for name in table_names():
        spec = load_spec(name)
        results = [record(name=spec.protocol), record("another@1-aaaa", 9, name=spec.protocol, weights=RANDOM)]
        built = table(*results, name=name)
        body = to_latex(built)
        columns = len(spec.columns) + 2 + spec.backbone + spec.input
        rows = [line for line in body.splitlines() if line.endswith((r"\\", r"\\*[-2pt]")) and " & " in line]
        assert len(rows) == sum(len(s.rows) + len([r for r in s.rows if r.measured]) for s in built.sections) + (
            body.count(r"\toprule") * (3 if any(column.group for column in spec.columns) else 2)
        )
        for row in rows:
            spanned = sum(int(width) - 1 for width in re.findall(r"\\multicolumn\{(\d+)\}\{c\}", row))
            assert len(re.findall(r"(?<!\\)&", row)) + spanned == columns - 1


def test_markdown_holds_every_row_and_footnote():
    built = table(record(), record("freihand@1-aaaa", 9, weights=RANDOM))
    text = to_markdown(built)
    assert text.count("\n|:") == 2
    for row in (row for section in built.sections for row in section.rows):
        assert row.name in text
    for number in range(1, len(built.footnotes) + 1):
        raised = str(number).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
        assert f"\n{raised} " in text


def test_markdown_escapes_what_would_break_a_table():
    assert r"a\|b\*" in to_markdown(table(record(method="a|b*", size="full")))


def test_tables_need_no_torch():
    modules = ", ".join(f"handbench.report.{name}" for name in ("table", "latex", "markdown", "published"))
    code = f"import sys, {modules}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent)
