"""What is timed: the tiers T0, T1 and T2 of a method, each a list of steps that the number of a call goes through.

T0 `net`           normalised tensor on the device -> the network's raw output there
T1 `hand`          the same -> joints and vertices, m, on the device
T2 `crop-to-3D`    uint8 picture of the hand on the host -> joints and vertices on the host: resized, copied over,
                   normalised, T1, copied back, and as arrays
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from handbench.inference.crops import Crops, to_device, warp
from handbench.methods.base import Method, Prediction

TIERS = {
    "T0": "normalised tensor to the network's output, on the device",
    "T1": "normalised tensor to joints and vertices, on the device",
    "T2": "uint8 picture on the host to joints and vertices on the host",
}
# what `Method.lift` does, after the network: from its output to hands in the camera frame
LIFT = "to camera frame"

Forward = Callable[[Tensor, dict[str, Tensor]], dict[str, Tensor]]


class Step(NamedTuple):
    """`run` takes what the step before gave. stage None: the network, whose stages are its own modules."""

    stage: str | None
    run: Callable[[Any], Any]


class HostInput(NamedTuple):
    """A call's pictures (H,W,3) uint8 BGR, their affines (2,3) into the crop, and what the method is given."""

    pictures: list[NDArray]
    affines: NDArray
    given: dict[str, Tensor]


@dataclass(frozen=True)
class Pool:
    """Distinct inputs in an order of their own: on the device for T0 and T1, on the host for T2."""

    device: list[tuple[Tensor, dict[str, Tensor]]]
    host: list[HostInput]

    def __len__(self) -> int:
        return len(self.device)


def make_pool(method: Method, crops: Crops, device: torch.device, most: int) -> Pool:
    """Up to `most` inputs, images or windows."""
    on_device, on_host = [], []
    pictures: dict[int, NDArray] = {}
    order = torch.randperm(len(crops), generator=torch.Generator().manual_seed(0))[:most]
    for i in order.tolist():
        batch = crops.collate([crops[i]])
        index = batch["index"].tolist()
        for at in index:
            if at not in pictures:
                pictures[at] = crops.decode(at)
        moved = to_device(batch, device)
        on_device.append((method.normalise(moved.pop("image")), moved))
        given = {key: value for key, value in batch.items() if key != "image"}
        on_host.append(HostInput([pictures[at] for at in index], batch["affine"].numpy().astype(np.float64), given))
    return Pool(on_device, on_host)


def steps_of(tier: str, method: Method, pool: Pool, device: torch.device, forward: Forward | None = None) -> list[Step]:
    """The steps of a tier; `forward` in the network's place where a mode wraps it."""
    net: Any = method if forward is None else forward

    def run_net(state: tuple[Tensor, dict[str, Tensor]]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return net(*state), state[1]

    def lift(state: tuple[dict[str, Tensor], Any]) -> Prediction:
        return method.lift(*state)

    if tier == "T2":
        host = _HostSide(method, pool, device)
        return [
            Step("preprocess", host.preprocess),
            Step("h2d", host.h2d),
            Step("normalise", lambda state: (method.normalise(state[0]), state[1])),
            Step(None, run_net),
            Step(LIFT, lift),
            Step("d2h", d2h),
            Step("postprocess", postprocess),
        ]
    take = Step(None, lambda i: run_net(pool.device[i % len(pool)]))
    return [take] if tier == "T0" else [take, Step(LIFT, lift)]


def as_call(steps: list[Step]) -> Callable[[int], Any]:
    """One function of the number of the call."""

    @torch.inference_mode()
    def call(i: int) -> Any:
        state: Any = i
        for step in steps:
            state = step.run(state)
        return state

    return call


class _HostSide:
    """T2's way to the device, through one buffer that is made once; on CUDA it is pinned."""

    def __init__(self, method: Method, pool: Pool, device: torch.device):
        self.size, self.pool, self.device = method.input_size, pool, device
        pinned = device.type == "cuda"
        self.buffer = torch.empty((method.frames, 3, self.size, self.size), dtype=torch.uint8, pin_memory=pinned)
        self.given = [
            {key: value.pin_memory() if pinned else value for key, value in host.given.items()} for host in pool.host
        ]

    def preprocess(self, i: int) -> int:
        i = i % len(self.pool)
        host, out = self.pool.host[i], self.buffer.numpy()
        for frame, (picture, affine) in enumerate(zip(host.pictures, host.affines, strict=True)):
            out[frame] = warp(picture, affine, self.size)[:, :, ::-1].transpose(2, 0, 1)
        return i

    def h2d(self, i: int) -> tuple[Tensor, dict[str, Tensor]]:
        return self.buffer.to(self.device, non_blocking=True), to_device(self.given[i], self.device)


def d2h(prediction: Prediction) -> dict[str, Tensor]:
    return {name: value.cpu() for name, value in prediction._asdict().items() if value is not None}


def postprocess(found: dict[str, Tensor]) -> dict[str, NDArray]:
    """As a set of predictions holds them: arrays, rotations as MANO's axis-angles."""
    arrays = {name: value.numpy() for name, value in found.items()}
    if "mano_rotations" in arrays:
        rotations = arrays.pop("mano_rotations")
        arrays["mano_pose"] = Rotation.from_matrix(rotations.reshape(-1, 3, 3)).as_rotvec().reshape(-1, 48)
    return arrays
