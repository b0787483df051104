"""Where points stand in a picture, for networks whose points may yet be anywhere."""

from __future__ import annotations

import torch
from torch import Tensor

# nearer points, in early training, are projected as if they stood here, m
NEAREST = 1e-2


def rays_of(pixels: Tensor, camera: Tensor) -> Tensor:
    """Pixels (B,P,2) and cameras as above -> where their rays meet z = 1, (B,P,2): the inverse of `pixels_of`.

    In closed form: torch.linalg.inv makes the host wait for the device, to see whether the matrix was singular.
    """
    (a, b), (c, d) = (camera[:, row, :2].unbind(-1) for row in (0, 1))
    x, y = (pixels - camera[:, None, :2, 2]).unbind(-1)
    det = (a * d - b * c)[:, None]
    across = (d[:, None] * x - b[:, None] * y) / det
    down = (a[:, None] * y - c[:, None] * x) / det
    return torch.stack([across, down], -1)


def pixels_of(points: Tensor, camera: Tensor) -> Tensor:
    """Points (B,P,3) m and cameras (B,3,3), whose last row is (0, 0, 1) -> pixels (B,P,2): uv = K x / z."""
    return (points @ camera.transpose(1, 2))[..., :2] / points[..., 2:].clamp(min=NEAREST)
