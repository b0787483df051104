"""Others' predictions -> Hands: `read_predictions`. Nothing is converted unless it is said."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handbench.errors import InvalidError, MissingError, UsageError
from handbench.evaluation.archive import read_member
from handbench.evaluation.prediction_json import parse
from handbench.evaluation.protocol import Protocol, load
from handbench.hands.joints import to_fh21
from handbench.hands.record import Hands
from handbench.store.hands_file import HandsFile
from handbench.store.records import made

AXES = {"opencv": (1.0, 1.0, 1.0), "opengl": (1.0, -1.0, -1.0)}
PER_METRE = {"m": 1.0, "dm": 10.0, "cm": 100.0, "mm": 1000.0}


def read_predictions(
    path: Path | str,
    samples: Protocol | str | Sequence[str] | NDArray,
    *,
    order: str = "fh21",
    axes: str = "opencv",
    unit: str = "m",
    meta: Mapping[str, Any] | None = None,
) -> Hands:
    """A pred.json (`[xyz_list, verts_list]`), a pred.zip that holds one, or a Hands file -> Hands, m, OpenCV, FH21.

    `samples`: the protocol, its name, or the ids of the entries in order (a JSON file has none of its own).
    `order`, `axes`, `unit`: what the file uses. `meta` is added to that of the predictions (method, given, ...).
    Raises MissingError if it is not there, InvalidError naming the sample by index and id, UsageError.
    """
    path = Path(path)
    turned, divided = _choice(AXES, axes, "axes"), _choice(PER_METRE, unit, "unit")
    if not path.exists():
        raise MissingError(f"There are no predictions at {path}.", "Give a pred.json, a pred.zip or a Hands file.")
    if path.is_dir():
        raise InvalidError(f"{path} is a folder, not predictions.", "Give the pred.json or pred.zip in it.")
    if path.suffix in (".h5", ".hdf5"):
        with HandsFile(path) as file:
            hands = file.read()
    else:
        hands = _from_json(path, samples)
    hands = _converted(hands, order, np.array(turned), divided)
    read = {"order": order, "axes": axes, "unit": unit}
    return hands.replace(meta={**hands.meta, "imported_as": read, **(meta or {})})


def _from_json(path: Path, samples: Protocol | str | Sequence[str] | NDArray) -> Hands:
    name = path.name
    with path.open("rb") as file:
        archived = file.read(4) == b"PK\x03\x04" or path.suffix == ".zip"
    if archived:
        member, data = read_member(path)
        name = f"{member} in {path.name}"
    else:
        data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()[:12]
    meta = {"method": path.stem, "made": made() | {"read_from": path.name, "sha256": digest}}
    return parse(data, _ids(samples), name).replace(meta=meta)


def _ids(samples: Protocol | str | Sequence[str] | NDArray) -> Sequence[str] | NDArray:
    protocol = load(samples) if isinstance(samples, str) else samples
    if not isinstance(protocol, Protocol):
        return protocol
    ids = protocol.official_ids()
    if ids is None:
        raise UsageError(f"The protocol {protocol.name} has no official list of samples.", "Give a Hands file.")
    return ids


def _converted(hands: Hands, order: str, turned: NDArray, divided: float) -> Hands:
    if hands.joints is None:
        raise InvalidError("The predictions have no joints.", "Every protocol scores joints.")
    joints, vertices = to_fh21(hands.joints, order), hands.vertices
    # What is not to be converted keeps its type and its bits.
    if (turned != 1).any() or divided != 1:
        joints = joints * turned / divided
        vertices = None if vertices is None else vertices * turned / divided
    return hands.replace(joints=joints, vertices=vertices)


def _choice(known: Mapping[str, Any], word: str, what: str) -> Any:
    if word not in known:
        raise UsageError(f"Unknown {what} {word!r}.", f"Known: {', '.join(known)}.")
    return known[word]
