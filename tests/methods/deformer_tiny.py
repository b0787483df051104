"""A Deformer that is built in no time, and windows for it."""

from __future__ import annotations

import torch

from handbench.methods.base import Batch
from handbench.methods.blocks.rotations import matrix_to_six
from handbench.methods.deformer import Deformer, DeformerConfig
from handbench.methods.deformer.losses import truth_of

SIZE, FRAMES = 64, 3
TINY = {
    "frames": FRAMES,
    "input": SIZE,
    "grid": 8,
    "backbone": {"name": "resnet10t"},
    "width": 32,
    "heads": 2,
    "layers": 2,
    "feedforward": 32,
    "hidden": (48, 32),
    "dropout": 0.0,
    "discriminator": {"width": 16, "dropout": 0.0},
}


def build(hand, train: bool = True, **changes) -> Deformer:
    """With its discriminator where `train`."""
    torch.manual_seed(0)
    settings = {
        key: {**TINY[key], **value} if isinstance(TINY.get(key), dict) else value for key, value in changes.items()
    }
    method = Deformer(DeformerConfig.model_validate({**TINY, **settings}), hand, "freihand")
    if train:
        method.begin_training()
    return method.train(train)


def windows(make_batch, count: int, frames: int = FRAMES, size: int = SIZE, **settings) -> Batch:
    """`count` windows, each of one hand in unlike poses: nothing here asks for a track."""
    batch = make_batch(count * frames, size, frames=frames, **settings)
    batch["repeated"] = torch.zeros(count * frames, dtype=torch.bool)
    batch["visible_fraction"] = torch.rand(count * frames, generator=torch.Generator().manual_seed(0))
    return batch


def run(method: Deformer, batch: Batch) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Output and losses."""
    output = method(method.normalise(batch["image"]), batch)
    return output, method.losses(output, batch)


def perfect(method: Deformer, batch: Batch) -> dict[str, torch.Tensor]:
    """The output of a network that is always right."""
    truth, frames = truth_of(batch, method.input_size, method.config.region), method.frames
    pose = matrix_to_six(truth.rotations).flatten(1)
    sequence = pose.unflatten(0, (-1, frames))
    step = torch.zeros_like(sequence)
    step[:, :-1] = sequence[:, 1:] - sequence[:, :-1]
    back = torch.zeros_like(sequence)
    back[:, 1:] = sequence[:, :-1] - sequence[:, 1:]
    hands = method._hands(truth.rotations, truth.shape, batch["mirrored"])
    return {
        "pose": pose,
        "forward": step.flatten(0, 1),
        "backward": back.flatten(0, 1),
        "shape": truth.shape,
        "joints2d": truth.joints2d,
        "weights": torch.full((len(pose),), 1 / frames),
        **{name: method._predicted(value) for name, value in hands._asdict().items()},
    }
