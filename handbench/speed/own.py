"""Anybody's network, timed by the same protocol: tier T0, for nobody here knows what its output means."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from handbench.errors import HandbenchError, InvalidError, UsageError
from handbench.inference.device import choose_device
from handbench.speed.clock import EFFORTS, Clock
from handbench.speed.cost import ARE, count_flops, on_meta
from handbench.speed.latency import completed, timed
from handbench.speed.modes import Mode, full_precision
from handbench.speed.own_file import EXPECTED, kind_of, run_theirs, said

# a call's arguments, and those that it takes by name
Arguments = tuple[tuple[Any, ...], dict[str, Any]]
PRECISIONS = {torch.float32: "fp32", torch.float64: "fp64", torch.float16: "fp16", torch.bfloat16: "bf16"}


def speed(
    module: nn.Module,
    inputs: Any,
    *,
    name: str | None = None,
    device: str = "auto",
    effort: str = "standard",
    clock: Clock | None = None,
) -> dict[str, Any]:
    """Time a network under HB-Speed 1, tier T0: as it stands, in `eval`, TF32 off.

    inputs: one input, or a list of distinct ones that are gone through in turn. An input is a tensor, or a tuple or
    dict of what `forward` takes, on any device, tensors within it at any depth. effort: `standard`, `strict` or
    `quick`. Returns the record that `handbench speed` writes: `p50_ms`, `fps` (calls a second), `cost`, `memory`,
    `machine`, `warnings`, every sample.

    Raises UsageError for inputs or an effort that are not understood, MissingError for a device that is not here,
    InvalidError where the network cannot be copied or fails on its inputs, with its own error.
    """
    if effort not in EFFORTS:
        raise UsageError(f"There is no effort {effort!r}.", f"Efforts: {', '.join(EFFORTS)}.")
    if not isinstance(module, nn.Module):
        raise UsageError(f"What is timed is a torch.nn.Module, not {kind_of(module)}.", EXPECTED)
    where = choose_device(device)
    clock = clock or Clock(where)
    calls = [_arguments(one, where) for one in (inputs if isinstance(inputs, list) else [inputs])]
    if not calls:
        raise UsageError("The list of inputs is empty.", EXPECTED)
    name = name or type(module).__name__
    if any(getattr(part, "_compiled_call_impl", None) for part in module.modules()):
        raise UsageError(f"{name} is compiled in place, which a copy of it loses.", "Give torch.compile(module).")
    start = clock.now()
    # the caller's own stays as it is and where it is
    network = run_theirs(lambda: copy.deepcopy(module).eval().to(where), f"{name} cannot be copied to {where}")
    clock.synchronise()
    loading = clock.now() - start

    @torch.inference_mode()
    def call(i: int) -> object:
        args, kwargs = calls[i % len(calls)]
        try:
            return network(*args, **kwargs)
        except HandbenchError:
            raise
        except Exception as error:
            raise InvalidError(f"{name} fails on its inputs: {said(error)}", EXPECTED) from error

    with full_precision():
        record = timed(call, network, clock, EFFORTS[effort], f"{name} T0", loading)
    about = {"method": name, "pool": len(calls), "pool_from": "given", "cost": _cost(network, calls[0])}
    mode = Mode(_precision(network, calls[0]), _mode(network))
    return {**completed(record, "T0", mode, about), "batch": _batch(calls[0])}


def _arguments(one: Any, device: torch.device) -> Arguments:
    if not isinstance(one, Tensor | tuple | dict):
        raise UsageError(f"An input is {kind_of(one)}.", EXPECTED)
    moved = _moved(one, device)
    if isinstance(moved, Tensor):
        return (moved,), {}
    return ((), moved) if isinstance(moved, dict) else (tuple(moved), {})


def _moved(values: Any, device: torch.device | str) -> Any:
    """The same, with every tensor in it on the device."""
    return tree_map(lambda value: value.to(device) if isinstance(value, Tensor) else value, values)


def _tensors(values: Any) -> list[Tensor]:
    return [value for value in tree_leaves(values) if isinstance(value, Tensor)]


def _batch(call: Arguments) -> int:
    """The length of the first tensor: how many samples a call has, by custom."""
    tensors = _tensors(call)
    return int(tensors[0].shape[0]) if tensors and tensors[0].dim() else 1


def _precision(network: nn.Module, call: Arguments) -> str:
    """From the floating types of its parameters and buffers, `mixed` where there are several; without any, from those
    of its input.
    """
    for tensors in ([*network.parameters(), *network.buffers()], _tensors(call)):
        types = {tensor.dtype for tensor in tensors if tensor.is_floating_point()}
        if types:
            (first, *others) = types
            return "mixed" if others else PRECISIONS.get(first, str(first).removeprefix("torch."))
    return "unknown"


def _mode(network: nn.Module) -> str:
    """Who runs it: torch.compile, TorchScript, or nobody but Python."""
    parts = list(network.modules())
    # by name: importing what torch.compile is made of takes seconds
    if any(type(part).__name__ == "OptimizedModule" for part in parts):
        return "compile"
    return "torchscript" if any(isinstance(part, torch.jit.ScriptModule) for part in parts) else "eager"


def _cost(network: nn.Module, call: Arguments) -> dict[str, Any]:
    """Counted on the meta device; a network that looks at its numbers cannot run there, and is not counted."""
    counted: dict[str, Any] = {"parameters": sum(p.numel() for p in network.parameters()), "training_only": 0}
    try:
        # as it is without torch.compile
        copied = on_meta(getattr(network, "_orig_mod", network))
        args, kwargs = _moved(call, "meta")
        flops, zero = count_flops(lambda: copied(*args, **kwargs))
    except Exception as error:
        return counted | {"macs": None, "flops": None, "why_not_counted": said(error)}
    return counted | {"macs": flops // 2, "flops": flops, "flops_are": ARE, "counted_as_zero": zero}
