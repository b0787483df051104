"""Images, masks and depth lie one after the other; each is found, shared between processes, and known by its digest."""

from __future__ import annotations

import hashlib
import json
import os

import h5py
import numpy as np
import pytest

from handbench.errors import InvalidError
from handbench.store.hands_file import HandsFile
from handbench.store.hands_writer import join_files, write_hands
from handbench.store.parts import Parts, write_part
from tests.store.test_hands_file import same, some_hands


def test_each_stream_gives_back_what_went_in(tmp_path):
    hands, images = some_hands(7)
    masks, depth = [b"m" * i for i in range(7)], [bytes([i]) * 3 for i in range(7)]
    write_hands(tmp_path / "a.h5", hands, images, masks, depth)
    with HandsFile(tmp_path / "a.h5") as file:
        assert file.streams == ("images", "masks", "depth")
        assert [file.image(i) for i in range(7)] == images
        assert [file.image(i, "masks") for i in range(7)] == masks
        assert [file.image(i, "depth") for i in range(7)] == depth
        assert file.image(-1) == images[6]
        with pytest.raises(IndexError):
            file.image(7)
        file.verify()


def test_a_stream_that_is_not_there_is_said(tmp_path):
    hands, images = some_hands(2)
    write_hands(tmp_path / "a.h5", hands, images)
    with pytest.raises(InvalidError, match="holds no masks"):
        HandsFile(tmp_path / "a.h5").image(0, "masks")


def test_the_checksum_of_images_is_that_of_their_digests(tmp_path):
    hands, images = some_hands(5)
    write_hands(tmp_path / "a.h5", hands, images)
    digests = b"".join(hashlib.sha256(image).digest()[:16] for image in images)
    assert HandsFile(tmp_path / "a.h5").checksums["images/bytes"] == hashlib.sha256(digests).hexdigest()


def test_a_changed_picture_is_named_by_its_sample(tmp_path):
    hands, images = some_hands(9)
    write_hands(tmp_path / "a.h5", hands, images)
    at = sum(map(len, images[:6]))
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["images/bytes"][at] ^= 1
    with pytest.raises(InvalidError, match="The image of set/0006"):
        HandsFile(tmp_path / "a.h5").verify()


@pytest.mark.parametrize("array", ["images/offsets", "images/digests", "hands/vertices", "hands/id"])
def test_any_other_change_is_found(tmp_path, array):
    hands, images = some_hands(9)
    write_hands(tmp_path / "a.h5", hands, images)
    file = HandsFile(tmp_path / "a.h5")
    with open(file.path, "r+b") as raw:
        raw.seek(file.places[array].offset + 9)
        byte = raw.read(1)
        raw.seek(-1, os.SEEK_CUR)
        raw.write(bytes([byte[0] ^ 1]))
    with pytest.raises(InvalidError, match="checksum"):
        HandsFile(tmp_path / "a.h5").verify()


def test_a_fork_reads_the_same_open_file(tmp_path):
    hands, images = some_hands(40)
    write_hands(tmp_path / "a.h5", hands, images)
    file = HandsFile(tmp_path / "a.h5")
    assert file.image(3) == images[3]
    readers = []
    for k in range(2):
        if (pid := os.fork()) == 0:
            fine = all(
                file.image(i) == images[i] and same(hands.take(slice(i, i + 1)), file.read(i, i + 1))
                for i in range(k, 40, 2)
            )
            os._exit(0 if fine else 1)
        readers.append(pid)
    assert all(file.image(i) == images[i] for i in range(40))
    assert [os.waitpid(pid, 0)[1] for pid in readers] == [0, 0]


def test_an_array_in_chunks_and_a_file_of_an_earlier_format_are_refused(tmp_path):
    hands, images = some_hands(4)
    write_hands(tmp_path / "a.h5", hands, images)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        data = file["hands/joints"][:]
        del file["hands/joints"]
        file.create_dataset("hands/joints", data=data, chunks=True)
    with pytest.raises(InvalidError, match="cannot be read"):
        HandsFile(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file.attrs["format"] = "handbench-hands-1"
    with pytest.raises(InvalidError, match="earlier handbench"):
        HandsFile(tmp_path / "a.h5")


def test_blocks_of_any_size_and_empty_ones_are_joined_and_what_was_left_out_is_listed(tmp_path):
    hands, images = some_hands(10)
    write_hands(tmp_path / "whole.h5", hands, images, images)
    with Parts(tmp_path / "a.h5", 16, {}, block=4, gaps=True) as parts:
        parts.folder.mkdir(exist_ok=True)
        write_part(parts.folder, 0, None, [])
        write_part(parts.folder, 4, hands.take(slice(0, 1)), images[:1], images[:1])
        write_part(parts.folder, 8, hands.take(slice(1, 8)), images[1:8], images[1:8], None, [("set/x", "cut, short")])
        write_part(parts.folder, 12, hands.take(slice(8, 10)), images[8:], images[8:])
        assert parts.todo() == []
        assert parts.samples() == 10
        file = parts.finish(dict(hands.meta))
    assert file.left_out == [("set/x", "cut, short")]
    assert same(file.read(), hands)
    assert [file.image(i, "masks") for i in range(10)] == images
    assert {k: v for k, v in file.checksums.items() if k != "left_out"} == HandsFile(tmp_path / "whole.h5").checksums
    file.verify()
    with Parts(tmp_path / "b.h5", 16, {}, block=4) as parts:
        write_part(parts.folder, 8, hands, images, None, None, [("set/x", "cut")])
        assert (8, 12) in parts.todo(), "a run that skips nothing does not take a block with gaps"


def test_blocks_with_other_types_are_a_fault_of_the_reader(tmp_path):
    hands, images = some_hands(4)
    write_hands(tmp_path / "1.h5", hands, images)
    write_hands(tmp_path / "2.h5", hands.replace(joints=hands.joints.astype(np.float32)), images)
    with pytest.raises(InvalidError, match="changes its shape or type"):
        join_files(tmp_path / "a.h5", [tmp_path / "1.h5", tmp_path / "2.h5"], {})
    write_hands(tmp_path / "3.h5", hands, None)
    with pytest.raises(InvalidError, match="different fields"):
        join_files(tmp_path / "a.h5", [tmp_path / "1.h5", tmp_path / "3.h5"], {})


def test_joining_without_the_kernel_s_copy_gives_the_same(tmp_path, monkeypatch):
    hands, images = some_hands(10)
    for k in range(2):
        write_hands(tmp_path / f"{k}.h5", hands.take(slice(5 * k, 5 * k + 5)), images[5 * k : 5 * k + 5])
    blocks = [tmp_path / f"{k}.h5" for k in range(2)]
    join_files(tmp_path / "a.h5", blocks, {"x": 1})

    def refused(*words):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "copy_file_range", refused)
    join_files(tmp_path / "b.h5", blocks, {"x": 1})
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert json.loads(json.dumps(HandsFile(tmp_path / "a.h5").meta)) == {"x": 1}


def test_more_blocks_are_joined_than_a_process_may_have_open_files(tmp_path):
    import resource

    hands, images = some_hands(90)
    blocks = []
    for i in range(90):
        blocks.append(tmp_path / f"{i}.h5")
        write_hands(blocks[-1], hands.take(slice(i, i + 1)), images[i : i + 1])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        join_files(tmp_path / "a.h5", blocks, {})
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert same(HandsFile(tmp_path / "a.h5").read(), hands)
