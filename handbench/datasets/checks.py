"""Whether a truth is what its layout says: units, axes, joint order, projection. One that is not stops preparation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handbench.errors import InvalidError
from handbench.hands.camera import project
from handbench.hands.joints import MIDDLE_MCP, WRIST, detect_order
from handbench.hands.palm import wrist_from_palm
from handbench.hands.record import Hands

# wrist to middle MCP of people from small children to large adults, m; the median of a dataset lies well within
PALM_LENGTH = (0.055, 0.135)
# of the hands of a set, so many may be wrong or out of sight: it is their share that tells axes and cameras
ODD_ONES = 0.05
# finger tips from their middle, m: closed hands of children to open ones of adults
TIP_SPREAD = (0.008, 0.12)
TIPS = [4, 8, 12, 16, 20]
# what `meta["joint_0"]` says where joint 0 is not the wrist
PALM_CENTRE = "palm centre"


@dataclass(frozen=True)
class Finding:
    """One thing looked at: `fine` or not, what was seen, and what is wrong in one sentence."""

    what: str
    fine: bool
    seen: str
    wrong: str = ""


def check_truth(hands: Hands) -> list[Finding]:
    """What the annotations of a block say about units, axes, order and camera; in the frame of `Hands`."""
    if hands.joints is None or not len(hands):
        return []
    joints = np.asarray(hands.joints, np.float64)
    if hands.meta.get("joint_0") == PALM_CENTRE:
        joints = wrist_from_palm(joints, "ge")
    annotated = joints[np.isfinite(joints).all((1, 2))]
    if not len(annotated):
        return _check_some(joints, hands)
    findings = []

    # first of all: what follows names joints
    order, scores = detect_order(annotated)
    # a single strange pose is no evidence; the set as a whole is
    fine = order == "fh21" or scores[order] > 0.97 * scores["fh21"]
    findings.append(
        Finding(
            "order",
            fine,
            f"joints look like {order.upper()} order" if not fine else "joints are in FH21 order",
            "" if fine else f"the joints are in {order.upper()} order, not FH21",
        )
    )

    palm = float(np.median(np.linalg.norm(annotated[:, MIDDLE_MCP] - annotated[:, WRIST], axis=-1)))
    fine = PALM_LENGTH[0] <= palm <= PALM_LENGTH[1]
    findings.append(
        Finding(
            "units",
            fine,
            f"median wrist to middle MCP {palm * 1000:.1f} mm",
            "" if fine else f"hands are {palm:.4g} m from wrist to middle MCP: {_likely_unit(palm)}",
        )
    )

    return [*findings, *_check_place(joints, hands)]


def _check_some(joints: NDArray, hands: Hands) -> list[Finding]:
    """Where no hand has all its joints: the five tips of a hand are some centimetres apart; axes and camera."""
    findings = []
    tips = joints[:, TIPS]
    tips = tips[np.isfinite(tips).all((1, 2))]
    if len(tips):
        spread = float(np.median(np.linalg.norm(tips - tips.mean(1, keepdims=True), axis=-1).mean(1)))
        fine = TIP_SPREAD[0] <= spread <= TIP_SPREAD[1]
        wrong = "" if fine else f"finger tips are {spread:.4g} m from their middle: no hands in metres"
        findings.append(Finding("units", fine, f"tips {spread * 1000:.1f} mm from their middle", wrong))
    return [*findings, *_check_place(joints, hands)]


def _check_place(joints: NDArray, hands: Hands) -> list[Finding]:
    """Whether hands (N, 21, 3), some joints perhaps NaN, stand before the camera and in the image."""
    known = np.isfinite(joints).all(-1)
    if not known.any():
        return []
    findings = []
    depth = float(np.median(joints[known][:, 2]))
    behind = int((known & (joints[..., 2] <= 0)).any(1).sum())
    seen = int(known.any(1).sum())
    fine = behind <= ODD_ONES * seen
    findings.append(
        Finding(
            "axes",
            fine,
            f"median depth {depth:.3f} m, {behind} of {seen} hands behind the camera",
            "" if fine else f"{behind} of {seen} hands lie behind the camera: OpenGL axes (y up, z backward)?",
        )
    )

    if hands.camera is not None and hands.image_size is not None and fine:
        pixels = project(joints, np.asarray(hands.camera))
        size = np.asarray(hands.image_size, np.float64)[:, None]
        near = np.all((pixels > -0.25 * size) & (pixels < 1.25 * size), axis=-1) & (joints[..., 2] > 0)
        share = float(near.sum() / known.sum())
        # hands outside of the image are annotated, too: those that are in it must be so with most of their joints
        there = near.any(1)
        inside = near[there].sum() / known[there].sum() if there.any() else 0.0
        fine = bool(there.sum() > ODD_ONES * seen and inside > 0.5)
        findings.append(
            Finding(
                "camera",
                fine,
                f"{share:.1%} of the joints project into or near the image",
                "" if fine else f"only {share:.1%} of the joints project near the image: the intrinsics do not fit",
            )
        )
    return findings


def _likely_unit(palm: float) -> str:
    for unit, factor in (("millimetres", 1e3), ("centimetres", 1e2), ("decimetres", 10.0)):
        if PALM_LENGTH[0] <= palm / factor <= PALM_LENGTH[1]:
            return f"{unit}?"
        if PALM_LENGTH[0] <= palm * factor <= PALM_LENGTH[1]:
            return f"{factor:g} times too small"
    return "no unit in use makes them hands"


def refuse_contradiction(hands: Hands, where: str) -> None:
    """Raises InvalidError for the first finding that contradicts the layout; `where` names the source."""
    for finding in check_truth(hands):
        if not finding.fine:
            raise InvalidError(
                f"The truth in {where} contradicts its layout: {finding.wrong}.",
                "Official files are read as they are: was this one converted?",
            )
