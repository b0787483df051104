"""`mean-pose`: the mean training pose at the given root. The floor of every measured table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import torch
from torch import Tensor

from handbench.hands.mano import HandModel
from handbench.methods.base import Batch, Method, ModelConfig, Prediction


class MeanPose(Method):
    name = "mean-pose"
    given: ClassVar[tuple[str, ...]] = ("root",)
    input_size = 32
    needs_hand = False

    def __init__(self, config: ModelConfig, hand: HandModel, fingertips: str):
        super().__init__(config, hand, fingertips)
        self.register_buffer("joints", torch.full((21, 3), torch.nan, dtype=torch.float64))
        self.register_buffer("vertices", torch.full((778, 3), torch.nan, dtype=torch.float64))

    def fit(self, batches: Iterable[Batch]) -> None:
        """Mean of the root-relative training hands; a joint that is not annotated does not count."""
        sums = {name: torch.zeros_like(buffer) for name, buffer in self.named_buffers()}
        counts = {name: torch.zeros(len(buffer), 1) for name, buffer in self.named_buffers()}
        for batch in batches:
            root, rooted = batch["joints"][:, :1].double(), batch["joints_valid"][:, :1]
            valid = {
                "joints": batch["joints_valid"] & rooted,
                "vertices": batch["vertices_valid"][:, None].expand(-1, 778) & rooted,
            }
            for name, mask in valid.items():
                relative = batch[name].double() - root  # type: ignore[literal-required]
                sums[name] += relative.masked_fill(~mask[..., None], 0.0).sum(0)
                counts[name] += mask.sum(0)[:, None]
        for name, buffer in self.named_buffers():
            buffer.copy_(sums[name] / counts[name])

    def forward(self, image: Tensor, batch: Batch | None = None) -> dict[str, Tensor]:
        n = len(image)
        return {name: buffer.expand(n, -1, -1) for name, buffer in self.named_buffers()}

    def lift(self, output: dict[str, Tensor], batch: Batch) -> Prediction:
        root = batch["root"].double()[:, None]
        vertices = None if output["vertices"].isnan().any() else output["vertices"] + root
        return Prediction(output["joints"] + root, vertices)
