"""The variants of a recipe, as a list to read or as JSON."""

from __future__ import annotations

from pathlib import Path

from handbench.errors import UsageError
from handbench.recipe import Variant, variants
from handbench.store.records import hand_over


def print_variants(method: str, recipe: Path | None = None, json: str | None = None) -> None:
    """To stdout as a table, or as JSON: name, table and row of the paper (all of them in `rows`), switches, note."""
    found = variants(method, recipe)
    if not found:
        raise UsageError(f"The recipe of {method} has no variants.", "It trains as it is.")
    records = [as_record(variant) for variant in found]
    if hand_over(records, json):
        return
    from tabulate import tabulate

    rows = [
        {
            "variant": variant.name,
            "paper": "; ".join(f"table {row.table}: {row.row}" for row in variant.rows) or "-",
            "switches": " ".join(f"{key}={_shown(value)}" for key, value in variant.switches.items()) or "-",
            "note": variant.note,
        }
        for variant in found
    ]
    print(tabulate(rows, headers="keys", tablefmt="github"))


def as_record(variant: Variant) -> dict:
    first = variant.rows[0] if variant.rows else None
    return {
        "name": variant.name,
        "table": first.table if first else None,
        "row": first.row if first else None,
        "rows": [row.model_dump() for row in variant.rows],
        "switches": variant.switches,
        "note": variant.note,
    }


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
