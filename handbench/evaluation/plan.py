"""What will be measured of these truth and predictions: the protocol's figures, less those that cannot be had."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handbench.errors import InvalidError
from handbench.evaluation.metric import IN_TIME, Metric
from handbench.evaluation.protocol import Protocol
from handbench.evaluation.sources import Source, columns
from handbench.metrics.curves import thresholds

# a mesh of another topology has no corresponding vertices: F-scores remain, under what needs none
WITHOUT_CORRESPONDENCE = ("none", "root", "procrustes-official")
# frames before and after a sample that its figures in time need
BEFORE, AFTER = 1, 2


@dataclass(frozen=True)
class Plan:
    """The rows (metric, alignment) to measure, and what decides them.

    mesh, same_topology    both sides have vertices; equally many (the official script decides it on its first sample)
    buckets                the truth knows how much of each hand is covered, and the protocol asks
    in_time                some rows need the frames before and after
    masked                 not every joint of every sample counts: means are over joints first, then over them
    """

    protocol: Protocol
    rows: tuple[tuple[Metric, str], ...]
    mesh: bool
    same_topology: bool
    buckets: bool
    in_time: bool
    fps: bool
    masked: bool

    @property
    def to_mm(self) -> float:
        return 1000.0 / self.protocol.per_metre

    def alignments(self, of_mesh: bool) -> list[str]:
        """Those of joint errors, or of meshes, each once."""
        return list(
            dict.fromkeys(
                alignment
                for metric, alignment in self.rows
                if metric.of_mesh == of_mesh and metric.name not in (*IN_TIME, "bone-bias", "epe-2d")
            )
        )

    def metrics(self, alignment: str, *names: str) -> list[Metric]:
        """The metrics of these names under this alignment."""
        return [metric for metric, named in self.rows if named == alignment and metric.name in names]

    def at(self, metric: Metric) -> NDArray:
        """The thresholds of an AUC in the unit that is computed in: `linspace` there, so that ties fall officially."""
        low, high = float(metric.low or 0.0) / self.to_mm, float(metric.high or 0.0) / self.to_mm
        return thresholds(low, high, int(metric.steps or 2), metric.skip)


def key(metric: Metric, alignment: str) -> str:
    """`METRIC/ALIGNMENT`, as results name it."""
    return f"{metric.called}/{alignment}"


def plan(true: Source, predicted: Source, protocol: Protocol) -> tuple[Plan, list[str]]:
    """What to measure, and in words what of the protocol is left out because a file does not have what it needs.

    Raises InvalidError where nothing can be scored.
    """
    for source, what in ((true, "truth"), (predicted, "predictions")):
        if "joints" not in source.fields:
            hint = "Without them nothing can be scored." if what == "truth" else "Every protocol scores joints."
            have = "has" if what == "truth" else "have"
            raise InvalidError(f"The {what} {have} no joints.", hint)
    if protocol.joints == "visible" and "joints_visible" not in true.fields:
        raise InvalidError(
            f"The truth does not say which joints are visible, and {protocol.name} scores only those.",
            "Prepare the dataset again.",
        )
    said: list[str] = []
    mesh, same = _topology(true, predicted, protocol, said)
    without = _absent(true, protocol, said)
    rows = tuple(
        (metric, alignment)
        for metric in protocol.metrics
        if metric.name not in without
        for alignment in metric.alignments
        if _applies(metric, alignment, mesh, same)
    )
    in_time = any(metric.name in IN_TIME for metric, _ in rows)
    buckets = protocol.buckets and "visible_fraction" in true.fields
    if protocol.buckets and not buckets:
        said.append("The truth does not say how much of each hand is covered: there are no occlusion buckets.")
    fps = in_time and "fps" in true.fields
    if not fps and any(metric.name == "acceleration" for metric, _ in rows):
        said.append("The truth records no frame rate: acceleration is given in mm/frame^2, and not in m/s^2.")
    masked = protocol.joints != "annotated" or not _all_annotated(true)
    return Plan(protocol, rows, mesh, same, buckets, in_time, fps, masked), said


def _applies(metric: Metric, alignment: str, mesh: bool, same_topology: bool) -> bool:
    if not metric.of_mesh:
        return True
    return mesh and (same_topology or (metric.name == "f-score" and alignment in WITHOUT_CORRESPONDENCE))


def _topology(true: Source, predicted: Source, protocol: Protocol, said: list[str]) -> tuple[bool, bool]:
    """Whether there are two meshes, and whether vertex i means the same in both; said where not."""
    if not any(metric.of_mesh for metric in protocol.metrics):
        return False, False
    without = [
        name for name, source in (("truth", true), ("predictions", predicted)) if "vertices" not in source.fields
    ]
    if without:
        plural = "have" if without[-1] == "predictions" else "has"
        said.append(f"The {' and the '.join(without)} {plural} no vertices: there are no mesh figures.")
        return False, False
    many = [np.asarray(source.read(0, 1).vertices).shape[1] for source in (true, predicted)]
    if many[0] == many[1]:
        return True, True
    said.append(
        f"The predicted meshes have {many[1]:,} vertices, the true ones {many[0]:,}: of the mesh figures only F-scores "
        f"are defined, and the official alignment moves the mesh as it moves the joints."
    )
    return True, False


def _all_annotated(true: Source) -> bool:
    return "joints_valid" not in true.fields or all(part.all() for part in columns(true, "joints_valid"))


def _absent(true: Source, protocol: Protocol, said: list[str]) -> set[str]:
    """Metrics whose need the truth does not meet; said."""
    named = {metric.name for metric in protocol.metrics}
    absent: set[str] = set()
    if "epe-2d" in named and "camera" not in true.fields:
        absent.add("epe-2d")
        said.append("The truth has no camera: there is no error in the image.")
    if named & set(IN_TIME) and not {"track", "frame"} <= set(true.fields):
        absent |= named & set(IN_TIME)
        said.append("The truth has no tracks: there is nothing measured in time.")
    return absent
