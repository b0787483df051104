"""DexYCB's folders (Chao et al., CVPR 2021): which frames a split has, in which order. Their labels: dexycb_labels.py.

    ROOT/SUBJECT/SEQUENCE/meta.yml                      10 subjects of 100 sequences
                          SERIAL/color_%06d.jpg         8 cameras, 640x480
                                 aligned_depth_to_color_%06d.png
                                 labels_%06d.npz
    ROOT/calibration/...                                dexycb_calibration.py

Source: NVlabs/dex-ycb-toolkit: dex_ycb_toolkit/dex_ycb.py (splits, order).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from handbench.errors import InvalidError, MissingError, UsageError
from handbench.layouts.folder import Folder
from handbench.layouts.text import read_lines, read_yaml, shown

TITLE, URL = "DexYCB", "https://dex-ycb.github.io"
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
IMAGE_SIZE = (640, 480)
SETUPS, PARTS = ("s0", "s1", "s2", "s3"), ("train", "val", "test")
SPLITS = tuple(f"{setup}-{part}" for setup in SETUPS for part in PARTS)
# frames of a split, and those of them that have an annotation, where somebody counted them (HandOccNet#25)
FRAMES = {"s0-train": 465504}
ANNOTATED = {"s0-train": 406888, "s0-test": 78768}
TOLD = (
    "The root is what DEX_YCB_DIR names: the ten subjects' folders, and calibration, each from its own archive. "
    "`handbench prep dexycb --partial` takes a part; its results are then not comparable."
)
_SUBJECT, _SEQUENCE = r"\d{8}-subject-\d{2}", r"\d{8}_\d{6}"
# a calibration's name becomes a path
_NAME = re.compile(r"[A-Za-z0-9_-]+")

Names = tuple[tuple[str, ...], ...]


class Chosen(NamedTuple):
    """What a split takes: indices of subjects, of each one's sequences, and of cameras."""

    subjects: Sequence[int]
    sequences: Sequence[int]
    cameras: Sequence[int]


class Meta(NamedTuple):
    """A sequence's meta.yml: length, side, the name of the calibration of its hand (empty: not said); `rest` has every
    key as it stands there."""

    frames: int
    side: str
    mano_calib: str
    rest: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Frames:
    """The N frames of a split, in the official order (subject, sequence, camera, frame): entry i has image id i.

    subject (N,) index into SUBJECTS; sequence (N,) index into `sequences[subject]`; serial (N,) index into SERIALS;
    frame (N,) number in the sequence; left (N,) bool; calibration (N,) index into `calibrations`, names of hands'.
    `whole`: nothing of the split is missing, so that the place in the list is the official one.
    """

    folder: Folder
    split: str
    whole: bool
    sequences: Names
    calibrations: tuple[str, ...]
    subject: NDArray
    sequence: NDArray
    serial: NDArray
    frame: NDArray
    left: NDArray
    calibration: NDArray

    def __len__(self) -> int:
        return len(self.frame)

    def name(self, i: int) -> str:
        """The id: by the place in the official list, `dexycb/s0-test/00000012`; that place hangs on the lengths of all
        sequences before, so in a part it is `dexycb/s0-test/SUBJECT/SEQUENCE/SERIAL/000012`."""
        place = f"{i:08d}" if self.whole else f"{self.track(i)}/{self.frame[i]:06d}"
        return f"dexycb/{self.split}/{place}"

    def capture(self, i: int) -> str:
        """`SUBJECT/SEQUENCE`: one take, which eight cameras saw."""
        subject = self.subject[i]
        return f"{SUBJECTS[subject]}/{self.sequences[subject][self.sequence[i]]}"

    def track(self, i: int) -> str:
        """`SUBJECT/SEQUENCE/SERIAL`: one camera's run of frames."""
        return f"{self.capture(i)}/{SERIALS[self.serial[i]]}"

    def side(self, which: Any) -> NDArray:
        """`right` or `left` of entries."""
        return np.where(self.left[which], "left", "right")

    def color(self, i: int) -> str:
        """Where the image of entry i is, from the root."""
        return f"{self.track(i)}/color_{self.frame[i]:06d}.jpg"

    def depth(self, i: int) -> str:
        return f"{self.track(i)}/aligned_depth_to_color_{self.frame[i]:06d}.png"

    def label(self, i: int) -> str:
        return f"{self.track(i)}/labels_{self.frame[i]:06d}.npz"


def split_frames(folder: Folder, split: str, names: Names | None = None) -> Frames:
    """The frames of `s0-train` .. `s3-test`. Opens the sequences' meta.yml and no label.

    `names`: of all 10 x 100 sequences; then sequences and cameras may be missing, and are left out.
    Raises MissingError; InvalidError where the tree is not DexYCB's 10 x 100 sequences; UsageError for another split.
    """
    chosen = chosen_by(split)
    sequences = list_sequences(folder) if names is None else names
    if names is not None:
        _require_known(folder, names)
    runs: list[tuple[int, int, int, int, bool, int]] = []
    calibrations: dict[str, int] = {}
    for subject in chosen.subjects:
        for k in chosen.sequences:
            inside = f"{SUBJECTS[subject]}/{sequences[subject][k]}"
            cameras = chosen.cameras if names is None else _present(folder, inside, chosen.cameras)
            if cameras:
                meta = read_meta(folder, inside)
                hand = calibrations.setdefault(meta.mano_calib, len(calibrations))
                runs += [(subject, k, camera, meta.frames, meta.side == "left", hand) for camera in cameras]
    if not runs:
        raise MissingError(f"{folder} has no sequence of the split {split}.", TOLD)
    repeats = np.array([run[3] for run in runs])
    ends = np.cumsum(repeats)

    def spread(k: int, dtype: Any) -> NDArray:
        return np.repeat(np.array([run[k] for run in runs], dtype), repeats)

    return Frames(
        folder=folder,
        split=split,
        whole=len(runs) == len(chosen.subjects) * len(chosen.sequences) * len(chosen.cameras),
        sequences=sequences,
        calibrations=tuple(calibrations),
        subject=spread(0, np.int8),
        sequence=spread(1, np.int8),
        serial=spread(2, np.int8),
        frame=(np.arange(ends[-1]) - np.repeat(ends - repeats, repeats)).astype(np.int32),
        left=spread(4, bool),
        calibration=spread(5, np.int16),
    )


