"""What DexYCB's folders say of takes that are written: names, meta.yml, calibration; and the eight cameras' places."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from handbench.errors import UsageError
from handbench.layouts.dexycb_tree import IMAGE_SIZE, SEQUENCES, SERIALS, SUBJECTS
from handbench.synth.layout import Size, put, require_sizes
from handbench.synth.take import View

EXTRINSICS, MASTER = "20200702_151821", "840412060917"
ALL = len(SUBJECTS) * SEQUENCES
NAMES = "sequence-names.txt"
# cameras stand this far from where the hands are, m
AWAY = 0.9
# which sequence of a subject is written k-th: no factor of 100, so that each comes once, and soon all of the splits
STEP, SHIFT, BEGIN = 37, 11, 4


class Place(NamedTuple):
    """A sequence: indices of its subject, and of itself among the subject's; how many frames it has."""

    subject: int
    position: int
    frames: int

    @property
    def name(self) -> str:
        """`SUBJECT/SEQUENCE`"""
        return f"{SUBJECTS[self.subject]}/{_name(self.subject, self.position)}"

    @property
    def side(self) -> str:
        return "left" if self.position % 2 else "right"

    @property
    def calibration(self) -> str:
        return f"{SUBJECTS[self.subject]}_{self.side}"

    @property
    def objects(self) -> list[int]:
        """YCB ids of what lies there, sorted."""
        return sorted({self.grasped, (self.grasped + 6) % 20 + 1, (self.grasped + 12) % 20 + 1})

    @property
    def grasped(self) -> int:
        """The YCB id; five sequences in a row grasp one object."""
        return self.position // 5 + 1


def places(size: Size) -> list[Place]:
    """The sequences that are written, in the order of the tree: of 1,000, evenly over subjects and positions, each of
    one to `size.frames` frames."""
    require_sizes(size, "sequences", "frames")
    if size.sequences > ALL:
        raise UsageError(f"DexYCB has {ALL:,} sequences.", "Give more frames instead.")
    found = []
    for k in range(size.sequences):
        turn, subject = divmod(k, len(SUBJECTS))
        position = (STEP * turn + SHIFT * subject + BEGIN) % SEQUENCES
        found.append(Place(subject, position, 1 + position % size.frames))
    return sorted(found)


def write_tree(out: Path, size: Size) -> None:
    """Each written sequence's meta.yml; calibration of all; the names of all 1,000 where not all are written."""
    for place in places(size):
        meta = {
            "serials": list(SERIALS),
            "num_frames": place.frames,
            "ycb_ids": place.objects,
            "ycb_grasp_ind": place.objects.index(place.grasped),
            "mano_sides": [place.side],
            "mano_calib": [place.calibration],
            "extrinsics": EXTRINSICS,
        }
        _put_yaml(out / place.name / "meta.yml", meta)
    if size.sequences < ALL:
        lines = [f"{subject}/{_name(k, i)}\n" for k, subject in enumerate(SUBJECTS) for i in range(SEQUENCES)]
        put(out / NAMES, "".join(lines).encode())
    calibration = out / "calibration"
    poses = {}
    for serial, view in zip(SERIALS, views(), strict=True):
        (fx, _, cx), (_, fy, cy), _ = view.camera.tolist()
        own = {"fx": fx, "fy": fy, "ppx": cx, "ppy": cy}
        path = calibration / "intrinsics" / f"{serial}_{IMAGE_SIZE[0]}x{IMAGE_SIZE[1]}.yml"
        _put_yaml(path, {"color": own, "depth": own})
        turn = view.rotation.T
        poses[serial] = np.column_stack([turn, -turn @ view.shift]).ravel().tolist()
    poses["apriltag"] = np.eye(3, 4).ravel().tolist()
    _put_yaml(calibration / f"extrinsics_{EXTRINSICS}" / "extrinsics.yml", {"extrinsics": poses, "master": MASTER})
    for subject in SUBJECTS:
        for side in ("right", "left"):
            name = f"{subject}_{side}"
            _put_yaml(calibration / f"mano_{name}" / "mano.yml", {"betas": shape_of(name).tolist()})


@lru_cache(maxsize=1)
def views() -> tuple[View, ...]:
    """The eight cameras, around the world's origin and looking at it."""
    found = []
    for k in range(len(SERIALS)):
        turn = Rotation.from_euler("YX", [k * 2 * np.pi / len(SERIALS), -0.3 if k % 2 else -0.8]).as_matrix()
        camera = np.array([[612.0 + k, 0.0, 316.0 - k], [0.0, 611.5 + k, 239.0 + k], [0.0, 0.0, 1.0]])
        # the camera's place in the world is -AWAY times its third axis
        found.append(View(camera, IMAGE_SIZE, turn.T, np.array([0.0, 0.0, AWAY])))
    return tuple(found)


def shape_of(calibration: str) -> NDArray:
    """The betas (10,) of a subject's hand."""
    return np.random.default_rng(list(calibration.encode())).normal(0.0, 0.7, 10).round(4)


def _name(subject: int, position: int) -> str:
    return f"{SUBJECTS[subject][:8]}_{13 + position // 60:02d}{position % 60:02d}00"


def _put_yaml(path: Path, content: Mapping[str, object]) -> None:
    put(path, yaml.safe_dump(dict(content), default_flow_style=None).encode())
