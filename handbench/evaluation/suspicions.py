"""What looks wrong with predictions that are formally right: unit, axes, joint order, side. In words, both figures.

A bad model is not a bad file: nothing here changes a figure or stops an evaluation by itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handbench.evaluation.protocol import Conventions
from handbench.hands.joints import ORDERS, detect_order, from_fh21, to_fh21
from handbench.hands.record import Hands
from handbench.metrics import align
from handbench.metrics.errors import mpjpe

# how many of them a metre has
UNITS = {1: "m", 10: "dm", 100: "cm", 1000: "mm"}
OPENGL = np.array([1.0, -1.0, -1.0])
MIRROR = np.array([-1.0, 1.0, 1.0])
ORDER_NAMES = {"fh21": "FH21", "ho3d": "HO-3D", "rhd": "RHD", "stb": "STB"}
# A reading is worth a word when it brings the error below this share of what it is as the file stands.
CLEARLY_BETTER = 0.6
# unit, axes, order and side are looked for in this many samples
LOOKED_AT = 2000
# Enough where the bones, looked at by themselves, say so too: a poor model's error hides half of the difference.
BETTER = 0.85
MANY_REFLECTED, MOST_REFLECTED = 0.2, 0.5
# Aligned in the best order, a hand leaves less than this share of its extent; noise leaves nearly all.
RESEMBLES = 0.5


def some_of(n: int) -> NDArray:
    """Indices of at most `LOOKED_AT` of n samples, evenly spread: enough to tell how a file was written."""
    return np.unique(np.linspace(0, n - 1, min(n, LOOKED_AT)).astype(int))


def annotated_joints(truth: Hands) -> NDArray:
    """Joints (N, 21, 3) float64 m of a truth, NaN where they are not annotated."""
    joints = np.array(truth.joints, np.float64)
    if truth.joints_valid is not None:
        joints[~np.asarray(truth.joints_valid, bool)] = np.nan
    return joints


def suspect(target: NDArray, points: NDArray, assumed: Conventions = Conventions()) -> list[str]:  # noqa: B008
    """True and predicted joints (N, 21, 3), m, FH21, OpenCV, as the file is read -> warnings; NaN is not annotated.

    `assumed`: what the predictions' file was read as. A warning names the flag that reads it right instead.
    Samples whose truth is not complete are left out, or, where none is complete, tell about the unit only. Of
    predictions without extent (all points equal), or that resemble no hand in any order, nothing can be said.
    """
    target, points = np.asarray(target, np.float64), np.asarray(points, np.float64)
    usable = np.isfinite(target).all((1, 2)) & (_extent(points) > 0)
    if usable.sum() == 0:
        return _unit_of_parts(target, points, assumed.unit)
    target, points = target[usable], points[usable]
    as_written = from_fh21(points, assumed.order)
    order, errors = _order(target, as_written, assumed.order)
    if min(errors.values()) / 1000 > RESEMBLES * _extent(target).mean():
        return []
    said = []
    factor = _unit(target, points)
    if factor != 1.0:
        said.append(_say_unit(target, points, factor, assumed.unit))
        points, as_written = points * factor, as_written * factor
    if order != assumed.order:
        told = assumed.order != "fh21"
        as_read = _as_read(told, f"{ORDER_NAMES[assumed.order]} order")
        said.append(
            f"Joint order: this looks like {ORDER_NAMES[order]} order: Procrustes-aligned error "
            f"{errors[assumed.order]:.1f} mm {as_read}, "
            f"{errors[order]:.1f} mm read in that order. `--order {order}` {_mends(told)}."
        )
        points = to_fh21(as_written, order)
    flipped = points * OPENGL
    as_is, turned = _root_relative(target, points), _root_relative(target, flipped)
    if turned < CLEARLY_BETTER * as_is:
        told = assumed.axes != "opencv"
        frame = "OpenCV frame (y down, z forward)" if told else "OpenGL frame (y up, z backward)"
        said.append(
            f"Axes: this looks like the {frame}: root-aligned error {as_is:.1f} mm {_as_read(told, 'OpenGL axes')}, "
            f"{turned:.1f} mm with y and z negated. `--axes {'opencv' if told else 'opengl'}` {_mends(told)}."
        )
    said += _side(target, points)
    return said


def _unit_of_parts(target: NDArray, points: NDArray, unit: str) -> list[str]:
    """The unit, judged by the extent of the joints that are annotated in each sample."""
    there = np.isfinite(target).all(-1)
    enough = there.sum(1) >= 2
    if not enough.any():
        return []
    count = there[enough].sum(1)[:, None, None]

    def placed(p: NDArray) -> NDArray:
        # where nothing is annotated, the centre of what is: it adds nothing to an error, the same to both extents
        kept = np.where(there[enough][..., None], p[enough], 0.0)
        return np.where(there[enough][..., None], kept, kept.sum(1, keepdims=True) / count)

    a, b = placed(target), placed(points)
    seen = _extent(b) > 0
    factor = _unit(a[seen], b[seen]) if seen.any() else 1.0
    return [] if factor == 1.0 else [_say_unit(a[seen], b[seen], factor, unit)]


def _as_read(told: bool, what: str) -> str:
    return f"read as {what}" if told else "as it is"


def _mends(told: bool) -> str:
    return "reads it so" if told else "converts"


def _unit(target: NDArray, points: NDArray) -> float:
    """What to multiply by, if the hands are 10, 100 or 1000 times too large or small; 1 otherwise."""
    ratio = float(np.median(_extent(points) / _extent(target)))
    for size in UNITS:
        for factor in (1.0 / size, float(size)):
            if size > 1 and 1 / 1.6 < ratio * factor < 1.6:
                return factor
    return 1.0


def _say_unit(target: NDArray, points: NDArray, factor: float, unit: str) -> str:
    as_is, converted = (float(mpjpe(target, p).mean()) * 1000 for p in (points, points * factor))
    size = round(max(factor, 1 / factor))
    which = f"{size} times too {'large' if factor < 1 else 'small'}"
    told = unit != "m"
    # how many of the right unit a metre has
    per_metre = next(n for n, name in UNITS.items() if name == unit) / factor
    right = UNITS.get(round(per_metre)) if per_metre > 0.5 else None
    how = f"`--unit {right}` {_mends(told)}." if right else "Write them in metres."
    return (
        f"Unit: the predicted hands are about {which}: error {as_is:.1f} mm "
        f"{f'read as {unit}' if told else 'as they are'}, {converted:.1f} mm "
        f"{'divided' if factor < 1 else 'multiplied'} by {size}. {how}"
    )


def _order(target: NDArray, as_written: NDArray, assumed: str) -> tuple[str, dict[str, float]]:
    """The order that fits best if it fits clearly better than the assumed one, and the aligned error (mm) in each.

    Reflections are allowed: a mirrored hand in the right order must not look like another order.
    """
    errors = {}
    for order in ORDERS:
        aligned, _ = align.procrustes_official(target, to_fh21(as_written, order))
        errors[order] = float(mpjpe(target, aligned).mean()) * 1000
    best = min(errors, key=lambda name: errors[name])
    enough = BETTER if detect_order(as_written)[0] == best else CLEARLY_BETTER
    return (best if errors[best] < enough * errors[assumed] else assumed), errors


def _side(target: NDArray, points: NDArray) -> list[str]:
    _, reflected = align.procrustes_official(target, points)
    share = float(reflected.mean())
    if share < MANY_REFLECTED:
        return []
    target, points = target[reflected], points[reflected]
    as_is, mirrored = (
        float(mpjpe(target, align.procrustes(target, side)).mean()) * 1000 for side in (points, points * MIRROR)
    )
    if share < MOST_REFLECTED and mirrored > CLEARLY_BETTER * as_is:
        return []
    return [
        f"Side: {share:.0%} of the samples fit better as the other hand: their Procrustes-aligned error is "
        f"{as_is:.1f} mm as they are, {mirrored:.1f} mm mirrored. The official alignment mirrors them and hides it. "
        f"Is it the other hand that was predicted?"
    ]


def _root_relative(target: NDArray, points: NDArray) -> float:
    return float(mpjpe(target - target[:, :1], points - points[:, :1]).mean()) * 1000


def _extent(points: NDArray) -> NDArray:
    return np.linalg.norm(points - points.mean(1, keepdims=True), axis=-1).mean(1)
