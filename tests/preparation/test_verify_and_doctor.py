"""A prepared file is checked again from its bytes to its hands; a folder is looked at without being taken."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

from handbench.errors import InvalidError
from handbench.preparation.verify import verify
from handbench.store.hands_writer import write_hands
from tests.conftest import jpeg
from tests.datasets import official

# RHD's order: each finger from tip to base
TIP_FIRST = [0, 4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13, 20, 19, 18, 17]


@pytest.fixture
def prepared(several_blocks, tmp_path):
    return official.prepared("freihand", several_blocks, "train", tmp_path / "a.h5", partial=True)


def changed(file, **changes):
    """The same file with other fields, written anew: its checksums hold."""
    hands = file.read()
    images = [file.image(i) for i in range(len(file))]
    write_hands(file.path, hands.replace(**changes), images)
    return file.path


def test_what_was_prepared_holds(prepared, handbench):
    ran = handbench("prep", "verify", prepared.path)
    assert ran.code == 0
    assert "120 samples, every checksum holds" in ran.out


def test_a_flipped_bit_in_an_image_is_found_and_the_sample_named(prepared, handbench):
    with h5py.File(prepared.path, "r+") as file:
        file["images/bytes"][int(file["images/offsets"][77]) + 500] ^= 4
    ran = handbench("prep", "verify", prepared.path)
    assert ran.code == 4
    assert "The image of freihand/train/00000077" in ran.err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda h: {"joints": h.joints * 1000}, "millimetres"),
        (lambda h: {"joints": h.joints * [1, -1, -1]}, "behind the camera"),
        (lambda h: {"joints": h.joints[:, TIP_FIRST]}, "RHD order"),
        (lambda h: {"camera": h.camera * [[9], [9], [1]]}, "intrinsics do not fit"),
        (lambda h: {"id": np.array(["freihand/train/00000000"] * len(h))}, "twice"),
        (lambda h: {"image_size": h.image_size + 1}, "not (225, 225)"),
    ],
    ids=["units", "axes", "order", "camera", "ids", "size"],
)  # fmt: skip
def test_hands_that_are_not_what_the_record_says_are_found(prepared, change, words):
    path = changed(prepared, **change(prepared.read()))
    with pytest.raises(InvalidError) as error:
        verify(path)
    assert words in error.value.message


def test_a_file_that_says_it_is_whole_has_the_official_count(prepared):
    path = changed(prepared, meta={**prepared.meta, "partial": False})
    with pytest.raises(InvalidError, match=r"120 samples, the official split 130,240"):
        verify(path)


def test_joints_that_are_partly_missing_are_checked_as_far_as_they_go(prepared):
    hands = prepared.read()
    joints = np.where(np.isin(np.arange(21), [4, 8, 12, 16, 20])[:, None], hands.joints, np.nan)
    verify(changed(prepared, joints=joints, joints_valid=np.isfinite(joints).all(-1)))
    with pytest.raises(InvalidError, match="no hands in metres"):
        verify(changed(prepared, joints=joints * 1000))


def test_the_doctor_names_files_that_cannot_be_read_and_goes_on(several_blocks, handbench, home):
    (several_blocks / "training/rgb/00000011.jpg").write_bytes(b"no image")
    (several_blocks / "training/rgb/00000050.jpg").write_bytes(jpeg(1)[:800])
    (several_blocks / "training/rgb/00000060.jpg").write_bytes(jpeg(61))
    ran = handbench("doctor", "freihand", several_blocks, "--split", "train", "--images", "5")
    assert ran.code == 5
    assert "2 of 120 frames looked at cannot be read" in ran.out
    assert "00000011.jpg is neither JPEG nor PNG" in ran.out
    assert "00000050.jpg is cut short" in ran.out
    assert "ODD images   118 images read, 1 duplicates" in ran.out
    assert (home / "doctor/freihand-train.png").stat().st_size > 10000
    assert not (home / "data").exists()


def test_the_doctor_says_units_that_are_not_metres(several_blocks, handbench):
    path = several_blocks / "training_xyz.json"
    path.write_text(json.dumps((1000 * np.array(json.loads(path.read_text()))).tolist()))
    ran = handbench("doctor", "freihand", several_blocks, "--split", "train")
    assert ran.code == 5
    assert "millimetres?" in ran.out


def test_a_target_that_cannot_be_written_is_said(several_blocks, handbench, tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file" / "a.h5", several_blocks):
        ran = handbench("prep", "freihand", several_blocks, "--partial", "--split", "train", "--out", out)
        assert ran.code in (2, 3)
        assert "bug" not in ran.err
    assert (several_blocks / "training_K.json").is_file(), "the folder was not replaced"


def test_one_odd_hand_among_many_does_not_stop_a_set_and_a_share_of_them_does(prepared):
    """A joint of one annotation behind the camera is that annotation's fault; of many, it is the axes'."""
    joints = prepared.read().joints.copy()
    joints[:5, 3, 2] = -0.01
    verify(changed(prepared, joints=joints))
    joints[:20, 3, 2] = -0.01
    with pytest.raises(InvalidError, match="20 of 120 hands lie behind the camera"):
        verify(changed(prepared, joints=joints))


def test_hands_that_are_annotated_outside_of_the_image_are_no_fault_of_the_camera(prepared):
    joints = prepared.read().joints.copy()
    joints[:70, :, 0] += 2.0
    verify(changed(prepared, joints=joints))
    joints[:, :, 0] += 2.0
    with pytest.raises(InvalidError, match="intrinsics do not fit"):
        verify(changed(prepared, joints=joints))
