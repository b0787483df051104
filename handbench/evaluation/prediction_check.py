"""Whether a file is what a benchmark's official script takes: layout, count, shapes, plausibility; in plain words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handbench.datasets.checks import PALM_LENGTH, Finding
from handbench.errors import HandbenchError, MissingError
from handbench.evaluation.importing import PER_METRE, WORDS, file_format, passed_over, read_predictions
from handbench.evaluation.protocol import Protocol
from handbench.hands.joints import MIDDLE_MCP, WRIST, detect_order, from_fh21, to_fh21
from handbench.hands.record import Hands

# nearer to the camera's centre than this no hand is photographed; around a root of their own all hands are
NEAREST, FARTHEST = 0.2, 10.0
FORMATS = {"freihand": "JSON", "ho3d": "JSON", "dexycb": "DexYCB text"}
MANO = 778
# enough to see what a file is like, evenly spread
MOST = 4000
# of the hands, how many may lie behind the camera before it is said
BEHIND = 0.01


def check_submission(path: Path, protocol: Protocol, truth_ids: NDArray | None = None) -> list[Finding]:
    """What is found in a submission to the official script of `protocol`. `truth_ids`: the frames that count, where
    the list has gaps. Raises MissingError where there is no file."""
    official = protocol.official or ""
    ids = truth_ids if protocol.gaps and truth_ids is not None else protocol
    try:
        kind = file_format(path) if path.is_file() else ""
        kind = "JSON" if kind == "archive" else kind
        if kind and kind != FORMATS[official]:
            wrong = f"{official}'s official script takes {FORMATS[official]}: `handbench submit {official}` writes it"
            wrong += "; it has no header line" if kind == "CSV" and official == "dexycb" else ""
            return [Finding("layout", False, kind, wrong)]
        hands = read_predictions(path, ids, written=protocol.written)
    except MissingError:
        raise
    except HandbenchError as error:
        return [Finding("layout", False, "cannot be read", f"{error.message} {error.hint}".strip())]
    findings = [Finding("layout", True, f"{kind}: [joints, vertices]" if kind == "JSON" else kind)]
    findings += [_count(hands, protocol, truth_ids), Finding("finite", True, "every number is finite")]
    if official != "dexycb":
        findings.append(_mesh(hands, official))
    return findings + plausible(np.asarray(hands.joints, np.float64), protocol)


def _count(hands: Hands, protocol: Protocol, truth_ids: NDArray | None) -> Finding:
    n = len(hands)
    if not protocol.gaps or truth_ids is not None:
        return Finding("count", True, f"{n:,} samples, all there are{passed_over(hands.meta)}")
    if protocol.count is None:
        return Finding("count", True, f"{n:,} samples; how many there are only the prepared test set knows (--truth)")
    # a line of a frame without a hand is passed over by the official script
    fine = n >= protocol.count
    wrong = "" if fine else f"{protocol.count - n:,} frames have no line: the official script stops at the first"
    return Finding("count", fine, f"{n:,} samples, {protocol.count:,} frames with a hand", wrong)


def _mesh(hands: Hands, official: str) -> Finding:
    if hands.vertices is None:
        return Finding("mesh", False, "no vertices", f"{official}'s official script scores a mesh of every sample")
    count = hands.vertices.shape[1]
    seen = f"{count:,} vertices a sample"
    if count == MANO:
        return Finding("mesh", True, seen)
    return Finding("mesh", True, f"{seen}, not MANO's {MANO}: only F-scores of it are defined")


def plausible(joints: NDArray, protocol: Protocol) -> list[Finding]:
    """Joints (N, 21, 3) as `read_predictions` gave them, m, OpenCV, FH21: do unit, order, axes and place make sense?"""
    found: list[Finding] = []
    point = np.ptp(joints, axis=1).max(1) == 0
    if flat := int(point.sum()):
        wrong = f"{flat:,} of {len(joints):,} hands {'has' if flat == 1 else 'have'} all joints at one point"
        found.append(Finding("hands", False, f"{len(joints) - flat:,} hands have an extent", wrong))
        joints = joints[~point]
    if not len(joints):
        return found
    joints = joints[np.unique(np.linspace(0, len(joints) - 1, min(len(joints), MOST)).astype(int))]
    expected = protocol.written.order
    as_written = from_fh21(joints, expected)
    best, scores = detect_order(as_written)
    if best == expected or scores[best] > 0.97 * scores[expected]:
        order = Finding("order", True, f"joints are in {WORDS[expected]}")
    else:
        wrong = f"the joints must be in {WORDS[expected]}, and look like {WORDS[best]}"
        order = Finding("order", False, f"joints look like {WORDS[best]}", wrong)
        # what follows names joints
        joints = to_fh21(as_written, best)
    unit, larger, supposed = _unit(joints, protocol)
    return [*found, order, unit, *_place(joints * larger, protocol, supposed)]


def _unit(joints: NDArray, protocol: Protocol) -> tuple[Finding, float, str]:
    """What the unit looks like; what makes metres of the joints if it is that; and, where it is another, that in words.

    Where it is none in use, hands of a usual size are taken for metres, so that the place can be judged.
    """
    palm = float(np.median(np.linalg.norm(joints[:, MIDDLE_MCP] - joints[:, WRIST], axis=-1)))
    written = protocol.written.unit
    seen = f"median wrist to middle MCP {palm * 1000:.4g} mm, read as {WORDS[written]}"
    if PALM_LENGTH[0] <= palm <= PALM_LENGTH[1]:
        return Finding("unit", True, seen), 1.0, ""
    for word, per_metre in PER_METRE.items():
        larger = PER_METRE[written] / per_metre
        if PALM_LENGTH[0] <= palm * larger <= PALM_LENGTH[1]:
            wrong = f"they must be {WORDS[written]}, and look like {WORDS[word]}"
            return Finding("unit", False, seen, wrong), larger, f" if they are {WORDS[word]}"
    usual = sum(PALM_LENGTH) / 2
    supposed = f" if a palm is {usual * 1000:.0f} mm"
    return Finding("unit", False, seen, "no unit in use makes them hands"), usual / palm if palm else 1.0, supposed


def _place(joints: NDArray, protocol: Protocol, supposed: str) -> list[Finding]:
    """The sign of z, and whether positions are absolute: the official errors without alignment need both."""
    depth = joints.mean(1)[:, 2]
    behind, median = float((depth <= 0).mean()), float(np.median(depth))
    opengl = protocol.written.axes == "opengl"
    sign = "z < 0" if opengl else "z > 0"
    seen = f"median depth {median:.3f} m{supposed}; {1 - behind:.1%} of the hands have {sign}, "
    seen += f"as {WORDS[protocol.written.axes]}"
    away = float(np.median(np.linalg.norm(joints.mean(1), axis=-1)))
    if away < NEAREST:
        wrong = "the hands lie around the camera's centre: positions must be absolute, not relative to a root"
        return [Finding("place", False, seen, wrong)]
    if behind > BEHIND:
        right, other = WORDS[protocol.written.axes], WORDS["opencv" if opengl else "opengl"]
        wrong = f"{behind:.1%} of the hands lie behind the camera, as with {other} instead of {right}"
        wrong += "; HO-3D's own pred.py stops where all z > 0" if opengl else ""
        return [Finding("axes", False, seen, wrong)]
    if away > FARTHEST:
        return [Finding("place", False, seen, f"the hands are {away:.1f} m away")]
    return [Finding("axes", True, seen)]
