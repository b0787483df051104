"""Predictions as the official tools and servers take them: `write_submission`, the inverse of `read_predictions`."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from handbench.errors import InvalidError, UsageError
from handbench.evaluation import checks
from handbench.evaluation.archive import PREFERRED
from handbench.evaluation.importing import AXES, PER_METRE
from handbench.evaluation.prediction_ids import number_of
from handbench.evaluation.protocol import Conventions, Protocol, load
from handbench.hands.joints import from_fh21
from handbench.hands.record import Hands
from handbench.sections import require_known
from handbench.store.atomic import replacing
from handbench.store.hands_file import HandsFile

BENCHMARKS = ("freihand", "ho3d", "dexycb")
VERSIONS, SETUPS = ("v2", "v3"), ("s0", "s1", "s2", "s3")
BLOCK = 256
# of DexYCB's text, which is in mm: as in the files of its authors
DECIMALS = 4
# of digits a stronger compression leaves 45 instead of 48 % and takes seven times as long
COMPRESSION = 1


class Submission(NamedTuple):
    """How many samples were written of how many, and in which conventions."""

    samples: int
    official: int | None
    written: Conventions


def protocol_of(benchmark: str, version: str | None, setup: str | None, ids: NDArray | None = None) -> Protocol:
    """The protocol of a benchmark; where version or setup are not said, that of `ids`, the predictions'.

    Raises UsageError for another word, or where neither says which version of HO-3D it is.
    """
    require_known(benchmark, BENCHMARKS, "benchmark")
    if version is not None and benchmark != "ho3d":
        raise UsageError("--version is HO-3D's.", f"handbench submit {benchmark} has no versions.")
    if setup is not None and benchmark != "dexycb":
        raise UsageError("--setup is DexYCB's.", f"handbench submit {benchmark} has no setups.")
    if benchmark == "freihand":
        return load("freihand")
    word, words = (version, VERSIONS) if benchmark == "ho3d" else (setup, SETUPS)
    if word is not None:
        require_known(word, words, "version" if benchmark == "ho3d" else "setup")
        return load(f"{benchmark}-{word}")
    first = str(ids[0]) if ids is not None and len(ids) else ""
    for protocol in (load(f"{benchmark}-{known}") for known in words):
        if first.startswith((protocol.ids or "").partition("{")[0]) and first:
            return protocol
    if benchmark == "ho3d":
        raise UsageError("Which version of HO-3D?", "Give --version v2 (11,524 frames) or --version v3 (20,137).")
    return load("dexycb-s0")


def write_submission(
    predictions: HandsFile,
    out: Path,
    protocol: Protocol,
    truth_ids: NDArray | None = None,
    partial: bool = False,
    decimals: int = DECIMALS,
) -> Submission:
    """A Hands file -> the file that the official script of `protocol` takes, every sample of its list, in its order.

    FreiHAND and HO-3D: pred.json = [xyz, verts] in a .zip, or the .json alone, absolute positions in the conventions
    of the official files. The numbers are written as the shortest decimals that read back to the same float64.
    DexYCB: lines of text, mm with so many decimals.
    `truth_ids`: which frames of a list with gaps count. Raises InvalidError where samples are missing (they are
    named; not with `partial`), are not of the list, are there twice, have no mesh, NaN or infinity; UsageError.
    """
    text = protocol.official == "dexycb"
    _require_suffix(out, protocol, text)
    ids = predictions.column("id")
    index = _order(ids, protocol, truth_ids, partial)
    if "joints" not in predictions.fields:
        raise InvalidError(f"{predictions.path} has no joints.", "Every benchmark scores joints.")
    if not text and "vertices" not in predictions.fields:
        raise InvalidError(
            f"{predictions.path} has no vertices, and {protocol.official}'s official script scores a mesh of every "
            f"sample: joints alone cannot be submitted.",
            "`handbench eval` scores joints alone.",
        )
    with replacing(out) as part:
        if text:
            _write_text(part, predictions, index, protocol.written, ids, decimals)
        elif out.suffix.lower() == ".json":
            with part.open("wb") as stream:
                _write_json(stream.write, predictions, index, protocol.written, ids)
        else:
            with (
                zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION) as archive,
                archive.open(PREFERRED, "w", force_zip64=True) as stream,
            ):
                _write_json(stream.write, predictions, index, protocol.written, ids)
    return Submission(len(index), _official_count(protocol, truth_ids), protocol.written)


def _require_suffix(out: Path, protocol: Protocol, text: bool) -> None:
    allowed = (".txt",) if text else (".zip", ".json")
    if out.suffix.lower() not in allowed:
        raise UsageError(
            f"--out {out.name}: {protocol.official}'s official script takes a {' or '.join(allowed)} file.",
            f"Name it {out.with_suffix(allowed[0]).name}.",
        )


def _official_count(protocol: Protocol, truth_ids: NDArray | None) -> int | None:
    return len(truth_ids) if protocol.gaps and truth_ids is not None else protocol.count


def _order(ids: NDArray, protocol: Protocol, truth_ids: NDArray | None, partial: bool) -> NDArray:
    """Where the samples of the official list are among the predictions, in the list's order."""
    checks.require_unique(ids, "predictions")
    official = np.sort(truth_ids) if protocol.gaps and truth_ids is not None else protocol.official_ids()
    prefix = (protocol.ids or "").partition("{")[0]
    numbers = [number_of(str(name)) for name in ids]
    known = np.array([number is not None for number in numbers])
    known &= np.char.startswith(ids, prefix) if official is None else np.isin(ids, official)
    if not known.all():
        raise InvalidError(
            f"{int((~known).sum()):,} predictions are for samples that are not of {protocol.title}: "
            f"{checks.some(ids[~known])}.",
            "They are of another test set.",
        )
    if official is not None:
        missing = np.asarray(official)[~np.isin(official, ids)]
        if len(missing) and not partial:
            raise InvalidError(
                f"{len(missing):,} of {len(official):,} samples have no prediction: {checks.some(missing)}.",
                "The official script takes the whole list only; --partial writes what there is.",
            )
    elif not partial and len(ids) != protocol.count:
        wanted = "is not known here" if protocol.count is None else f"has {protocol.count:,} frames"
        raise InvalidError(
            f"There are {len(ids):,} predictions, and the official list of {protocol.title} {wanted}.",
            f"Give --truth, what `handbench prep {protocol.dataset}` made; --partial writes what there is.",
        )
    return np.argsort(np.array(numbers, np.int64), kind="stable")


