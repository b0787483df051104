"""Means over what is annotated; 0 where nothing is."""

from __future__ import annotations

import torch
from torch import Tensor


def masked_mean(values: Tensor, valid: Tensor) -> Tensor:
    """Mean of values (...) where valid (...)."""
    return torch.where(valid, values, 0.0).sum() / valid.sum().clamp(min=1)


def masked_l1(predicted: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """Mean |predicted - truth| of (B,P,C) over the points (B,P) that are valid."""
    difference = torch.where(valid[..., None], predicted - truth, 0.0).abs().sum((-2, -1)).sum()
    return difference / (valid.sum() * predicted.shape[-1]).clamp(min=1)