def chosen_by(split: str) -> Chosen:
    """What a split takes (dex_ycb.py); raises UsageError for a split that there is not."""
    if split not in SPLITS:
        raise UsageError(f"DexYCB has no split {split!r}.", f"Setups: {', '.join(SETUPS)}; parts: {', '.join(PARTS)}.")
    setup, _, part = split.partition("-")
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


def list_sequences(folder: Folder) -> Names:
    """The names of each subject's sequences, sorted. Raises MissingError, InvalidError for other than 10 x 100."""
    absent = [name for name in SUBJECTS if not folder.has(name)]
    if absent:
        named = ", ".join(absent[:2]) + (f" and {len(absent) - 2} more" if len(absent) > 2 else "")
        raise MissingError(f"{folder} is no complete DexYCB: it has no folder {named}.", TOLD)
    found = tuple(tuple(folder.names(name, _SEQUENCE)) for name in SUBJECTS)
    for name, names in zip(SUBJECTS, found, strict=True):
        if len(names) != SEQUENCES:
            raise InvalidError(
                f"{folder}/{name} has {len(names)} sequences, every subject of DexYCB has {SEQUENCES}.",
                "Splits count sequences: with one missing, or one too many, every frame would be another.",
            )
    return found


def read_sequence_names(path: Path) -> Names:
    """The names of all 10 x 100 sequences, sorted, from a text file: a subject and a sequence in every line.

    Raises MissingError, InvalidError naming the line, or the subject that has other than 100.
    """
    path = path.resolve()
    found: dict[str, set[str]] = {name: set() for name in SUBJECTS}
    for number, line in enumerate(read_lines(Folder(path.parent, "the names"), path.name), 1):
        subject, sequence = re.search(rf"(?<!\d){_SUBJECT}(?!\d)", line), re.search(rf"(?<!\d){_SEQUENCE}(?!\d)", line)
        if subject is None and sequence is None and not any(found.values()):
            continue  # a heading
        if subject is None or sequence is None or subject[0] not in found:
            raise InvalidError(
                f"Line {number} of {path} is {line[:60]!r}.", f"For example {SUBJECTS[0]}/20200709_141754."
            )
        found[subject[0]].add(sequence[0])
    for name, names in found.items():
        if len(names) != SEQUENCES:
            raise InvalidError(
                f"{path} names {len(names)} sequences of {name}, every subject of DexYCB has {SEQUENCES}.",
                "It must have all 1,000, whichever of them are there: splits count them.",
            )
    return tuple(tuple(sorted(names)) for names in found.values())


def read_meta(folder: Folder, sequence: str) -> Meta:
    """The meta.yml of `SUBJECT/SEQUENCE`. Raises MissingError, InvalidError naming the file and the key."""
    inside = f"{sequence}/meta.yml"
    path, read = folder.root / inside, read_yaml(folder, inside)
    frames, sides, calibration = read.get("num_frames"), read.get("mano_sides"), read.get("mano_calib")
    if isinstance(frames, bool) or not isinstance(frames, int) or not 0 < frames < 10**6:
        raise InvalidError(f"num_frames in {path} is {shown(frames)}, no number of frames.", "Fetch it again.")
    if not isinstance(sides, list) or len(sides) != 1 or sides[0] not in ("right", "left"):
        raise InvalidError(f"mano_sides in {path} is {shown(sides)}, not [right] or [left].", "Fetch it again.")
    hand = calibration[0] if isinstance(calibration, list) and len(calibration) == 1 else calibration
    if hand is not None and not (isinstance(hand, str) and _NAME.fullmatch(hand)):
        raise InvalidError(f"mano_calib in {path} is {shown(calibration)}, not one name.", "Fetch it again.")
    return Meta(frames, sides[0], hand or "", read)


def _require_known(folder: Folder, names: Names) -> None:
    """Raises MissingError where no subject is there, InvalidError for a sequence that is not among the names."""
    there = [k for k, name in enumerate(SUBJECTS) if folder.has(name)]
    if not there:
        raise MissingError(f"{folder} has no folder {SUBJECTS[0]}, nor of another subject.", TOLD)
    for k in there:
        unknown = set(folder.names(SUBJECTS[k], _SEQUENCE)) - set(names[k])
        if unknown:
            raise InvalidError(
                f"{folder}/{SUBJECTS[k]}/{min(unknown)} is not among the names of all sequences.",
                "Splits count sequences by these names: are they DexYCB's?",
            )


def _present(folder: Folder, sequence: str, cameras: Sequence[int]) -> list[int]:
    """Which of the cameras' folders are there."""
    if not folder.has(sequence):
        return []
    there = folder.names(sequence, r"\d{12}")
    return [camera for camera in cameras if SERIALS[camera] in there]
