"""Labels lie beside the prepared file: made by rule, readable by anybody, and refused where they do not fit."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from handbench.errors import InvalidError, MissingError
from handbench.hands.camera import joint_box, project
from handbench.hands.colours import COLOURS, RGB
from handbench.hands.gestures import GESTURES
from handbench.hands.record import Hands
from handbench.preparation.labels import labels_digest, labels_file, read_labels, write_labels
from handbench.store.hands_file import HandsFile
from handbench.store.parts import Parts
from tests.conftest import CAMERA
from tests.hands.test_gestures import upright

POSES = ("palm", "fist", "peace", "ok", "palm")
CLOTH = ("blue", "red", "white", "green", "yellow")


def picture(colour: str, box: np.ndarray) -> bytes:
    """A cloth of one colour; in the hand's box, something that would turn any mean."""
    image = np.full((224, 224, 3), RGB[colour], np.uint8)
    x0, y0, x1, y1 = np.clip(np.rint(box), 0, 223).astype(int)
    image[y0 : y1 + 1, x0 : x1 + 1] = 255 - image[0, 0]
    return cv2.imencode(".png", image[:, :, ::-1])[1].tobytes()


@pytest.fixture
def file(tmp_path):
    """Five hands whose gestures and cloths are known; of the last, one joint is not."""
    joints = np.stack([upright(name, name) for name in POSES])
    boxes = joint_box(project(joints, CAMERA))
    images = [picture(*pair) for pair in zip(CLOTH, boxes, strict=True)]
    joints[-1, 3] = np.nan
    hands = Hands(
        id=np.array([f"toy/train/{i:08d}" for i in range(5)]),
        side=np.full(5, "right"),
        joints=joints,
        camera=np.tile(CAMERA, (5, 1, 1)),
        image_size=np.full((5, 2), 224),
        box=boxes,
        meta={},
    )
    with Parts(tmp_path / "toy-train.h5", 5, {}) as parts:
        parts.write(0, hands, images)
        parts.finish({"dataset": "toy", "split": "train"})
    return HandsFile(tmp_path / "toy-train.h5")


def test_they_are_what_was_painted_and_posed(file):
    path = write_labels(file)
    assert path == labels_file(file.path)
    assert path.name == "toy-train.labels.csv"
    lines = path.read_text().splitlines()
    assert lines[0] == "id,background,gesture"
    assert lines[1] == "toy/train/00000000,blue,palm"
    assert lines[5] == "toy/train/00000004,yellow,"
    found = read_labels(path, file)
    assert [COLOURS[i] for i in found["background"]] == list(CLOTH)
    assert [GESTURES[i] for i in found["gesture"][:4]] == list(POSES[:4])
    assert found["gesture"][4] == -1
    assert not list(path.parent.glob(".*.part"))


def test_another_order_is_as_good_and_a_detectors_word_counts(file):
    path = write_labels(file)
    first = read_labels(path, file)
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join([head, *rows[::-1], ""]))
    assert labels_digest(read_labels(path, file)) == labels_digest(first)
    path.write_text(path.read_text().replace(",fist", ",rock"))
    assert GESTURES[read_labels(path, file)["gesture"][1]] == "rock"
    assert labels_digest(read_labels(path, file)) != labels_digest(first)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("blue,palm", "bleu,palm", "line 2: there is no background 'bleu'; did you mean 'blue'?"),
        ("red,fist", "red,fists", "line 3: there is no gesture 'fists'; did you mean 'fist'?"),
        ("toy/train/00000002", "toy/test/00000002", "line 4: 'toy/test/00000002' is no sample of"),
        ("toy/train/00000002", "toy/train/00000001", "line 4: 'toy/train/00000001' is there twice."),
        ("toy/train/00000002,white,peace\n", "", "has no row for 1 of the 5 samples of"),
        ("id,background", "id,colour", "has the columns id, colour, gesture, not id, background, gesture."),
        ("red,fist", "red,fist,0.9", "line 3: 4 fields, not 3."),
        ("id,background,gesture\n", "", "has the columns"),
    ],
)
def test_what_is_refused(file, before, after, said):
    path = write_labels(file)
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    with pytest.raises(InvalidError) as error:
        read_labels(path, file)
    assert said in error.value.message
    assert error.value.hint


def test_files_that_are_none(file, tmp_path):
    with pytest.raises(MissingError, match="There are no labels"):
        read_labels(tmp_path / "none.csv", file)
    (tmp_path / "binary.csv").write_bytes(b"id,\xff\xfe\x00")
    for name in ("binary.csv", "."):
        with pytest.raises(InvalidError, match="cannot be read as a CSV"):
            read_labels(tmp_path / name, file)
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(InvalidError, match=r"has the columns \(none\)"):
        read_labels(tmp_path / "empty.csv", file)


def test_by_command(handbench, home):
    assert handbench("prep", "handsynth-small", "--split", "test", "--limit", 6, "--workers", 1).code == 0
    prepared = home / "data/handsynth-small-test.h5"
    ran = handbench("prep", "labels", prepared)
    assert ran.code == 0, ran.err
    path = home / "data/handsynth-small-test.labels.csv"
    assert ran.out.strip() == str(path)
    with HandsFile(prepared) as file:
        found = read_labels(path, file)
    assert (found["background"] >= 0).all()
    assert (found["gesture"] >= 0).all()
    path.write_text("somebody's")
    ran = handbench("prep", "labels", prepared)
    assert ran.code == 2
    assert "there already" in ran.err
    assert path.read_text() == "somebody's"
    assert handbench("prep", "labels", prepared, "--force").code == 0
    assert path.read_text().count("\n") == 7
    assert handbench("prep", "labels").code == 2
    assert handbench("prep", "labels", home / "none.h5").code == 3
    assert handbench("prep", "handsynth-small", "--force").code == 2
