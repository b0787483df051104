"""The errors of one block of samples under a plan: per joint, per sample, and counts for the curves.

Lengths go in as metres, are computed in the protocol's unit and come out in millimetres. Nothing is kept between
blocks, so that blocks can be measured side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from handbench.evaluation.metric import MEDIANS, PER_JOINT, Metric
from handbench.evaluation.plan import Plan, key
from handbench.evaluation.protocol import Protocol
from handbench.hands.joints import permutation
from handbench.hands.palm import palm_from_wrist, wrist_from_palm
from handbench.hands.record import Hands
from handbench.metrics import align, bones, image_plane, scale_align, temporal
from handbench.metrics.curves import Tally, first_within, point_areas, sample_auc
from handbench.metrics.errors import distances, sample_mean
from handbench.metrics.fscore import fscore

TIPS = (4, 8, 12, 16, 20)
# fewer points than this can be moved onto anything
FEWEST_POINTS = {"rigid": 3, "procrustes": 3, "procrustes-official": 3, "centroid-scale": 2}
# a bone scales a hand wherever it is known, seen or not
BY_BONE = ("root-scale", "scale-translation", "scale-translation-stb")
MOVED: dict[str, Callable[..., NDArray]] = {
    "root-scale": scale_align.root_scale,
    "scale-translation": scale_align.scale_translation,
    "scale-translation-stb": scale_align.scale_translation_stb,
    "centroid-scale": scale_align.centroid_scale,
    "rigid": align.rigid,
    "procrustes": align.procrustes,
}


@dataclass
class Measured:
    """One block of n samples.

    samples      `METRIC/ALIGNMENT` -> (n,): mm, or the metric's unit; NaN where a sample has none
    points       the same key -> (n, K): what is averaged point by point, where not every point counts
    joints       alignment -> (n, 21) mm
    tallies      the same key -> counts of one curve
    reflected    (n,) bool: mirrored by the official alignment of the joints, where the protocol has that
    """

    reflected: NDArray
    samples: dict[str, NDArray] = field(default_factory=dict)
    points: dict[str, NDArray] = field(default_factory=dict)
    joints: dict[str, NDArray] = field(default_factory=dict)
    tallies: dict[str, Tally] = field(default_factory=dict)


def measure(plan: Plan, truth: Hands, predicted: Hands, inner: slice) -> Measured:
    """Measure the samples `inner` of a block; what lies around them are the frames before and after.

    Truth and predictions have the same samples in the same order, checked to be finite.
    """
    return _Block(plan, truth, predicted, inner).measured


def aligned_joints(
    protocol: Protocol, truth: Hands, predicted: Hands, alignment: str
) -> tuple[NDArray, NDArray, NDArray]:
    """What the errors of joints are taken between: joints of truth and prediction (n, 21, 3) mm under one alignment,
    NaN where the truth is not annotated, and which of them count (n, 21).
    """
    annotated, counted = _masks(protocol.joints, truth)
    target, points = _in_unit(protocol, truth, predicted)
    to, moved, _ = _aligned(protocol, alignment, target, points, annotated, None if counted.all() else counted)
    to_mm = 1000 / protocol.per_metre
    return to * to_mm, moved * to_mm, counted


class _Block:
    def __init__(self, plan: Plan, truth: Hands, predicted: Hands, inner: slice):
        self.plan, self.protocol = plan, plan.protocol
        self.order = np.argsort(permutation(self.protocol.written.order))
        around = truth, predicted
        truth, predicted = truth.take(inner), predicted.take(inner)
        self.annotated, self.counted = _masks(self.protocol.joints, truth)
        self.target, self.points = _in_unit(self.protocol, truth, predicted)
        # what of the joints decides an alignment; None where all do
        self.valid = None if self.counted.all() else self.counted
        self.measured = Measured(reflected=np.zeros(len(truth), bool))
        self._joints()
        if plan.in_time:
            self._in_time(*around, inner)
        self._others(truth)
        if plan.mesh:
            self._mesh(truth, predicted)

    def _joints(self) -> None:
        found = self.measured
        for alignment in self.plan.alignments(of_mesh=False):
            few = self.counted.sum(1) < FEWEST_POINTS.get(alignment, 1)
            to, moved, reflected = _aligned(
                self.protocol, alignment, self.target, self.points, self.annotated, self.valid
            )
            if reflected is not None:
                found.reflected = reflected
            errors = distances(to, moved, self.valid)
            errors[few] = np.nan
            found.joints[alignment] = errors * self.plan.to_mm
            for metric in self.plan.metrics(alignment, *PER_JOINT):
                self._joint_metric(metric, alignment, errors)

    def _joint_metric(self, metric: Metric, alignment: str, errors: NDArray) -> None:
        name, found = key(metric, alignment), self.measured
        if metric.name in MEDIANS:
            return
        if metric.name == "auc":
            tally = found.tallies[name] = Tally(self.plan.at(metric))
            slots = first_within(errors, tally.at)
            # the mean over joints is summed in the official order of joints: its last bit depends on it
            tally.add(errors[:, self.order], slots[:, self.order])
            points = point_areas(errors, tally.at, slots)
        else:
            points = found.joints[alignment]
        self._keep(name, points)

    def _keep(self, name: str, points: NDArray) -> None:
        """Values (n, K) of a sample's points, and their mean."""
        self.measured.samples[name] = sample_mean(points)
        if self.plan.masked:
            self.measured.points[name] = points

    def _in_time(self, truth: Hands, predicted: Hands, inner: slice) -> None:
        annotated, _ = _masks(self.protocol.joints, truth)
        target, points = _in_unit(self.protocol, truth, predicted)
        root = self.protocol.root_index
        for metric, alignment in self.plan.rows:
            if metric.name not in ("acceleration", "jitter"):
                continue
            to, moved = target, points
            if alignment == "root":
                to, moved = align.root_align(to, to[:, root]), align.root_align(moved, moved[:, root])
            if metric.name == "acceleration":
                values = temporal.acceleration_error(to, moved, annotated, truth.track, truth.frame)
            else:
                values = temporal.jitter(moved, truth.track, truth.frame, annotated)
            self.measured.samples[key(metric, alignment)] = values[inner] * self.plan.to_mm

    def _others(self, truth: Hands) -> None:
        for metric, alignment in self.plan.rows:
            name = key(metric, alignment)
            if metric.name == "bone-bias":
                bias = bones.bone_length_bias(self.target, self.points, self.counted)
                self.measured.samples[name] = bias * self.plan.to_mm
            elif metric.name == "epe-2d":
                camera = np.asarray(truth.camera, np.float64)
                pixels = image_plane.epe_2d(self.target, self.points, camera, self.counted)
                # a joint behind the camera has no image: its hand has no error, rather than that of the others
                pixels[(self.counted & np.isnan(pixels)).any(1)] = np.nan
                self._keep(name, pixels)

    def _mesh(self, truth: Hands, predicted: Hands) -> None:
        target = np.asarray(truth.vertices, np.float64) * self.protocol.per_metre
        points = np.asarray(predicted.vertices, np.float64) * self.protocol.per_metre
        # a sample whose true mesh is missing has no mesh errors
        there = np.asarray(np.isfinite(target).all((1, 2)))
        if not there.all():
            target, points = target[there], points[there]
        for alignment in self.plan.alignments(of_mesh=True):
            to, moved = target, points
            if alignment == "root":
                root = self.protocol.root_index
                to = align.root_align(target, self.target[there][:, root])
                moved = align.root_align(points, self.points[there][:, root])
            elif alignment == "procrustes-official" and not self.plan.same_topology:
                valid = None if self.valid is None else self.valid[there]
                fit = align.fit_official(self.target[there], self.points[there], valid)
                moved = align.move_official(fit, points)
            elif alignment == "procrustes-official":
                moved, _ = align.procrustes_official(target, points)
            elif alignment != "none":
                moved = MOVED[alignment](target, points)
            self._measure_mesh(alignment, to, moved, there)

    def _measure_mesh(self, alignment: str, target: NDArray, points: NDArray, there: NDArray) -> None:
        samples = self.measured.samples
        by_vertex = self.plan.metrics(alignment, "mpvpe", "auc-vertices")
        errors = distances(target, points) if by_vertex else np.empty(0)
        for metric in by_vertex:
            name = key(metric, alignment)
            if metric.name == "mpvpe":
                samples[name] = _spread(errors.mean(1) * self.plan.to_mm, there)
            else:
                tally = self.measured.tallies[name] = Tally(self.plan.at(metric))
                tally.add(errors)
                samples[name] = _spread(sample_auc(errors, tally.at), there)
        scores = self.plan.metrics(alignment, "f-score")
        if scores:
            rooted = np.isfinite(target).all((1, 2))
            at = [float(metric.threshold or 0.0) / self.plan.to_mm for metric in scores]
            found = fscore(target[rooted], points[rooted], at).f
            for metric, values in zip(scores, found.T, strict=True):
                samples[key(metric, alignment)] = _spread(_spread(values, rooted), there)


