"""Hands and batches for the tests of the methods: the synthetic hand, seen by a camera, in random poses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from handbench.hands.camera import crop_camera, square_crop
from handbench.hands.joints import MIDDLE_MCP
from handbench.hands.mano import HandModel, axis_angle_to_matrix
from handbench.methods.base import Batch

FOCAL = 600.0


@pytest.fixture(scope="session")
def hand() -> HandModel:
    return pytest.importorskip("handbench.synth.hand").synthetic_hand()


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def make_batch(hand: HandModel):
    """make_batch(n, size, seed, rotated, frames): n hands, `frames` in a row of one shape and in crops turned alike;
    rotated crops where asked. Images are noise.
    """

    def make(n: int, size: int = 64, seed: int = 0, rotated: bool = True, frames: int = 1) -> Batch:
        rng = np.random.default_rng(seed)
        pose = rng.normal(0, 0.3, (n, 48))
        translation = rng.uniform([-0.1, -0.1, 0.5], [0.1, 0.1, 0.9], (n, 3))
        shape = rng.normal(0, 1, (n // frames, 10)).repeat(frames, 0)
        vertices, joints16 = hand.forward(pose, shape, translation)
        joints = hand.joints21(vertices, joints16, "freihand")
        camera = np.array([[FOCAL, 0, 320.0], [0, FOCAL, 240.0], [0, 0, 1.0]])
        pixels = joints @ camera.T
        pixels = pixels[..., :2] / pixels[..., 2:]
        box = np.concatenate([pixels.min(1), pixels.max(1)], -1)
        rotation = rng.uniform(-1.5, 1.5, n // frames).repeat(frames) * rotated
        affine = square_crop(box, size, 1.3, rotation)

        def tensor(array: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.asarray(array, np.float32))

        return Batch(
            image=torch.from_numpy(rng.integers(0, 256, (n, 3, size, size), np.uint8)),
            camera=tensor(crop_camera(affine, camera)),
            affine=tensor(affine),
            rotation=tensor(rotation),
            # the stored image is the frame
            frame_affine=tensor(affine),
            frame_size=tensor(np.tile([640.0, 480.0], (n, 1))),
            mirrored=torch.zeros(n, dtype=torch.bool),
            index=torch.arange(n),
            root=tensor(joints[:, 0]),
            root_depth=tensor(joints[:, 0, 2]),
            scale=tensor(np.linalg.norm(joints[:, MIDDLE_MCP] - joints[:, 0], axis=-1)),
            joints=tensor(joints),
            joints_valid=torch.ones(n, 21, dtype=torch.bool),
            vertices=tensor(vertices),
            vertices_valid=torch.ones(n, dtype=torch.bool),
            mano_rotations=tensor(axis_angle_to_matrix(pose.reshape(n, 16, 3))),
            mano_shape=tensor(shape),
            mano_valid=torch.ones(n, dtype=torch.bool),
            hand=torch.ones(n, dtype=torch.bool),
        )

    return make
