"""One block of a split: read, looked at, and written as a part; what one process does at a time."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from handbench.datasets.card import Block, Split
from handbench.datasets.checks import refuse_contradiction
from handbench.errors import InvalidError, MissingError
from handbench.hands.record import Hands
from handbench.preparation.source import Source
from handbench.store.parts import write_part

# a few hands at the end of a set are no evidence of how its joints are ordered
ENOUGH = 16
LeftOut = list[tuple[str, str]]


class Written(NamedTuple):
    """What a block came to: frames looked at, samples among them, bytes written, samples that could not be read."""

    frames: int
    samples: int
    size: int
    left_out: LeftOut


def block_size(frames: int) -> int:
    """Frames a block; depends on their number alone, so that the file does not depend on who makes it."""
    return min(1024, max(32, frames // 16))


def write_block(source: Source, folder: Path, start: int, stop: int, skip_bad: bool) -> Written:
    """Read frames start..stop of a split and write them as a part into `folder`; safe from any process.

    Raises as the reader; InvalidError where the truth contradicts its layout.
    """
    split = source.open()
    block, left_out = read_range(split, start, stop, skip_bad)
    hands = block.hands
    if hands is not None and (len(hands) >= ENOUGH or stop - start == len(split)):
        refuse_contradiction(hands, str(split.meta["read_from"]))
    size = write_part(folder, start, hands, block.images, block.masks, block.depth, left_out)
    return Written(stop - start, 0 if hands is None else len(hands), size, left_out)


def read_range(split: Split, start: int, stop: int, skip_bad: bool) -> tuple[Block, LeftOut]:
    """The block of frames start..stop. With `skip_bad`, samples whose files are missing or damaged are left out: their
    ids, and why."""
    try:
        return split.read(start, stop), []
    except (MissingError, InvalidError):
        if not skip_bad:
            raise
    good: list[Block] = []
    left_out: LeftOut = []
    for i in range(start, stop):
        try:
            block = split.read(i, i + 1)
        except (MissingError, InvalidError) as error:
            left_out.append((split.name(i), error.message))
        else:
            good += [block] if block.hands is not None else []
    return joined(good), left_out


def joined(blocks: list[Block]) -> Block:
    """Blocks one after the other."""
    hands = [block.hands for block in blocks if block.hands is not None]
    if not hands:
        return Block(None, [])
    masks, depth = ([one for block in blocks for one in getattr(block, name) or ()] for name in ("masks", "depth"))
    return Block(
        Hands.concatenate(hands),
        [image for block in blocks for image in block.images],
        masks if blocks[0].masks is not None else None,
        depth if blocks[0].depth is not None else None,
    )
