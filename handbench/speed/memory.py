"""What inference takes of memory, MB (10^6 bytes)."""

from __future__ import annotations

import gc
import resource
import sys
from typing import Any

import psutil
import torch
from torch import nn


def start_counting(device: torch.device) -> int | None:
    """Let go of what nobody needs, and begin to look for the peak. Returns what is allocated on the GPU already, bytes:
    weights and inputs; None on a CPU.
    """
    gc.collect()
    if device.type != "cuda":
        return None
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_allocated(device)


def memory(module: nn.Module, device: torch.device, before: int | None) -> dict[str, Any]:
    """Weights (parameters and buffers), the host's resident memory now and at its peak, and what torch held on the GPU
    at its peak since `start_counting`, which had found `before`: None on a CPU.
    """
    tensors = [*module.parameters(), *module.buffers()]
    cuda = device.type == "cuda"
    # Linux counts in KiB, macOS in bytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {
        "weights_mb": _mb(sum(t.numel() * t.element_size() for t in tensors)),
        "allocated_before_mb": None if before is None else _mb(before),
        "peak_allocated_mb": _mb(torch.cuda.max_memory_allocated(device)) if cuda else None,
        "peak_reserved_mb": _mb(torch.cuda.max_memory_reserved(device)) if cuda else None,
        "host_rss_mb": _mb(psutil.Process().memory_info().rss),
        "host_peak_rss_mb": _mb(peak),
    }


def _mb(count: int) -> float:
    return round(count / 1e6, 2)
