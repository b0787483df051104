"""What every method is: `Method`, its `Batch`, its `Prediction`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar, NamedTuple, TypedDict

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from handbench.hands.mano import HandModel


class Batch(TypedDict, total=False):
    """B samples as a method sees them: one square crop each, S = `Method.input_size` pixels wide.

    image (B,3,S,S) uint8     RGB
    camera (B,3,3)            of the crop: `uv = camera @ xyz / z` in crop pixels; not upper triangular when rotated
    affine (B,2,3)            from the pixels of the stored image to those of the crop
    rotation (B,)             rad, clockwise in the image: how far augmentation turned the content (0 at inference)
    index (B,)                which sample of the file
    root (B,3) m, root_depth (B,) m, scale (B,) m    wrist position, its z, and |wrist - middle MCP|
                              At inference a method finds camera, root, root_depth and scale here only where it declares
                              them in `given`; the crop follows the true box only where it declares `box`.
    Only in training: joints (B,21,3) m in the camera frame of the stored image (a rotated crop has a rotated
    `camera`, the points stay), joints_valid (B,21) bool, vertices (B,778,3) m (0 where absent), vertices_valid (B,).
    A method with `views = 2` gets 2B samples: first one view of each of B images, then another view of the same B.
    """

    image: Tensor
    camera: Tensor
    affine: Tensor
    rotation: Tensor
    index: Tensor
    root: Tensor
    root_depth: Tensor
    scale: Tensor
    joints: Tensor
    joints_valid: Tensor
    vertices: Tensor
    vertices_valid: Tensor


class Prediction(NamedTuple):
    """joints (B,21,3) and vertices (B,V,3) or None: m, OpenCV camera frame, FH21."""

    joints: Tensor
    vertices: Tensor | None


class ModelConfig(BaseModel):
    """A method's `[model]` section; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Method(nn.Module, ABC):
    """A hand-pose method. A subclass in `methods/NAME.py` or `methods/NAME/__init__.py` is found by its file's name.

    The truth reaches a method in two places only: `losses` (training) and the quantities named in `given`.
    """

    name: ClassVar[str]
    Config: ClassVar[type[ModelConfig]] = ModelConfig
    # what a prediction takes from the truth beyond the image: root, root depth, scale, box, side, camera
    given: ClassVar[tuple[str, ...]] = ()
    # what is timed apart: stage -> its sub-modules
    stages: ClassVar[dict[str, tuple[str, ...]]] = {}
    # augmented views of each image in a training batch
    views: int = 1
    # `pretrain` or `main`: set by the training loop
    stage: str = "main"

    def __init__(self, config: ModelConfig, hand: HandModel, fingertips: str):
        """`hand`: whatever template is present, MANO's or the synthetic one; `fingertips`: the dataset's vertex set."""
        super().__init__()
        self.config = config

    @property
    @abstractmethod
    def input_size(self) -> int:
        """S, pixels."""

    @property
    def joint_source(self) -> str:
        """`model`: the network's own joints; `regressed`: from its mesh."""
        return "model"

    @property
    def weights(self) -> dict[str, str]:
        """Which pre-trained weights went in, part by part: {"clip": "random", "imagenet": "none"}."""
        return {}

    def normalise(self, image: Tensor) -> Tensor:
        """uint8 RGB (B,3,S,S) -> what `forward` takes."""
        return (image.float() / 255.0 - 0.5) / 0.5

    @abstractmethod
    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Normalised image (B,3,S,S) -> raw outputs."""

    @abstractmethod
    def lift(self, output: dict[str, Tensor], batch: Batch) -> Prediction:
        """Raw outputs and the given quantities of the batch -> hands in the camera frame, m."""

    def begin_training(self) -> None:
        """Add what only training needs and load pre-trained weights; called before the optimiser is made.

        Raises MissingError for weights that are not there.
        """

    def losses(self, output: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Weighted loss terms (scalars); training minimises their sum."""
        raise NotImplementedError

    def fit(self, batches: Iterable[Batch]) -> None:
        """Closed-form training in one pass, for a method without parameters to descend on."""
        raise NotImplementedError

    @property
    def descends(self) -> bool:
        """Whether the method is trained by gradient descent."""
        return any(p.requires_grad for p in self.parameters())

    @torch.inference_mode()
    def predict(self, batch: Batch) -> Prediction:
        return self.lift(self(self.normalise(batch["image"])), batch)
