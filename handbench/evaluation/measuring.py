"""The metrics of a protocol over blocks of samples: per-sample values, per-joint errors, curves."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from handbench.evaluation.protocol import Metric, Protocol
from handbench.hands.record import Hands
from handbench.metrics import align
from handbench.metrics.curves import Tally, sample_auc, thresholds
from handbench.metrics.errors import distances, mean_of_point_means, sample_mean
from handbench.metrics.fscore import fscore

# fewer points than this can be moved onto anything
FEWEST_POINTS = 3
# alignments that a mesh of another topology can still have: none needs vertex by vertex correspondence
WITHOUT_CORRESPONDENCE = ("none", "root", "procrustes-official")


class Measurement:
    """Feed blocks with `add`, in the order of the samples; read `samples`, `joint_errors`, `reflected` and `value`.

    Lengths go in as metres, are computed in the protocol's unit and come out in millimetres.
    `mesh`: both sides have vertices; `same_topology`: equally many (the official script decides it on the first
    sample; in a file every sample has the same number).
    """

    def __init__(self, protocol: Protocol, mesh: bool, same_topology: bool, workers: int = 1):
        self.protocol = protocol
        self.mesh, self.same_topology, self.workers = mesh, same_topology, workers
        self.to_mm = 1000.0 / protocol.per_metre
        self._samples: dict[tuple[str, str], list[NDArray]] = defaultdict(list)
        self._joint_errors: dict[str, list[NDArray]] = defaultdict(list)
        self._reflected: list[NDArray] = []
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._mesh_means: dict[str, Tally] = {}
        self.rows = [
            (metric, alignment)
            for metric in protocol.metrics
            for alignment in metric.alignments
            if self._applies(metric, alignment)
        ]

    def _applies(self, metric: Metric, alignment: str) -> bool:
        if not metric.of_mesh:
            return True
        if not self.mesh:
            return False
        return self.same_topology or (metric.name == "f-score" and alignment in WITHOUT_CORRESPONDENCE)

    def add(self, truth: Hands, predicted: Hands) -> None:
        """One block: the same samples in both, checked to be finite."""
        scale = self.protocol.per_metre
        target = np.asarray(truth.joints, np.float64) * scale
        points = np.asarray(predicted.joints, np.float64) * scale
        valid = None if truth.joints_valid is None else np.asarray(truth.joints_valid, bool)
        if valid is not None and valid.all():
            valid = None
        if valid is not None:
            target = np.where(valid[..., None], target, np.nan)
        self._add_joints(target, points, valid)
        if self.mesh:
            self._add_mesh(target, points, valid, truth, predicted)

    def _add_joints(self, target: NDArray, points: NDArray, valid: NDArray | None) -> None:
        reflected = None
        for alignment in self._alignments(of_mesh=False):
            to, moved = target, points
            few = np.zeros(len(target), bool)
            if alignment == "root":
                root = self.protocol.root_index
                to, moved = align.root_align(target, target[:, root]), align.root_align(points, points[:, root])
            elif alignment != "none":
                few = np.zeros(len(target), bool) if valid is None else valid.sum(1) < FEWEST_POINTS
                if alignment == "procrustes-official":
                    moved, reflected = align.procrustes_official(target, points, valid)
                else:
                    moved = _proper(alignment, target, points, valid)
            errors = distances(to, moved, valid)
            errors[few] = np.nan
            self._joint_errors[alignment].append(errors * self.to_mm)
            for metric in self.protocol.metrics:
                if metric.name == "mpjpe" and alignment in metric.alignments:
                    self._keep(metric, alignment, sample_mean(errors) * self.to_mm)
                elif metric.name == "auc" and alignment in metric.alignments:
                    self._curve(metric, alignment, errors)
        if reflected is None:
            reflected = align.fit_official(target, points, valid).reflected
        self._reflected.append(reflected)

    def _add_mesh(
        self, joints: NDArray, predicted_joints: NDArray, valid: NDArray | None, truth: Hands, predicted: Hands
    ) -> None:
        target = np.asarray(truth.vertices, np.float64) * self.protocol.per_metre
        points = np.asarray(predicted.vertices, np.float64) * self.protocol.per_metre
        # a sample whose true mesh is missing has no mesh errors
        there = np.asarray(np.isfinite(target).all((1, 2)))
        target, points = target[there], points[there]
        joints, predicted_joints = joints[there], predicted_joints[there]
        valid = None if valid is None else valid[there]
        for alignment in self._alignments(of_mesh=True):
            to, moved = target, points
            if alignment == "root":
                root = self.protocol.root_index
                to = align.root_align(target, joints[:, root])
                moved = align.root_align(points, predicted_joints[:, root])
            elif alignment == "procrustes-official" and not self.same_topology:
                moved = align.move_official(align.fit_official(joints, predicted_joints, valid), points)
            elif alignment == "procrustes-official":
                moved, _ = align.procrustes_official(target, points)
            elif alignment != "none":
                moved = _proper(alignment, target, points, None)
            self._measure_mesh(alignment, to, moved, there)

    def _measure_mesh(self, alignment: str, target: NDArray, points: NDArray, there: NDArray) -> None:
        wanted = [metric for metric, named in self.rows if metric.of_mesh and named == alignment]
        by_vertex = [metric for metric in wanted if metric.name != "f-score"]
        if by_vertex:
            errors = distances(target, points)
            rooted = ~np.isnan(errors).any(1)
            for metric in by_vertex:
                if metric.name == "mpvpe":
                    tally = self._mesh_means.setdefault(alignment, Tally(np.array([0.0])))
                    tally.add(errors[rooted])
                    self._keep(metric, alignment, _spread(errors.mean(1) * self.to_mm, there))
                else:
                    self._curve(metric, alignment, errors, there)
        scores = [metric for metric in wanted if metric.name == "f-score"]
        if scores:
            rooted = np.isfinite(target).all((1, 2))
            at = [float(metric.threshold or 0.0) / self.to_mm for metric in scores]
            found = fscore(target[rooted], points[rooted], at, self.workers).f
            for metric, values in zip(scores, found.T, strict=True):
                self._keep(metric, alignment, _spread(_spread(values, rooted), there))

    def _alignments(self, of_mesh: bool) -> list[str]:
        return list(dict.fromkeys(alignment for metric, alignment in self.rows if metric.of_mesh == of_mesh))

    def _keep(self, metric: Metric, alignment: str, values: NDArray) -> None:
        self._samples[metric.called, alignment].append(values)

    def _curve(self, metric: Metric, alignment: str, errors: NDArray, there: NDArray | None = None) -> None:
        at = curve_thresholds(metric, self.to_mm)
        self._tallies.setdefault((metric.called, alignment), Tally(at)).add(errors)
        values = sample_auc(errors, at)
        self._keep(metric, alignment, values if there is None else _spread(values, there))

    def samples(self) -> dict[str, NDArray]:
        """`METRIC/ALIGNMENT` -> (N,): mm, or 0..1; NaN where a sample has none."""
        kept = {(metric.called, alignment) for metric, alignment in self.rows}
        return {f"{m}/{a}": np.concatenate(parts) for (m, a), parts in self._samples.items() if (m, a) in kept}

    def joint_errors(self) -> dict[str, NDArray]:
        """Alignment -> (N, 21) mm; NaN where a joint is not annotated."""
        return {alignment: np.concatenate(parts) for alignment, parts in self._joint_errors.items()}

    def reflected(self) -> NDArray:
        """(N,) bool: samples whose joints the official alignment mirrored."""
        return np.concatenate(self._reflected)

    def curves(self) -> dict[str, NDArray]:
        """`METRIC/ALIGNMENT` -> (T, 2): threshold in mm, PCK (mean over points)."""
        return {
            f"{name}/{alignment}": np.stack([tally.at * self.to_mm, tally.pck()], 1)
            for (name, alignment), tally in self._tallies.items()
        }

    def value(self, metric: Metric, alignment: str) -> float:
        """The figure over all samples, averaged in the official order: per point first, then over points."""
        if metric.name == "mpjpe":
            return mean_of_point_means(np.concatenate(self._joint_errors[alignment]))
        if metric.name == "mpvpe":
            return self._mesh_means[alignment].mean() * self.to_mm
        if metric.name == "f-score":
            values = np.concatenate(self._samples[metric.called, alignment])
            return float(np.mean(values[~np.isnan(values)])) if not np.isnan(values).all() else float("nan")
        return self._tallies[metric.called, alignment].auc()


def curve_thresholds(metric: Metric, to_mm: float) -> NDArray:
    """The thresholds of an AUC in the unit that is computed in: `linspace` there, so that ties fall as officially."""
    return thresholds(float(metric.low or 0.0) / to_mm, float(metric.high or 0.0) / to_mm, int(metric.steps or 2))


def _proper(alignment: str, target: NDArray, points: NDArray, valid: NDArray | None) -> NDArray:
    return (align.rigid if alignment == "rigid" else align.procrustes)(target, points, valid)


def _spread(values: NDArray, there: NDArray) -> NDArray:
    full = np.full(len(there), np.nan)
    full[there] = values
    return full
