"""The MANO layer of methods: smplx's, for the official files and for the synthetic hand, left and right."""

from __future__ import annotations

import contextlib
import io

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

    tips: Tensor
    left_tips: Tensor
    order: Tensor

    def __init__(self, hand: HandModel, fingertips: str, dtype: torch.dtype = torch.float32):
        super().__init__()
        # smplx reads files with pickles allowed, takes the side from a file's name and prints to stdout: it is handed
        # the arrays, told the side, and its prints are dropped
        from smplx.body_models import MANOLayer
        from smplx.utils import Struct

        if fingertips not in FINGERTIPS:
            raise UsageError(f"There is no fingertip set {fingertips!r}.", f"Sets: {', '.join(FINGERTIPS)}.")
        arrays = {**hand.arrays(), "kintree_table": np.asarray(hand.kintree_table, np.int64)}
        with contextlib.redirect_stdout(io.StringIO()):
            layer = MANOLayer(
                model_path="",
                data_struct=Struct(**arrays),
                is_rhand=hand.side == "right",
                use_pca=False,
                flat_hand_mean=True,
                num_betas=10,
                create_body_pose=False,
                dtype=dtype,
            )
        # smplx indexes a list by these one by one: as a tensor each would wait for the device
        del layer._buffers["parents"]
        layer.parents = hand.parents
        self.layer = layer
        for module in self.layer.modules():
            module._non_persistent_buffers_set.update(module._buffers)
        left = FINGERTIPS.get(f"{fingertips}-left", FINGERTIPS[fingertips])
        for name, values in (("tips", FINGERTIPS[fingertips]), ("left_tips", left), ("order", permutation("ho3d"))):
            self.register_buffer(name, torch.tensor(np.asarray(values)), persistent=False)

    def forward(self, rotations: Tensor, shape: Tensor, mirrored: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """`mirrored` (B,) bool: left hands that are shown as right ones, whose tips are those of the left set."""
        out = self.layer(betas=shape, global_orient=rotations[:, :1], hand_pose=rotations[:, 1:])
        tips = out.vertices[:, self.tips]
        if mirrored is not None:
            tips = torch.where(mirrored[:, None, None], out.vertices[:, self.left_tips], tips)
        return out.vertices, torch.cat([out.joints[:, :16], tips], 1)[:, self.order]
