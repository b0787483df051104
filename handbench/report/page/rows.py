"""What was measured, for the page: rows of one protocol id together, with charts, joints and samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from handbench import places
from handbench.errors import HandbenchError
from handbench.evaluation.protocol import Protocol
from handbench.evaluation.result import Result
from handbench.evaluation.result_file import read_result
from handbench.metrics.intervals import WARN_BELOW
from handbench.report.measured_part import row_notes
from handbench.report.occlusion_figures import error_by_joint, error_by_occlusion
from handbench.report.page.charts import Chart, accuracy_chart, occlusion_chart, pck_chart
from handbench.report.page.joint_map import JointMap, joint_maps
from handbench.report.page.samples import Sample, faces_of, samples_of
from handbench.report.pck_curves import curve_of
from handbench.report.scored_rows import alignment_of_errors, called
from handbench.report.speed_figures import measured_points
from handbench.store.hands_file import HandsFile

Found = TypeVar("Found")


@dataclass(frozen=True)
class Row:
    """A scored row: its name in words, its figures, what is to be known of it and was warned of, and its worst, median
    and best samples (or why there are none).
    """

    name: str
    figures: tuple[str, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    samples: tuple[Sample, ...]
    without: str


class Group(NamedTuple):
    """Rows of one protocol id; `said` is why a chart is missing."""

    title: str
    alignment: str
    charts: list[Chart]
    joints: list[JointMap]
    rows: list[Row]
    said: list[str]
    faces: dict[str, list[list[int]]]


def groups_of(
    protocol: Protocol, records: Sequence[dict[str, Any]], speeds: Sequence[dict[str, Any]], samples: int
) -> list[Group]:
    """The rows that `records` are of, those of one id together; `speeds` are those of `alike`."""
    together: dict[str, list[tuple[str, Result]]] = {}
    for path in sorted(places.predictions_file(protocol.name, "x").parent.glob("*.h5")):
        stored = places.result_file(protocol.name, path.stem)
        try:
            with HandsFile(path) as predictions:
                result, digest = read_result(stored), predictions.digest()
        except HandbenchError:
            continue
        # predictions that cannot be scored may have a result of earlier ones
        own = result.provenance.get("predictions_digest") == digest
        if own and any(result.provenance == record["provenance"] for record in records):
            together.setdefault(str(result.protocol["id"]), []).append((path.stem, result))
    return [_group(protocol, scored, speeds, samples) for scored in together.values()]


@dataclass
class _Charts:
    """Those that can be drawn, and why the others cannot."""

    drawn: list[Chart] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def of(self, what: str, make: Callable[[], Found]) -> Found | None:
        try:
            return make()
        except HandbenchError as error:
            self.said.append(f"{what}: {error.message}")
            return None

    def add(self, what: str, make: Callable[[], Chart]) -> None:
        if chart := self.of(what, make):
            self.drawn.append(chart)


def _group(
    protocol: Protocol, scored: list[tuple[str, Result]], speeds: Sequence[dict[str, Any]], samples: int
) -> Group:
    first, charts = scored[0][1], _Charts()
    alignment = charts.of("Errors of joints", lambda: alignment_of_errors(scored, None))
    maps: list[JointMap] = []
    if alignment:
        charts.add(
            "PCK", lambda: pck_chart([curve_of(r, protocol, "joints", alignment, n) for n, r in scored], alignment)
        )
        charts.add(
            "By occlusion", lambda: occlusion_chart([error_by_occlusion(n, r, alignment) for n, r in scored], alignment)
        )
        maps = joint_maps([error_by_joint(row, result, alignment) for row, result in scored])
        _add_speed(charts, scored, speeds, alignment)
    truth = places.prepared(protocol.dataset or protocol.name, protocol.split or "test")
    with HandsFile(truth) as file:
        rows = [_row(protocol, row, result, alignment, file, samples) for row, result in scored]
        faces = faces_of(file) if any(row.samples for row in rows) else {}
    captures = "" if first.clusters is None else f", {len(set(first.clusters.tolist())):,} captures"
    few = f"; fewer than {WARN_BELOW} samples say little" if first.n < WARN_BELOW else ""
    title = f"{first.protocol['id']}: {first.n:,} samples{captures}{few}"
    return Group(title, alignment or "", charts.drawn, maps, rows, charts.said, faces)


def _add_speed(
    charts: _Charts, scored: list[tuple[str, Result]], speeds: Sequence[dict[str, Any]], alignment: str
) -> None:
    """Rows that were timed too; none is no fault."""
    errors = [
        {"name": called(row, result), "row": result.row, "error": result.value("mpjpe", alignment)}
        for row, result in scored
        if any((one["metric"], one["alignment"]) == ("mpjpe", alignment) for one in result.summary)
    ]
    if points := measured_points(errors, speeds):
        charts.drawn.append(accuracy_chart(points, speeds, alignment))


def _row(protocol: Protocol, row: str, result: Result, alignment: str | None, truth: HandsFile, samples: int) -> Row:
    record = result.to_record()
    shown: tuple[Sample, ...] = ()
    without = "" if samples else "samples were left out"
    if samples and alignment:
        try:
            with HandsFile(places.predictions_file(protocol.name, row)) as predictions:
                shown = samples_of(result, protocol, alignment, truth, predictions, samples)
        except HandbenchError as error:
            without = error.message
    figures = [_figure(one) for one in record["summary"] if one["value"] is not None]
    warned = [text for text in record["warnings"] if text not in record["suspicions"]]
    return Row(called(row, result), tuple(figures), tuple(row_notes(record)), tuple(warned), shown, without)


def _figure(one: dict[str, Any]) -> str:
    digits = 2 if one["unit"] else 4
    low, high = one["interval"]
    interval = "" if low is None or high is None else f" [{low:.{digits}f}, {high:.{digits}f}]"
    unit = f" {one['unit']}" if one["unit"] else ""
    return f"{one['metric']} {one['alignment']} {one['value']:.{digits}f}{unit}{interval}"
