"""Occlusion buckets: by the share of the hand that something else covers.

The share is of the amodal silhouette inside the image; what the hand covers of itself does not count. Deformer
(ICCV 2023) has bins of these bounds and never published which frames are in them: its rows are not these.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

# name, and the covered share in percent: from, included, to, excluded but for the last
BUCKETS: tuple[tuple[str, float, float], ...] = (
    ("0-25 %", 0.0, 25.0),
    ("25-50 %", 25.0, 50.0),
    ("50-75 %", 50.0, 75.0),
    ("75-100 %", 75.0, 100.0),
)
UNKNOWN = "unknown"
FOOTNOTE = (
    "Buckets: share of the amodal silhouette inside the image that something else covers, self-occlusion not counted; "
    "the frame lists of the papers' bins were never published."
)


def bucket_of(covered: ArrayLike) -> NDArray:
    """Covered shares (N,) in 0..1 -> index into `BUCKETS` (N,); -1 where the share is not known (NaN)."""
    share = np.asarray(covered, np.float64)
    found = np.searchsorted([low / 100 for _, low, _ in BUCKETS], share, side="right") - 1
    return np.where(np.isnan(share), -1, found)
