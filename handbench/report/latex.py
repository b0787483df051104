"""A table as LaTeX (booktabs), as part of a paper or as a document of its own."""

from __future__ import annotations

import unicodedata
from itertools import groupby

from handbench.report.table_parts import MISSING, Cell, Row, Section, Table

_ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "[": "{[}", '"': "''", "–": "--", "—": "---", "→": r"$\rightarrow$", "↓": r"$\downarrow$",
    "↑": r"$\uparrow$", "±": r"$\pm$", "×": r"$\times$", "≤": r"$\leq$", "≥": r"$\geq$", "²": r"$^{2}$",
    "°": r"$^{\circ}$", "µ": r"$\mu$", "’": "'", "“": "``", "”": "''", "…": r"\ldots{}",
}  # fmt: skip

_DOCUMENT = r"""\documentclass%o{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
\usepackage[margin=2cm]{geometry}
\usepackage{booktabs,longtable}
\pagestyle{empty}
\begin{document}
%s\end{document}
"""

LONG = 30  # rows from which a table breaks over pages
WIDE = 7  # columns of figures from which a document lies on its side


def to_latex(table: Table, *, standalone: bool = False) -> str:
    """A `table` float (package booktabs), or longtables (package longtable) where it has `LONG` rows or more.

    `standalone` makes it a whole document. The comment on top says where every row comes from. Best figures are bold,
    second ones underlined; the interval of a measured figure stands below it.
    """
    long = sum(len(section.rows) for section in table.sections) >= LONG
    caption = rf"\caption{{{escape(table.title)}.}}\label{{tab:{_label(table.name)}}}"
    lines = [f"% {_comment(line)}" for line in table.provenance]
    lines += (
        [r"\begingroup\footnotesize\setlength{\LTcapwidth}{\linewidth}"]
        if long
        else [r"\begin{table}[t]", r"\centering\footnotesize", caption]
    )
    lines += [r"\setlength{\tabcolsep}{3pt}"]
    for number, section in enumerate(table.sections):
        lines += [] if long else [r"\par\bigskip" if number else r"\par\smallskip"]
        lines += _section(table, section, long, caption if number == 0 else "")
    lines += _notes(table)
    lines += [r"\par\endgroup" if long else r"\end{table}", ""]
    body = "\n".join(lines)
    options = "[landscape]" if len(table.heads) >= WIDE else ""
    return _DOCUMENT.replace("%o", options).replace("%s", body) if standalone else body


def escape(text: str) -> str:
    """Text that LaTeX prints as it is; a letter that the fonts lack is written by its code."""
    return "-{}-".join("".join(map(_escaped, part)) for part in " ".join(text.split()).split("--"))


def _escaped(character: str) -> str:
    return _ESCAPES.get(character) or (character if _printable(character) else f"{{[}}U+{ord(character):04X}]")


def _printable(character: str) -> bool:
    # inputenc and T1 know the Latin letters with accents.
    return (character.isascii() and character.isprintable()) or (
        unicodedata.name(character, "").startswith("LATIN") and ord(character) < 0x180
    )


