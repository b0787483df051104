"""Which samples of a truth are scored, in which order, against which predictions; and what was recorded together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handbench.datasets.holdout import validation_mask
from handbench.errors import InvalidError
from handbench.evaluation.checks import match, require_unique
from handbench.evaluation.importing import read_predictions
from handbench.evaluation.metric import IN_TIME
from handbench.evaluation.protocol import Protocol, SampleSet
from handbench.evaluation.sources import Chosen, Source, columns
from handbench.hands.record import Hands


@dataclass(frozen=True)
class Paired:
    """Truth and predictions, sample by sample the same."""

    true: Source
    predicted: Source
    samples: SampleSet


def pair(true: Source, predicted: Source, protocol: Protocol) -> Paired:
    """The samples that the protocol scores, in the order of the truth, or of its tracks where time is measured.

    Predictions of other samples of the truth are not looked at. Raises InvalidError naming ids that are missing,
    unknown or there twice.
    """
    if not len(true):
        raise InvalidError("The truth has no samples.", "Prepare the dataset again.")
    index = _in_time(true, protocol, _selected(true, protocol))
    chosen: Source = true if index is None else Chosen(true, index)
    samples = SampleSet()
    if index is None and _same_ids(true, predicted, samples):
        return Paired(true, predicted, samples)
    ids = chosen.column("id")
    order = match(ids, predicted.column("id"), true.column("id"))
    return Paired(chosen, predicted if order is None else Chosen(predicted, order), SampleSet().add(ids))


def read_for(path: Path, true: Source, protocol: Protocol, written: Mapping[str, str]) -> Hands:
    """A file of predictions of the samples that the protocol scores, or of all samples of the truth.

    Entries without ids are in the official order, which is that of the numbers in the ids; without an official list,
    in that of the truth. `written`: order, axes, unit where they are not as the format has them.
    """
    index, ids = _selected(true, protocol), true.column("id")
    asked = [ids] if index is None else [ids[index], ids]
    fault: InvalidError | None = None
    for some in asked:
        in_order = np.sort(some) if protocol.ids else some
        try:
            return read_predictions(path, in_order, written=protocol.written, **written)  # type: ignore[arg-type]
        except InvalidError as error:
            fault = fault or error
    assert fault is not None
    raise fault


def captures(true: Source) -> NDArray | None:
    """Index (N,) of the capture of each sample, from 0; None where there are no captures, or each sample is its own."""
    if "capture" not in true.fields:
        return None
    hashes = np.concatenate([_hashes(part) for part in columns(true, "capture")])
    found, first, index = np.unique(hashes, return_index=True, return_inverse=True)
    # numbered as they come: a hash differs from process to process, and sums depend on their order in the last bit
    return None if len(found) == len(true) else np.argsort(np.argsort(first))[index].astype(np.int32)


def _same_ids(true: Source, predicted: Source, samples: SampleSet) -> bool:
    """Whether both have the same ids in the same order; feeds `samples`. Never holds all the ids."""
    if len(true) != len(predicted):
        return False
    seen = np.empty(len(true), np.int64)
    for a, b in zip(columns(true, "id"), columns(predicted, "id"), strict=True):
        if not np.array_equal(a, b):
            return False
        seen[samples.count : samples.count + len(a)] = _hashes(a)
        samples.add(a.tolist())
    seen.sort()
    if (seen[1:] == seen[:-1]).any():
        # or two ids of one hash, which this tells apart
        require_unique(true.column("id"), "truth")
    return True


def _hashes(text: NDArray) -> NDArray:
    """64 bits for each text, the same within this process: eight bytes a sample instead of its name."""
    return np.fromiter(map(hash, text.tolist()), np.int64, len(text))


def _selected(true: Source, protocol: Protocol) -> NDArray | None:
    """Which samples the protocol takes; None where it takes all."""
    chosen = np.ones(len(true), bool)
    if protocol.side is not None:
        if "side" not in true.fields:
            raise InvalidError(
                f"The truth does not say the side of a hand, and {protocol.name} scores only {protocol.side} ones.",
                "Prepare the dataset again.",
            )
        chosen &= true.column("side") == protocol.side
    if protocol.subset == "validation":
        chosen &= validation_mask(true)
    if not chosen.any():
        raise InvalidError(f"The truth has no sample that {protocol.name} scores.", "Is it the right file?")
    return None if chosen.all() else np.flatnonzero(chosen)


def _in_time(true: Source, protocol: Protocol, index: NDArray | None) -> NDArray | None:
    """The same samples track by track, frame by frame, where the protocol measures in time."""
    timed = any(metric.name in IN_TIME for metric in protocol.metrics)
    if not timed or not {"track", "frame"} <= set(true.fields):
        return index
    order = np.arange(len(true)) if index is None else index
    _, first, track = np.unique(true.column("track")[order], return_index=True, return_inverse=True)
    # tracks in the order of their first sample
    rank = np.argsort(np.argsort(first))[track]
    sequence = np.lexsort((true.column("frame")[order], rank))
    return index if (np.diff(sequence) > 0).all() else order[sequence]
