"""Predictions against truth under a protocol: `evaluate`, and `score`, which keeps nothing in memory."""

from __future__ import annotations

import os
import platform
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handbench import __version__
from handbench.console import progress, say
from handbench.errors import InvalidError, UsageError
from handbench.evaluation import checks
from handbench.evaluation.importing import assumed, read_as
from handbench.evaluation.measuring import Measured, measure
from handbench.evaluation.official_text import official_scores
from handbench.evaluation.plan import AFTER, BEFORE, plan
from handbench.evaluation.protocol import (
    NOT_SAID,
    Conventions,
    Protocol,
    SampleSet,
    load,
    require_given,
)
from handbench.evaluation.result import ROW, Result
from handbench.evaluation.result_file import ResultWriter, new_file, read_result
from handbench.evaluation.samples import Paired, captures, pair, read_for
from handbench.evaluation.sources import Source, opened
from handbench.evaluation.sums import Sums
from handbench.evaluation.suspicions import annotated_joints, some_of, suspect
from handbench.evaluation.truth import open_truth
from handbench.hands.record import Hands
from handbench.metrics.intervals import WARN_BELOW
from handbench.store.atomic import replacing, spare
from handbench.store.hands_file import HandsFile
from handbench.store.records import made

# samples of one block: meshes fill the cache sooner
BLOCK_OF_MESHES, BLOCK_OF_JOINTS = 512, 4096
# what `meta["joint_0"]` of a truth says where that is no wrist
PALM = "palm"
# what rounding may add to a share of a silhouette
ROUNDING = 1e-6

HandsOrPath = Source | Hands | Path | str


def evaluate(
    truth: HandsOrPath,
    pred: HandsOrPath,
    protocol: Protocol | str = "freihand",
    *,
    strict: bool = False,
    out: Path | str | None = None,
    workers: int | None = None,
    written: Mapping[str, str] | None = None,
    given: Sequence[str] | None = None,
) -> Result:
    """Score predictions (a Hands file, an official pred.json, pred.zip or result text, an npz, a CSV, or hands in
    memory) against the truth (a Hands file, a folder with the official evaluation files, or hands in memory).

    Stops with InvalidError, the sample named, for a wrong count, unknown or repeated ids, another shape, NaN or
    infinity; with `strict` also for a suspected unit, axes, joint order or side, which otherwise is a warning.
    `out` keeps the result as HDF5; `workers` threads share the blocks, and the figures do not depend on them; `written`
    (`order`, `axes`, `unit`) says how a file of predictions is written where that is not as its format has it; `given`
    what they took from the truth, where the file does not say.
    """
    with tempfile.TemporaryDirectory(prefix="handbench-") as folder:
        path = Path(out) if out else Path(folder) / "result.h5"
        score(truth, pred, protocol, strict=strict, out=path, workers=workers, written=written, given=given)
        return read_result(path)


def score(
    truth: HandsOrPath,
    pred: HandsOrPath,
    protocol: Protocol | str = "freihand",
    *,
    strict: bool = False,
    out: Path | None = None,
    workers: int | None = None,
    written: Mapping[str, str] | None = None,
    given: Sequence[str] | None = None,
) -> dict[str, Any]:
    """`evaluate` -> the record alone (`Result.to_record`); what is per sample goes block by block to the file `out`."""
    protocol = load(protocol) if isinstance(protocol, str) else protocol
    spare(out, truth, pred)
    unknown = [name for name in written or {} if name not in Conventions._fields]
    if unknown:
        raise UsageError(f"`written` has no {unknown[0]!r}.", f"It says {', '.join(Conventions._fields)}.")
    with open_truth(truth, protocol) as true:
        _require_dataset(true, protocol)
        if isinstance(pred, Path | str) and (written or Path(pred).suffix not in (".h5", ".hdf5")):
            pred = read_for(Path(pred), true, protocol, written or {})
            say(read_as(pred.meta))
        with (
            opened(pred, "predictions", "`handbench predict` or `handbench import` makes them.") as predicted,
            _result_at(out) as file,
        ):
            run = _Run(true, predicted, protocol, strict, workers or min(4, os.cpu_count() or 1))
            run.given = _given(predicted, given)
            return run.into(file)


