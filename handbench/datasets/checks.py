"""Whether a truth is what its layout says: units, axes, joint order, projection. One that is not stops preparation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from handbench.errors import InvalidError
from handbench.hands.camera import project
from handbench.hands.joints import MIDDLE_MCP, WRIST, detect_order
from handbench.hands.record import Hands

# wrist to middle MCP of people from small children to large adults, m; the median of a dataset lies well within
PALM_LENGTH = (0.055, 0.135)
# a hand in front of a colour camera, m
DEPTH = (0.05, 10.0)


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
    annotated = joints[np.isfinite(joints).all((1, 2))]
    if not len(annotated):
        return []
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

    depth = float(np.median(annotated[..., 2]))
    behind = int((annotated[..., 2] <= 0).any(1).sum())
    fine = behind == 0
    findings.append(
        Finding(
            "axes",
            fine,
            f"median depth {depth:.3f} m, {behind} of {len(annotated)} hands behind the camera",
            ""
            if fine
            else f"{behind} of {len(annotated)} hands lie behind the camera: OpenGL axes (y up, z backward)?",
        )
    )

    if hands.camera is not None and hands.image_size is not None and behind == 0:
        pixels = project(joints, np.asarray(hands.camera))
        size = np.asarray(hands.image_size, np.float64)[:, None]
        near = np.all((pixels > -0.25 * size) & (pixels < 1.25 * size), axis=-1)
        share = float(near.sum() / np.isfinite(joints).all(-1).sum())
        fine = share > 0.5
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
