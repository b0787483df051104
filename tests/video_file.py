"""A prepared file of small video tracks, and a method of windows that is small enough to train in a test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from handbench.hands.mano import MANO_ARRAYS, HandModel
from handbench.layouts.images import encode_jpeg
from handbench.methods.base import Batch, Method, ModelConfig, Prediction
from handbench.store.hands_file import HandsFile
from handbench.store.hands_writer import write_hands
from handbench.synth.dataset import SyntheticHands, to_hands


def video_file(path: Path, lengths: tuple[int, ...] = (9, 12), missing: tuple[int, ...] = (), **fields) -> HandsFile:
    """Tracks of these lengths, a capture each; samples of these places are left out, as frames without a hand are.

    `fields` replace those of the samples that are left.
    """
    scenes = SyntheticHands(sum(lengths), image_size=64, occluders=False)
    samples = [scenes.sample(i) for i in range(len(scenes))]
    track = np.repeat([f"track{i}" for i in range(len(lengths))], lengths)
    hands = to_hands(samples, {}).replace(
        capture=track,
        track=track,
        frame=np.concatenate([np.arange(n) for n in lengths]),
        fps=np.full(len(samples), 30.0),
    )
    keep = np.setdiff1d(np.arange(len(samples)), missing)
    images = [encode_jpeg(scenes.image(int(i))) for i in keep]
    meta = {"dataset": "video", "split": "train", "source": "a test", "partial": True, "fingertips": "freihand"}
    write_hands(path, hands.take(keep).replace(meta=meta, **fields), images)
    return HandsFile(path)


def toy_hand() -> HandModel:
    arrays = {name: np.zeros(shape) for name, shape in MANO_ARRAYS.items()}
    return HandModel(side="right", source="toy", **arrays)


class ToyWindows(Method):
    """Windows of three frames, two apart: a linear layer and dropout over each frame; against it a discriminator of its
    own, where it is wanted.
    """

    name = "toy-windows"
    given = ("root", "box", "camera")
    input_size = 16
    frames, gap, stride = 3, 2, 1

    def __init__(self, stride: int = 1, opposed: bool = False):
        super().__init__(ModelConfig(), toy_hand(), "freihand")
        self.stride = stride
        self.net = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(3 * 16 * 16, 63))
        self.judge = nn.Sequential(nn.Linear(63, 8), nn.Dropout(0.3), nn.Linear(8, 1)) if opposed else None

    @property
    def adversary(self):
        return self.judge

    def forward(self, image, batch=None):
        return {"joints": self.net(image).view(-1, 21, 3)}

    def lift(self, output, batch: Batch):
        joints = (output["joints"] + batch["root"][:, None]).view(-1, self.frames, 21, 3)
        return Prediction(joints[:, self.frames // 2] if self.stride == 1 else joints.flatten(0, 1), None)

    def losses(self, output, batch: Batch):
        wanted = batch["joints"] - batch["root"][:, None]
        terms = {"joints": (output["joints"] - wanted).abs().mean()}
        if self.judge is not None:
            terms["fooled"] = 0.01 * (self.judge(output["joints"].flatten(1)) - 1).square().mean()
        return terms

    def adversary_loss(self, output, batch: Batch):
        assert not output["joints"].requires_grad
        real = batch["joints"] - batch["root"][:, None]
        false = self.judge(output["joints"].flatten(1)).square().mean()
        return false + (self.judge(real.flatten(1)) - 1).square().mean()


def close(a, b, tolerance: float = 1e-6) -> bool:
    return bool(torch.allclose(torch.as_tensor(a), torch.as_tensor(b), atol=tolerance))
