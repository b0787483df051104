"""Deformer from a synthetic DexYCB tree to its table by occlusion, by the commands, and what the renderer knows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from handbench.evaluation.buckets import BUCKETS, bucket_of
from handbench.store.hands_file import HandsFile
from handbench.synth import dexycb
from handbench.synth.hand import synthetic_hand
from handbench.synth.layout import Size

TINY = ("--size", "tiny", "--device", "cpu")


@dataclass(frozen=True, eq=False)
class Chain:
    """The one result record; how many samples each bucket has by the renderer's own coverage; the table as Markdown;
    the test split; every line that was typed.
    """

    record: dict[str, Any]
    exact: dict[str, int]
    table: str
    test: HandsFile
    typed: list[str]


def run_chain(handbench, home: Path, size: Size, settings: tuple[str, ...]) -> Chain:
    """Every command must end well."""
    root, typed = home.parent / "data/dexycb", []

    def run(*words: object):
        typed.append(" ".join(["handbench", *map(str, words)]))
        ran = handbench(*words)
        assert ran.code == 0, (typed[-1], ran.err)
        return ran.out

    count = ("--sequences", size.sequences, "--frames", size.frames, "--cameras", size.cameras)
    run("synth", "dexycb", "--out", root, *count)
    for split in ("s0-train", "s0-test"):
        names = ("--sequence-names", root / "sequence-names.txt")
        run("prep", "dexycb", "--partial", "--split", split, *names)
    run("train", "deformer", *TINY, *(word for setting in settings for word in ("--set", setting)))
    run("predict", "deformer", *TINY, "--protocol", "deformer-dexycb")
    (record,) = json.loads(run("eval", "--table", "deformer.1", "--json", "-"))["results"]
    truth = dexycb.truth("s0-test", size, 0, synthetic_hand)
    counts = np.bincount(bucket_of(1 - truth.visible_fraction), minlength=len(BUCKETS)).tolist()
    return Chain(
        record=record,
        exact={name: n for (name, _, _), n in zip(BUCKETS, counts, strict=True)},
        table=run("eval", "--table", "deformer.1"),
        test=HandsFile(home / "data/dexycb-s0-test.h5"),
        typed=typed,
    )


def assert_the_table_is_right(chain: Chain, cameras: int) -> None:
    """Each bucket's n is the renderer's, and the table has a figure where there is a sample, and says how many."""
    assert set(chain.test.column("side")) == {"left", "right"}
    assert len({str(track).rsplit("/", 1)[1] for track in chain.test.column("track")}) == cameras
    assert {name: found["n"] for name, found in chain.record["per_bucket"].items()} == chain.exact
    assert chain.record["n"] == sum(chain.exact.values()) == len(chain.test)
    counts = ", ".join(f"{name} {n:,}" for name, n in chain.exact.items())
    assert f"Samples by covered share: {counts}." in chain.table
    assert "Not comparable with the rows above" in chain.table
    row = next(line for line in chain.table.splitlines() if line.startswith("| deformer tiny"))
    cells = [cell.strip() for cell in row.split("|")[4:-1]]
    for at, n in enumerate((len(chain.test), *list(chain.exact.values())[1:])):
        assert [cell[0].isdigit() for cell in cells[2 * at : 2 * at + 2]] == [n > 0] * 2
