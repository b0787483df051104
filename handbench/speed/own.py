"""Anybody's network, timed by the same protocol: tier T0, for nobody here knows what its output means."""

from __future__ import annotations

import copy
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from handbench.errors import HandbenchError, InvalidError, MissingError, UsageError
from handbench.inference.device import choose_device
from handbench.sections import did_you_mean
from handbench.speed.clock import EFFORTS, Clock
from handbench.speed.cost import ARE, count_flops
from handbench.speed.latency import completed, timed
from handbench.speed.memory import memory
from handbench.speed.modes import HEADLINE, full_precision

EXPECTED = (
    "build() takes nothing and returns (module, inputs): a torch.nn.Module, and one input or a list of distinct ones; "
    "an input is a tensor, or a tuple or dict of what forward takes."
)


def speed(
    module: nn.Module,
    inputs: Any,
    *,
    name: str | None = None,
    device: str = "auto",
    effort: str = "standard",
    clock: Clock | None = None,
) -> dict[str, Any]:
    """Time a network under HB-Speed 1, tier T0: eager, fp32, as it stands.

    inputs: one input, or a list of distinct ones that are gone through in turn. An input is a tensor, or a tuple or
    dict of what `forward` takes, on any device. effort: `standard`, `strict` or `quick`. Returns the record that
    `handbench speed` writes: `p50_ms`, `fps` (calls a second), `cost`, `memory`, `machine`, `warnings`, every sample.

    Raises UsageError for inputs or an effort that are not understood, MissingError for a device that is not here,
    InvalidError where the network fails on them, with its own error.
    """
    if effort not in EFFORTS:
        raise UsageError(f"There is no effort {effort!r}.", f"Efforts: {', '.join(EFFORTS)}.")
    if not isinstance(module, nn.Module):
        raise UsageError(f"What is timed is a torch.nn.Module, not {_kind(module)}.", EXPECTED)
    where = choose_device(device)
    clock = clock or Clock(where)
    calls = [_arguments(one, where) for one in (inputs if isinstance(inputs, list) else [inputs])]
    if not calls:
        raise UsageError("The list of inputs is empty.", EXPECTED)
    name = name or type(module).__name__
    start = clock.now()
    # the caller's own stays as it is and where it is
    network = copy.deepcopy(module).eval().to(where)
    clock.synchronise()
    loading = clock.now() - start

    @torch.inference_mode()
    def call(i: int) -> object:
        args, kwargs = calls[i % len(calls)]
        return network(*args, **kwargs)

    with full_precision():
        try:
            for i in range(len(calls)):
                call(i)
        except HandbenchError:
            raise
        except Exception as error:
            raise InvalidError(f"{name} fails on its inputs: {said(error)}", EXPECTED) from error
        record = timed(call, clock, EFFORTS[effort], f"{name} T0", loading)
    about = {"method": name, "pool": len(calls), "pool_from": "given", "cost": _cost(network, calls[0])}
    whole = completed(record, "T0", HEADLINE, about, memory(network, where))
    return {**whole, "batch": _batch(calls[0])}


def from_file(target: str) -> tuple[str, nn.Module, Any]:
    """`my_file.py:build` -> a name, the module and the inputs. It runs the file: it is the user's own.

    Raises MissingError where there is no such file, UsageError for a function that it does not have, InvalidError
    where the file or the function fails, or returns something else.
    """
    file, _, function = target.rpartition(":") if ":" in target else (target, "", "build")
    path = Path(file)
    if not path.is_file():
        raise MissingError(f"There is no file {path}.", "handbench speed my_file.py:build")
    if path.suffix != ".py":
        raise UsageError(f"{path} is no Python file.", "handbench speed my_file.py:build")
    loaded = importlib.util.spec_from_file_location(f"handbench_timed_{path.stem}", path)
    assert loaded is not None
    assert loaded.loader is not None
    code = importlib.util.module_from_spec(loaded)
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        sys.modules[loaded.name] = code
        _run(lambda: loaded.loader.exec_module(code), f"{path} cannot be loaded")  # type: ignore[union-attr]
        build = getattr(code, function, None)
        if not callable(build):
            there = [name for name, value in vars(code).items() if callable(value) and not name.startswith("_")]
            suggestion = did_you_mean(function, there) or "."
            raise UsageError(f"{path} has no function {function!r}{suggestion}", EXPECTED)
        answer = _run(build, f"{function}() of {path} fails")
    finally:
        sys.path.pop(0)
    if not (isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[0], nn.Module)):
        raise InvalidError(f"{function}() of {path} returns {_kind(answer)}, not (module, inputs).", EXPECTED)
    return path.stem, *answer


def said(error: BaseException) -> str:
    """An error in one line: its kind, and the first thing that it says."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else f"{type(error).__name__}."


def _run(call: Callable[[], Any], what: str) -> Any:
    try:
        return call()
    except HandbenchError:
        raise
    # its own exit, too, is no end of ours
    except (Exception, SystemExit) as error:
        raise InvalidError(f"{what}: {said(error)}", EXPECTED) from error


def _arguments(one: Any, device: torch.device) -> tuple[tuple[Any, ...], dict[str, Any]]:
    def moved(value: Any) -> Any:
        return value.to(device) if isinstance(value, Tensor) else value

    if isinstance(one, Tensor):
        return (moved(one),), {}
    if isinstance(one, tuple):
        return tuple(moved(value) for value in one), {}
    if isinstance(one, dict):
        return (), {key: moved(value) for key, value in one.items()}
    raise UsageError(f"An input is {_kind(one)}.", EXPECTED)


def _batch(call: tuple[tuple[Any, ...], dict[str, Any]]) -> int:
    """The length of the first tensor: how many samples a call has, by custom."""
    tensors = [value for value in (*call[0], *call[1].values()) if isinstance(value, Tensor)]
    return int(tensors[0].shape[0]) if tensors and tensors[0].dim() else 1


def _cost(network: nn.Module, call: tuple[tuple[Any, ...], dict[str, Any]]) -> dict[str, Any]:
    """Counted on the meta device; a network that looks at its numbers cannot run there, and is not counted."""
    counted: dict[str, Any] = {"parameters": sum(p.numel() for p in network.parameters()), "training_only": 0}
    try:
        on_meta = copy.deepcopy(network).requires_grad_(False).to("meta")
        args, kwargs = call
        meta = [v.to("meta") if isinstance(v, Tensor) else v for v in args]
        named = {k: v.to("meta") if isinstance(v, Tensor) else v for k, v in kwargs.items()}
        flops, zero = count_flops(lambda: on_meta(*meta, **named))
    except Exception as error:
        return counted | {"macs": None, "flops": None, "why_not_counted": said(error)}
    return counted | {"macs": flops // 2, "flops": flops, "flops_are": ARE, "counted_as_zero": zero}


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}"
