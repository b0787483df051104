"""The truth of a protocol, from a prepared file or from the official evaluation files as they were published."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handbench.console import say, warn
from handbench.datasets.checks import check_truth
from handbench.errors import InvalidError, MissingError, UsageError
from handbench.evaluation.protocol import Protocol, load
from handbench.evaluation.sources import Source, opened
from handbench.hands.joints import detect_order, to_fh21
from handbench.hands.record import Hands
from handbench.layouts.dexycb_calibration import INTRINSICS, read_intrinsics
from handbench.layouts.dexycb_labels import annotated, read_joints
from handbench.layouts.dexycb_tree import ANNOTATED, FPS, IMAGE_SIZE, TITLE, URL, split_frames
from handbench.layouts.folder import Folder
from handbench.layouts.ho3d_labels import OPENCV_FROM_OPENGL
from handbench.layouts.ho3d_tree import VERTS, XYZ, Frames, parse_frames, take_of
from handbench.layouts.mark import source_of
from handbench.store.hands_file import HandsFile
from handbench.store.json_arrays import read_array

FRAMES = "evaluation.txt"
TITLES = {"freihand": "FreiHAND", "ho3d-v2": "HO-3D v2", "ho3d-v3": "HO-3D v3"}
INDEPENDENT = f"No {FRAMES} beside the truth: captures are not known, and intervals take frames as independent."
# a set is in another joint order where that fits so much better (datasets/checks.py)
CLEARLY = 0.97


@contextmanager
def open_truth(truth: Source | Hands | Path | str, protocol: Protocol) -> Iterator[Source]:
    """The truth to score against: a prepared file, a folder with the official evaluation files, or hands in memory.

    Raises MissingError naming the command that makes it, and as `read_truth`.
    """
    if isinstance(truth, Path | str) and Path(truth).is_dir():
        truth = read_truth(truth, protocol)
    with opened(truth, "true hands", f"`handbench prep {protocol.dataset or 'NAME'}` makes them.") as source:
        yield source


def read_truth(path: Path | str, protocol: Protocol | str = "freihand") -> Hands:
    """Hands with joints (N, 21, 3) and, where given, vertices (N, 778, 3), m, OpenCV, FH21.

    `path`: a prepared Hands file; or, by the protocol, a folder as its official script takes it:

    freihand   `evaluation_xyz.json` and, optionally, `evaluation_verts.json`, there or in its `ref/` (eval.py's INPUT)
    ho3d-*     the same names, OpenGL axes and HO-3D's order; with `evaluation.txt` also sequences and frame numbers
    dexycb-*   the root of the dataset: `joint_3d` of the labels of the split's frames, without those that are all -1

    Fewer entries than the official list make it partial.
    Raises MissingError, InvalidError for a file that is damaged, of another shape or of other conventions than the
    layout's, and UsageError where the protocol has no official folder.
    """
    path = Path(path)
    protocol = load(protocol) if isinstance(protocol, str) else protocol
    if not path.exists():
        raise MissingError(f"There is no truth at {path}.", f"`handbench prep {protocol.dataset or 'NAME'}` makes it.")
    if path.is_file():
        with HandsFile(path) as file:
            return file.read()
    if protocol.official == "freihand":
        return _freihand(path, protocol)
    if protocol.official == "ho3d":
        return _ho3d(path, protocol)
    if protocol.dataset == "dexycb":
        return _dexycb(path, protocol)
    raise UsageError(
        f"The truth of {protocol.name} is read from a prepared file, not from the folder {path}.",
        f"`handbench prep {protocol.dataset or 'NAME'}` makes it.",
    )


def _freihand(folder: Path, protocol: Protocol) -> Hands:
    # eval.py INPUT OUTPUT has the truth in INPUT/ref and the predictions in INPUT/res
    if not (folder / XYZ).exists() and (folder / "ref" / XYZ).exists():
        folder = folder / "ref"
    joints, vertices, ids = _lists(folder, protocol)
    hands = Hands(
        id=ids,
        side=np.full(len(ids), "right"),
        joints=joints,
        vertices=vertices,
        meta=_meta(folder, protocol, len(ids)) | {"fingertips": "freihand"},
    )
    _say_what_is_odd(folder / XYZ, hands)
    return hands


def _ho3d(folder: Path, protocol: Protocol) -> Hands:
    """ho3d: eval.py; README.md (OpenGL axes)."""
    joints, vertices, ids = _lists(folder, protocol)
    n = len(ids)
    in_time: dict[str, NDArray] = {}
    meta = _meta(folder, protocol, n) | {"fingertips": "ho3d"}
    if (folder / FRAMES).is_file():
        frames = _frames(folder / FRAMES, n)
        takes = np.array([take_of(name) for name in frames.names])
        in_time = {
            "capture": takes[frames.sequence],
            "track": np.array(frames.names)[frames.sequence],
            "frame": frames.number.astype(np.int64),
        }
    else:
        meta["note"] = INDEPENDENT
        say(INDEPENDENT)
    hands = Hands(
        id=ids,
        side=np.full(n, "right"),
        joints=to_fh21(joints, "ho3d") * OPENCV_FROM_OPENGL,
        vertices=None if vertices is None else vertices * OPENCV_FROM_OPENGL,
        **in_time,
        meta=meta,
    )
    _require_ho3d(folder / XYZ, joints)
    _say_what_is_odd(folder / XYZ, hands)
    return hands


def _dexycb(root: Path, protocol: Protocol) -> Hands:
    """dex-ycb-toolkit: hpe_eval.py. A label that is partly -1 is an annotation, as there: all its joints count.

    Both sides, whatever the protocol scores: it chooses among them.
    """
    split = protocol.split or ""
    folder = Folder(root, TITLE, URL)
    frames = split_frames(folder, split)
    joints = read_joints(frames)
    ids = np.flatnonzero(annotated(joints))
    n = len(ids)
    if not n:
        raise InvalidError(f"None of the {len(frames):,} frames of {split} in {root} has an annotation.")
    say(f"{n:,} of the {len(frames):,} frames of {split} have an annotation.")
    cameras = read_intrinsics(folder) if folder.has(INTRINSICS) else None
    count = ANNOTATED.get(split)
    return Hands(
        id=np.array([frames.name(i) for i in ids.tolist()]),
        capture=np.array([frames.capture(i) for i in ids.tolist()]),
        track=np.array([frames.track(i) for i in ids.tolist()]),
        frame=frames.frame[ids].astype(np.int64),
        fps=np.full(n, FPS),
        side=frames.side(ids),
        joints=joints[ids],
        joints_valid=np.ones((n, 21), bool),
        camera=None if cameras is None else cameras[frames.serial[ids]],
        image_size=None if cameras is None else np.tile(IMAGE_SIZE, (n, 1)),
        meta=_meta(root, protocol, n)
        | {
            "count": count,
            "partial": count is not None and n != count,
            "fingertips": "manopth",
            "frames": len(frames),
            "frames_without_annotation": len(frames) - n,
        },
    )


def _lists(folder: Path, protocol: Protocol) -> tuple[NDArray, NDArray | None, NDArray]:
    """Joints (N, 21, 3), vertices (N, 778, 3) or None, as they stand in the files, and their ids (N,)."""
    title, official = TITLES[protocol.dataset or ""], protocol.official_ids() or []
    if not (folder / XYZ).exists():
        raise MissingError(
            f"{folder} has no {XYZ}, which holds the truth of {protocol.name}.",
            f"It is among the published evaluation files of {title}; {VERTS} belongs beside it.",
        )
    joints = read_array(folder / XYZ, (21, 3))
    n = len(joints)
    if n != len(official):
        _require_own_count(folder / XYZ, n, protocol)
    vertices = None
    if (folder / VERTS).exists():
        vertices = read_array(folder / VERTS, (778, 3))
    else:
        say(f"{folder} has no {VERTS}: no figure of the mesh.")
    if vertices is not None and len(vertices) != n:
        raise InvalidError(
            f"{VERTS} has {len(vertices):,} entries and {XYZ} {n:,}: they do not belong together.",
            f"Both are in {folder}.",
        )
    return joints, vertices, np.array(official[:n])


def _require_own_count(path: Path, n: int, protocol: Protocol) -> None:
    """Raises InvalidError for more entries than the protocol's list has, and for just as many as another version's."""
    title, count = TITLES[protocol.dataset or ""], protocol.count or 0
    for name, other in TITLES.items():
        if protocol.official == "ho3d" and name != protocol.dataset and load(name).count == n:
            raise InvalidError(
                f"{path} has {n:,} entries: those of {other}; {title} has {count:,}.", f"Score it with {name}."
            )
    if n > count:
        raise InvalidError(f"{path} has {n:,} entries, {title} has {count:,}.", "Fetch it again.")


def _frames(path: Path, n: int) -> Frames:
    """HO-3D's list of frames, which must have n lines."""
    lines = path.read_text(encoding="utf-8", errors="replace").split()
    if len(lines) != n:
        raise InvalidError(
            f"{path} has {len(lines):,} lines and {XYZ} {n:,} entries: they do not belong together.",
            "Each line names the frame of one entry.",
        )
    return parse_frames(path, lines)


def _say_what_is_odd(path: Path, hands: Hands) -> None:
    """A truth that does not look like hands in metres, before the camera: said, and scored as it is."""
    for found in check_truth(hands):
        if not found.fine:
            warn(f"The truth in {path} is odd: {found.wrong.rstrip('.?')}.")


def _require_ho3d(path: Path, joints: NDArray) -> None:
    """Raises InvalidError where the joints of the file (N, 21, 3) are not of HO-3D's axes and order."""
    wrong = ""
    order, scores = detect_order(joints)
    if np.median(joints[..., 2]) > 0:
        wrong = "most joints have z > 0, and HO-3D's axes are OpenGL's, with the hand at z < 0"
    elif order != "ho3d" and scores[order] <= CLEARLY * scores["ho3d"]:
        wrong = f"the joints look like {order.upper()} order, not HO-3D's"
    if wrong:
        raise InvalidError(
            f"The truth in {path} contradicts its layout: {wrong}.",
            "Official files are read as they are: was this one converted?",
        )


def _meta(folder: Path, protocol: Protocol, n: int) -> dict[str, Any]:
    return {
        "dataset": protocol.dataset,
        "split": protocol.split,
        "count": protocol.count,
        "partial": n != protocol.count,
        "source": source_of(folder),
        "joint_source": "annotated",
    }
