"""The MANO layer of methods, for the official files and for the synthetic hand, left and right.

smplx's layer does the same (a test holds that), one small product after the other along the fingers, and copies its
list of parents to the device in every call: the host waits, and a CUDA graph cannot record it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from handbench.errors import UsageError
from handbench.hands.joints import FINGERTIPS, permutation
from handbench.hands.mano import HandModel


class ManoLayer(nn.Module):
    """Rotations (B,16,3,3) and shape (B,10) -> vertices (B,778,3) and FH21 joints (B,21,3), m.

    Rotations are in MANO's order of joints, root first, the mean pose already in them. Joints are the 16 of the posed
    skeleton and the fingertip vertices of the dataset's set. Nothing in it is a weight: it is made anew from the hand
    model that a checkpoint carries. It equals `HandModel.forward` (a test holds that).
    """

    template: Tensor
    shape_directions: Tensor
    pose_directions: Tensor
    rest: Tensor
    rest_directions: Tensor
    skin: Tensor
    identity: Tensor
    by_level: Tensor
    tips: Tensor
    left_tips: Tensor
    order: Tensor

    def __init__(self, hand: HandModel, fingertips: str, dtype: torch.dtype = torch.float32):
        super().__init__()
        if fingertips not in FINGERTIPS:
            raise UsageError(f"There is no fingertip set {fingertips!r}.", f"Sets: {', '.join(FINGERTIPS)}.")
        # shapes of the mesh move the joints by what the regressor makes of them
        rest_directions = np.einsum("jv,vcs->sjc", hand.J_regressor, hand.shapedirs)
        for name, array in (
            ("template", hand.v_template),
            ("shape_directions", hand.shapedirs.transpose(2, 0, 1).reshape(10, -1)),
            ("pose_directions", hand.posedirs.transpose(2, 0, 1).reshape(135, -1)),
            ("rest", hand.J_regressor @ hand.v_template),
            ("rest_directions", rest_directions.reshape(10, -1)),
            ("skin", hand.weights),
            ("identity", np.eye(3)),
        ):
            self.register_buffer(name, torch.tensor(np.asarray(array), dtype=dtype), persistent=False)
        levels = _levels(hand.parents.tolist())
        self.depth = len(levels)
        for i, (joints, parents, within) in enumerate(levels):
            for name, index in (("joints", joints), ("parents", parents), ("within", within)):
                self.register_buffer(f"{name}{i}", torch.tensor(index), persistent=False)
        listed = [0, *(joint for joints, _, _ in levels for joint in joints)]
        left = FINGERTIPS.get(f"{fingertips}-left", FINGERTIPS[fingertips])
        for name, values in (
            ("by_level", np.argsort(listed)),
            ("tips", FINGERTIPS[fingertips]),
            ("left_tips", left),
            ("order", permutation("ho3d")),
        ):
            self.register_buffer(name, torch.tensor(np.asarray(values)), persistent=False)

    def forward(self, rotations: Tensor, shape: Tensor, mirrored: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """`mirrored` (B,) bool: left hands that are shown as right ones, whose tips are those of the left set."""
        feature = (rotations[:, 1:] - self.identity).flatten(1)
        offsets = shape @ self.shape_directions + feature @ self.pose_directions
        posed = self.template + offsets.unflatten(1, (-1, 3))
        rest = self.rest + (shape @ self.rest_directions).unflatten(1, (-1, 3))
        turns, at = self._chain(rotations, rest)
        # relative to the rest pose: less where each transform takes the rest joint
        moves = torch.cat([turns, (at - (turns @ rest[..., None])[..., 0])[..., None]], -1)
        blended = (self.skin @ moves.flatten(2)).unflatten(2, (3, 4))
        vertices = (blended[..., :3] @ posed[..., None])[..., 0] + blended[..., 3]
        tips = vertices[:, self.tips]
        if mirrored is not None:
            tips = torch.where(mirrored[:, None, None], vertices[:, self.left_tips], tips)
        return vertices, torch.cat([at, tips], 1)[:, self.order]

    def _chain(self, rotations: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
        """Rotation (B,16,3,3) and place (B,16,3) of each joint in the root's frame, all fingers at once."""
        turns, places = [rotations[:, :1]], [rest[:, :1]]
        for i in range(self.depth):
            joints, parents, within = (getattr(self, f"{name}{i}") for name in ("joints", "parents", "within"))
            turn, place = turns[-1][:, within], places[-1][:, within]
            bone = rest[:, joints] - rest[:, parents]
            turns.append(turn @ rotations[:, joints])
            places.append(place + (turn @ bone[..., None])[..., 0])
        return torch.cat(turns, 1)[:, self.by_level], torch.cat(places, 1)[:, self.by_level]


def _levels(parents: list[int]) -> list[tuple[list[int], list[int], list[int]]]:
    """Joints by their distance from the root: at each, which joints, their parents, and where in the level before
    those stand.
    """
    levels = []
    before = [0]
    while joints := [joint for joint, parent in enumerate(parents) if parent in before]:
        above = [parents[joint] for joint in joints]
        levels.append((joints, above, [before.index(parent) for parent in above]))
        before = joints
    return levels
