"""MANO's official files, MANO_RIGHT.pkl and MANO_LEFT.pkl (Romero et al., SIGGRAPH Asia 2017; mano.is.tue.mpg.de).

`shapedirs` is a chumpy expression there, a `Select` of the first ten of twenty directions, and `J_regressor` a sparse
matrix; both are evaluated here without chumpy. The left file is taken as it is: the known sign slip in its first shape
direction is part of what DexYCB's truth was made with.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handbench.errors import InvalidError, UsageError
from handbench.hands.joints import FINGERTIPS
from handbench.hands.mano import MANO_ARRAYS, HandModel
from handbench.hands.pickles import Chumpy, load_restricted

_HINT = "Give the official MANO_RIGHT.pkl or MANO_LEFT.pkl (version 1.2)."


def read_mano_pickle(path: Path, side: str | None = None) -> HandModel:
    """Read an official MANO file into a `HandModel` (float64, metres, source `mano`); nothing in it can run.

    `side` is `right` or `left`; without it the file's name says it (RIGHT or LEFT), and where that does not, the
    geometry. The geometry must agree with what was said.

    Raises MissingError if the file is not there; InvalidError if it is no MANO model, refused by the restricted
    reader, or of the other side; UsageError if nothing tells the side.
    """
    path = Path(path)
    if side not in (None, "right", "left"):
        raise UsageError(f"Unknown side {side!r}.", "A side is right or left.")
    content = load_restricted(path)
    if not isinstance(content, dict):
        raise InvalidError(f"{path} holds a {type(content).__name__}, not a hand model.", _HINT)
    # What is there comes first: of SMPL's file, its 6,890 vertices say more than a missing hand.
    arrays = {name: _array(path, name, content[name]) for name in MANO_ARRAYS if name in content}
    missing = [name for name in MANO_ARRAYS if name not in content]
    if missing:
        raise InvalidError(f"{path} is not a MANO model: it has no {', '.join(missing)}.", _HINT)
    _check_parts(path, arrays)

    said = side or _side_in_name(path)
    model = HandModel(side=said or "right", source="mano", **arrays)
    seen = side_of(model)
    if said and seen and said != seen:
        raise InvalidError(
            f"{path} was taken for a {said} hand, but its thumb and its fingers are those of a {seen} hand.",
            f"Give the other file, or --side {seen}.",
        )
    told = said or seen
    if told is None:
        raise UsageError(f"Neither the name nor the shape of {path} tells its side.", "Give --side right or left.")
    return replace(model, side=told)


def chumpy_array(value: Any) -> NDArray:
    """The array of a pickled chumpy object: `Ch` is its `x`, `Select` is `a.ravel()[idxs].reshape(preferred_shape)`.

    Raises ValueError for anything else.
    """
    selections: list[tuple[Any, Any]] = []
    while isinstance(value, Chumpy) and value.kind == "Select" and len(selections) < 8:
        selections.append((value.state.get("idxs"), value.state.get("preferred_shape")))
        value = value.state.get("a")
    array = value.state.get("x") if isinstance(value, Chumpy) and value.kind == "Ch" else value
    if not isinstance(array, np.ndarray):
        raise ValueError(f"it has no array but a {type(array).__name__}")
    for indices, shape in reversed(selections):
        if not isinstance(indices, np.ndarray) or indices.dtype.kind not in "iu":
            raise ValueError("its selection has no indices")
        array = array.ravel()[indices]
        array = array if shape is None else array.reshape(shape)
    return array


def side_of(model: HandModel) -> str | None:
    """Which side the geometry shows, in any frame: `right`, `left`, or None where it is too flat to tell.

    Along the hand (wrist to middle knuckle), across it (little to index knuckle) and into the palm (where the fingers
    bend under the mean pose; the thumb's side of the knuckles where that is flat) are a left-handed triple on a right
    hand: seen from the back with the fingers up, its index is on the left.
    """
    rest = model.v_template
    joints = model.J_regressor @ rest
    wrist, index, middle, little = joints[[0, 1, 4, 7]]
    tips = list(FINGERTIPS["manopth"][1:])
    pose = np.concatenate([np.zeros(3), model.hands_mean])[None]
    bent, _ = model.forward(pose, np.zeros((1, 10)))
    palmward = (bent[0, tips] - rest[tips]).mean(0)
    if np.linalg.norm(palmward) < 0.005:
        palmward = joints[13:16].mean(0) - joints[[0, 1, 4, 7, 10]].mean(0)
    triple = np.stack([middle - wrist, index - little, palmward])
    lengths = np.linalg.norm(triple, axis=1)
    if (lengths < 1e-6).any():
        return None
    handedness = float(np.linalg.det(triple / lengths[:, None]))
    if abs(handedness) < 0.05:
        return None
    return "right" if handedness < 0 else "left"


def _side_in_name(path: Path) -> str | None:
    name = path.stem.lower()
    return next((side for side in ("right", "left") if side in name), None)


def _array(path: Path, name: str, value: Any) -> NDArray:
    """One array of the model: float64, indices int64, its shape and its numbers checked."""
    if hasattr(value, "toarray"):
        if value.shape != MANO_ARRAYS[name]:  # before it is made dense
            raise _wrong_shape(path, name, value.shape)
        value = value.toarray()
    try:
        array = chumpy_array(value)
    except (ValueError, IndexError, TypeError) as error:
        raise InvalidError(f"{path}: {name!r} cannot be read ({error}).", _HINT) from None
    if array.shape != MANO_ARRAYS[name]:
        raise _wrong_shape(path, name, array.shape)
    if array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise InvalidError(f"{path}: {name!r} holds something other than finite numbers.", _HINT)
    return array.astype(np.int64 if name in ("f", "kintree_table") else np.float64)


def _wrong_shape(path: Path, name: str, shape: tuple[int, ...]) -> InvalidError:
    body = " It looks like SMPL, the body." if 6890 in shape else ""
    return InvalidError(f"{path}: {name!r} has shape {shape}, MANO's is {MANO_ARRAYS[name]}.{body}", _HINT)


def _check_parts(path: Path, arrays: dict[str, NDArray]) -> None:
    """The indices inside the model point where they can."""
    faces, parents = arrays["f"], arrays["kintree_table"][0, 1:]
    if faces.min() < 0 or faces.max() >= 778:
        raise InvalidError(f"{path}: 'f' names vertices outside 0 to 777.", _HINT)
    if (parents < 0).any() or (parents >= np.arange(1, 16)).any():
        raise InvalidError(f"{path}: 'kintree_table' has a joint before its parent.", _HINT)
