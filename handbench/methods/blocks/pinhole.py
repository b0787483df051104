"""Where points stand in a picture, for networks whose points may yet be anywhere."""

from __future__ import annotations

from torch import Tensor

# nearer points, in early training, are projected as if they stood here, m
NEAREST = 1e-2


def pixels_of(points: Tensor, camera: Tensor) -> Tensor:
    """Points (B,P,3) m and cameras (B,3,3), whose last row is (0, 0, 1) -> pixels (B,P,2): uv = K x / z."""
    return (points @ camera.transpose(1, 2))[..., :2] / points[..., 2:].clamp(min=NEAREST)
