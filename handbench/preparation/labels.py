"""The labels of a prepared split: the colour of each background and the gesture of each hand, in a file of their own.

`NAME.labels.csv` lies beside `NAME.h5`, with the columns id, background and gesture; an empty field is not known. Both
are made by rule, so that a file that a detector or a person has written can take its place.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from handbench.console import progress
from handbench.errors import InvalidError, MissingError
from handbench.hands.colours import COLOURS, hsv_cone, nearest_colour
from handbench.hands.gestures import GESTURES, gestures
from handbench.hands.record import Hands
from handbench.sections import did_you_mean
from handbench.store.atomic import replacing
from handbench.store.hands_file import HandsFile

# what a sample is labelled with -> the words there are
WORDS: dict[str, tuple[str, ...]] = {"background": COLOURS, "gesture": GESTURES}
UNKNOWN = -1
# Without a mask the hand is taken to lie within this multiple of the box of its joints.
MARGIN = 1.3
BLOCK = 256


def labels_file(prepared: Path) -> Path:
    """Where the labels of a prepared file lie."""
    return prepared.with_name(f"{prepared.stem}.labels.csv")


def write_labels(file: HandsFile) -> Path:
    """Label every sample of a prepared split by rule; the file is written whole or not at all, in place of another.

    Raises InvalidError where the split has no images.
    """
    if not file.has_images:
        raise InvalidError(f"{file.path} holds no images.", "Give a prepared split of a dataset.")
    path = labels_file(file.path)
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(("id", *WORDS))
        with progress(f"label {file.path.stem}", len(file), "images") as advance:
            for start in range(0, len(file), BLOCK):
                hands = file.read(start, start + BLOCK)
                backgrounds = nearest_colour(np.array([_behind(file, hands, start, k) for k in range(len(hands))]))
                found = (_words(COLOURS, backgrounds), _words(GESTURES, _gestures(hands)))
                rows.writerows(zip(hands.id.tolist(), *found, strict=True))
                advance(len(hands))
    return path


def read_labels(path: Path, file: HandsFile) -> dict[str, NDArray]:
    """`background` and `gesture` -> indices (N,) int64 into their words, in the order of the file's samples; -1 where
    it is not known.

    Raises MissingError, or InvalidError where a word is none, or the rows are not the file's samples, each once.
    """
    again = f"`handbench prep labels {file.path} --force` writes it."
    place = {str(name): i for i, name in enumerate(file.ids)}
    known = {name: {word: i for i, word in enumerate(words)} for name, words in WORDS.items()}
    found = {name: np.full(len(file), UNKNOWN, np.int64) for name in WORDS}
    seen = np.zeros(len(file), bool)
    for number, row in _rows(path, again):
        at = place.get(row["id"])
        if at is None:
            raise InvalidError(f"{path}, line {number}: {row['id']!r} is no sample of {file.path}.", again)
        if seen[at]:
            raise InvalidError(f"{path}, line {number}: {row['id']!r} is there twice.", "Keep one of the two.")
        seen[at] = True
        for name, words in known.items():
            if word := row[name].strip():
                if word not in words:
                    suggestion = did_you_mean(word, words) or "."
                    raise InvalidError(
                        f"{path}, line {number}: there is no {name} {word!r}{suggestion}",
                        f"There is: {', '.join(words)}; or nothing, where it is not known.",
                    )
                found[name][at] = words[word]
    if not seen.all():
        first = file.ids[int(np.argmin(seen))]
        raise InvalidError(
            f"{path} has no row for {int((~seen).sum()):,} of the {len(file):,} samples of {file.path}; the first is "
            f"{str(first)!r}.",
            again,
        )
    return found


def labels_digest(labels: dict[str, NDArray]) -> str:
    """Twelve hex digits of labels as they were read."""
    check = hashlib.sha256()
    for name in sorted(labels):
        check.update(name.encode())
        check.update(np.ascontiguousarray(labels[name], "<i8").tobytes())
    return check.hexdigest()[:12]


def _rows(path: Path, hint: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of the file, with the numbers of their lines."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as text:
            rows = csv.reader(text)
            head = [name.strip() for name in next(rows, [])]
            wanted = ["id", *WORDS]
            if sorted(head) != sorted(wanted):
                there = ", ".join(head) or "(none)"
                raise InvalidError(f"{path} has the columns {there}, not {', '.join(wanted)}.", hint)
            for row in rows:
                if not row:
                    continue
                if len(row) != len(head):
                    raise InvalidError(f"{path}, line {rows.line_num}: {len(row)} fields, not {len(head)}.", hint)
                yield rows.line_num, dict(zip(head, row, strict=True))
    except FileNotFoundError:
        raise MissingError(f"There are no labels {path}.", hint) from None
    except (UnicodeDecodeError, csv.Error, OSError):
        raise InvalidError(f"{path} cannot be read as a CSV file.", hint) from None


def _gestures(hands: Hands) -> NDArray:
    if hands.joints is None or hands.side is None:
        return np.full(len(hands), UNKNOWN)
    joints = np.asarray(hands.joints, np.float64)
    if hands.joints_valid is not None:
        joints = np.where(hands.joints_valid[..., None], joints, np.nan)
    return gestures(joints, hands.side)


def _behind(file: HandsFile, hands: Hands, start: int, k: int) -> NDArray:
    """The mean (3,) in HSV's cone of the pixels that are not the hand's, every second one; NaN where there are none, or
    where the hand is nobody knows.
    """
    image = _decoded(file, start + k, "images", cv2.IMREAD_COLOR)[::2, ::2, ::-1]
    if "masks" in file.streams:
        behind = _decoded(file, start + k, "masks", cv2.IMREAD_GRAYSCALE)[::2, ::2] == 0
    elif hands.box is not None and np.isfinite(hands.box[k]).all():
        low, high = np.asarray(hands.box[k], np.float64).reshape(2, 2)
        middle, half = (low + high) / 2, MARGIN * (high - low) / 2
        rows, columns = np.ogrid[: 2 * image.shape[0] : 2, : 2 * image.shape[1] : 2]
        behind = (np.abs(columns - middle[0]) > half[0]) | (np.abs(rows - middle[1]) > half[1])
    else:
        return np.full(3, np.nan)
    return hsv_cone(image[behind]).mean(0) if behind.any() else np.full(3, np.nan)


def _decoded(file: HandsFile, at: int, stream: str, how: int) -> NDArray:
    image = cv2.imdecode(np.frombuffer(file.image(at, stream), np.uint8), how)
    if image is None:
        raise InvalidError(
            f"The {stream.removesuffix('s')} of {file.ids[at]} in {file.path} cannot be decoded.", "Prepare it again."
        )
    return image


def _words(known: tuple[str, ...], indices: NDArray) -> list[str]:
    return [known[i] if i >= 0 else "" for i in indices.tolist()]
