"""`handbench eval --cross`: what was trained on a source and on nothing else, on targets that it has not seen."""

from __future__ import annotations

import json

import numpy as np
import pytest

from handbench import places
from handbench.hands.record import Hands
from handbench.store.parts import Parts

N = 6
GAPS = {"handsynth-source": 5.0, "handsynth-target": 9.0}
PROTOCOLS = {"handsynth-source": "handsynth-source", "handsynth-target": "handsynth-source-to-handsynth-target"}


@pytest.fixture
def truths(handbench, home):
    for name in GAPS:
        assert handbench("prep", name, "--split", "test", "--limit", N, "--workers", 1).code == 0


def predict(dataset: str, method: str, mm: float, **meta) -> None:
    """Predictions that are off by `mm` a joint, as `handbench predict` writes them."""
    from handbench.store.hands_file import HandsFile

    with HandsFile(places.prepared(dataset, "test")) as truth:
        true, digest = truth.read(), truth.digest()
    rng = np.random.default_rng(len(method))
    off = rng.normal(size=true.joints.shape)
    off *= mm / 1000 / np.linalg.norm(off, axis=-1, keepdims=True)
    about = {
        "dataset": dataset, "split": "test", "truth_digest": digest, "truth_source": true.meta["source"],
        "method": method, "variant": "full", "size": "tiny", "seed": 0, "given": ["root"], "checkpoint": method,
        "weights": {}, "trained_on": "handsynth-source/train (handbench HandSynth domains v1)", **meta,
    }  # fmt: skip
    row = f"{method}-{about['variant']}.{about['size']}-{about['seed']}"
    path = places.predictions_file(PROTOCOLS[dataset], row)
    path.parent.mkdir(parents=True, exist_ok=True)
    with Parts(path, N, about) as parts:
        parts.write(0, Hands(id=true.id, joints=true.joints + off, meta={}), None)
        parts.finish(about)


def predict_both(method: str, **meta) -> None:
    for dataset, mm in GAPS.items():
        predict(dataset, method, mm, **meta)


CROSS = ("eval", "--cross", "handsynth-source:handsynth-target")


def test_one_row_a_model_with_the_sources_own_figures_before_the_targets(handbench, truths):
    predict_both("toy", weights={"clip": "random"})
    predict_both("toy", seed=3, changed=["train.epochs=1"], checkpoint="toy3", given=[])
    ran = handbench(*CROSS)
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[0] == "## Trained on handsynth-source, tested on handsynth-target"
    head = next(line for line in lines if line.startswith("| method"))
    assert head.index("handsynth-source itself: EPE (mm)") < head.index("handsynth-target: EPE (mm)")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| toy")]
    assert [row[3] for row in rows] == ["0", "3"]
    assert rows[0][0].startswith("toy (random CLIP)")
    assert "takes no part in best" in ran.out
    assert "Not the recipe as it is, and not ranked: train.epochs=1" in ran.out
    found = handbench(*CROSS, "--json", "-")
    record = json.loads(found.out)
    assert record["columns"] == list(GAPS)
    for row, cells in zip(record["rows"], rows, strict=True):
        for at, column in enumerate(GAPS):
            figures = row["figures"][column]
            assert figures["n"] == N
            low, high = figures["root-scale"]["interval"]
            shown = f"{figures['root-scale']['value']:.2f} [{low:.2f}, {high:.2f}]"
            assert cells[4 + 4 * at] == shown
            assert cells[5 + 4 * at] == "6"
            assert cells[6 + 4 * at] == f"{figures['root']['value']:.2f}"
            assert cells[7 + 4 * at] == f"{figures['procrustes']['value']:.2f}"
        errors = [row["figures"][column]["procrustes"]["value"] for column in GAPS]
        assert errors[0] < errors[1]


def test_what_was_trained_on_anything_else_is_left_out_and_said(handbench, truths):
    predict_both("toy")
    predict_both("other", trained_on="handsynth/train (handbench HandSynth v1)")
    predict_both("before", pretrained="handsynth-target/train (handbench HandSynth domains v1)")
    predict_both("silent", trained_on=None)
    ran = handbench(*CROSS)
    assert ran.code == 0, ran.err
    assert [line.split("|")[1].strip()[:3] for line in ran.out.splitlines() if line.startswith("| ")][1:] == ["toy"]
    assert "Left out: other tiny: it was trained on handsynth/train (handbench HandSynth v1)." in ran.out
    assert "Left out: before tiny: it was pre-trained on handsynth-target/train" in ran.out
    assert "Left out: silent tiny: it does not say what it was trained on." in ran.out
    assert ran.out.count("Left out: other") == 1


def test_what_is_missing_is_named_with_the_command_that_makes_it(handbench, truths):
    ran = handbench(*CROSS)
    assert ran.code == 3
    assert "`handbench predict METHOD --protocol handsynth-source-to-handsynth-target` makes them." in ran.err
    predict("handsynth-source", "toy", 5.0, variant="a", seed=2)
    ran = handbench(*CROSS)
    assert ran.code == 3
    command = "handbench predict toy --variant a --size tiny --seed 2 --protocol handsynth-source-to-handsynth-target"
    assert command in ran.err
    predict("handsynth-target", "toy", 5.0)
    ran = handbench(*CROSS)
    assert ran.code == 0, ran.err
    assert "Missing: toy tiny has no predictions of handsynth-source: handbench predict toy --size tiny" in ran.out
    assert f"Missing: toy a tiny seed 2 has no predictions of {PROTOCOLS['handsynth-target']}: {command}" in ran.out


def test_by_the_commands_themselves(handbench, home):
    assert handbench("prep", "handsynth-source", "--limit", 12, "--workers", 1).code == 0
    assert handbench("prep", "handsynth-target", "--split", "test", "--limit", N, "--workers", 1).code == 0
    assert handbench("train", "mean-pose", "--data", "handsynth-source").code == 0
    for protocol in PROTOCOLS.values():
        assert handbench("predict", "mean-pose", "--protocol", protocol).code == 0
    ran = handbench(*CROSS)
    assert ran.code == 0, ran.err
    assert "| mean-pose" in ran.out
    assert "Missing" not in ran.out
    assert "Trained on handsynth-source/train (handbench HandSynth domains v1, partial)" in ran.out
    # what scoring warns of is a footnote here
    assert f"On handsynth-target: {N} of 300 samples: not comparable with the full protocol." in ran.out
    assert "Protocols: handsynth-source@1-" in ran.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["freihand"], "'freihand' is no source and targets."),
        (["freihand:"], "is no source and targets."),
        (["freihand:stb,"], "is no source and targets."),
        (["freihnad:stb"], "There is no source 'freihnad'; did you mean 'freihand'?"),
        (["freihand:stbb"], "There is no target of freihand 'stbb'; did you mean 'stb'?"),
        (["freihand:stb,freihand"], "freihand is both source and target."),
        (["freihand:stb,stb"], "A target is named twice"),
        (["freihand:stb", "--table", "1"], "--cross takes --json and nothing else."),
        (["freihand:stb", "--format", "latex"], "--cross takes --json and nothing else."),
    ],
)
def test_what_is_not_understood(handbench, words, said):
    ran = handbench("eval", "--cross", *words)
    assert ran.code == 2
    assert said in ran.err


def test_freihand_has_its_targets(handbench):
    ran = handbench("eval", "--cross", "freihand:stb,rhd")
    assert ran.code == 3
    assert "freihand-to-stb or freihand-to-rhd" in ran.err
    assert "handbench predict METHOD --protocol freihand-to-rhd" in ran.err