def _section(table: Table, section: Section, long: bool, caption: str) -> list[str]:
    front = table.front
    heads = [escape(f"{head.label} {head.arrow}") + _hanging(head.marks) for head in table.heads]
    units = [f"({escape(head.unit)})" if head.unit else "" for head in table.heads]
    above = [rf"\textbf{{{escape(section.title)}}}"] if len(table.sections) > 1 else []
    above += [rf"\emph{{{escape(section.sentence)}}}"] if section.sentence else []
    columns = rf"{{@{{}}{'l' * len(front)}{'r' * len(heads)}@{{}}}}"
    head = [r"\toprule", *_groups(table), " & ".join([*front, *heads]) + r" \\"]
    head += [" & ".join([*[""] * len(front), *units]) + r" \\", r"\midrule"]
    if long:
        lines = [rf"\begin{{longtable}}{columns}"]
        lines += [caption + r" \\"] if caption else []
        # Text over all columns would stretch the last of them: this takes no width.
        over = rf"\multicolumn{{{len(front) + len(heads)}}}{{@{{}}l}}"
        lines += [rf"{over}{{\makebox[0pt][l]{{{text}}}}} \\*" for text in above]
        lines += [*head, r"\endfirsthead", *head, r"\endhead"]
    else:
        lines = [rf"{text}\par" for text in above] + ([r"\smallskip"] if above else [])
        lines += [rf"\begin{{tabular}}{columns}", *head]
    before: Row | None = None
    for row in section.rows:
        if before is not None and row.measured and not before.measured:
            lines.append(r"\midrule")
        elif before is not None and not row.measured and row.source != before.source:
            lines.append(r"\addlinespace")
        lines += _row(table, row)
        before = row
    return [*lines, r"\bottomrule", r"\end{longtable}" if long else r"\end{tabular}"]


def _groups(table: Table) -> list[str]:
    """The heads above neighbours of one group, each over a line of its own."""
    if not any(head.group for head in table.heads):
        return []
    cells, lines, at = [""] * len(table.front), [], len(table.front) + 1
    for name, members in groupby(table.heads, lambda head: head.group):
        width = len(list(members))
        cells.append(rf"\multicolumn{{{width}}}{{c}}{{{escape(name)}}}")
        lines.append(rf"\cmidrule(l){{{at}-{at + width - 1}}}" if name else "")
        at += width
    return [" & ".join(cells) + r" \\", "".join(lines)]


def _row(table: Table, row: Row) -> list[str]:
    """One line; of a measured row two: its weights, its samples and its intervals stand below."""
    name, source, below = row.name, row.source, ["", ""]
    if row.measured:
        name, opening, weights = name.partition(" (")
        source, _, samples = source.partition(", ")
        below = [opening.strip() + weights, samples]
    about = ["--" if text == MISSING else escape(text) for text in table.about(row)]
    cells = [escape(name) + _raised(row.marks), *about, escape(source), *map(_cell, row.cells)]
    if not row.measured:
        return [" & ".join(cells) + r" \\"]
    lower = [below[0], *[""] * len(about), below[1], *(cell.interval for cell in row.cells)]
    small = [rf"{{\fontsize{{6}}{{7}}\selectfont {escape(text)}}}" if text else "" for text in lower]
    return [" & ".join(cells) + r" \\*[-2pt]", " & ".join(small) + r" \\"]


def _cell(cell: Cell) -> str:
    text = "--" if cell.value is None else escape(cell.text)
    text = {"best": rf"\textbf{{{text}}}", "second": rf"\underline{{{text}}}"}.get(cell.rank, text)
    return text + _hanging(cell.marks)


def _hanging(marks: tuple[int, ...]) -> str:
    """Numbers that hang out to the right, so that the digits of a column stay in line."""
    return rf"\rlap{{{_raised(marks)}}}" if marks else ""


def _notes(table: Table) -> list[str]:
    texts = [escape(note) for note in table.notes]
    texts += [_raised((number,)) + escape(text) for number, text in enumerate(table.footnotes, 1)]
    if not texts:
        return []
    return [
        r"\par\medskip", r"\noindent\begin{minipage}{\linewidth}\raggedright\scriptsize",
        *[rf"{text}\par" for text in texts], r"\end{minipage}",
    ]  # fmt: skip


def _raised(marks: tuple[int, ...]) -> str:
    return rf"\textsuperscript{{{','.join(map(str, marks))}}}" if marks else ""


def _comment(line: str) -> str:
    return " ".join(line.split()).encode("ascii", "backslashreplace").decode()


def _label(name: str) -> str:
    return "handbench-" + "".join(c if c.isalnum() and c.isascii() else "-" for c in name)
