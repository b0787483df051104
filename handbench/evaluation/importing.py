"""Others' predictions -> Hands: `read_predictions`. Nothing is converted unless its format, or somebody, says so."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handbench.errors import InvalidError, MissingError, UsageError
from handbench.evaluation.prediction_ids import Samples, ordered_ids, placed, require_count
from handbench.evaluation.prediction_json import read_json
from handbench.evaluation.prediction_npz import read_npz
from handbench.evaluation.prediction_text import Rows, is_dexycb, is_result_line, line_of, read_csv, read_dexycb
from handbench.evaluation.protocol import Conventions
from handbench.hands.joints import ORDERS, to_fh21
from handbench.hands.record import Hands
from handbench.store.hands_file import HandsFile
from handbench.store.records import made

AXES = {"opencv": (1.0, 1.0, 1.0), "opengl": (1.0, -1.0, -1.0)}
PER_METRE = {"m": 1.0, "dm": 10.0, "cm": 100.0, "mm": 1000.0}
KNOWN = "Give pred.json, pred.zip, DexYCB text, .npz, .csv or an HDF5 of hands."
# what is neither HDF5, an archive nor JSON by its first bytes, and is named so, is told that it is not
BY_SUFFIX = {".h5": "HDF5", ".hdf5": "HDF5", ".npz": "npz", ".zip": "archive", ".json": "JSON"}
# formats whose conventions are the official script's
OFFICIAL = ("JSON", "DexYCB text")
WORDS = {
    "fh21": "FH21 order",
    "ho3d": "HO-3D order",
    "rhd": "RHD order",
    "stb": "STB order",
    "opencv": "OpenCV axes",
    "opengl": "OpenGL axes",
    "m": "metres",
    "dm": "decimetres",
    "cm": "centimetres",
    "mm": "millimetres",
}


def read_predictions(
    path: Path | str,
    samples: Samples,
    *,
    written: Conventions = Conventions(),  # noqa: B008 - a tuple
    order: str | None = None,
    axes: str | None = None,
    unit: str | None = None,
    meta: Mapping[str, Any] | None = None,
) -> Hands:
    """A file of predictions -> Hands, m, OpenCV, FH21. The format is found by suffix and content:

    pred.json, pred.zip   `[xyz_list, verts_list]`, in the official order (FreiHAND, HO-3D)
    DexYCB text           lines `image_id,x0,y0,z0,...,z20`; ids that are no samples are passed over, as officially
    .npz                  arrays `joints` (N, 21, 3), and perhaps `vertices` (N, V, 3), `id` (N)
    CSV                   a header `id,x0,...,z20` (or `image_id`), or without ids; commas, semicolons or tabs
    .h5                   hands, as handbench writes them

    `samples`: the protocol, its name, or the ids of the samples in the official order. Entries without ids are in that
    order; an `id` is a sample's id or its official number.
    `written`: how official files of the protocol are written (`Protocol.written`): it holds for JSON and DexYCB text,
    the other formats are m, OpenCV, FH21. `order`, `axes`, `unit` say otherwise, for any format. What it was read as
    stands in meta["imported_as"]; `read_as` says it in words. `meta` is added to that of the predictions.
    Raises MissingError if it is not there, InvalidError naming sample, line or ids, UsageError.
    """
    path = Path(path)
    told = {"order": order, "axes": axes, "unit": unit}
    for known, word in ((ORDERS, order), (AXES, axes), (PER_METRE, unit)):
        if word is not None and word not in known:
            what = next(key for key, value in told.items() if value == word)
            raise UsageError(f"Unknown {what} {word!r}.", f"Known: {', '.join(known)}.")
    if not path.exists():
        raise MissingError(f"There are no predictions at {path}.", KNOWN)
    if path.is_dir():
        raise InvalidError(f"{path} is a folder, not predictions.", "Give the file in it.")
    kind = file_format(path)
    hands, noted = _READERS[kind](path, samples)
    _require_finite(hands, path.name)
    kind = "JSON" if kind == "archive" else kind
    usual = written if kind in OFFICIAL else Conventions()
    read = Conventions(*(said or default for said, default in zip(told.values(), usual, strict=True)))
    hands = _converted(hands, read)
    imported = {"format": kind, **read._asdict(), "told": [key for key, said in told.items() if said], **noted}
    return hands.replace(meta={**hands.meta, "imported_as": imported, **(meta or {})})


def assumed(meta: Mapping[str, Any]) -> Conventions:
    """What imported predictions were read as, by their meta; FH21, OpenCV, metres where they were not imported."""
    read = meta.get("imported_as", {})
    return Conventions(**{key: read[key] for key in Conventions._fields if key in read})


def read_as(meta: Mapping[str, Any]) -> str:
    """One sentence: what the file was read as, and why. `meta`: of imported predictions."""
    read = meta["imported_as"]
    told, conventions = read["told"], ", ".join(WORDS[word] for word in assumed(meta))
    why = {"JSON": "the official layout", "DexYCB text": "the official layout", "HDF5": "a file of handbench"}.get(
        read["format"], f"handbench's own conventions, for {read['format']}"
    )
    if len(told) == 3:
        why = "as told"
    elif told:
        why = f"{' and '.join(told)} as told, else {why}"
    sentence = f"read as: {conventions} ({why})"
    return sentence + passed_over(meta)


def passed_over(meta: Mapping[str, Any]) -> str:
    """`; 6 lines are of frames that do not count`; nothing where there are none. `meta`: of imported predictions."""
    passed = meta["imported_as"].get("passed_over", 0)
    if passed == 1:
        return "; 1 line is of a frame that does not count"
    return f"; {passed:,} lines are of frames that do not count" if passed else ""


def file_format(path: Path) -> str:
    """JSON, archive, npz, DexYCB text, CSV or HDF5: by content, by suffix where that says nothing. InvalidError."""
    suffix = path.suffix.lower()
    with path.open("rb") as file:
        head = file.read(1 << 16)
    if not head:
        raise InvalidError(f"{path} is empty.", "Write it again.")
    text = head.lstrip(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "HDF5"
    if head.startswith(b"PK\x03\x04"):
        arrays = head[30:60].split(b".npy")[0] in (b"joints", b"vertices", b"id")
        return "npz" if arrays or suffix == ".npz" else "archive"
    if text[:1] in (b"[", b"{"):
        return "JSON"
    if suffix in BY_SUFFIX:
        return BY_SUFFIX[suffix]
    if head.startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"\x93NUMPY")) or suffix in (
        (".pkl", ".pickle", ".pth", ".pt", ".npy", ".mat")
    ):
        raise InvalidError(
            f"{path.name} is of a kind that is not read ({suffix or 'a pickle'}).",
            "Write it as numpy.savez('pred.npz', joints=..., vertices=..., id=...).",
        )
    first, second = (text.splitlines() + [b"", b""])[:2]
    if is_dexycb(first.decode(errors="replace")) or (first.startswith(b"#") and is_result_line(second)):
        return "DexYCB text"
    return "CSV"


def _json(path: Path, samples: Samples) -> tuple[Hands, dict[str, Any]]:
    return _json_text(path, samples, archived=False)


def _archive(path: Path, samples: Samples) -> tuple[Hands, dict[str, Any]]:
    return _json_text(path, samples, archived=True)


def _json_text(path: Path, samples: Samples, archived: bool) -> tuple[Hands, dict[str, Any]]:
    hands, digest = read_json(path, ordered_ids(samples), archived)
    return hands.replace(meta=_made(path, digest)), {}


def _npz(path: Path, samples: Samples) -> tuple[Hands, dict[str, Any]]:
    joints, vertices, names = read_npz(path, path.name)
    if names is None:
        ids = np.asarray(ordered_ids(samples), np.str_)
        _require_count(len(joints), ids, path.name)
    else:
        ids, index = placed(names, samples, lambda i: f"entry {i}", path.name)
        joints, vertices = joints[index], None if vertices is None else vertices[index]
    return Hands(id=ids, joints=joints, vertices=vertices, meta=_made(path)), {}


def _dexycb(path: Path, samples: Samples) -> tuple[Hands, dict[str, Any]]:
    return _from_rows(path, read_dexycb(path, path.name), samples, extra=True)


def _csv(path: Path, samples: Samples) -> tuple[Hands, dict[str, Any]]:
    return _from_rows(path, read_csv(path, path.name), samples, extra=False)


def _hdf5(path: Path, samples: Samples) -> tuple[Hands, dict[str, Any]]:
    with HandsFile(path) as file:
        return file.read(), {}


_READERS = {"JSON": _json, "archive": _archive, "npz": _npz, "DexYCB text": _dexycb, "CSV": _csv, "HDF5": _hdf5}


def _from_rows(path: Path, rows: Rows, samples: Samples, extra: bool) -> tuple[Hands, dict[str, Any]]:
    joints = rows.joints
    if rows.names is None:
        ids = np.asarray(ordered_ids(samples), np.str_)
        _require_count(len(joints), ids, path.name)
    else:
        ids, index = placed(rows.names, samples, line_of(rows), path.name, extra)
        joints = joints[index]
        bad = ~np.isfinite(joints).all((1, 2))
        if bad.any():
            i = int(index[np.argmax(bad)])
            raise InvalidError(
                f"Line {rows.lines[i]:,} (sample {rows.names[i]}) of {path.name} has NaN or infinity in its joints.",
                "Predict it again.",
            )
    passed = len(rows.joints) - len(joints)
    return Hands(id=ids, joints=joints, meta=_made(path)), {"passed_over": passed} if passed else {}


def _made(path: Path, digest: str = "") -> dict[str, Any]:
    if not digest:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"method": path.stem, "made": made() | {"read_from": path.name, "sha256": digest[:12]}}


def _require_count(count: int, ids: NDArray, what: str) -> None:
    hint = "Without ids it must have every sample, in the official order; or add `id`."
    require_count(count, ids, f"{what} has", hint)


def _require_finite(hands: Hands, what: str) -> None:
    for name in ("joints", "vertices"):
        array = getattr(hands, name)
        if array is not None and array.dtype.kind == "f" and not np.isfinite(array).all():
            i = int(np.argmax(~np.isfinite(array).all((1, 2))))
            raise InvalidError(
                f"Sample {i} ({hands.id[i]}) of {what} has NaN or infinity in its {name}.", "Predict it again."
            )


def _converted(hands: Hands, read: Conventions) -> Hands:
    if hands.joints is None:
        raise InvalidError("The predictions have no joints.", "Every protocol scores joints.")
    # What is not to be converted keeps its type and its bits.
    joints = hands.joints if read.order == "fh21" else to_fh21(hands.joints, read.order)
    turned, divided = np.array(AXES[read.axes]), PER_METRE[read.unit]
    return hands.replace(joints=_scaled(joints, turned, divided), vertices=_scaled(hands.vertices, turned, divided))


def _scaled(points: Any, turned: NDArray, divided: float) -> Any:
    if points is None or ((turned == 1).all() and divided == 1):
        return points
    points = np.array(points, np.float64)
    if (turned != 1).any():
        points *= turned
    if divided != 1:
        points /= divided
    return points
