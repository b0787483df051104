"""Predictions in a NumPy archive: `numpy.savez(file, joints=..., vertices=..., id=...)`. Nothing is unpickled."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handbench.errors import InvalidError
from handbench.evaluation.archive import BROKEN, MAX_BYTES

ARRAYS = "It must have joints (N,21,3), and may have vertices (N,V,3) and id (N): numpy.savez(file, joints=...)."


def read_npz(path: Path, what: str) -> tuple[NDArray, NDArray | None, list[str] | None]:
    """joints (N, 21, 3), vertices (N, V, 3) or None, the names of the samples or None: as they stand in the file.

    Whole numbers (of millimetres) become float64: what follows divides and turns them.
    Raises InvalidError for what is no such archive, holds Python objects, has no `joints`, or has another shape.
    """
    arrays: dict[str, NDArray] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size <= MAX_BYTES:
            with np.load(path, allow_pickle=False) as file:
                found = [name for name in file.files if name in ("joints", "vertices", "id")]
                there = ", ".join(file.files) or "nothing"
                arrays = {name: file[name] for name in found}
    except (*BROKEN, MemoryError, KeyError) as error:
        if isinstance(error, ValueError) and "allow_pickle" in str(error):
            raise InvalidError(f"{what} holds Python objects, which are never unpickled.", ARRAYS) from None
        reason = str(error).partition("\n")[0].rstrip(".") or type(error).__name__
        raise InvalidError(f"{what} cannot be read as .npz: {reason}.", ARRAYS) from None
    if size > MAX_BYTES:
        raise InvalidError(f"{what} unpacks to {size:,} bytes: it is not read.", "Import it as an HDF5 of hands.")
    if "joints" not in arrays:
        raise InvalidError(f"{what} has no array 'joints'; it has: {there}.", ARRAYS)
    joints, vertices = arrays["joints"], arrays.get("vertices")
    joints = _floats(joints, "joints", (21, 3), what)
    if vertices is not None:
        if vertices.size == 0:
            vertices = None
        else:
            vertices = _floats(vertices, "vertices", ("V", 3), what)
    if vertices is not None and len(vertices) != len(joints):
        raise InvalidError(f"{what} has joints of {len(joints):,} samples and vertices of {len(vertices):,}.", ARRAYS)
    return joints, vertices, _names(arrays.get("id"), len(joints), what)


def _floats(array: NDArray, name: str, shape: tuple[int | str, int], what: str) -> NDArray:
    fits = array.ndim == 3 and array.shape[2] == shape[1] and shape[0] in ("V", array.shape[1])
    if not fits or array.dtype.kind not in "fiu":
        got = "x".join(map(str, array.shape)) or "one number"
        raise InvalidError(f"{name} of {what} are {got} {array.dtype}, not Nx{shape[0]}x3 numbers.", ARRAYS)
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def _names(ids: NDArray | None, n: int, what: str) -> list[str] | None:
    if ids is None:
        return None
    if ids.shape != (n,) or ids.dtype.kind not in "USiu":
        raise InvalidError(f"id of {what} is {ids.shape} {ids.dtype}, not ({n},) of text or whole numbers.", ARRAYS)
    if ids.dtype.kind == "S":
        return [name.decode(errors="replace") for name in ids.tolist()]
    return [str(name) for name in ids.tolist()]
