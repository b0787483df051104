"""The datasets' page is what the cards say, and the cards say what is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from handbench import datasets
from handbench.hands.joints import FINGERTIPS
from handbench.hands.record import SHAPES
from handbench.preparation.generated import GENERATED
from handbench.report.cards import datasets_page

PAGE = Path(__file__).parents[2] / "docs/datasets.md"
CARDS = [datasets.find(name).CARD for name in datasets.names()]


def test_the_page_is_written_from_the_cards():
    assert PAGE.read_text() == datasets_page(CARDS), "python -m handbench.report.cards > docs/datasets.md"


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_a_card_is_complete_and_names_what_there_is(card):
    assert set(card.has) <= set(SHAPES)
    assert "joints" in card.has
    assert card.fingertips is None or card.fingertips in FINGERTIPS
    assert all((card.title, card.conventions, card.licence, card.citation, card.captures, card.sides))
    assert card.url.startswith("https://") or card.name in GENERATED
    assert all(count is None or count > 0 for count in card.splits.values())


def test_the_official_counts():
    """Typed from the datasets' own pages and scripts."""
    counts = {card.name: dict(card.splits) for card in CARDS}
    assert counts["freihand"] == {"train": 130240, "test": 3960}
    assert counts["ho3d-v2"]["test"] == 11524
    assert counts["ho3d-v3"]["test"] == 20137
    assert counts["dexycb"]["s0-test"] == 78768
    assert counts["dexycb"]["s0-train"] == 406888
    assert counts["rhd"] == {"train": 41258, "test": 2728}
    assert counts["stb"]["train"] == counts["stb"]["bb-train"] == 15000
    assert counts["stb"]["test"] == counts["stb"]["bb-test"] == 3000
    assert counts["dexter-object"] == {"test": 3014}
    assert counts["ge-realworld"] == {"train": 466, "test": 117}
