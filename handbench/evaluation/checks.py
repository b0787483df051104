"""What stops an evaluation: a file of predictions that is not one prediction for each sample of the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from handbench.errors import InvalidError
from handbench.hands.record import Hands

LARGEST = 1e100


def match(truth_ids: NDArray, predicted_ids: NDArray, also: NDArray | None = None) -> NDArray | None:
    """Where each sample of the truth is among the predictions (N,); None where both have the same order.

    Predictions of ids in `also` may be there and are not used.
    Raises InvalidError naming ids that are missing, unknown or there twice.
    """
    if len(truth_ids) == len(predicted_ids) and (truth_ids == predicted_ids).all():
        require_unique(truth_ids, "truth")
        return None
    require_unique(truth_ids, "truth")
    require_unique(predicted_ids, "predictions")
    missing = truth_ids[~np.isin(truth_ids, predicted_ids)]
    unknown = predicted_ids[~np.isin(predicted_ids, truth_ids if also is None else also)]
    if len(missing):
        raise InvalidError(
            f"{len(missing):,} of {len(truth_ids):,} samples have no prediction: {some(missing)}.",
            f"{len(unknown):,} predicted ids are not in the truth: {some(unknown)}."
            if len(unknown)
            else "Every sample counts: none is left out and none is filled with zeros.",
        )
    if len(unknown):
        raise InvalidError(
            f"{len(unknown):,} predictions are for samples that the truth does not have: {some(unknown)}.",
            "Was the truth prepared with --partial?",
        )
    order = np.argsort(predicted_ids)
    return order[np.searchsorted(predicted_ids, truth_ids, sorter=order)]


def require_unique(ids: NDArray, what: str) -> None:
    values, counts = np.unique(ids, return_counts=True)
    if len(values) != len(ids):
        twice = values[counts > 1]
        count = "1 id is" if len(twice) == 1 else f"{len(twice):,} ids are"
        raise InvalidError(
            f"{count} more than once in the {what}: {some(twice)}.", "Every sample has one prediction and one truth."
        )


def require_finite(block: Hands, start: int, what: str) -> None:
    """Raises InvalidError naming the first sample of the block (its first is number `start`) with NaN or infinity."""
    for name in ("joints", "vertices"):
        array = getattr(block, name)
        if array is None:
            continue
        # not finite, or so large that its square is not
        largest = min(LARGEST, float(np.finfo(array.dtype).max)) if array.dtype.kind == "f" else LARGEST
        bad = ~(np.abs(array) < largest).all((1, 2))
        if bad.any():
            i = int(np.argmax(bad))
            raise InvalidError(
                f"Sample {start + i} ({block.id[i]}) of the {what} has NaN or infinity, or a number beyond all hands, "
                f"in its {name}.",
                "Predict it again: a sample is never skipped and never becomes zero.",
            )


def require_annotated(block: Hands, start: int) -> None:
    """A truth says that a joint is annotated and gives no numbers: raises InvalidError naming the sample."""
    if block.joints is None:
        raise InvalidError("The truth has no joints.", "Without them nothing can be scored.")
    annotated = np.ones(block.joints.shape[:2], bool) if block.joints_valid is None else block.joints_valid
    bad = (annotated & ~np.isfinite(block.joints).all(-1)).any(1)
    if bad.any():
        i = int(np.argmax(bad))
        raise InvalidError(
            f"Sample {start + i} ({block.id[i]}) of the truth has NaN or infinity in an annotated joint.",
            "Prepare the dataset again.",
        )
    if block.vertices is not None:
        known = np.isfinite(block.vertices).all(-1)
        # a mesh may be missing as a whole
        bad = known.any(1) & ~known.all(1)
        if bad.any():
            i = int(np.argmax(bad))
            raise InvalidError(
                f"Sample {start + i} ({block.id[i]}) of the truth has NaN or infinity in some of its vertices.",
                "Prepare the dataset again: a mesh is whole, or missing as a whole.",
            )


def some(values: Sequence[str] | NDArray, show: int = 3) -> str:
    """The first few, and how many more."""
    named = ", ".join(map(str, values[:show]))
    return named if len(values) <= show else f"{named} and {len(values) - show:,} more"
