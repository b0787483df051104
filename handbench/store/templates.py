"""A file of hand templates: one hand for each gesture class, which a method refines its own hand with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from handbench.errors import InvalidError
from handbench.hands.gestures import GESTURES
from handbench.hands.joints import MIDDLE_MCP, WRIST
from handbench.places import shipped
from handbench.store.records import read_json, write_json

# m, from wrist to middle knuckle
SHORTEST, LONGEST = 0.03, 0.2
# micrometres
DECIMALS = 6


class Templates(NamedTuple):
    """names (K,); joints (K, 21, 3) m of a right hand, FH21, the wrist at the origin, in the view that the gesture has
    its name in (x right, y down, z forward); made_from (K,): where each is from, in words.
    """

    names: tuple[str, ...]
    joints: NDArray
    made_from: tuple[str, ...]


def read_templates(path: Path | None = None) -> Templates:
    """The templates of a file; those of the synthetic hand, which ship with handbench, where none is named.

    Raises MissingError, or InvalidError where the file has other classes than `GESTURES`, or other shapes.
    """
    path = path or shipped("recipes", "templates", "gestures.json")
    record = read_json(path, "The templates")
    hint = "`handbench prep templates FILE.h5` writes such a file."
    if not isinstance(record, dict) or not {"names", "joints"} <= record.keys():
        raise InvalidError(f"{path} has no names and joints: it is no file of templates.", hint)
    names = record["names"]
    if names != list(GESTURES):
        raise InvalidError(f"{path} does not have the {len(GESTURES)} gestures in their order.", hint)
    try:
        joints = np.array(record["joints"])
        # words and yes or no are no coordinates, even where they could be read as such
        if joints.dtype.kind not in "if":
            raise TypeError(joints.dtype)
        joints = joints.astype(np.float64)
    except (TypeError, ValueError):
        raise InvalidError(f"The joints in {path} are no array of numbers.", hint) from None
    wanted = (len(names), 21, 3)
    if joints.shape != wanted:
        raise InvalidError(f"The joints in {path} have shape {joints.shape}, not {wanted}.", hint)
    if not np.isfinite(joints).all():
        raise InvalidError(f"The joints in {path} are not all finite.", hint)
    _require_hands(joints, path)
    made_from = record.get("from", ["not said"] * len(names))
    if not isinstance(made_from, list) or len(made_from) != len(names):
        raise InvalidError(f"{path} does not say of each of its {len(names)} hands where it is from.", hint)
    return Templates(tuple(names), joints, tuple(map(str, made_from)))


def _require_hands(joints: NDArray, path: Path) -> None:
    """Raises InvalidError for templates (K, 21, 3) that are not of hands in metres around their wrists."""
    if np.abs(joints[:, WRIST]).max() > 1e-4:
        raise InvalidError(f"The wrists of the hands in {path} are not at the origin.", "Subtract each hand's wrist.")
    lengths = np.linalg.norm(joints[:, MIDDLE_MCP], axis=1)
    if not ((lengths > SHORTEST) & (lengths < LONGEST)).all():
        low, high = lengths.min(), lengths.max()
        raise InvalidError(
            f"The palms of the hands in {path} are {low:.3g} to {high:.3g} long, from wrist to middle knuckle.",
            f"Joints are in metres: a palm has {SHORTEST} to {LONGEST}.",
        )


def write_templates(path: Path, joints: NDArray, made_from: Sequence[str]) -> None:
    """Templates (19, 21, 3) m, as `Templates` says, in the order of `GESTURES`."""
    write_json(path, as_record(joints, made_from))


def as_record(joints: NDArray, made_from: Sequence[str]) -> dict[str, list]:
    """What the file holds."""
    # no negative zeros
    rounded = np.round(joints, DECIMALS) + 0.0
    return {"names": list(GESTURES), "from": list(made_from), "joints": rounded.tolist()}
