"""The supervised and the consistency losses of CLIP-Hand3D (eq. 4 to 6), as means over what is annotated.

The paper writes sums; its weights of eq. 8 only make sense with means (our decision).
"""

from __future__ import annotations

import torch
from torch import Tensor

from handbench.methods.blocks.masked import masked_l1, masked_mean
from handbench.methods.clip_hand3d.space import turn


def edges(vertices: Tensor, faces: Tensor) -> Tensor:
    """(B,V,3) -> the three edge vectors of each face (B,F,3,3)."""
    corners = vertices[:, faces]
    return corners.roll(-1, 2) - corners


def normal_loss(vertices: Tensor, truth: Tensor, faces: Tensor, valid: Tensor) -> Tensor:
    """L_N of eq. 5: |unit predicted edge · true face normal|, mean over 3 edges a face, of the valid samples (B,)."""
    along = torch.nn.functional.normalize(edges(vertices, faces), dim=-1)
    true = edges(truth, faces)
    normals = torch.nn.functional.normalize(torch.linalg.cross(true[:, :, 0], true[:, :, 1]), dim=-1)
    return _mean((along * normals[:, :, None]).sum(-1).abs(), valid)


def edge_loss(vertices: Tensor, truth: Tensor, faces: Tensor, valid: Tensor) -> Tensor:
    """L_E of eq. 5 (which the paper calls vertex loss): ||e| - |e_true||, mean over 3 edges a face."""
    return _mean((edges(vertices, faces).norm(dim=-1) - edges(truth, faces).norm(dim=-1)).abs(), valid)


def _mean(values: Tensor, valid: Tensor) -> Tensor:
    """Mean of (B,...) over the valid samples (B,)."""
    return masked_mean(values.flatten(1).mean(1), valid)


def consistency_2d(uv: Tensor, affine: Tensor, size: int, valid: Tensor) -> Tensor:
    """L_C2d of eq. 6: |Aff(P̂1) - P̂2|. Joints (2B,J,2) in [0, 1] of their crops, first and second views of B images.

    Aff leads from view 1 back to the stored image and on to view 2, through the affines (2B,2,3) of the crops.
    """
    pixels = uv * size - 0.5
    one, two = pixels.chunk(2)
    a1, a2 = affine.to(uv.dtype).chunk(2)
    # A [u v]' + t = p, solved for [u v]: rows are points, hence the transposed solve
    stored = torch.linalg.solve(a1[..., :2], (one - a1[:, None, :, 2]).transpose(1, 2)).transpose(1, 2)
    moved = stored @ a2[..., :2].transpose(1, 2) + a2[:, None, :, 2]
    both = valid[: len(one)] & valid[len(one) :]
    return masked_l1(moved / size, two / size, both[:, None].expand(-1, uv.shape[1]))


def consistency_3d(rooted: Tensor, rotation: Tensor, valid: Tensor) -> Tensor:
    """L_C3d of eq. 6: |Rot(V1) - V2| of root-relative meshes (2B,V,3), first and second views of B images.

    They come lifted through the crops' own (rotated) cameras, so both lie in the frame of the stored image; eq. 6
    compares them as view 2 sees them. rotation (2B,) rad: each as its view sees it, view 1 turned by the difference.
    """
    one, two = rooted.chunk(2)
    r1, r2 = rotation.to(rooted.dtype).chunk(2)
    both = valid[: len(one)] & valid[len(one) :]
    turned = turn(turn(one, r1), r2 - r1)
    return masked_l1(turned, turn(two, r2), both[:, None].expand(-1, one.shape[1]))
