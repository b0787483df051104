"""A part of DexYCB's tree: what of a split is there, by the names of all sequences; and the calibration beside it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from handbench.errors import InvalidError, MissingError
from handbench.layouts.dexycb_calibration import read_intrinsics, read_shapes
from handbench.layouts.dexycb_tree import list_sequences, read_sequence_names, split_frames
from handbench.layouts.folder import Folder
from tests.datasets.dexycb_layout import SERIALS, SUBJECTS, plant, plant_calibration, takes_of


def folder(root: Path) -> Folder:
    return Folder(root, "DexYCB")


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    return plant(tmp_path_factory.mktemp("dexycb"))


class TestPartsOfATree:
    """Splits count sequences by position: with all names known, a part of them can be taken."""

    @pytest.fixture
    def names(self, tree):
        return list_sequences(folder(tree))

    @pytest.fixture
    def part(self, tmp_path) -> Path:
        """Of the third subject, sequences 4, 5 and 14, the last one seen by two cameras."""
        takes = takes_of(SUBJECTS[2])
        root = plant(tmp_path / "part", {SUBJECTS[2]: [takes[4], takes[5], takes[14]]})
        for i, serials in ((4, SERIALS), (5, SERIALS), (14, SERIALS[3:5])):
            for serial in serials:
                (root / SUBJECTS[2] / takes[i]["name"] / serial).mkdir()
        return root

    def test_sequences_keep_their_position(self, part, names):
        frames = split_frames(folder(part), "s0-test", names)
        sequence = "20200820-subject-03/20200820_1000"
        tracks = list(dict.fromkeys(frames.track(i) for i in range(len(frames))))
        assert tracks == [f"{sequence}04/{s}" for s in SERIALS] + [f"{sequence}14/{s}" for s in SERIALS[3:5]]
        assert not frames.whole
        assert frames.name(1) == "dexycb/s0-test/20200820-subject-03/20200820_100004/836212060125/000001"
        # 4 has two frames, 14 three
        assert len(frames) == 2 * 8 + 3 * 2
        train = split_frames(folder(part), "s0-train", names)
        assert {train.capture(i) for i in range(len(train))} == {f"{sequence}05"}
        with pytest.raises(MissingError, match=r"has no sequence of the split s0-val"):
            split_frames(folder(part), "s0-val", names)

    def test_a_split_that_is_whole_in_a_part_has_the_official_ids(self, tmp_path, names):
        root = plant(tmp_path / "one", {SUBJECTS[6]: takes_of(SUBJECTS[6])})
        for i in range(100):
            for serial in SERIALS:
                (root / SUBJECTS[6] / takes_of(SUBJECTS[6])[i]["name"] / serial).mkdir()
        frames = split_frames(folder(root), "s1-val", names)
        assert (frames.whole, frames.name(3)) == (True, "dexycb/s1-val/00000003")
        assert not split_frames(folder(root), "s0-test", names).whole

    def test_a_sequence_without_a_meta_file_is_an_error(self, part, names):
        (part / SUBJECTS[2] / "20200820_100014" / "meta.yml").unlink()
        with pytest.raises(MissingError, match=r"20200820_100014/meta.yml does not exist"):
            split_frames(folder(part), "s0-test", names)

    def test_a_sequence_that_is_not_among_the_names(self, part, names):
        (part / SUBJECTS[2] / "20200820_235959").mkdir()
        with pytest.raises(InvalidError, match=r"20200820_235959 is not among the names of all sequences"):
            split_frames(folder(part), "s0-test", names)

    def test_another_folder(self, tmp_path, names):
        with pytest.raises(MissingError, match=r"has no folder 20200709-subject-01, nor of another subject"):
            split_frames(folder(tmp_path), "s0-test", names)

    @pytest.mark.parametrize("form", ["{}/{}", "{} {}", "{},{},right", "/data/{}/{}/color"])
    def test_names_in_any_line(self, tmp_path, names, form):
        lines = [form.format(subject, name) for subject, own in zip(SUBJECTS, names, strict=True) for name in own]
        path = tmp_path / "names.txt"
        path.write_text("subject,sequence\n\n" + "\n".join(lines[::-1]) + "\n" + lines[5])
        assert read_sequence_names(path) == names

    def test_names_that_are_not_all_or_none(self, tmp_path, names):
        lines = [f"{subject}/{name}" for subject, own in zip(SUBJECTS, names, strict=True) for name in own]
        path = tmp_path / "names.txt"
        for content, wrong in (
            (lines[:-1], r"names.txt names 99 sequences of 20201022-subject-10"),
            ([*lines, "20200709-subject-01/20200709_235959"], r"names 101 sequences of 20200709-subject-01"),
            (lines[:3] + ["and so on"], r"Line 4 of .*names.txt is 'and so on'"),
            (["20200709-subject-11/20200709_141754"], r"Line 1 of .*names.txt is '20200709-subject-11"),
            ([], r"names.txt names 0 sequences of 20200709-subject-01"),
        ):
            path.write_text("\n".join(content))
            with pytest.raises(InvalidError, match=wrong):
                read_sequence_names(path)
        path.write_bytes(b"\xff\xfe\x00")
        with pytest.raises(InvalidError, match=r"names.txt is not text"):
            read_sequence_names(path)
        with pytest.raises(MissingError, match=r"none.txt does not exist"):
            read_sequence_names(tmp_path / "none.txt")


class TestCalibration:
    def test_cameras_in_the_order_of_the_serials(self, tmp_path):
        plant_calibration(tmp_path)
        found = read_intrinsics(folder(tmp_path))
        assert found.shape == (8, 3, 3)
        np.testing.assert_array_equal(found[3], [[603, 0, 317], [0, 610, 240], [0, 0, 1]])
        path = tmp_path / "calibration" / "intrinsics" / f"{SERIALS[5]}_640x480.yml"
        for text in ("color: 3\n", "color: {fx: 1, fy: 1, ppx: a, ppy: 1}\n", "depth: {}\n"):
            path.write_text(text)
            with pytest.raises(InvalidError, match=r"932122060861_640x480.yml has no color: fx, fy, ppx, ppy"):
                read_intrinsics(folder(tmp_path))
        path.write_text("color: {fx: .nan, fy: 1, ppx: 1, ppy: 1}\n")
        with pytest.raises(InvalidError, match=r"932122060861_640x480.yml has no camera"):
            read_intrinsics(folder(tmp_path))
        path.unlink()
        with pytest.raises(MissingError, match=r"932122060861_640x480.yml does not exist"):
            read_intrinsics(folder(tmp_path))

    def test_betas_are_the_side_s(self, tree, tmp_path):
        root = tmp_path / "tree"
        shutil.copytree(tree, root)
        plant_calibration(root)
        frames = split_frames(folder(root), "s0-val")
        shapes = read_shapes(frames)[frames.calibration]
        expected = np.arange(1, 11) / 10
        np.testing.assert_array_equal(shapes, np.where(frames.left[:, None], -expected, expected))
        path = root / "calibration" / "mano_20200709-subject-01_left" / "mano.yml"
        for text in ("betas: [1, 2]", "betas: 3", "shape: 3", "betas: [a, 1, 1, 1, 1, 1, 1, 1, 1, 1]"):
            path.write_text(text)
            with pytest.raises(InvalidError, match=r"subject-01_left/mano.yml are not ten numbers"):
                read_shapes(frames)
        path.unlink()
        with pytest.raises(MissingError, match=r"subject-01_left/mano.yml does not exist"):
            read_shapes(frames)
