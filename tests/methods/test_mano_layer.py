"""The MANO layer of methods and the numpy forward are one and the same hand."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
import torch

from handbench.errors import UsageError
from handbench.hands.joints import FINGERTIPS
from handbench.hands.mano import axis_angle_to_matrix
from handbench.methods.blocks.mano_layer import ManoLayer
from handbench.methods.blocks.rotations import matrix_to_six, six_to_matrix
from handbench.synth.hand import synthetic_hand


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("fingertips", ["freihand", "manopth", "ho3d"])
def test_it_equals_the_numpy_forward(side, fingertips):
    model = synthetic_hand(side)
    rng = np.random.default_rng(0)
    pose, shape = rng.normal(0, 0.5, (6, 48)), rng.normal(0, 1.5, (6, 10))
    vertices, joints16 = model.forward(pose, shape)
    joints = model.joints21(vertices, joints16, fingertips)
    layer = ManoLayer(model, fingertips, torch.float64)
    rotations = torch.from_numpy(axis_angle_to_matrix(pose.reshape(6, 16, 3)))
    got_vertices, got_joints = layer(rotations, torch.from_numpy(shape))
    # 1e-5 mm
    assert np.abs(got_vertices.numpy() - vertices).max() < 1e-8
    assert np.abs(got_joints.numpy() - joints).max() < 1e-8


@pytest.mark.parametrize("side", ["right", "left"])
def test_it_equals_the_layer_of_smplx(side):
    body_models, utils = pytest.importorskip("smplx.body_models"), pytest.importorskip("smplx.utils")
    model = synthetic_hand(side)
    arrays = {**model.arrays(), "kintree_table": np.asarray(model.kintree_table, np.int64)}
    # it prints
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = body_models.MANOLayer(
            model_path="", data_struct=utils.Struct(**arrays), is_rhand=side == "right", use_pca=False,
            flat_hand_mean=True, num_betas=10, create_body_pose=False, dtype=torch.float64,
        )  # fmt: skip
    rng = np.random.default_rng(2)
    rotations = torch.from_numpy(axis_angle_to_matrix(rng.normal(0, 0.7, (5, 16, 3))))
    shape = torch.from_numpy(rng.normal(0, 1.5, (5, 10)))
    out = theirs(betas=shape, global_orient=rotations[:, :1], hand_pose=rotations[:, 1:])
    layer = ManoLayer(model, "freihand", torch.float64)
    vertices, joints = layer(rotations, shape)
    # 1e-5 mm
    assert (vertices - out.vertices).abs().max() < 1e-8
    assert (joints - torch.cat([out.joints[:, :16], out.vertices[:, layer.tips]], 1)[:, layer.order]).abs().max() < 1e-8


def test_it_has_no_weights():
    layer = ManoLayer(synthetic_hand(), "freihand")
    assert not list(layer.parameters())
    assert not layer.state_dict()


def test_a_left_hand_shown_as_a_right_one_has_the_left_sets_tips():
    layer = ManoLayer(synthetic_hand(), "manopth")
    rotations, shape = torch.eye(3).expand(2, 16, 3, 3), torch.zeros(2, 10)
    vertices, joints = layer(rotations, shape, torch.tensor([False, True]))
    assert torch.equal(joints[0, 12], vertices[0, FINGERTIPS["manopth"][2]])
    assert torch.equal(joints[1, 12], vertices[1, FINGERTIPS["manopth-left"][2]])
    assert FINGERTIPS["manopth"][2] != FINGERTIPS["manopth-left"][2]
    with pytest.raises(UsageError, match="fingertip set"):
        ManoLayer(synthetic_hand(), "fingers")


def test_six_numbers_are_a_rotation_and_back():
    rng = np.random.default_rng(1)
    rotations = torch.from_numpy(axis_angle_to_matrix(rng.normal(0, 2, (50, 3))))
    torch.testing.assert_close(six_to_matrix(matrix_to_six(rotations)), rotations)
    any_six = torch.from_numpy(rng.normal(0, 3, (50, 6)))
    made = six_to_matrix(any_six)
    eye = torch.eye(3, dtype=made.dtype).expand(50, 3, 3)
    torch.testing.assert_close(made @ made.transpose(1, 2), eye)
    assert torch.allclose(torch.linalg.det(made), torch.ones(50, dtype=made.dtype))
    # the first column keeps its direction
    torch.testing.assert_close(made[..., 0], torch.nn.functional.normalize(any_six[..., :3], dim=-1))
