"""Video from end to end, in small: DexYCB's folders, preparation, Deformer, predictions, the table by occlusion."""

from __future__ import annotations

from handbench.synth.layout import Size
from tests.video_chain import TINY, assert_the_table_is_right, run_chain

# of the 14 sequences two are for testing: one of each side
SIZE = Size(sequences=14, frames=10, cameras=2)


def test_the_chain(handbench, home):
    chain = run_chain(handbench, home, SIZE, ("train.epochs=1", "train.workers=0", "data.limit=12", "model.gap=2"))
    assert_the_table_is_right(chain, SIZE.cameras)
    assert sum(n > 0 for n in chain.exact.values()) > 1
    latex = handbench("eval", "--table", "deformer.1", "--format", "latex", "--standalone")
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
