"""Other ways to run the same network. Each is a further row, with how far its joints lie from the headline's."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from handbench.errors import HandbenchError, MissingError
from handbench.methods.base import Method, Prediction
from handbench.sections import require_known
from handbench.speed.tiers import Forward, Pool, as_call, steps_of

# inputs on which joints are compared, and how far they may move, mm
COMPARED, DRIFT = 32, 0.1


class Mode(NamedTuple):
    """precision and mode, as in a record's name; `cuda`: what a CPU lacks for it, "" where it lacks nothing."""

    precision: str
    mode: str
    cuda: str = ""


HEADLINE = Mode("fp32", "eager")
MODES = {
    "tf32": Mode("tf32", "eager", "TF32 is a number format of NVIDIA's tensor cores"),
    "bf16": Mode("bf16", "eager"),
    "channels_last": Mode("fp32", "channels-last"),
    "compile": Mode("fp32", "compile-default"),
    "cuda-graph": Mode("fp32", "cuda-graph", "a CUDA graph is recorded on a GPU"),
}


def check_modes(names: list[str], device: torch.device) -> None:
    """Raises UsageError for a mode that does not exist, MissingError for one that this device cannot run."""
    for name in names:
        require_known(name, list(MODES), "mode")
        if MODES[name].cuda and device.type != "cuda":
            here = ", ".join(known for known, mode in MODES.items() if not mode.cuda)
            raise MissingError(f"Mode {name} needs CUDA: {MODES[name].cuda}.", f"On a CPU there are {here}.")


@contextmanager
def full_precision() -> Iterator[None]:
    """The headline's settings: no TF32, and cuDNN's fastest algorithm of those that keep to it."""
    with _flags(tf32=False):
        yield


@contextmanager
def call_in_mode(name: str, method: Method, pool: Pool, device: torch.device) -> Iterator[Callable[[int], Prediction]]:
    """T1 in this mode, as a function of the number of the call. The method itself is left as it is."""
    method = copy.deepcopy(method)
    forward: Forward | None = None
    if name == "bf16":
        forward = _autocast(method, device)
    elif name == "channels_last":
        method = method.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        images = [(image.contiguous(memory_format=torch.channels_last), given) for image, given in pool.device]
        pool = Pool(images, pool.host)
    elif name == "compile":
        torch._dynamo.reset()
        forward = torch.compile(method, dynamic=False)
    with _flags(tf32=name == "tf32"):
        if name == "cuda-graph":
            yield _graphed(method, pool, device)
        else:
            yield as_call(steps_of("T1", method, pool, device, forward))


def drift(reference: Callable[[int], Prediction], others: list[Tensor], trained: bool = True) -> dict[str, Any]:
    """How far joints lie from the headline's, mm: max and mean over the inputs 0, 1, ..., whose joints in the mode are
    `others` (each (B,21,3) m); and whether that is more than the protocol allows, None for random weights.
    """
    each = [1000 * (joints - reference(i).joints.double()).norm(dim=-1).flatten() for i, joints in enumerate(others)]
    far = torch.cat(each)
    most = float(far.max())
    # NaN is no small drift
    flagged = not most <= DRIFT if trained else None
    return {"max_mm": most, "mean_mm": float(far.mean()), "inputs": len(others), "flagged": flagged}


def why_mode_failed(name: str, error: Exception) -> HandbenchError:
    """A mode that torch cannot run here, with torch's own reason."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    reason = lines[0].strip()[:200] if lines else ""
    return MissingError(
        f"Mode {name} does not run here: {type(error).__name__}: {reason}.", f"Leave out --mode {name}."
    )


@contextmanager
def _flags(tf32: bool) -> Iterator[None]:
    """torch.backends as this needs them, whichever of its two interfaces was used before; then as they were."""
    matmul: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    wanted: list[tuple[Any, str, Any]] = [(cudnn, "benchmark", True)]
    wanted += [(matmul, "allow_tf32", tf32), (cudnn, "allow_tf32", tf32)]
    # since torch 2.9; what was set through it for all backends at once outweighs `allow_tf32`
    if hasattr(matmul, "fp32_precision"):
        named = "tf32" if tf32 else "ieee"
        wanted += [(part, "fp32_precision", named) for part in (matmul, cudnn.conv, cudnn.rnn)]
    before = [(part, name, _read(part, name)) for part, name, _ in wanted]
    for part, name, value in wanted:
        setattr(part, name, value)
    try:
        yield
    finally:
        for part, name, value in before:
            if value is not None:
                setattr(part, name, value)


def _read(part: Any, name: str) -> Any:
    """A setting; None where torch refuses to say it, because it was made through the other interface."""
    try:
        return getattr(part, name)
    except RuntimeError:
        return None


def _autocast(method: Method, device: torch.device) -> Forward:
    def forward(image: Tensor, given: dict[str, Tensor]) -> dict[str, Tensor]:
        with torch.autocast(device.type, torch.bfloat16):
            return method(image, given)

    return forward


def _graphed(method: Method, pool: Pool, device: torch.device) -> Callable[[int], Prediction]:
    """T1 recorded once, on inputs that lie still; a call copies its input there and replays."""
    image, given = pool.device[0][0].clone(), {key: value.clone() for key, value in pool.device[0][1].items()}
    call = as_call(steps_of("T1", method, Pool([(image, given)], pool.host[:1]), device))
    aside = torch.cuda.Stream(device)
    aside.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(aside):
        for _ in range(3):
            call(0)
    torch.cuda.current_stream(device).wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        answer = call(0)

    @torch.inference_mode()
    def replay(i: int) -> Prediction:
        new_image, new_given = pool.device[i % len(pool)]
        image.copy_(new_image)
        for key, value in new_given.items():
            given[key].copy_(value)
        graph.replay()
        return answer

    return replay
