"""DexYCB's folders (Chao et al., CVPR 2021): which frames a split has, in which order; their labels: dexycb_labels.py.

    ROOT/SUBJECT/SEQUENCE/meta.yml                      10 subjects of 100 sequences
                          SERIAL/labels_%06d.npz        8 cameras
    ROOT/calibration/intrinsics/SERIAL_640x480.yml

Metres, OpenCV axes of the camera that the label is of, FH21, 30 frames/s; joints of left hands are left, unflipped.
Source: NVlabs/dex-ycb-toolkit: dex_ycb_toolkit/dex_ycb.py (splits, order).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray

from handbench.errors import InvalidError, MissingError, UsageError

SUBJECTS = (
    "20200709-subject-01",
    "20200813-subject-02",
    "20200820-subject-03",
    "20200903-subject-04",
    "20200908-subject-05",
    "20200918-subject-06",
    "20200928-subject-07",
    "20201002-subject-08",
    "20201015-subject-09",
    "20201022-subject-10",
)
SERIALS = (
    "836212060125",
    "839512060362",
    "840412060917",
    "841412060263",
    "932122060857",
    "932122060861",
    "932122061900",
    "932122062010",
)
SEQUENCES = 100
FPS = 30.0
# frames of a split that have an annotation, as the authors of HandOccNet count them
ANNOTATED = {"s0-test": 78768}
IMAGE_SIZE = (640, 480)
SETUPS, PARTS = ("s0", "s1", "s2", "s3"), ("train", "val", "test")
TOLD = "The root is what DEX_YCB_DIR names: the ten subjects' folders, and calibration."


class Chosen(NamedTuple):
    """What a split takes: indices of subjects, of each one's sequences, and of cameras."""

    subjects: Sequence[int]
    sequences: Sequence[int]
    cameras: Sequence[int]


class Meta(NamedTuple):
    """A sequence's meta.yml; `rest` has every key as it stands there."""

    frames: int
    side: str
    rest: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Frames:
    """The N frames of a split, in the official order (subject, sequence, camera, frame): entry i has image id i.

    subject (N,) index into SUBJECTS; sequence (N,) index into `sequences[subject]`; serial (N,) index into SERIALS;
    frame (N,) number in the sequence; side (N,) `right` or `left`.
    """

    root: Path
    split: str
    sequences: tuple[tuple[str, ...], ...]
    subject: NDArray
    sequence: NDArray
    serial: NDArray
    frame: NDArray
    side: NDArray

    def __len__(self) -> int:
        return len(self.frame)

    def capture(self, i: int) -> str:
        """`SUBJECT/SEQUENCE`: one take, which eight cameras saw."""
        return f"{SUBJECTS[self.subject[i]]}/{self.sequences[self.subject[i]][self.sequence[i]]}"

    def track(self, i: int) -> str:
        """`SUBJECT/SEQUENCE/SERIAL`: one camera's run of frames."""
        return f"{self.capture(i)}/{SERIALS[self.serial[i]]}"

    def label(self, i: int) -> str:
        """Where the label of entry i is, from the root."""
        return f"{self.track(i)}/labels_{self.frame[i]:06d}.npz"


def split_frames(root: Path, setup: str, part: str) -> Frames:
    """The frames of `s0`..`s3`, `train`, `val` or `test`. Opens the sequences' meta.yml and no label.

    Raises MissingError, InvalidError where the tree is not DexYCB's 10 x 100 sequences, UsageError for another split.
    """
    chosen = chosen_by(setup, part)
    sequences = list_sequences(root)
    columns: list[tuple[int, int, int, int, str]] = []
    for subject in chosen.subjects:
        for sequence in chosen.sequences:
            meta = read_meta(root / SUBJECTS[subject] / sequences[subject][sequence])
            columns += [(subject, sequence, camera, meta.frames, meta.side) for camera in chosen.cameras]
    repeats = np.array([row[3] for row in columns])
    ends = np.cumsum(repeats)

    def spread(k: int, dtype: Any) -> NDArray:
        return np.repeat(np.array([row[k] for row in columns], dtype), repeats)

    return Frames(
        root=root,
        split=f"{setup}-{part}",
        sequences=sequences,
        subject=spread(0, np.int8),
        sequence=spread(1, np.int8),
        serial=spread(2, np.int8),
        frame=(np.arange(ends[-1]) - np.repeat(ends - repeats, repeats)).astype(np.int32),
        side=spread(4, np.str_),
    )