def _in_unit(protocol: Protocol, truth: Hands, predicted: Hands) -> tuple[NDArray, NDArray]:
    """Joints (n,21,3) of both in the unit that is computed in; NaN where the truth is not annotated."""
    target, points = np.asarray(truth.joints), np.asarray(predicted.joints, np.float64) * protocol.per_metre
    if protocol.dataset == "dexycb" and target.dtype == np.float32:
        # hpe_eval.py multiplies in single precision: 6e-5 mm from doing it in double
        target = (target * np.float32(1000)).astype(np.float64)
    else:
        target = target.astype(np.float64) * protocol.per_metre
    annotated, _ = _masks(protocol.joints, truth)
    if not annotated.all():
        target = np.where(annotated[..., None], target, np.nan)
    if protocol.wrist == "palm":
        points = palm_from_wrist(points)
    elif protocol.wrist == "both palms":
        target, points = palm_from_wrist(target), palm_from_wrist(points)
    elif protocol.wrist is not None:
        target = wrist_from_palm(target, protocol.wrist)
    return target, points


def _aligned(
    protocol: Protocol, alignment: str, to: NDArray, moved: NDArray, annotated: NDArray, valid: NDArray | None
) -> tuple[NDArray, NDArray, NDArray | None]:
    """Joints of both (n,21,3) under one alignment, decided by those that are `valid`; and which were mirrored."""
    if alignment == "root":
        root = protocol.root_index
        return align.root_align(to, to[:, root]), align.root_align(moved, moved[:, root]), None
    if alignment == "procrustes-official":
        return to, *align.procrustes_official(to, moved, valid)
    if alignment in BY_BONE:
        return to, MOVED[alignment](to, moved, None if annotated.all() else annotated), None
    if alignment != "none":
        return to, MOVED[alignment](to, moved, valid), None
    return to, moved, None


def _masks(which: str, truth: Hands) -> tuple[NDArray, NDArray]:
    """(n,21) bool: joints whose place is known, and those of them that count."""
    shape = np.asarray(truth.joints).shape[:2]
    annotated = np.ones(shape, bool) if truth.joints_valid is None else np.asarray(truth.joints_valid, bool)
    counted = annotated
    if which == "visible":
        counted = annotated & np.asarray(truth.joints_visible, bool)
    elif which == "tips":
        counted = annotated & np.isin(np.arange(shape[1]), TIPS)
    return annotated, counted


def _spread(values: NDArray, there: NDArray) -> NDArray:
    full = np.full(len(there), np.nan)
    full[there] = values
    return full
