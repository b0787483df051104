"""Which device to use, and a clear word where it is not there."""

from __future__ import annotations

import torch

from handbench.errors import MissingError, UsageError


def choose_device(name: str, use: bool = True) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:1`; raises MissingError for a device that this machine does not have.

    use: False only asks whether it is there, where other processes will use it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"There is no device {name!r}.", "Devices: auto, cpu, cuda, cuda:1, ...") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        why = "this torch is built without CUDA" if not torch.backends.cuda.is_built() else "torch sees no such GPU"
        raise MissingError(f"Device {name} is not available: {why}.", "Use --device cpu.")
    if device.type == "cuda" and use:
        # events and new tensors go to the current device
        torch.cuda.set_device(device)
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"Device {name!r} is not supported.", "Devices: auto, cpu, cuda, cuda:1, ...")
    return device
