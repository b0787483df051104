"""A file of hand templates: one hand for each gesture class, which a method refines its own hand with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from handbench.errors import InvalidError
from handbench.hands.gestures import GESTURES
from handbench.places import shipped
from handbench.store.records import read_json, write_json

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
        joints = np.array(record["joints"], np.float64)
    except (TypeError, ValueError):
        raise InvalidError(f"The joints in {path} are no array of numbers.", hint) from None
    wanted = (len(names), 21, 3)
    if joints.shape != wanted:
        raise InvalidError(f"The joints in {path} have shape {joints.shape}, not {wanted}.", hint)
    if not np.isfinite(joints).all():
        raise InvalidError(f"The joints in {path} are not all finite.", hint)
    made_from = record.get("from") or ["not said"] * len(names)
    return Templates(tuple(names), joints, tuple(map(str, made_from)))


def write_templates(path: Path, joints: NDArray, made_from: Sequence[str]) -> None:
    """Templates (19, 21, 3) m, as `Templates` says, in the order of `GESTURES`."""
    write_json(path, as_record(joints, made_from))


def as_record(joints: NDArray, made_from: Sequence[str]) -> dict[str, list]:
    """What the file holds."""
    # no negative zeros
    rounded = np.round(joints, DECIMALS) + 0.0
    return {"names": list(GESTURES), "from": list(made_from), "joints": rounded.tolist()}
