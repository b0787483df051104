"""Inference asks the host for nothing: no wait for the device, no constant carried there, and the same joints."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from handbench.methods import find
from handbench.methods.base import Method, blank_batch
from handbench.methods.blocks.backbone import IMAGENET_MEAN, IMAGENET_STD, imagenet_normalised
from handbench.methods.blocks.constants import once
from handbench.methods.blocks.pinhole import pixels_of, rays_of
from handbench.methods.blocks.seen import patch_turn
from handbench.methods.deformer.pyramid import region_grid
from handbench.recipe import load_recipe
from handbench.sections import validated
from handbench.synth.hand import synthetic_hand

METHODS = ("clip-dg", "clip-hand-s12", "clip-hand-s24", "clip-hand3d", "dahyf", "deformer")
# the host cannot go on before the device has answered
WAITS = ("aten._local_scalar_dense", "aten.nonzero", "aten.masked_select", "aten._linalg_check_errors", "aten.equal")


class OnDevice(TorchDispatchMode):
    """Every operation that waits for the device `meta`, or takes a tensor that is not on it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if str(func._overloadpacket) in WAITS:
            self.found.append(f"{func} waits")
        tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, Tensor)]
        if any(tensor.device.type != "meta" for tensor in tensors):
            self.found.append(f"{func} takes a tensor of the host")
        return func(*args, **(kwargs or {}))


def tiny(name: str) -> Method:
    cls = find(name)
    config = validated(cls.Config, load_recipe(name, "full", "tiny").model, "The recipe", "model")
    return cls(config, synthetic_hand(), "freihand").eval()


@pytest.mark.parametrize("name", METHODS)
def test_nothing_waits_and_nothing_is_carried_to_the_device(name):
    method = tiny(name).to("meta")
    batch = blank_batch(method.frames, method.input_size, "meta")
    image = torch.empty(method.frames, 3, method.input_size, method.input_size, dtype=torch.uint8, device="meta")
    with torch.inference_mode():
        method.normalise(image)
        watch = OnDevice()
        with watch:
            method.lift(method(method.normalise(image), batch), batch)
    assert watch.found == []


def test_a_constant_is_made_once_and_may_be_trained_through():
    made = []

    @once
    def ones(n: int, dtype: torch.dtype) -> Tensor:
        made.append(n)
        return torch.ones(n, dtype=dtype)

    with torch.inference_mode():
        first = ones(3, torch.float32)
    weight = torch.ones(3, requires_grad=True)
    (ones(3, torch.float32) * weight).sum().backward()
    assert ones(3, torch.float32) is first
    assert ones(3, torch.float64).dtype == torch.float64
    assert made == [3, 3]


@pytest.mark.parametrize("name", METHODS)
def test_no_constant_is_made_anew_and_nothing_is_worked_out_for_losses_alone(name):
    method = tiny(name)
    image = torch.randint(0, 256, (method.frames, 3, method.input_size, method.input_size), dtype=torch.uint8)
    batch, made = blank_batch(method.frames, method.input_size), []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            made.append(str(func._overloadpacket))
            return func(*args, **(kwargs or {}))

    with torch.inference_mode():
        first = method.lift(method(method.normalise(image), batch), batch)
        with Watch():
            output = method(method.normalise(image), batch)
    assert not {"aten.arange", "aten.eye", "aten.linspace"} & set(made)
    assert "mesh_joints" not in output
    torch.testing.assert_close(method.lift(output, batch).joints, first.joints)


def test_the_watch_sees_what_it_watches_for():
    watch = OnDevice()
    x = torch.zeros(3, 3, device="meta")
    with watch:
        x.new_tensor([1.0])
        _ = x[:, np.array([0, 1])]
        torch.linalg.inv(x)
    assert len(watch.found) >= 3


def cameras(n: int = 20) -> Tensor:
    """Of crops: turned, mirrored and sheared, the last row (0, 0, 1)."""
    camera = torch.eye(3, dtype=torch.float64).repeat(n, 1, 1)
    camera[:, :2] = torch.from_numpy(np.random.default_rng(0).normal(0, 300, (n, 2, 3)))
    return camera


def test_rays_are_those_of_the_inverse_camera_and_lead_back():
    camera, pixels = cameras(), 200 * torch.rand(20, 7, 2, dtype=torch.float64)
    rays = rays_of(pixels, camera)
    ones = torch.ones_like(rays[..., :1])
    by_inverse = torch.cat([pixels, ones], -1) @ torch.linalg.inv(camera).transpose(1, 2)
    torch.testing.assert_close(rays, by_inverse[..., :2])
    torch.testing.assert_close(pixels_of(torch.cat([rays, ones], -1), camera), pixels)


def test_the_zoom_of_a_patch_is_the_root_of_its_area():
    affine = cameras()[:, :2]
    turn, zoom = patch_turn(affine)
    torch.testing.assert_close(zoom, torch.linalg.det(affine[..., :2]).abs().sqrt())
    torch.testing.assert_close(turn[:, :2, :2] * zoom[:, None, None], affine[..., :2])


def test_the_region_lies_where_an_affine_grid_lays_it():
    theta = torch.tensor([[[0.8, 0.0, 0.0], [0.0, 0.8, 0.0]]])
    torch.testing.assert_close(region_grid(32, 0.8, 8), F.affine_grid(theta, [1, 1, 32, 32], align_corners=False))


def test_imagenets_mean_may_be_trained_through_after_inference():
    image = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    with torch.inference_mode():
        inside = imagenet_normalised(image)
    outside = imagenet_normalised(image)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    torch.testing.assert_close(outside, (image / 255 - mean) / std)
    assert torch.equal(inside, outside)
    weight = torch.ones(1, requires_grad=True)
    (imagenet_normalised(image) * weight).sum().backward()
    assert weight.grad is not None
