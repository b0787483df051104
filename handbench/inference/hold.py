"""Frames whose method does not trust itself repeat the last pose that it trusted (DaHyF, section 3.4)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handbench.console import progress, say
from handbench.errors import InvalidError, UsageError
from handbench.hands.record import Hands
from handbench.methods.base import Method
from handbench.store.hands_file import HandsFile
from handbench.store.parts import Parts
from handbench.store.records import made

# what a repeated frame takes from the frame that it repeats
HELD_FIELDS = ("joints", "vertices", "mano_pose", "mano_shape")


def held_from(confidence: NDArray, track: NDArray, frame: NDArray, least: float) -> NDArray:
    """Which sample (N,) each sample takes its pose from: itself, or the last of its track before it whose confidence is
    at least `least`. A frame before the first trusted one has nothing to repeat and keeps its own.
    """
    source = np.arange(len(confidence))
    last: dict[str, int] = {}
    for i in np.lexsort((frame, track)):
        name = str(track[i])
        if confidence[i] >= least:
            last[name] = int(i)
        elif name in last:
            source[i] = last[name]
    return source


def require_holdable(method: Method, variant: str, truth: HandsFile) -> None:
    """Before anything is predicted. Raises UsageError where the method says nothing of its trust, InvalidError where
    the truth has no tracks."""
    if not method.trusts:
        raise UsageError(
            f"{method.name} {variant} gives no confidence to hold by.",
            "Leave --hold out; of DaHyF, variants with a 2D branch give one.",
        )
    if not {"track", "frame"} <= set(truth.fields):
        raise InvalidError(f"{truth.path} has no tracks: no frame has one before it.", "Leave --hold out.")


def hold(predictions: HandsFile, truth: HandsFile, least: float, out: Path) -> HandsFile:
    """The predictions with every untrusted frame held, in a file of its own that says which (`held`).

    `require_holdable` comes before.
    """
    if len(truth) != len(predictions) or not np.array_equal(truth.ids, predictions.ids):
        raise InvalidError(f"{predictions.path} is not of the samples of {truth.path}.", "Predict it again.")
    source = held_from(predictions.column("confidence"), truth.column("track"), truth.column("frame"), least)
    held = source != np.arange(len(source))
    whole = Parts(out, len(truth), {"predictions": predictions.digest(), "hold": least})
    if (file := whole.finished()) is not None:
        say(f"{out} is held already.")
        return file
    with whole as parts:
        todo = parts.todo()
        done = len(truth) - sum(stop - start for start, stop in todo)
        with progress(f"hold {out.stem}", len(truth), "frames", done) as advance:
            for start, stop in todo:
                parts.write(start, _block(predictions, source[start:stop], held[start:stop], start, stop), None)
                advance(stop - start)
        meta = {**predictions.meta, "hold": least, "frames_held": int(held.sum()), "made": made()}
        return parts.finish(meta)


def _block(predictions: HandsFile, source: NDArray, held: NDArray, start: int, stop: int) -> Hands:
    own = predictions.read(start, stop)
    earlier = {int(i): predictions.read(int(i), int(i) + 1) for i in np.unique(source[held])}
    changed = {}
    for name in HELD_FIELDS:
        value = getattr(own, name)
        if value is not None:
            value = np.array(value)
            for row in np.flatnonzero(held):
                value[row] = getattr(earlier[int(source[row])], name)[0]
            changed[name] = value
    return own.replace(**changed, held=held, meta={})
