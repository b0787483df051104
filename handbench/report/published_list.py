"""The published numbers as a list: who says what, and where."""

from __future__ import annotations

from handbench.errors import UsageError
from handbench.report.published import PAPERS, disagreement, published_rows, published_table, remarks
from handbench.sections import did_you_mean
from handbench.store.records import dump_json

# words of a CSV's row that are shown as they are
AS_THEY_ARE = ("dataset", "split", "method", "venue", "year", "backbone", "input")


def print_published(method: str | None, table: str | None, json: bool) -> None:
    """To stdout, in the papers' order. Raises UsageError for a method or table that no paper has."""
    rows = published_table(table) if table else published_rows()
    if method:
        names = sorted(set(rows["method"]))
        chosen = rows[rows["method"].str.casefold().str.contains(method.casefold(), regex=False)]
        if chosen.empty:
            hint = "`handbench ls published` lists all."
            raise UsageError(f"No paper prints a method {method!r}{did_you_mean(method, names)}.", hint)
        rows = chosen
    records = [
        {
            "paper": PAPERS[row["source"]][0],
            "table": f"{row['source']}.{row['table']}",
            **{key: row[key] or "" for key in AS_THEY_ARE},
            "metric": row["canonical"],
            "as printed": f"{row['metric']} {row['printed']} {row['printed_unit']}",
            "value": row["shown"],
            "unit": row["unit"],
            "note": "; ".join(remarks(row["note"])),
            "papers disagree": "; ".join(f"{value} ({where})" for where, _, value in disagreement(row["note"])),
        }
        for _, row in rows.iterrows()
    ]
    if json:
        print(dump_json(records).decode(), end="")
        return
    from tabulate import tabulate

    front = ("table", "dataset", "split", "method", "venue", "year")
    shown = (*front, "metric", "value", "unit", "papers disagree", "note")
    lines = [[record[key] for key in shown] for record in records]
    print(tabulate(lines, shown, tablefmt="github", disable_numparse=True))
