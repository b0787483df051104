"""Hand templates, one for each gesture: of the synthetic hand, or the most typical hands of a training set.

`recipes/templates/gestures.json` is this module's output: `python -m handbench.preparation.templates > FILE`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from handbench.console import progress
from handbench.errors import InvalidError
from handbench.hands.gestures import GESTURES, gestures, to_palm_frame, view_of
from handbench.hands.joints import MIDDLE_MCP, WRIST
from handbench.preparation.labels import labels_file, read_labels
from handbench.store.hands_file import HandsFile
from handbench.synth.hand import synthetic_hand
from handbench.synth.poses import gesture

SYNTHETIC = "synthetic hand"
# The pose of the synthetic hand for a class that has none of its own name.
POSE = {"stop_inverted": "stop", "two_up_inverted": "two_up", "peace_inverted": "peace", "no_gesture": "relax"}
# Of a larger class, so many samples, evenly spaced, stand for all: the medoid takes their distances to one another.
LARGEST = 4000
BLOCK = 4096


def synthetic_templates() -> NDArray:
    """Templates (19, 21, 3) m of the synthetic right hand's named gestures, as `store.templates.Templates` has them."""
    hand = synthetic_hand("right")
    poses = np.stack([gesture(POSE.get(name, name)) for name in GESTURES])
    vertices, joints16 = hand.forward(poses, np.zeros((len(poses), 10)))
    joints = hand.joints21(vertices, joints16, "freihand")
    return _in_view(to_palm_frame(joints, "right") * _bone(joints)[:, None, None])


def set_templates(file: HandsFile) -> tuple[NDArray, list[str]]:
    """Templates (19, 21, 3) m of a prepared training set, and where each is from: the medoid of its class in the palm's
    frame, times the mean distance of wrist and middle MCP. Classes are those of the labels beside the file, or by rule.

    A class of which the set has no whole hand takes the synthetic hand's. Raises InvalidError for a test set, and where
    no hand is whole.
    """
    if file.meta.get("split") == "test":
        raise InvalidError(f"{file.path} is a test split.", "Make templates of a training split.")
    for name in ("joints", "side"):
        if name not in file.fields:
            raise InvalidError(f"{file.path} has no {name}: no template can be made of it.", "Give a training split.")
    path = labels_file(file.path)
    labels = read_labels(path, file)["gesture"] if path.exists() else None
    shapes, classes, rows, bones = _whole_hands(file, labels)
    if not len(rows):
        raise InvalidError(f"{file.path} has no hand with all its joints.", "Give another training split.")
    joints = synthetic_templates()
    made_from = [SYNTHETIC] * len(GESTURES)
    for i, name in enumerate(GESTURES):
        of_class = np.flatnonzero(classes == i)
        if len(of_class):
            best = of_class[medoid(shapes[of_class])]
            joints[i] = (shapes[best].reshape(21, 3) * bones.mean()) @ view_of(name).T
            made_from[i] = f"{file.ids[rows[best]]}, medoid of {min(len(of_class), LARGEST):,}"
    return joints, made_from


def medoid(points: NDArray) -> int:
    """Which of the points (N, D) has the smallest sum of Euclidean distances to the others; the first of equals."""
    kept = np.unique(np.linspace(0, len(points) - 1, min(len(points), LARGEST)).astype(int))
    few = points[kept].astype(np.float64)
    sums = [cdist(few[start : start + 256], few).sum(1) for start in range(0, len(few), 256)]
    return int(kept[np.concatenate(sums).argmin()])


def _whole_hands(file: HandsFile, labels: NDArray | None) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Of the hands with all joints: shape in the palm's frame (M, 63), class (M,), row in the file (M,), and the length
    (M,) m that was 1 there.
    """
    found = []
    with progress(f"templates {file.path.stem}", len(file), "hands") as advance:
        for start in range(0, len(file), BLOCK):
            hands = file.read(start, start + BLOCK)
            joints = np.asarray(hands.joints, np.float64)
            if hands.joints_valid is not None:
                joints = np.where(hands.joints_valid[..., None], joints, np.nan)
            side = np.asarray(hands.side)
            classes = gestures(joints, side) if labels is None else labels[start : start + len(hands)]
            shapes = to_palm_frame(joints, side).reshape(-1, 63)
            whole = np.flatnonzero(np.isfinite(shapes).all(1))
            found.append((shapes[whole].astype(np.float32), classes[whole], start + whole, _bone(joints)[whole]))
            advance(len(hands))
    shapes, classes, rows, bones = (np.concatenate(column) for column in zip(*found, strict=True))
    return shapes, classes, rows, bones


def _bone(joints: NDArray) -> NDArray:
    """The distance (N,) of wrist and middle MCP."""
    return np.linalg.norm(joints[:, MIDDLE_MCP] - joints[:, WRIST], axis=-1)


def _in_view(joints: NDArray) -> NDArray:
    """Hands (19, 21, 3) in the palm's frame, each turned into its gesture's view."""
    return np.stack([one @ view_of(name).T for one, name in zip(joints, GESTURES, strict=True)])


if __name__ == "__main__":
    from handbench.store.records import dump_json
    from handbench.store.templates import as_record

    print(dump_json(as_record(synthetic_templates(), [SYNTHETIC] * len(GESTURES))).decode(), end="")
