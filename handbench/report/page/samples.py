"""The worst, median and best samples of a row: each over its image, and as a hand to turn."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from handbench import places
from handbench.evaluation.measuring import aligned_joints
from handbench.evaluation.protocol import Protocol
from handbench.evaluation.result import Result
from handbench.hands.mano import load_hand_model
from handbench.hands.record import Hands
from handbench.layouts.images import decode
from handbench.metrics.align import procrustes, procrustes_official
from handbench.report.contact_sheet import Tile, draw_tile
from handbench.report.overlays import pixels
from handbench.store.hands_file import HandsFile
from handbench.synth.hand import synthetic_hand

# side of a picture, pixels; the hand fills about 1 / AROUND of it
SIDE, AROUND = 288, 1.7
QUALITY = 85
# alignments under which a mesh is moved as in its own errors
MESHES = ("root", "procrustes", "procrustes-official")

Mesh = dict[str, Any]


class Sample(NamedTuple):
    """`rank` is worst, median or best; `picture` a data URI, empty where the truth holds no image; `hand` what page.js
    draws: joints and vertices of truth and prediction in tenths of a millimetre, and the topology's name.
    """

    rank: str
    id: str
    error: float
    picture: str
    hand: Mesh


def samples_of(
    result: Result, protocol: Protocol, alignment: str, truth: HandsFile, predictions: HandsFile, count: int
) -> tuple[Sample, ...]:
    """`count` of each rank, worst first, by the mean joint error under `alignment`; no sample twice. The predictions
    are those that were scored.
    """
    errors = result.samples[f"mpjpe/{alignment}"]
    in_truth, in_predictions = _index(truth), _index(predictions)
    found = []
    for rank, chosen in ranked(errors, result.clusters, count).items():
        for i in chosen:
            name = str(result.ids[i])
            true = truth.read(in_truth[name], in_truth[name] + 1)
            predicted = predictions.read(in_predictions[name], in_predictions[name] + 1)
            picture = _picture(truth.image(in_truth[name]), true, predicted) if truth.has_images else ""
            found.append(Sample(rank, name, float(errors[i]), picture, _hand(true, predicted, protocol, alignment)))
    return tuple(found)


def ranked(errors: NDArray, captures: NDArray | None, count: int) -> dict[str, list[int]]:
    """Errors (N,), NaN where there is none -> `count` samples of each rank, fewer where there are not enough.

    Of what was recorded together one sample a rank, as far as the foremost tenth has others: neighbouring frames look
    alike.
    """
    order = np.argsort(errors, kind="stable")[: int(np.isfinite(errors).sum())].tolist()
    each = min(count, max(1, len(order) // 3))
    worst = _unlike(order[::-1], captures, each)
    best = _unlike([i for i in order if i not in worst], captures, each)
    middle = errors[order[(len(order) - 1) // 2]] if order else 0.0
    between = [i for i in order if i not in worst and i not in best]
    median = _unlike(sorted(between, key=lambda i: abs(errors[i] - middle)), captures, each)
    return {"worst": worst, "median": sorted(median, key=lambda i: -errors[i]), "best": best}


def _unlike(order: list[int], captures: NDArray | None, count: int) -> list[int]:
    """`count` of the foremost tenth, one a capture as far as that goes, in order."""
    if captures is None:
        return order[:count]
    first: dict[str, int] = {}
    for i in order[: max(count, len(order) // 10)]:
        first.setdefault(str(captures[i]), i)
    alone = list(first.values())[:count]
    chosen = {*alone, *[i for i in order if i not in alone][: count - len(alone)]}
    return [i for i in order if i in chosen]


def faces_of(truth: HandsFile) -> dict[str, list[list[int]]]:
    """The faces of the truth's meshes, under the name that its samples have; nothing where they are not known: of
    MANO's mesh only its file tells them.
    """
    if "vertices" not in truth.fields:
        return {}
    source = _topology(truth.meta)
    if source == "synthetic":
        return {source: synthetic_hand("right").f.tolist()}
    path = places.hand_model_file("right")
    return {source: load_hand_model(path).f.tolist()} if path.exists() else {}


def _topology(meta: Mapping[str, Any]) -> str:
    """`synthetic` or `mano`: whose mesh the vertices are of."""
    digests = str(meta.get("hand_model") or "")
    made_by_us = any(synthetic_hand(side).digest() in digests for side in ("right", "left"))
    return "synthetic" if made_by_us else "mano"


def _index(file: HandsFile) -> dict[str, int]:
    return {str(name): i for i, name in enumerate(file.ids)}


def _picture(image: bytes, true: Hands, predicted: Hands) -> str:
    """A square around the true hand, the prediction in colour over the truth in white, as a JPEG."""
    pixel, own = pixels(true.joints, true, 0), pixels(predicted.joints, true, 0)
    decoded = decode(image, str(true.id[0]))
    left, top, side = _square(pixel, decoded.shape)
    canvas = np.zeros((side, side, 3), np.uint8)
    part = decoded[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)]
    y, x = max(-top, 0), max(-left, 0)
    canvas[y : y + part.shape[0], x : x + part.shape[1]] = part
    moved = [None if points is None else points - (left, top) for points in (own, pixel)]
    drawn = draw_tile(Tile(canvas, "", joints=moved[0], truth=moved[1]), SIDE)
    good, encoded = cv2.imencode(".jpg", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert good
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode()}"


def _square(points: NDArray | None, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Left, top and side of what is shown: around the joints, or the whole image where none can be placed."""
    whole = (0, 0, max(shape[:2]))
    if points is None or not np.isfinite(points).all(1).any():
        return whole
    there = points[np.isfinite(points).all(1)]
    low, high = there.min(0), there.max(0)
    side = int(np.ceil(AROUND * max(high - low)))
    left, top = np.floor((low + high) / 2 - side / 2).astype(int).tolist()
    # a single joint, or one far outside of the image, leaves nothing to look at
    inside = left < shape[1] and top < shape[0] and left + side > 0 and top + side > 0
    return (left, top, side) if inside and 16 <= side <= 4 * whole[2] else whole