class _Run:
    def __init__(self, true: Source, predicted: Source, protocol: Protocol, strict: bool, workers: int):
        self.protocol, self.strict, self.workers = protocol, strict, workers
        paired = pair(true, predicted, protocol)
        self.true, self.predicted, self.samples = paired.true, paired.predicted, paired.samples
        self.plan, absent = plan(self.true, self.predicted, protocol)
        self.warnings = _what_is_compared(true, predicted, protocol, paired) + absent
        self.clusters = captures(self.true)
        self.reflected = 0
        self.given: list[str] | None = None

    def into(self, file: Any) -> dict[str, Any]:
        """Measure every block, in order, into the result file; returns the record."""
        n = len(self.true)
        sums, writer = Sums(self.plan, self.clusters), ResultWriter(file, n)
        looked_at = some_of(n)
        seen: list[tuple[NDArray, NDArray]] = []
        other_hand = 0
        with progress("scoring", n, "samples") as advance:
            for start, truth, predicted, measured in self._measured():
                covered = None if truth.visible_fraction is None else _covered(truth, start)
                sums.add(measured, covered, truth.fps if self.plan.fps else None)
                together = None if self.clusters is None else truth.capture
                writer.add(measured, ids=truth.id, clusters=together, covered=covered)
                self.reflected += int(measured.reflected.sum())
                if truth.side is not None and predicted.side is not None:
                    other_hand += int((truth.side != predicted.side).sum())
                chosen = looked_at[(looked_at >= start) & (looked_at < start + len(truth))] - start
                seen.append((annotated_joints(truth.take(chosen)), np.asarray(predicted.joints)[chosen]))
                advance(len(truth))
        target, points = (np.concatenate(side) for side in zip(*seen, strict=True))
        suspicions = suspect(target, points, assumed(self.predicted.meta))
        if other_hand:
            suspicions.append(
                f"Side: {other_hand:,} of {n:,} predictions say that they are of the other hand than the truth's."
            )
        if self.strict and suspicions:
            raise InvalidError(" ".join(suspicions), "Convert when importing, or score it as it is without --strict.")
        return writer.finish(self._record(sums, writer, suspicions), sums.curves())

    def _measured(self) -> Iterator[tuple[int, Hands, Hands, Measured]]:
        """Blocks in order, a few of them being measured at once."""
        size = BLOCK_OF_MESHES if self.plan.mesh else BLOCK_OF_JOINTS
        waiting: deque[tuple[int, Hands, Hands, Future[Measured]]] = deque()
        with ThreadPoolExecutor(self.workers) as pool:
            try:
                for start in range(0, len(self.true), size):
                    if len(waiting) > self.workers:
                        first, a, b, found = waiting.popleft()
                        yield first, a, b, found.result()
                    waiting.append(self._begin(start, min(start + size, len(self.true)), pool))
                while waiting:
                    first, a, b, found = waiting.popleft()
                    yield first, a, b, found.result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _begin(self, start: int, stop: int, pool: ThreadPoolExecutor) -> tuple[int, Hands, Hands, Future[Measured]]:
        low, high = start, stop
        if self.plan.in_time:
            low, high = max(0, start - BEFORE), min(len(self.true), stop + AFTER)
        a, b = self.true.read(low, high), self.predicted.read(low, high)
        inner = slice(start - low, stop - low)
        # what lies around the block is checked as part of its own
        truth, predicted = (a, b) if high - low == stop - start else (a.take(inner), b.take(inner))
        checks.require_annotated(truth, start)
        checks.require_finite(predicted, start, "predictions")
        return start, truth, predicted, pool.submit(measure, self.plan, a, b, inner)

    def _record(self, sums: Sums, writer: ResultWriter, suspicions: list[str]) -> dict[str, Any]:
        true, protocol = self.true, self.protocol
        summary = sums.summary(writer.joint_errors)
        per_bucket = sums.per_bucket(writer.joint_errors)
        if summary and not any(row["n"] for row in summary):
            raise InvalidError(
                f"No sample has anything that {protocol.name} scores: every figure is undefined.",
                "Are the joints of the truth annotated, and visible where only these count?",
            )
        source = str(true.meta.get("source", NOT_SAID))
        identity = protocol.identity(self.samples, source, true.digest())
        meta = self.predicted.meta
        warnings = self.warnings + _beyond(self.given, protocol) + sums.missing() + self._how_sure(summary, per_bucket)
        if self.reflected and any("procrustes-official" in metric.alignments for metric in protocol.metrics):
            warnings.append(
                f"{self.reflected:,} of {len(true):,} samples were mirrored by the official alignment, which allows "
                f"it; `procrustes` does not."
            )
        result = Result(
            protocol={
                "name": protocol.name,
                "version": protocol.version,
                "id": identity,
                "hash": identity.rpartition("-")[2],
                "n_official": protocol.count,
                "complete": _complete(protocol, self.samples, true, source),
                "definition": protocol.definition(),
            },
            ids=np.empty(0),
            samples={},
            joint_errors={},
            reflected=np.empty(0),
            summary=summary,
            per_bucket=per_bucket,
            official=official_scores(self.plan, summary, len(true)),
            given=self.given,
            warnings=warnings + suspicions,
            suspicions=suspicions,
            provenance={
                "handbench": __version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
                "time": made()["time"],
                "truth": {"dataset": true.meta.get("dataset"), "split": true.meta.get("split"), "source": source}
                | {"digest": true.digest()},
                "predictions": meta.get("made"),
                "predictions_digest": self.predicted.digest(),
                "read_as": meta.get("imported_as"),
            },
            row={key: meta[key] for key in ROW if key in meta},
        )
        return result.to_record() | {"n": len(true), "reflected": self.reflected}

    def _how_sure(self, summary: list[dict[str, Any]], per_bucket: dict[str, Any]) -> list[str]:
        if self.clusters is None:
            return []
        tables = {"": summary} | {f"of {name} covered ": found["summary"] for name, found in per_bucket.items()}
        few: dict[tuple[str, int], list[str]] = {}
        for which, rows in tables.items():
            for row in rows:
                if row["n"] and row["clusters"] < WARN_BELOW:
                    few.setdefault((which, row["clusters"]), []).append(f"{row['metric']}/{row['alignment']}")
        return [
            f"The intervals {which}rest on {_captures(count)}{_named(figures, len(tables['']))}: "
            f"fewer than {WARN_BELOW} say little about others."
            for (which, count), figures in few.items()
        ]


