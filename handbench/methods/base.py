"""What every method is: `Method`, its `Batch`, its `Prediction`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, NamedTuple, TypedDict

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from handbench.errors import UsageError
from handbench.hands.mano import HandModel


class Batch(TypedDict, total=False):
    """B samples as a method sees them: one square crop each, S = `Method.input_size` pixels wide.

    image (B,3,S,S) uint8     RGB
    camera (B,3,3)            of the crop: `uv = camera @ xyz / z` in crop pixels; not upper triangular when rotated
    affine (B,2,3)            from the pixels of the stored image to those of the crop
    rotation (B,)             rad, clockwise in the image: how far augmentation turned the content (0 at inference)
    frame_affine (B,2,3)      from the pixels of the full frame to the crop's; it mirrors where `mirrored` says so
    frame_size (B,2)          width and height of the full frame
    mirrored (B,) bool        a left hand, shown as a right one (methods with `mirrors_left`, which are given the side)
    index (B,)                which sample of the file
    root (B,3) m, root_depth (B,) m, scale (B,) m    wrist position, its z, and |wrist - middle MCP|
                              At inference a method finds camera, root, root_depth and scale here only where it declares
                              them in `given`; the crop follows the true box only where it declares `box`.
    Only in training: joints (B,21,3) m in the camera frame of the stored image (a rotated crop has a rotated
    `camera`, the points stay), joints_valid (B,21) bool, vertices (B,778,3) m (0 where absent), vertices_valid (B,),
    mano_rotations (B,16,3,3) and mano_shape (B,10) of the annotated hand in that frame (identity and 0 where absent),
    mano_valid (B,), and hand (B,) bool: False for a patch beside the hand (`Method.non_hands`), which has no truth.
    A method with `labels` also finds those, (B,) int64, only in training: background, an index into
    `hands.colours.COLOURS`, and gesture, one into `hands.gestures.GESTURES`; -1 where it is not known.
    A method with `views = 2` gets 2B samples: first one view of each of B images, then another view of the same B.
    A method with `frames = T` above 1 gets B windows, each of one track: every key has B*T entries, window by window
    (frames 0 to T-1 of the first, then of the next). It also finds repeated (B*T,) bool: True for a frame that stands
    in for one that is missing (end of the track, gap, no annotation) and repeats its neighbour, truth included.
    visible_fraction (B*T,)   0 to 1, NaN unknown: how much of the hand no object covers; at inference only where
                              `given` has `occlusion`
    """

    image: Tensor
    camera: Tensor
    affine: Tensor
    rotation: Tensor
    frame_affine: Tensor
    frame_size: Tensor
    mirrored: Tensor
    index: Tensor
    root: Tensor
    root_depth: Tensor
    scale: Tensor
    joints: Tensor
    joints_valid: Tensor
    vertices: Tensor
    vertices_valid: Tensor
    mano_rotations: Tensor
    mano_shape: Tensor
    mano_valid: Tensor
    hand: Tensor
    background: Tensor
    gesture: Tensor
    repeated: Tensor
    visible_fraction: Tensor


class Prediction(NamedTuple):
    """joints (B,21,3) and vertices (B,V,3) or None: m, OpenCV camera frame, FH21.

    A method may also say how far it trusts each hand, confidence (B,), and the MANO parameters it predicts: rotations
    (B,16,3,3) in the camera frame and shape (B,10).
    """

    joints: Tensor
    vertices: Tensor | None
    confidence: Tensor | None = None
    mano_rotations: Tensor | None = None
    mano_shape: Tensor | None = None


class Need(NamedTuple):
    """Fields of `Hands` that training needs, what for, and the setting that does without (empty: none does)."""

    fields: tuple[str, ...]
    purpose: str
    without: str


def require_others(size: int, without: str) -> None:
    """For a loss that tells images of a batch apart. Raises UsageError for a training batch of one; `without`: the
    setting that does without the loss.
    """
    if size < 2:
        raise UsageError(
            f"The contrastive loss needs other images in a batch, and train.batch is {size}.",
            f"Set train.batch=2 or more, or do without: {without}.",
        )


class ModelConfig(BaseModel):
    """A method's `[model]` section; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Method(nn.Module, ABC):
    """A hand-pose method. A subclass in `methods/NAME.py` or `methods/NAME/__init__.py` is found by its file's name.

    The truth reaches a method in two places only: `losses` (training) and the quantities named in `given`.
    """

    name: ClassVar[str]
    Config: ClassVar[type[ModelConfig]] = ModelConfig
    # what a prediction takes from the truth beyond the image: root, root depth, scale, box, side, camera, occlusion
    given: ClassVar[tuple[str, ...]] = ()
    # what is timed apart: stage -> its sub-modules; and the rows of the paper's own timing table -> its stages
    stages: ClassVar[dict[str, tuple[str, ...]]] = {}
    stage_groups: ClassVar[dict[str, tuple[str, ...]]] = {}
    # sub-modules that are None until `begin_training`: a checkpoint of training fits a model that has none of them
    training_only: ClassVar[tuple[str, ...]] = ()
    # left hands are shown mirrored, as right ones
    mirrors_left: ClassVar[bool] = False
    # built on a hand model: MANO, or the synthetic hand where that is asked for
    needs_hand: ClassVar[bool] = True
    # labels of each sample that its losses use: background, gesture
    labels: tuple[str, ...] = ()
    # augmented views of each image in a training batch
    views: int = 1
    # T, the frames of a window; how many frames of the track lie from one to the next; and which of a window are
    # predicted: its centre frame, T//2 (stride 1), or all (stride T)
    frames: int = 1
    gap: int = 1
    stride: int = 1
    # `pretrain` or `main`: set by the training loop
    stage: str = "main"
    # epoch of the stage, and how many there are: set by the training loop
    schedule: tuple[int, int] = (0, 1)

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

    def knows_vertices(self, in_training: bool) -> bool:
        """Whether the predicted vertices mean anything, given that the training set had vertices or had none."""
        return True

    @property
    def trusts(self) -> bool:
        """Whether a prediction says how far the method trusts it (`Prediction.confidence`)."""
        return False

    @property
    def non_hands(self) -> float:
        """Patches without a hand that training wants beside each hand, at this point of the schedule."""
        return 0.0

    def needs(self) -> list[Need]:
        """What is needed of the training set; training says at its start what is missing."""
        return []

    def check_batch(self, size: int) -> None:
        """Raises UsageError where a training batch of `size` images is too small for a loss."""

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """As always, but for the weights of `training_only` parts that this model does not have."""
        absent = tuple(f"{name}." for name in self.training_only if getattr(self, name) is None)
        if absent:
            state_dict = {key: value for key, value in state_dict.items() if not key.startswith(absent)}
        return super().load_state_dict(state_dict, strict, assign)

    @abstractmethod
    def forward(self, image: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Normalised image (B,3,S,S), and the given geometry of its crop -> raw outputs, tensors with the samples first
        (or as many rows for each window): of several processes in training, each is shown its share of a batch.
        """

    @abstractmethod
    def lift(self, output: dict[str, Tensor], batch: Batch) -> Prediction:
        """Raw outputs and the given quantities of the batch -> hands in the camera frame, m."""

    def begin_training(self, pretrained: bool = True) -> None:
        """Add what only training needs; called before the optimiser is made. Loads the weights that trainable parts
        start from, unless a checkpoint is to replace them (`pretrained` False).

        Raises MissingError for weights that are not there.
        """

    def losses(self, output: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Weighted loss terms (scalars); training minimises their sum. Of the whole batch, whatever was shared out."""
        raise NotImplementedError

    @property
    def adversary(self) -> nn.Module | None:
        """A part that training sets against the rest, built by `begin_training`: it has its own optimiser, which
        minimises `adversary_loss` after each step of the others, and they leave its parameters alone.
        """
        return None

    def adversary_loss(self, output: dict[str, Tensor], batch: Batch) -> Tensor:
        """The adversary's own loss (scalar); nothing but the adversary has a gradient of it."""
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
        return self.lift(self(self.normalise(batch["image"]), batch), batch)


def blank_batch(n: int, size: int, device: torch.device | str = "cpu") -> Batch:
    """The geometry of n crops in the middle of frames of their own size: for counting and for trying shapes."""
    affine = torch.eye(3, device=device)[:2].expand(n, 2, 3)
    camera = torch.tensor([[2.0 * size, 0, (size - 1) / 2], [0, 2.0 * size, (size - 1) / 2], [0, 0, 1]], device=device)
    one = torch.ones(n, device=device)
    return Batch(
        camera=camera.expand(n, 3, 3),
        affine=affine,
        frame_affine=affine,
        frame_size=torch.full((n, 2), float(size), device=device),
        mirrored=torch.zeros(n, dtype=torch.bool, device=device),
        rotation=0 * one,
        index=torch.arange(n, device=device),
        root=torch.tensor([0.0, 0.0, 0.6], device=device).expand(n, 3),
        root_depth=0.6 * one,
        scale=0.1 * one,
        repeated=torch.zeros(n, dtype=torch.bool, device=device),
        visible_fraction=one,
    )
