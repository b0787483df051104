"""Large JSON files of nested numbers, read straight into numpy: 200 MB in about half a second.

The text is read in blocks, cut between two samples, and each piece is parsed by itself: simdjson fills one flat buffer
(the numbers never become Python objects) and its memory stays in the processor's cache. The brackets and commas of each
piece are then compared, character by character, with the only ones that are right. What is not exactly as it must be is
read again, whole, to be able to say where it differs.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import simdjson
from numpy.typing import NDArray

from handbench.errors import InvalidError, MissingError

NOT_STRUCTURE = bytes(set(range(256)) - set(b"[],"))
BLOCK = 1 << 19
# no sample is as long as this: what is, is no list of samples
LONGEST_SAMPLE = 16 << 20
SPACE = b" \t\r\n"
END_OF_SAMPLE, END_OF_LIST = re.compile(rb"\]\s*\]\s*,"), re.compile(rb"\]\s*\](?=\s*\])")


def read_array(path: Path, sample_shape: tuple[int, ...]) -> NDArray:
    """A JSON list of N entries, each nested as `sample_shape` -> (N, *sample_shape) float64.

    Raises MissingError if it is not there; InvalidError if it is cut short, is no list of numbers, or an entry has
    another shape (the first such entry is named).
    """
    try:
        array = _in_pieces(path) if len(sample_shape) == 2 else None
        if array is not None and len(array) and array.shape[1:] == sample_shape:
            return array
        return _whole(path, path.read_bytes(), sample_shape)
    except FileNotFoundError:
        raise MissingError(f"{path} does not exist.") from None
    except IsADirectoryError:
        raise InvalidError(f"{path} is a folder, not a JSON file.") from None


def _in_pieces(path: Path) -> NDArray | None:
    lists = NumberLists(file_blocks(path))
    try:
        array = lists.samples()
        lists.end()
    except Irregular:
        return None
    return array


def _slowly(path: Path, data: bytes, sample_shape: tuple[int, ...]) -> NDArray:
    """What simdjson refuses and Python's reader may take: NaN, infinity, numbers beyond float64, whole ones beyond 64
    bits. The last are right; whatever else it is, the InvalidError says."""
    if not data.strip():
        raise InvalidError(f"{path} is empty.", "Fetch it again.")
    try:
        # a whole number beyond float64 becomes infinity
        entries = json.loads(data, parse_int=float)
    except json.JSONDecodeError as error:
        if error.pos >= len(error.doc.rstrip()):
            raise InvalidError(
                f"{path} is not valid JSON: it ends too early, after {len(data):,} bytes.",
                "It is cut short: fetch it again.",
            ) from None
        said = f"{error.msg[:1].lower()}{error.msg[1:]} at character {error.pos:,} of {len(error.doc):,}"
        raise InvalidError(f"{path} is not valid JSON: {said}.", "It is damaged: fetch it again.") from None
    except (RecursionError, ValueError):
        raise InvalidError(f"{path} is not valid JSON: no text, or nested too deeply.", "Fetch it again.") from None
    if not isinstance(entries, list) or not entries:
        raise InvalidError(f"{path} does not hold a list with entries.", "Fetch it again.")
    for i, entry in enumerate(entries):
        if not _finite(entry):
            raise InvalidError(f"Entry {i} of {path} has NaN or infinity.", "Fetch it again: a truth has numbers.")
        _require_shape(i, entry, sample_shape, path)
    return np.array(entries, np.float64)


def _finite(value: Any) -> bool:
    if isinstance(value, list):
        return all(_finite(inner) for inner in value)
    return not isinstance(value, float) or math.isfinite(value)


def _whole(path: Path, data: bytes, sample_shape: tuple[int, ...]) -> NDArray:
    parser = simdjson.Parser()
    try:
        document = parser.parse(data)
    except (ValueError, UnicodeDecodeError, RuntimeError):
        return _slowly(path, data, sample_shape)
    if not isinstance(document, simdjson.Array) or not len(document):
        raise InvalidError(f"{path} does not hold a list with entries.", "Fetch it again.")
    n, flat = len(document), flat_numbers(document)
    if flat is None or structure(data) != skeleton((n, *sample_shape)):
        for i in range(n):
            _require_shape(i, document[i], sample_shape, path)
        raise InvalidError(f"{path} is not a list of {_words(sample_shape)} numbers.", "Fetch it again.")
    return flat.reshape(n, *sample_shape).copy()


class Irregular(Exception):
    """The text is no regular lists of numbers. What it is instead, in general only reading it whole can tell.

    `piece`: the text that is not, after `before` samples of its list that are; `ended`: it goes to the end of the text.
    """

    def __init__(self, piece: bytes = b"", before: int = 0, ended: bool = False):
        super().__init__()
        self.piece, self.before, self.ended = piece, before, ended


class NumberLists:
    """Lists of samples, each a list of K lists of M numbers, out of blocks of JSON text. Every method may raise
    Irregular."""

    def __init__(self, blocks: Iterable[bytes]):
        self._blocks = iter(blocks)
        self._text = b""
        self._parser = simdjson.Parser()

    def samples(self, count: int | None = None) -> NDArray:
        """The list that comes next -> (N, K, M) float64; (0, 0, 0) where it is empty. `count`: the N that is expected.

        With `count` the array is made once; another N is Irregular.
        """
        self.take(b"[")
        if self.next() == b"]":
            self.take(b"]")
            return np.empty((0, 0, 0))
        pieces: list[NDArray] = []
        whole: NDArray | None = None
        n, more = 0, True
        while more:
            piece = self._numbers(*self._piece(n), n)
            if count is not None:
                whole = np.empty((count, *piece.shape[1:])) if whole is None else whole
                if n + len(piece) > count or piece.shape[1:] != whole.shape[1:]:
                    raise Irregular
                whole[n : n + len(piece)] = piece
            else:
                pieces.append(piece)
            n += len(piece)
            more = self.next() == b","
            self.take(b"," if more else b"]")
        if whole is None:
            if len({piece.shape[1:] for piece in pieces}) > 1:
                raise Irregular
            return np.concatenate(pieces)
        if n != count:
            raise Irregular
        return whole

    def take(self, character: bytes) -> None:
        """Pass this character, and the white space before it."""
        if self.next() != character:
            raise Irregular
        self._text = self._text[1:]

    def next(self) -> bytes:
        """The character that comes next but for white space; nothing at the end of the text."""
        while not (text := self._text.lstrip(SPACE)):
            self._text = next(self._blocks, b"")
            if not self._text:
                return b""
        self._text = text
        return text[:1]

    def end(self) -> None:
        """Nothing may come any more."""
        if self.next():
            raise Irregular

    def _piece(self, before: int) -> tuple[bytes, bytes]:
        """Whole samples, without a comma after the last, taken off the text; and their structure."""
        while len(self._text) < BLOCK and (block := next(self._blocks, b"")):
            self._text += block
        while not (cut := _last_end(self._text)):
            block = next(self._blocks, b"")
            if not block or len(self._text) > LONGEST_SAMPLE:
                raise Irregular(self._text, before, ended=not block)
            self._text += block
        piece = self._text[:cut]
        found = structure(piece)
        if b"]]]" in found and (end := END_OF_LIST.search(self._text)):
            # the list ends within the piece
            cut = end.end()
            piece, found = self._text[:cut], found[: found.index(b"]]]") + 2]
        self._text = self._text[cut:]
        return piece, found

    def _numbers(self, text: bytes, found: bytes, before: int) -> NDArray:
        try:
            document: Any = self._parser.parse(b"[" + text + b"]")
        except (ValueError, UnicodeDecodeError, RuntimeError):
            raise Irregular(text, before) from None
        n, k, m, flat = len(document), 0, 0, flat_numbers(document)
        first = document[0] if n else None
        if isinstance(first, simdjson.Array) and len(first):
            k, m = len(first), len(first[0]) if isinstance(first[0], simdjson.Array) else 0
        if flat is None or not m or flat.size != n * k * m or found != skeleton((n, k, m))[1:-1]:
            raise Irregular(text, before)
        return flat.reshape(n, k, m)


def _last_end(text: bytes) -> int:
    """Behind the last sample of the first list in `text`; 0 where no sample ends.

    Where nesting is wrong this may be anywhere: what is cut off is checked.
    """
    cut = text.rfind(b"]],") + 2
    if cut == 1:
        # white space between the brackets: look for it at the end first
        found = list(END_OF_SAMPLE.finditer(text, max(0, len(text) - (BLOCK >> 2)))) or list(
            END_OF_SAMPLE.finditer(text)
        )
        cut = text.index(b"]", found[-1].start() + 1) + 1 if found else 0
    if not cut:
        end = END_OF_LIST.search(text)
        cut = end.end() if end else 0
    return cut


def file_blocks(path: Path) -> Iterator[bytes]:
    """The bytes of a file, a block at a time."""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def flat_numbers(document: simdjson.Array) -> NDArray | None:
    """Every number of a parsed list, nesting forgotten, float64; None where something in it is no number."""
    try:
        return np.frombuffer(document.as_buffer(of_type="d"), np.float64)
    except (TypeError, ValueError):
        return None


def structure(data: bytes) -> bytes:
    """The brackets and commas of a JSON text that holds numbers only: all the structure there is."""
    return data.translate(None, NOT_STRUCTURE)


def skeleton(shape: tuple[int, ...]) -> bytes:
    """The `structure` of nested lists of numbers of this shape."""
    return b"[" + b",".join([skeleton(shape[1:])] * shape[0]) + b"]" if shape else b""


def _shape(value: object) -> tuple[int, ...] | None:
    """Shape of nested lists of numbers; None where they are ragged or hold something else."""
    if isinstance(value, simdjson.Array | list):
        inner = {_shape(item) for item in value}
        return (len(value), *first) if len(inner) == 1 and (first := inner.pop()) is not None else None
    return () if isinstance(value, int | float) and not isinstance(value, bool) else None


def _require_shape(i: int, entry: object, wanted: tuple[int, ...], path: Path) -> None:
    shape = _shape(entry)
    if shape == wanted:
        return
    wrong = f"is {_words(shape)}, not {_words(wanted)} numbers" if shape is not None else ""
    wrong = wrong or f"must be {_words(wanted)} numbers, and has lists of uneven length or what is no number"
    raise InvalidError(f"Entry {i} of {path} {wrong}.", "The file is damaged or of another dataset.")


def _words(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "one"
