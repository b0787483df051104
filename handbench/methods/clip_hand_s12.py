"""`clip-hand-s12`: CLIP-Hand (Zhou et al., The Visual Computer 2026) with the small backbone, 2-2-6-2."""

from __future__ import annotations

from handbench.methods.clip_hand.config import ClipHandConfig
from handbench.methods.clip_hand.model import ClipHand


class ClipHandS12(ClipHand):
    name = "clip-hand-s12"
    Config = ClipHandConfig
