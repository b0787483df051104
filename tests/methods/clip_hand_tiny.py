"""A small CLIP-Hand for tests: its configuration, and how a test builds, labels and runs it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from handbench.hands.gestures import GESTURES
from handbench.hands.joints import MIDDLE_MCP, WRIST
from handbench.methods.clip_hand.model import ClipHand
from handbench.methods.clip_hand_s24 import ClipHandS24
from handbench.recipe import variants

SIZE = 64
TINY = {
    "input": SIZE,
    "pat": (1, 1, 1, 1),
    "backbone": {"dims": (32, 32, 32, 64)},
    "mhf": {"blocks": 1},
    "mted": {"width": 32, "heads": 2, "dropout": 0.0},
    "clip": {"weights": "random", "random_layers": 1, "random_width": 64},
}
# what each variant of the large model's recipe switches, as `model` settings
VARIANTS = {variant.name: variant.switches for variant in variants("clip-hand-s24")}
NAMES = tuple(VARIANTS)
WITHOUT_LANGUAGE = {"clip": {"enabled": False}}


def write_templates(path: Path, shape: tuple[int, ...] = (19, 21, 3)) -> Path:
    """Something like hands in metres: the wrist at the origin, a palm of 9 cm."""
    joints = np.random.default_rng(0).normal(0, 0.05, shape)
    joints[:, WRIST], joints[:, MIDDLE_MCP] = 0, (0, -0.09, 0)
    path.write_text(json.dumps({"names": list(GESTURES), "joints": joints.tolist()}))
    return path


def settings(variant: str) -> dict:
    """The `model` section of a variant."""
    found: dict = {}
    for key, value in VARIANTS[variant].items():
        section, *keys, last = key.split(".")
        if section == "model":
            at = found
            for word in keys:
                at = at.setdefault(word, {})
            at[last] = value
    return found


def build(hand, templates: Path, train: bool = True, **changes) -> ClipHand:
    torch.manual_seed(0)
    config = {**TINY, **changes}
    for section in TINY.keys() & changes.keys():
        if isinstance(TINY[section], dict):
            config[section] = {**TINY[section], **changes[section]}
    config["pj"] = {"templates": str(templates), **changes.get("pj", {})}
    method = ClipHandS24(ClipHandS24.Config.model_validate(config), hand, "freihand")
    if train:
        method.begin_training()
    return method.train(train)


def labelled(batch, seed: int = 0):
    """The batch with a colour and a gesture for each sample."""
    draw = np.random.default_rng(seed)
    n = len(batch["index"])
    labels = {name: torch.from_numpy(draw.integers(0, top, n)) for name, top in (("background", 20), ("gesture", 19))}
    return {**batch, **labels}


def run(method: ClipHand, batch) -> dict[str, torch.Tensor]:
    return method.losses(method(method.normalise(batch["image"]), batch), batch)
