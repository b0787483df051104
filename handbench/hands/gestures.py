"""The gesture classes of HaGRID (version 1): 18 and `no_gesture`, in the order in which labels number them."""

from __future__ import annotations

GESTURES: tuple[str, ...] = (
    "call",
    "dislike",
    "fist",
    "four",
    "like",
    "mute",
    "ok",
    "one",
    "palm",
    "peace",
    "rock",
    "stop",
    "stop_inverted",
    "three",
    "two_up",
    "two_up_inverted",
    "three2",
    "peace_inverted",
    "no_gesture",
)
