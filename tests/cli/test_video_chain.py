"""Video from end to end, in small: DexYCB's folders, preparation, Deformer, predictions, the table by occlusion."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from handbench.evaluation.buckets import BUCKETS, bucket_of
from handbench.store.hands_file import HandsFile
from handbench.synth import dexycb
from handbench.synth.hand import synthetic_hand
from handbench.synth.layout import Size

# of the 14 sequences two are for testing: one of each side
SIZE = Size(sequences=14, frames=10, cameras=2)
SPLITS = ("s0-train", "s0-test")
TINY = ("--size", "tiny", "--device", "cpu")
QUICK = ("train.epochs=1", "train.workers=0", "data.limit=12")


@pytest.fixture
def chain(handbench, home):
    """The tree under HANDBENCH_DATA, and its two splits prepared."""
    root = home.parent / "data/dexycb"
    words = ("--sequences", SIZE.sequences, "--frames", SIZE.frames, "--cameras", SIZE.cameras)
    assert handbench("synth", "dexycb", "--out", root, *words).code == 0
    for split in SPLITS:
        names = ("--sequence-names", root / "sequence-names.txt")
        ran = handbench("prep", "dexycb", "--partial", "--split", split, *names)
        assert ran.code == 0, ran.err
    return handbench


def test_the_chain(chain, home):
    test = HandsFile(home / "data/dexycb-s0-test.h5")
    assert set(test.column("side")) == {"left", "right"}
    assert len({str(track).rsplit("/", 1)[1] for track in test.column("track")}) == SIZE.cameras

    sets = [word for setting in QUICK for word in ("--set", setting)]
    ran = chain("train", "deformer", *TINY, *sets)
    assert ran.code == 0, ran.err
    ran = chain("predict", "deformer", *TINY, "--protocol", "deformer-dexycb")
    assert ran.code == 0, ran.err

    ran = chain("eval", "--table", "deformer.1", "--json", "-")
    assert ran.code == 0, ran.err
    (record,) = json.loads(ran.out)["results"]
    truth = dexycb.truth("s0-test", SIZE, 0, synthetic_hand)
    exact = np.bincount(bucket_of(1 - truth.visible_fraction), minlength=len(BUCKETS))
    assert {name: found["n"] for name, found in record["per_bucket"].items()} == {
        name: n for (name, _, _), n in zip(BUCKETS, exact.tolist(), strict=True)
    }
    assert record["n"] == exact.sum() == len(test)
    # more than one bucket has something in it
    assert (exact > 0).sum() > 1

    text = chain("eval", "--table", "deformer.1").out
    row = next(line for line in text.splitlines() if line.startswith("| deformer tiny"))
    counts = ", ".join(f"{name} {n:,}" for (name, _, _), n in zip(BUCKETS, exact.tolist(), strict=True))
    assert f"Samples by covered share: {counts}." in text
    assert "Not comparable with the rows above" in text
    cells = [cell.strip() for cell in row.split("|")[4:-1]]
    for at, n in enumerate((len(test), *exact[1:].tolist())):
        assert [bool(re.match(r"\d", cell)) for cell in cells[2 * at : 2 * at + 2]] == [n > 0] * 2
    latex = chain("eval", "--table", "deformer.1", "--latex", "--standalone")
    assert latex.code == 0
    assert "deformer tiny" in latex.out


def test_the_recipe_says_what_makes_its_data(handbench):
    ran = handbench("train", "deformer", *TINY)
    assert ran.code == 3
    assert "handbench prep dexycb --split s0-train" in ran.err


def test_cameras_are_dexycbs_and_eight(handbench, home):
    ran = handbench("synth", "ho3d-v3", "--out", home / "a", "--cameras", "2")
    assert ran.code == 2
    assert "--cameras is for dexycb" in ran.err
    ran = handbench("synth", "dexycb", "--out", home / "a", "--sequences", "1", "--frames", "1", "--cameras", "9")
    assert ran.code == 2
    assert "DexYCB has 8 cameras" in ran.err
