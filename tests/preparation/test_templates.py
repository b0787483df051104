"""One hand for each gesture: what ships is what is generated, and a training set's are its most typical hands."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from handbench.errors import InvalidError, MissingError
from handbench.hands.gestures import GESTURES, gestures
from handbench.hands.joints import MIDDLE_MCP, WRIST
from handbench.hands.record import Hands
from handbench.places import shipped
from handbench.preparation.labels import labels_file
from handbench.preparation.templates import SYNTHETIC, medoid, set_templates, synthetic_templates
from handbench.store.hands_file import HandsFile
from handbench.store.parts import Parts
from handbench.store.templates import read_templates, write_templates

AGAIN = "python -m handbench.preparation.templates > recipes/templates/gestures.json"
# by the index finger alone they cannot be told apart
SEEN_AS = {"mute": "one"}


def test_what_ships_is_what_is_generated():
    found = read_templates()
    assert found.names == GESTURES
    assert found.made_from == (SYNTHETIC,) * 19
    assert np.abs(found.joints - synthetic_templates()).max() < 1e-6, AGAIN
    assert np.abs(found.joints[:, WRIST]).max() == 0.0
    assert shipped("recipes", "templates", "gestures.json").name == "gestures.json"


def test_each_template_is_seen_as_its_gesture():
    seen = gestures(read_templates().joints, "right")
    assert [GESTURES[i] for i in seen] == [SEEN_AS.get(name, name) for name in GESTURES]


def test_an_inverted_template_is_the_hand_turned_about_its_vertical_axis():
    found = dict(zip(GESTURES, read_templates().joints, strict=True))
    for name in ("stop", "two_up", "peace"):
        assert np.allclose(found[f"{name}_inverted"], found[name] * [-1, 1, -1])


def test_the_medoid_has_the_least_distances():
    points = np.random.default_rng(0).normal(size=(300, 5))
    sums = [np.linalg.norm(points - one, axis=1).sum() for one in points]
    assert medoid(points) == int(np.argmin(sums))
    assert medoid(points[:1]) == 0


def training_set(path, split="train"):
    """Three hands of `palm` (the second between the others), two left ones of `fist`, one that lacks a joint; each
    turned at random and of another size.
    """
    rng = np.random.default_rng(0)
    shapes = dict(zip(GESTURES, synthetic_templates(), strict=True))
    bent = shapes["palm"].copy()
    bent[[3, 4]] += [0.004, 0.0, 0.002]
    palms = [shapes["palm"], (shapes["palm"] + bent) / 2, bent]
    fists = [shapes["fist"] * [-1, 1, 1]] * 2
    joints = np.stack([*palms, *fists, shapes["rock"]])
    sizes = np.array([0.8, 0.9, 1.0, 1.1, 1.2, 1.0])
    # palms as they stand: a turn would change where they look
    turns = [np.eye(3)] * 3 + list(Rotation.random(3, rng=rng).as_matrix())
    joints = np.stack([s * j @ t.T + [0, 0, 0.5] for s, j, t in zip(sizes, joints, turns, strict=True)])
    joints[5, 20] = np.nan
    side = np.array(["right"] * 3 + ["left"] * 2 + ["right"])
    hands = Hands(id=np.array([f"toy/train/{i:08d}" for i in range(6)]), side=side, joints=joints, meta={})
    with Parts(path, 6, {}) as parts:
        parts.write(0, hands, None)
        parts.finish({"dataset": "toy", "split": split})
    return HandsFile(path), sizes[:5]


def test_a_sets_templates_are_its_medoids_and_the_rest_is_synthetic(tmp_path):
    file, sizes = training_set(tmp_path / "toy-train.h5")
    joints, made_from = set_templates(file)
    of = dict(zip(GESTURES, made_from, strict=True))
    assert of["palm"] == "toy/train/00000001, medoid of 3"
    assert of["fist"] == "toy/train/00000003, medoid of 2"
    assert {of[name] for name in GESTURES if name not in ("palm", "fist")} == {SYNTHETIC}
    synthetic = synthetic_templates()
    fist = GESTURES.index("fist")
    # a left hand's, as a right one, of the set's mean size
    assert np.abs(joints[fist] - sizes.mean() * synthetic[fist]).max() < 1e-6
    length = np.linalg.norm(joints[:, MIDDLE_MCP] - joints[:, WRIST], axis=1)
    assert np.isclose(length[GESTURES.index("palm")], length[fist])
    rock = GESTURES.index("rock")
    assert np.array_equal(joints[rock], synthetic[rock])


def test_labels_beside_the_file_decide_the_class(tmp_path):
    file, _ = training_set(tmp_path / "toy-train.h5")
    words = ["palm", "palm", "palm", "stop", "", "rock"]
    rows = [f"{name},,{word}" for name, word in zip(file.ids, words, strict=True)]
    labels_file(file.path).write_text("\n".join(["id,background,gesture", *rows]))
    of = dict(zip(GESTURES, set_templates(file)[1], strict=True))
    assert of["stop"] == "toy/train/00000003, medoid of 1"
    assert of["fist"] == of["rock"] == SYNTHETIC


def test_by_command(handbench, home, tmp_path):
    file, _ = training_set(tmp_path / "toy-train.h5")
    ran = handbench("prep", "templates", file.path)
    assert ran.code == 0, ran.err
    assert ran.out.strip() == str(tmp_path / "toy-train.templates.json")
    assert "No hand of call, dislike, four" in ran.err
    found = read_templates(tmp_path / "toy-train.templates.json")
    assert np.abs(found.joints - set_templates(file)[0]).max() < 1e-6
    assert found.made_from[GESTURES.index("fist")].startswith("toy/train/00000003")
    out = tmp_path / "mine.json"
    assert handbench("prep", "templates", file.path, "--out", out).code == 0
    assert json.loads(out.read_text())["from"][0] == SYNTHETIC
    assert handbench("prep", "templates", file.path, "--out", file.path).code == 2
    assert handbench("prep", "templates").code == 2
    test, _ = training_set(tmp_path / "toy-test.h5", "test")
    ran = handbench("prep", "templates", test.path)
    assert ran.code == 4
    assert "is a test split" in ran.err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"joints": np.zeros((19, 20, 3)).tolist()}, r"shape \(19, 20, 3\), not \(19, 21, 3\)"),
        ({"joints": [[1], [2, 3]]}, "no array of numbers"),
        ({"joints": np.full((19, 21, 3), np.nan).tolist()}, "not all finite|not valid JSON"),
        ({"names": list(GESTURES[::-1])}, "does not have the 19 gestures in their order"),
        ({"names": None}, "does not have the 19"),
        ({"joints": (1000 * synthetic_templates()).tolist()}, r"palms .* are 91.1 to 91.1 long"),
        ({"joints": (synthetic_templates() + 0.01).tolist()}, "wrists .* are not at the origin"),
        ({"joints": np.zeros((19, 21, 3)).tolist()}, "palms"),
        ({"joints": [[["0.1"] * 3] * 21] * 19}, "no array of numbers"),
        ({"from": 5}, "does not say of each of its 19 hands"),
        ({"from": ["a"]}, "does not say of each of its 19 hands"),
    ],
)
def test_a_file_of_another_shape_is_refused(tmp_path, change, said):
    path = tmp_path / "t.json"
    write_templates(path, synthetic_templates(), [SYNTHETIC] * 19)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InvalidError, match=said):
        read_templates(path)
    path.write_text("[]")
    with pytest.raises(InvalidError, match="no file of templates"):
        read_templates(path)
    with pytest.raises(MissingError):
        read_templates(tmp_path / "none.json")
