"""`clip-hand-s24`: CLIP-Hand (Zhou et al., The Visual Computer 2026) with the large backbone, 4-4-12-4."""

from __future__ import annotations

from handbench.methods.clip_hand.config import ClipHandS24Config
from handbench.methods.clip_hand.model import ClipHand


class ClipHandS24(ClipHand):
    name = "clip-hand-s24"
    Config = ClipHandS24Config