def _blocks(file: HandsFile, field: str, index: NDArray, ids: NDArray) -> Iterator[NDArray]:
    """One field in the order of `index`, as it is stored; raises InvalidError for NaN and infinity."""
    in_order = bool((index == np.arange(len(index))).all())
    whole = None if in_order else file.column(field)
    for start in range(0, len(index), BLOCK):
        part = index[start : start + BLOCK]
        array = file.column(field, start, start + BLOCK) if whole is None else whole[part]
        block: dict[str, Any] = {field: array}
        checks.require_finite(Hands(id=ids[part], **block), start, "predictions")
        yield array


def _as_written(blocks: Iterator[NDArray], written: Conventions, joints: bool) -> Iterator[NDArray]:
    """Points as the official files have them, float64. Metres in single precision become millimetres in it, as the
    official script of DexYCB makes them of its labels (hpe_eval.py): a truth written as predictions is that truth.
    """
    turned, per_metre = np.array(AXES[written.axes]), PER_METRE[written.unit]
    for points in blocks:
        in_order = from_fh21(points, written.order) if joints and written.order != "fh21" else points
        in_unit = in_order if per_metre == 1 else in_order * in_order.dtype.type(per_metre)
        yield np.ascontiguousarray(in_unit, np.float64) * turned


def _write_json(
    write: Callable[[bytes], object], file: HandsFile, index: NDArray, written: Conventions, ids: NDArray
) -> None:
    write(b"[")
    for field in ("joints", "vertices"):
        write(b"[" if field == "joints" else b",[")
        for i, points in enumerate(_as_written(_blocks(file, field, index, ids), written, field == "joints")):
            # the block's own brackets are not the list's
            text = orjson.dumps(points, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]
            write(text if i == 0 else b"," + text)
        write(b"]")
    write(b"]")


def _write_text(path: Path, file: HandsFile, index: NDArray, written: Conventions, ids: NDArray, decimals: int) -> None:
    numbers = [number_of(str(name)) for name in ids[index]]
    line = "%d" + f",%.{decimals}f" * 63 + "\n"
    with path.open("w") as stream:
        done = 0
        for points in _as_written(_blocks(file, "joints", index, ids), written, True):
            rows = points.reshape(-1, 63).tolist()
            stream.writelines(
                line % (number, *row) for number, row in zip(numbers[done : done + len(rows)], rows, strict=True)
            )
            done += len(rows)
