"""`Hands`: ground truth and predictions, the same thing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handbench.errors import InvalidError

# field -> shape of one sample; V is the mesh's own vertex count
SHAPES: dict[str, tuple[int | str, ...]] = {
    "id": (),
    "capture": (),
    "track": (),
    "frame": (),
    "fps": (),
    "side": (),
    "joints": (21, 3),
    "joints_valid": (21,),
    "joints_visible": (21,),
    "vertices": ("V", 3),
    "visible_fraction": (),
    "mano_pose": (48,),
    "mano_shape": (10,),
    "mano_translation": (3,),
    "image_size": (2,),
    "camera": (3, 3),
    "box": (4,),
    "frame_size": (2,),
    "frame_camera": (3, 3),
    "crop": (2, 3),
    "confidence": (),
    "held": (),
}
TEXT_FIELDS = ("id", "capture", "track", "side")


@dataclass(frozen=True, eq=False)
class Hands:
    """N hands as arrays: one block of a dataset or of a set of predictions.

    Metres, OpenCV camera frame (x right, y down, z forward), pixels for 2D, FH21 joint order. A field that a dataset
    does not have is None; an entry that is missing inside a field is NaN with its mask False.

    id (N,) str                unique, `freihand/test/00000123`
    capture (N,) str           what was recorded together: the cluster for intervals
    track (N,) str             one camera's run of frames; `frame` (N,) int within it, at `fps` (N,) frames/s
    side (N,) str              `right` or `left`, as in the image, unflipped
    joints (N,21,3)            m; `joints_valid` (N,21) bool: annotated at all; `joints_visible` (N,21): not occluded
    vertices (N,V,3)           m; V = 778 in MANO's topology
    visible_fraction (N,)      0..1 of the amodal silhouette inside the image that nothing else covers
    mano_pose (N,48)           axis-angle, mean pose already added; mano_shape (N,10); mano_translation (N,3) m
    image_size (N,2)           width, height of the stored image; camera (N,3,3) its intrinsics; box (N,4) xyxy
    frame_size, frame_camera   of the full frame; crop (N,2,3) the affine from it to the stored image
    confidence (N,)            of a prediction: how far its method trusts it; held (N,) bool: an earlier frame repeated
    meta                       dataset, split, conventions, provenance; see the store's documentation
    """

    id: NDArray
    capture: NDArray | None = None
    track: NDArray | None = None
    frame: NDArray | None = None
    fps: NDArray | None = None
    side: NDArray | None = None
    joints: NDArray | None = None
    joints_valid: NDArray | None = None
    joints_visible: NDArray | None = None
    vertices: NDArray | None = None
    visible_fraction: NDArray | None = None
    mano_pose: NDArray | None = None
    mano_shape: NDArray | None = None
    mano_translation: NDArray | None = None
    image_size: NDArray | None = None
    camera: NDArray | None = None
    box: NDArray | None = None
    frame_size: NDArray | None = None
    frame_camera: NDArray | None = None
    crop: NDArray | None = None
    confidence: NDArray | None = None
    held: NDArray | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.id)
        for name, array in self.arrays():
            shape = SHAPES[name]
            fits = array.ndim == 1 + len(shape) and len(array) == n
            fits = fits and all(want in ("V", got) for want, got in zip(shape, array.shape[1:], strict=True))
            if not fits:
                want = ("N", *shape)
                raise InvalidError(
                    f"Field {name!r} has shape {array.shape}, not {want} with N = {n}.".replace("'", ""),
                    "Every field of a block of hands has one entry per sample.",
                )

    def __len__(self) -> int:
        return len(self.id)

    def arrays(self) -> Iterator[tuple[str, NDArray]]:
        """The fields that are present, with their names."""
        for name in SHAPES:
            array = getattr(self, name)
            if array is not None:
                yield name, array

    def take(self, index: Any) -> Hands:
        """The samples of a slice, mask or index array, in that order."""
        return dataclasses.replace(self, **{name: array[index] for name, array in self.arrays()})

    def replace(self, **changes: Any) -> Hands:
        return dataclasses.replace(self, **changes)

    @staticmethod
    def concatenate(blocks: Sequence[Hands]) -> Hands:
        """Blocks with the same fields, one after the other; meta is the first block's."""
        names = [name for name, _ in blocks[0].arrays()]
        if any([name for name, _ in block.arrays()] != names for block in blocks):
            raise InvalidError("Blocks with different fields cannot be joined.", "Prepare them with the same command.")
        joined = {name: np.concatenate([getattr(block, name) for block in blocks]) for name in names}
        return Hands(**joined, meta=blocks[0].meta)
