"""Which sample an entry of a file of predictions is of: by its id, by its official number, or by its place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from handbench.errors import InvalidError, UsageError
from handbench.evaluation.checks import some
from handbench.evaluation.protocol import Protocol, load

Samples = Protocol | str | Sequence[str] | NDArray


def ordered_ids(samples: Samples) -> Sequence[str] | NDArray:
    """The ids of a file that has none of its own, in order; raises UsageError where the protocol has no full list."""
    protocol = load(samples) if isinstance(samples, str) else samples
    if not isinstance(protocol, Protocol):
        return protocol
    ids = protocol.official_ids()
    if ids is None:
        raise UsageError(
            f"The protocol {protocol.name} has no official list of samples.", "Give a file that has ids: CSV, HDF5."
        )
    return ids


def require_count(count: int, ids: Sequence[str] | NDArray, has: str, hint: str) -> None:
    """Entries without ids: as many as there are samples. Raises InvalidError naming those that are missing."""
    if count == len(ids):
        return
    absent = ids[count:]
    where = f"entry {len(ids)} is no sample's"
    if len(absent):
        where = f"{some(absent)} {'is' if len(absent) == 1 else 'are'} not there"
    raise InvalidError(f"{has} {count:,} samples, {len(ids):,} are expected: {where}.", hint)


def known_ids(samples: Samples) -> Sequence[str] | NDArray | None:
    """The ids of all samples, None where the protocol leaves it to the truth which ones count."""
    protocol = load(samples) if isinstance(samples, str) else samples
    return protocol.official_ids() if isinstance(protocol, Protocol) else protocol


def is_number(name: str) -> bool:
    """Whether a name is an official number: digits 0 to 9, not those of other scripts, and no more than int64 has."""
    return name.isascii() and name.isdecimal() and len(name) <= 18


def number_of(name: str) -> int | None:
    """A sample's number in the official list: what its id ends with, `freihand/test/00000012` -> 12."""
    last = name.rpartition("/")[2]
    return int(last) if is_number(last) else None


def placed(
    names: Sequence[str], samples: Samples, where: Callable[[int], str], what: str, extra: bool = False
) -> tuple[NDArray, NDArray]:
    """Entry names (ids or official numbers) -> the samples' ids (N,), and which entry is of each (N,).

    With `extra` names that no sample has are passed over. Raises InvalidError naming samples without an entry, names
    that are there twice, and unknown names.
    """
    ids = known_ids(samples)
    times_of = Counter(map(_key, names))
    twice = [name for name, times in times_of.items() if times > 1]
    if twice and extra and ids is not None:
        # a name that no sample has may be there as often as it likes
        counted = {found for found in (_find(str(name), times_of) for name in ids) if found is not None}
        twice = [name for name in twice if name in counted]
    if twice:
        both = [i for i, name in enumerate(names) if _key(name) == twice[0]][:2]
        count = "1 id is" if len(twice) == 1 else f"{len(twice):,} ids are"
        raise InvalidError(
            f"{count} more than once in {what}: {some(twice)} ({' and '.join(map(where, both))}).",
            "One prediction a sample: remove the others.",
        )
    if ids is None:
        return _all(names, samples, where, what)
    place = {_key(name): i for i, name in enumerate(names)}
    keys = [_find(str(name), place) for name in ids]
    missing = [str(name) for name, key in zip(ids, keys, strict=True) if key is None]
    if missing:
        raise InvalidError(
            f"{len(missing):,} of {len(ids):,} samples have no prediction in {what}: {some(missing)}.",
            "Every sample counts: none is left out and none is filled with zeros.",
        )
    used = {key for key in keys if key is not None}
    if len(used) < len(keys):
        raise InvalidError(
            f"The ids in {what} are numbers, and several samples have the same number.",
            f"Write whole ids: {ids[0]}.",
        )
    unknown = [name for name in names if _key(name) not in used]
    if unknown and not extra:
        i = names.index(unknown[0])
        count, first = f"{len(unknown):,} ids in {what} are no samples", "the first in "
        if len(unknown) == 1:
            count, first = f"1 id in {what} is no sample", ""
        raise InvalidError(
            f"{count}: {some(unknown)} ({first}{where(i)}).",
            f"An id is written as {ids[0]}, or as the sample's official number.",
        )
    index = np.array([place[key] for key in keys if key is not None], np.int64)
    return np.asarray(ids, np.str_), index


def _key(name: str) -> str:
    """Numbers are written with and without leading zeros."""
    return str(int(name)) if is_number(name) else name


def _find(name: str, place: dict[str, int]) -> str | None:
    if name in place:
        return name
    number = number_of(name)
    return str(number) if number is not None and str(number) in place else None


def _all(names: Sequence[str], samples: Samples, where: Callable[[int], str], what: str) -> tuple[NDArray, NDArray]:
    protocol = load(samples) if isinstance(samples, str) else samples
    assert isinstance(protocol, Protocol)
    pattern = protocol.ids or "{}"
    prefix = pattern.partition("{")[0]
    for i, name in enumerate(names):
        if not is_number(name) and not name.startswith(prefix):
            raise InvalidError(
                f"{name!r} ({where(i)} of {what}) is no sample of {protocol.name}.",
                f"An id is written as {pattern.format(i)}, or as the sample's official number.",
            )
    ids = np.array([pattern.format(int(name)) if is_number(name) else name for name in names], np.str_)
    return ids, np.arange(len(ids))
