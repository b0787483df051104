"""The cards of all datasets as a page: `docs/datasets.md` is this, and a test holds the two equal."""

from __future__ import annotations

from collections.abc import Iterable

from tabulate import tabulate

from handbench.datasets.card import Card
from handbench.hands.joints import FINGERTIPS

HEAD = """# The datasets

Written from the cards in `handbench/datasets/`. Every dataset is read as its own page ships it, and converted once, by
`handbench prep`: metres, OpenCV camera axes (x right, y down, z forward), FH21 joint order (wrist; thumb, index,
middle, ring, little, each base to tip), MANO poses with the mean pose already added. Counts are those of the official
files: a tree that has others stops, or with `--partial` is marked so. A dash is a count that is nowhere stated.
"""


def datasets_page(cards: Iterable[Card]) -> str:
    """Markdown: one table of all datasets, then each card."""
    cards = list(cards)
    rows = [
        [f"`{card.name}`", card.sides, "yes" if card.rate or "track" in card.has else "-", _rate(card), card.stored]
        + ["yes" if field in card.has else "-" for field in ("joints", "vertices", "mano_pose", "visible_fraction")]
        + [", ".join(card.extras) or "-"]
        for card in cards
    ]
    names = ["dataset", "hands", "tracks", "frames/s", "stored", "joints", "mesh", "MANO", "visible", "on request"]
    table = tabulate(rows, names, tablefmt="github", disable_numparse=True)
    return "\n".join([HEAD, table, "", *(_card(card) for card in cards)])


def _rate(card: Card) -> str:
    return f"{card.rate:g}" if card.rate else "-"


def _card(card: Card) -> str:
    counts = ", ".join(f"`{name}` {'-' if count is None else f'{count:,}'}" for name, count in card.splits.items())
    tips = f"`{card.fingertips}` {FINGERTIPS[card.fingertips]}" if card.fingertips else "no mesh"
    facts = [
        ("splits", counts),
        ("fields", ", ".join(card.has)),
        ("conventions", card.conventions),
        ("fingertips", tips),
        ("recorded together", card.captures),
        ("validation", VALIDATION[card.validation]),
        ("licence", card.licence),
        ("from", card.url or "made by handbench"),
        ("cite", card.citation),
    ]
    lines = [
        f"## {card.title}",
        "",
        *(f"- {name}: {text}" for name, text in facts),
        *(f"- {note}" for note in card.notes),
    ]
    return "\n".join([*lines, ""])


VALIDATION = {
    "hash": "a tenth of the training captures, chosen by the SHA-256 of their names",
    "last": "the last tenth of the training frames",
}


if __name__ == "__main__":
    from handbench import datasets

    print(datasets_page(datasets.find(name).CARD for name in datasets.names()), end="")