def chosen_by(setup: str, part: str) -> Chosen:
    """What a split takes (dex_ycb.py); raises UsageError for a split that there is not."""
    if setup not in SETUPS or part not in PARTS:
        raise UsageError(
            f"DexYCB has no split {f'{setup}-{part}'!r}.", f"Setups: {', '.join(SETUPS)}; parts: {', '.join(PARTS)}."
        )
    k = PARTS.index(part)
    subjects, sequences, cameras = range(len(SUBJECTS)), range(SEQUENCES), range(len(SERIALS))
    fifth = [i for i in sequences if i % 5 == 4]
    if setup == "s0":
        others = [i for i in sequences if i % 5 != 4]
        return (
            Chosen(subjects, others, cameras),
            Chosen((0, 1), fifth, cameras),
            Chosen(range(2, 10), fifth, cameras),
        )[k]
    if setup == "s1":
        return Chosen(((0, 1, 2, 3, 4, 5, 9), (6,), (7, 8))[k], sequences, cameras)
    if setup == "s2":
        return Chosen(subjects, sequences, (range(6), (6,), (7,))[k])
    # five sequences in a row grasp one object
    grasped = ([g for g in range(20) if g not in (3, 7, 11, 15, 19)], (3, 19), (7, 11, 15))[k]
    return Chosen(subjects, [i for i in sequences if i // 5 in grasped], cameras)


def list_sequences(root: Path) -> tuple[tuple[str, ...], ...]:
    """The names of each subject's sequences, sorted. Raises MissingError, InvalidError for other than 10 x 100."""
    found = []
    absent = [name for name in SUBJECTS if not (root / name).is_dir()]
    if absent:
        named = ", ".join(absent[:2]) + (f" and {len(absent) - 2} more" if len(absent) > 2 else "")
        raise MissingError(f"{root} is no complete DexYCB: it has no folder {named}.", TOLD)
    for name in SUBJECTS:
        inside = (folder.name for folder in (root / name).iterdir() if folder.is_dir())
        names = tuple(sorted(folder for folder in inside if not folder.startswith(".")))
        if len(names) != SEQUENCES:
            raise InvalidError(
                f"{root / name} has {len(names)} sequences, every subject of DexYCB has {SEQUENCES}.",
                "Splits count sequences: with one missing, or one too many, every frame would be another.",
            )
        found.append(names)
    return tuple(found)


def read_meta(sequence: Path) -> Meta:
    """A sequence's meta.yml. Raises MissingError, InvalidError naming the file and the key."""
    path = sequence / "meta.yml"
    read = _read_yaml(path)
    frames, sides = read.get("num_frames"), read.get("mano_sides")
    if isinstance(frames, bool) or not isinstance(frames, int) or not 0 < frames < 10**6:
        raise InvalidError(f"num_frames in {path} is {frames!r}, no number of frames.", "Fetch it again.")
    if not isinstance(sides, list) or len(sides) != 1 or sides[0] not in ("right", "left"):
        raise InvalidError(f"mano_sides in {path} is {sides!r}, not [right] or [left].", "Fetch it again.")
    return Meta(frames, sides[0], read)


def read_intrinsics(root: Path) -> NDArray | None:
    """Colour cameras (8, 3, 3) in the order of SERIALS, pixels of the 640x480 images; None without the folder."""
    folder = root / "calibration" / "intrinsics"
    if not folder.is_dir():
        return None
    cameras = np.zeros((len(SERIALS), 3, 3))
    for camera, serial in zip(cameras, SERIALS, strict=True):
        path = folder / f"{serial}_{IMAGE_SIZE[0]}x{IMAGE_SIZE[1]}.yml"
        colour = _read_yaml(path).get("color")
        try:
            fx, fy, cx, cy = (float(colour[key]) for key in ("fx", "fy", "ppx", "ppy"))  # type: ignore[index]
        except (TypeError, ValueError, KeyError):
            raise InvalidError(f"{path} has no color: fx, fy, ppx, ppy.", "Fetch it again.") from None
        camera[:] = [[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]
    return cameras


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        read = yaml.safe_load(path.read_bytes())
    except FileNotFoundError:
        raise MissingError(f"{path} does not exist.", "Is DexYCB unpacked completely?") from None
    except (OSError, yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        why = str(error).splitlines()[0].rstrip(".")
        raise InvalidError(f"{path} cannot be read: {why}.", "Fetch it again.") from None
    if not isinstance(read, dict):
        raise InvalidError(f"{path} holds no keys and values.", "Fetch it again.")
    return read
