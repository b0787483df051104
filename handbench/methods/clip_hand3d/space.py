"""CLIP-Hand3D's network space uvd, and the way between it and the camera frame.

u, v in [0, 1] across the crop: u = (px + 0.5) / S, the convention of pixel centres. d in [0, 1] across `DEPTH` bone
lengths around the wrist: d = (z - z_root) / (scale · DEPTH) + 0.5, with scale = |wrist - middle MCP|. So the truth
that a prediction takes is the depth of the wrist and one bone length, besides the crop and its camera.

DEPTH is our decision: a straight middle finger that points along the optical axis reaches 2.0 to 2.1 bone lengths
to either side, and a soft-argmax needs some room at the ends of its range.
"""

from __future__ import annotations

import torch
from torch import Tensor

from handbench.methods.blocks.pinhole import pixels_of, rays_of

DEPTH = 4.5


def to_uvd(xyz: Tensor, camera: Tensor, root_depth: Tensor, scale: Tensor, size: int) -> Tensor:
    """Points (B,P,3) m in the camera frame -> uvd (B,P,3); camera (B,3,3) of the crop, S = `size` pixels."""
    z = xyz[..., 2:]
    pixels = pixels_of(xyz, camera)
    d = (z - root_depth[:, None, None]) / (scale[:, None, None] * DEPTH) + 0.5
    return torch.cat([(pixels + 0.5) / size, d], -1)


def to_xyz(uvd: Tensor, camera: Tensor, root_depth: Tensor, scale: Tensor, size: int) -> Tensor:
    """uvd (B,P,3) -> points (B,P,3) m in the camera frame: the inverse of `to_uvd`. The camera may be rotated."""
    rays = rays_of(uvd[..., :2] * size - 0.5, camera)
    z = root_depth[:, None, None] + scale[:, None, None] * DEPTH * (uvd[..., 2:] - 0.5)
    return torch.cat([rays * z, z], -1)


def turn(points: Tensor, angle: Tensor) -> Tensor:
    """Points (B,P,3) turned about the optical axis by angle (B,) rad, clockwise as seen in the image (y is down)."""
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]
    x, y, z = points.unbind(-1)
    return torch.stack([cos * x - sin * y, sin * x + cos * y, z], -1)