def _hand(true: Hands, predicted: Hands, protocol: Protocol, alignment: str) -> Mesh:
    """Relative to the first joint that counts, as aligned for the error; meshes where they are aligned so, too."""
    target, moved, counted = aligned_joints(protocol, true, predicted, alignment)
    at = int(np.argmax(counted[0]))
    origin = target[0, at]
    found: Mesh = {
        "truth": _tenths(np.where(counted[0][:, None], target[0], np.nan) - origin),
        "prediction": _tenths(np.where(counted[0][:, None], moved[0], np.nan) - origin),
    }
    if true.vertices is None or alignment not in MESHES or not np.isfinite(true.vertices).all():
        return found
    mesh = 1000 * np.asarray(true.vertices, np.float64)
    # alignment to a root moves the truth, too
    place = 1000 * np.asarray(true.joints, np.float64)[0, at]
    found |= {"mesh": _topology(true.meta), "truth_mesh": _tenths(mesh[0] - place)}
    own = predicted.vertices
    if own is not None and own.shape == mesh.shape and np.isfinite(own).all():
        own = 1000 * np.asarray(own, np.float64)
        if alignment == "root":
            root = protocol.root_index
            own = own + 1000 * (np.asarray(true.joints) - np.asarray(predicted.joints, np.float64))[:, [root]]
        else:
            own = procrustes_official(mesh, own)[0] if alignment.endswith("official") else procrustes(mesh, own)
        found["prediction_mesh"] = _tenths(own[0] - place)
    return found


def _tenths(points: NDArray) -> list[list[int | None]]:
    """Millimetres -> whole tenths; null where there is no point."""
    return [[None if not np.isfinite(v) else round(float(v) * 10) for v in point] for point in points]
