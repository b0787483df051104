"""The background colours of CLIP-Hand's prompts (its Table 1), in the order in which labels number them."""

from __future__ import annotations

COLOURS: tuple[str, ...] = (
    "mustard",
    "bright",
    "green",
    "white",
    "olive",
    "orange",
    "blue",
    "gray",
    "pink",
    "coral",
    "lime",
    "dark",
    "purple",
    "silver",
    "black",
    "red",
    "yellow",
    "beige",
    "brown",
    "wine",
)