def _given(predicted: Source, told: Sequence[str] | None) -> list[str] | None:
    """What the predictions took from the truth, as they say themselves, or as told; None where nobody says."""
    own = predicted.meta.get("given")
    if told is None:
        return own
    require_given(told)
    if own is not None and sorted(own) != sorted(told):
        raise UsageError(
            f"The predictions say themselves what they were given: {', '.join(own) or 'nothing'}.", "Leave --given out."
        )
    return list(told)


def _beyond(given: list[str] | None, protocol: Protocol) -> list[str]:
    beyond = [name for name in given or () if name not in protocol.given]
    if not beyond:
        return []
    return [
        f"The predictions were given {', '.join(beyond)} of the truth, which the protocol does not give: figures that "
        f"alignment does not free of it must not stand among those without."
    ]


def _captures(count: int) -> str:
    return "1 capture" if count == 1 else f"{count:,} captures"


def _named(figures: list[str], all_figures: int) -> str:
    return "" if len(figures) == all_figures else f" for {', '.join(figures)}"


@contextmanager
def _result_at(out: Path | None) -> Iterator[Any]:
    """An open result file that appears at `out` when the block ends well; without `out`, one that is not kept."""
    if out is None:
        with tempfile.TemporaryDirectory(prefix="handbench-") as folder, new_file(Path(folder) / "result.h5") as file:
            yield file
    else:
        with replacing(out) as part, new_file(part) as file:
            yield file


def _covered(truth: Hands, start: int) -> NDArray:
    """The covered share of each hand, 0..1, NaN where it is not known; raises InvalidError for another number."""
    covered = 1.0 - np.asarray(truth.visible_fraction, np.float64)
    wrong = (covered < -ROUNDING) | (covered > 1 + ROUNDING)
    if wrong.any():
        i = int(np.argmax(wrong))
        raise InvalidError(
            f"Sample {start + i} ({truth.id[i]}) of the truth is visible to {1 - covered[i]:g}, and shares are 0 to 1.",
            "Prepare the dataset again.",
        )
    return np.clip(covered, 0.0, 1.0)


def _complete(protocol: Protocol, samples: SampleSet, true: Source, source: str) -> bool | None:
    """Whether these are all the samples of the protocol, of the official truth; None where it has no list."""
    if protocol.dataset is None:
        return None
    if source != protocol.truth or (protocol.count is not None and samples.count != protocol.count):
        return False
    official = protocol.official_ids()
    if official is not None:
        return SampleSet().add(official).digest() == samples.digest()
    return not true.meta.get("partial", False)


def _require_dataset(true: Source, protocol: Protocol) -> None:
    for name in ("dataset", "split"):
        want, got = getattr(protocol, name), true.meta.get(name)
        if want is not None and got is not None and want != got:
            raise InvalidError(
                f"The protocol {protocol.name} is for {name} {want!r}, the truth is of {got!r}.",
                "Give another truth, or `--protocol` for the one that belongs to it.",
            )


def _what_is_compared(true: Source, predicted: Source, protocol: Protocol, paired: Paired) -> list[str]:
    said = []
    n = len(paired.true)
    if protocol.count is not None and n != protocol.count:
        said.append(f"{n:,} of {protocol.count:,} samples: not comparable with the full protocol.")
    elif protocol.count is None and true.meta.get("partial"):
        said.append(f"The truth is partial, {n:,} samples: not comparable with the full protocol.")
    source = true.meta.get("source", NOT_SAID)
    if source == NOT_SAID and protocol.dataset is not None:
        said.append("The truth does not say where it is from: not comparable with any published figure.")
    elif source != protocol.truth and protocol.dataset is not None:
        said.append(f"The truth is of {source}, not of {protocol.dataset}: not comparable with any published figure.")
    if protocol.wrist is not None and true.meta.get("joint_0") != PALM and protocol.dataset == "stb":
        said.append(
            "The truth does not say that its joint 0 is the palm's centre, as STB annotates it: is it a wrist already?"
        )
    if len(predicted) > n:
        said.append(f"{len(predicted) - n:,} predictions are of samples that {protocol.name} does not score.")
    made_for = predicted.meta.get("truth_digest")
    # official files read as they are have no digest to compare: there the ids must do
    if isinstance(true, HandsFile) and made_for and made_for != true.digest():
        raise InvalidError(
            f"The predictions were made for another truth ({made_for}) than this one ({true.digest()}).",
            "The test set was prepared again since: predict, or import, again.",
        )
    return said
