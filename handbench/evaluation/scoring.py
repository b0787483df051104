"""Predictions against truth under a protocol: `evaluate`."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handbench import __version__
from handbench.console import progress
from handbench.errors import InvalidError
from handbench.evaluation import checks
from handbench.evaluation.importing import read_predictions
from handbench.evaluation.measuring import Measurement
from handbench.evaluation.official_text import official_scores
from handbench.evaluation.protocol import OFFICIAL_FILES, Metric, Protocol, load
from handbench.evaluation.result import ROW, Result
from handbench.evaluation.sources import Memory, Source, opened
from handbench.evaluation.suspicions import suspect
from handbench.evaluation.truth import read_truth
from handbench.hands.record import Hands
from handbench.metrics.statistics import RESAMPLES, mean_intervals
from handbench.store.hands_file import HandsFile
from handbench.store.records import made

BLOCK = 256
# unit, axes, order and side are looked for in this many samples, evenly spread
LOOKED_AT = 2000

HandsOrPath = Hands | HandsFile | Path | str


def evaluate(
    truth: HandsOrPath,
    pred: HandsOrPath,
    protocol: Protocol | str = "freihand",
    *,
    strict: bool = False,
    seed: int = 0,
    workers: int | None = None,
) -> Result:
    """Score predictions (a Hands file, an official pred.json or pred.zip, or hands in memory) against the truth (a
    Hands file, a folder with the official evaluation files, or hands in memory).

    Stops with InvalidError, the sample named, for a wrong count, unknown or repeated ids, another shape, NaN or
    infinity; with `strict` also for a suspected unit, axes, joint order or side, which otherwise is a warning.
    `seed` decides the resamples of the intervals and nothing else; `workers` threads share the F-scores.
    """
    protocol = load(protocol) if isinstance(protocol, str) else protocol
    if isinstance(truth, Path | str) and Path(truth).is_dir():
        truth = read_truth(truth, protocol)
    with opened(truth, "true hands", f"`handbench prep {protocol.dataset or 'NAME'}` makes them.") as true:
        _require_dataset(true, protocol)
        if isinstance(pred, Path | str) and Path(pred).suffix in (".json", ".zip"):
            pred = read_predictions(pred, np.sort(true.ids))
        with opened(pred, "predictions", "`handbench predict` or `handbench import` makes them.") as predicted:
            return _evaluate(true, predicted, protocol, strict, seed, workers or min(4, os.cpu_count() or 1))


def _evaluate(true: Source, predicted: Source, protocol: Protocol, strict: bool, seed: int, workers: int) -> Result:
    ids = true.ids
    if not len(ids):
        raise InvalidError("The truth has no samples.", "Prepare the dataset again.")
    order = checks.match(ids, predicted.ids)
    in_order = predicted if order is None else Memory(predicted.read(0, len(ids)).take(order))
    warnings = _what_is_compared(true, predicted, protocol)
    measurement: Measurement | None = None
    looked_at = np.unique(np.linspace(0, len(ids) - 1, min(len(ids), LOOKED_AT)).astype(int))
    seen: list[tuple[NDArray, NDArray]] = []
    captures: list[NDArray] = []
    with progress("scoring", len(ids), "samples") as advance:
        for start, a, b in _blocks(true, in_order, len(ids)):
            if measurement is None:
                mesh, same = _topology(a, b, protocol, warnings)
                measurement = Measurement(protocol, mesh, same, workers)
            measurement.add(a, b)
            chosen = looked_at[(looked_at >= start) & (looked_at < start + len(a))] - start
            seen.append((a.joints[chosen], b.joints[chosen]))  # type: ignore[index]
            if a.capture is not None:
                captures.append(a.capture)
            advance(len(a))
    assert measurement is not None
    suspicions = suspect(*(np.concatenate(side) for side in zip(*seen, strict=True)))
    if strict and suspicions:
        raise InvalidError(" ".join(suspicions), "Convert when importing, or score it as it is without --strict.")
    clusters = np.concatenate(captures) if captures else None
    if clusters is not None and len(np.unique(clusters)) == len(ids):
        clusters = None
    return _result(true, predicted, protocol, measurement, warnings, suspicions, clusters, seed)


def _blocks(true: Source, predicted: Source, n: int) -> Iterator[tuple[int, Hands, Hands]]:
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        a, b = true.read(start, stop), predicted.read(start, stop)
        checks.require_annotated(a, start)
        if b.joints is None:
            raise InvalidError("The predictions have no joints.", "Every protocol scores joints.")
        checks.require_finite(b, start, "predictions")
        yield start, a, b


def _result(
    true: Source,
    predicted: Source,
    protocol: Protocol,
    measurement: Measurement,
    warnings: list[str],
    suspicions: list[str],
    clusters: NDArray | None,
    seed: int,
) -> Result:
    samples = measurement.samples()
    reflected = measurement.reflected()
    summary = _summary(measurement, samples, clusters, seed)
    if reflected.any() and any("procrustes-official" in metric.alignments for metric in protocol.metrics):
        warnings.append(
            f"{int(reflected.sum()):,} of {len(reflected):,} samples were mirrored by the official alignment, which "
            f"allows it; `procrustes` does not."
        )
    source = str(true.meta.get("source", OFFICIAL_FILES))
    official_ids = protocol.official_ids()
    complete = None if official_ids is None else set(true.ids) == set(official_ids) and source == OFFICIAL_FILES
    return Result(
        protocol={
            "name": protocol.name,
            "version": protocol.version,
            "id": protocol.identity(true.ids, source, true.digest()),
            "n_official": protocol.count,
            "complete": complete,
            "definition": protocol.definition(),
        },
        ids=true.ids,
        samples=samples,
        joint_errors=measurement.joint_errors(),
        curves=measurement.curves(),
        reflected=reflected,
        summary=summary,
        official=official_scores(protocol, summary, measurement.mesh, measurement.same_topology),
        given=predicted.meta.get("given"),
        warnings=warnings + suspicions,
        suspicions=suspicions,
        provenance={
            "handbench": __version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "time": made()["time"],
            "truth": {"dataset": true.meta.get("dataset"), "split": true.meta.get("split"), "source": source}
            | {"digest": true.digest()},
            "predictions": predicted.meta.get("made"),
            "predictions_digest": predicted.digest(),
            "seed": seed,
        },
        row={key: predicted.meta[key] for key in ROW if key in predicted.meta},
        clusters=clusters,
    )


def _summary(
    measurement: Measurement, samples: dict[str, NDArray], clusters: NDArray | None, seed: int
) -> list[dict[str, Any]]:
    rows = measurement.rows
    columns = np.stack([samples[f"{metric.called}/{alignment}"] for metric, alignment in rows], 1)
    drawn = "samples" if clusters is None else f"{len(np.unique(clusters)):,} captures"
    return [
        {
            "metric": metric.called,
            "alignment": alignment,
            "unit": metric.unit,
            "value": measurement.value(metric, alignment),
            "low": interval.low,
            "high": interval.high,
            "n": interval.n,
            "interval": f"95 % BCa bootstrap over {drawn}, {RESAMPLES} resamples",
            **_range(metric),
        }
        for (metric, alignment), interval in zip(rows, mean_intervals(columns, clusters, seed), strict=True)
    ]


def _range(metric: Metric) -> dict[str, Any]:
    if metric.steps is not None:
        return {"range": [metric.low, metric.high], "steps": metric.steps}
    return {} if metric.threshold is None else {"threshold": metric.threshold}


def _require_dataset(true: Source, protocol: Protocol) -> None:
    for key in ("dataset", "split"):
        want, got = getattr(protocol, key), true.meta.get(key)
        if want is not None and got is not None and want != got:
            raise InvalidError(
                f"The protocol {protocol.name} is for {key} {want!r}, the truth is of {got!r}.",
                "Give another truth, or `--protocol` for the one that belongs to it.",
            )


def _what_is_compared(true: Source, predicted: Source, protocol: Protocol) -> list[str]:
    said = []
    n = len(true.ids)
    if protocol.count is not None and n != protocol.count:
        said.append(f"{n:,} of {protocol.count:,} samples: not comparable with the full protocol.")
    source = true.meta.get("source", OFFICIAL_FILES)
    if source != OFFICIAL_FILES and protocol.dataset is not None:
        said.append(f"The truth is of {source}, not of {protocol.dataset}: not comparable with any published figure.")
    beyond = [name for name in predicted.meta.get("given") or () if name not in protocol.given]
    if beyond:
        said.append(
            f"The predictions were given {', '.join(beyond)} of the truth, which the protocol does not give: figures "
            f"that alignment does not free of it must not stand among those without."
        )
    made_for = predicted.meta.get("truth_digest")
    # official files read as they are have no digest to compare: there the ids must do
    if isinstance(true, HandsFile) and made_for and made_for != true.digest():
        raise InvalidError(
            f"The predictions were made for another truth ({made_for}) than this one ({true.digest()}).",
            "The test set was prepared again since: predict, or import, again.",
        )
    return said


def _topology(a: Hands, b: Hands, protocol: Protocol, warnings: list[str]) -> tuple[bool, bool]:
    """Whether there are two meshes, and whether vertex i means the same in both; said where not."""
    if not any(metric.of_mesh for metric in protocol.metrics):
        return False, False
    without = [name for name, block in (("truth", a), ("predictions", b)) if block.vertices is None]
    if without:
        plural = "have" if without[-1] == "predictions" else "has"
        warnings.append(f"The {' and the '.join(without)} {plural} no vertices: there are no mesh figures.")
        return False, False
    true, predicted = a.vertices.shape[1], b.vertices.shape[1]  # type: ignore[union-attr]
    if true == predicted:
        return True, True
    warnings.append(
        f"The predicted meshes have {predicted:,} vertices, the true ones {true:,}: of the mesh figures only F-scores "
        f"are defined, and the official alignment moves the mesh as it moves the joints."
    )
    return True, False
