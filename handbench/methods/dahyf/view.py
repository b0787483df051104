"""The camera as the network sees it: the frame's, turned (and mirrored) with the patch.

Augmentation turns the patch, and a left hand is mirrored. What the network sees is then what a camera sees that is
rolled (and mirrored) likewise; hands, rays and projections are all expressed in that camera's frame, in which patches
lie upright. The frame of the record is had back by `View.back`. At inference, for a right hand, the two are the same.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from handbench.methods.base import Batch
from handbench.methods.blocks.pinhole import pixels_of, rays_of
from handbench.methods.blocks.seen import patch_turn, seen, turned_rotations, unseen


class View(NamedTuple):
    """camera (B,3,3): from the seen frame to pixels of the patch; turn (B,3,3): orthogonal, from the camera frame of
    the record to the seen one; zoom (B,): pixels of the patch for one of the frame, s_p / s_i.
    """

    camera: Tensor
    turn: Tensor
    zoom: Tensor

    @property
    def focal(self) -> Tensor:
        """(B,) in pixels of the patch; over `zoom` it is the frame's f."""
        return (self.camera[:, 0, 0] + self.camera[:, 1, 1]) / 2

    def directions(self, pixels: Tensor) -> Tensor:
        """Pixels of the patch (B,P,2) -> (x, y) of their rays at z = 1 (B,P,2): P_d of section 3.2.

        Eq. 3 is the case of an upright patch; through the inverse of the whole affine it holds for every patch.
        """
        return rays_of(pixels, self.camera)

    def project(self, points: Tensor) -> Tensor:
        """Points (B,P,3) m of the seen frame -> pixels of the patch (B,P,2)."""
        return pixels_of(points, self.camera)

    def seen(self, points: Tensor) -> Tensor:
        """Points (B,P,3) of the record's camera frame in the seen one."""
        return seen(points, self.turn)

    def back(self, points: Tensor) -> Tensor:
        """The inverse of `seen`."""
        return unseen(points, self.turn)


def view_of(batch: Batch, diagonal: bool) -> View:
    """The view of each sample, from its frame's camera, or with `diagonal` from the frame's size alone (float32)."""
    turn, zoom = patch_turn(batch["frame_affine"])
    camera = _diagonal_camera(batch) if diagonal else batch["camera"]
    return View(camera @ turn.transpose(1, 2), turn, zoom)


def _diagonal_camera(batch: Batch) -> Tensor:
    """(B,3,3) of the patch, for a frame with f = √(H² + W²) and O in its middle (section 3.2, eq. 5)."""
    affine, size = batch["frame_affine"], batch["frame_size"]
    frame = torch.zeros_like(affine[:, :1].expand(-1, 3, 3)).contiguous()
    frame[:, 0, 0] = frame[:, 1, 1] = size.norm(dim=-1)
    frame[:, :2, 2] = (size - 1) / 2
    frame[:, 2, 2] = 1.0
    return torch.cat([affine @ frame, frame[:, 2:]], 1)


def seen_rotations(rotations: Tensor, view: View, mirrored: Tensor) -> Tensor:
    """MANO rotations (B,16,3,3) in the record's camera frame -> as the seen, right-looking hand has them.

    Of a mirrored hand each joint's rotation R is F R F with F = diag(-1, 1, 1); the root is turned with the camera.
    """
    return turned_rotations(rotations, view.turn, mirrored)


def rotations_back(rotations: Tensor, view: View, mirrored: Tensor) -> Tensor:
    """The inverse of `seen_rotations`."""
    return turned_rotations(rotations, view.turn.transpose(1, 2), mirrored)
