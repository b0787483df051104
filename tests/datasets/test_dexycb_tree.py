"""DexYCB's folders: which frames a split has, in which order; trees that are not DexYCB's."""

from __future__ import annotations

import hashlib
import shutil
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from handbench import datasets
from handbench.errors import InvalidError, MissingError, UsageError
from handbench.layouts.dexycb_tree import (
    SPLITS,
    chosen_by,
    list_sequences,
    read_meta,
    read_sequence_names,
    split_frames,
)  # fmt: skip
from handbench.layouts.folder import Folder
from tests.datasets.dexycb_layout import SERIALS, SUBJECTS, plant, read_golden, takes_of

# the official table in words of (subject, sequence, camera), each from 0
TABLE = {
    "s0-train": lambda s, i, j: i % 5 != 4,
    "s0-val": lambda s, i, j: i % 5 == 4 and s <= 1,
    "s0-test": lambda s, i, j: i % 5 == 4 and s >= 2,
    "s1-train": lambda s, i, j: s in (0, 1, 2, 3, 4, 5, 9),
    "s1-val": lambda s, i, j: s == 6,
    "s1-test": lambda s, i, j: s in (7, 8),
    "s2-train": lambda s, i, j: j < 6,
    "s2-val": lambda s, i, j: j == 6,
    "s2-test": lambda s, i, j: j == 7,
    "s3-train": lambda s, i, j: i // 5 not in (3, 7, 11, 15, 19),
    "s3-val": lambda s, i, j: i // 5 in (3, 19),
    "s3-test": lambda s, i, j: i // 5 in (7, 11, 15),
}
# sequences of each split, and its cameras
COUNTS = {
    "s0-train": (800, 8), "s0-val": (40, 8), "s0-test": (160, 8),
    "s1-train": (700, 8), "s1-val": (100, 8), "s1-test": (200, 8),
    "s2-train": (1000, 6), "s2-val": (1000, 1), "s2-test": (1000, 1),
    "s3-train": (750, 8), "s3-val": (100, 8), "s3-test": (150, 8),
}  # fmt: skip


def folder(root: Path) -> Folder:
    return Folder(root, "DexYCB")


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    return plant(tmp_path_factory.mktemp("dexycb"))


@pytest.fixture(scope="module")
def golden_tree(tmp_path_factory) -> Path:
    spec = read_golden("dexycb_tree_spec.json.gz")
    assert spec["serials"] == SERIALS
    return plant(tmp_path_factory.mktemp("golden"), spec["subjects"])


@cache
def labels_of(root: Path, split: str) -> list[str]:
    frames = split_frames(folder(root), split)
    return [frames.label(i) for i in range(len(frames))]


def test_the_tree_is_no_dataset_of_its_own():
    assert not {"dexycb-tree", "dexycb_tree", "dexycb-labels", "dexycb_labels"} & set(datasets.names())
    assert "dexycb" in datasets.names()


class TestSplits:
    @pytest.mark.parametrize("split", TABLE)
    def test_the_table(self, tree, split):
        expected = [
            f"{subject}/{take['name']}/{serial}/labels_{frame:06d}.npz"
            for s, subject in enumerate(SUBJECTS)
            for i, take in enumerate(takes_of(subject))
            for j, serial in enumerate(SERIALS)
            if TABLE[split](s, i, j)
            for frame in range(take["num_frames"])
        ]
        assert labels_of(tree, split) == expected

    @pytest.mark.parametrize("setup", ["s0", "s1", "s2", "s3"])
    def test_every_frame_is_in_one_part(self, tree, setup):
        parts = [labels_of(tree, f"{setup}-{part}") for part in ("train", "val", "test")]
        together = [label for part in parts for label in part]
        # 34 x 1 + 33 x 2 + 33 x 3 frames a subject
        assert len(together) == len(set(together)) == 10 * 8 * 199

    def test_by_hand(self, tree):
        frames = split_frames(folder(tree), "s0-test")
        # the fifth sequence of the third subject has two frames: camera before frame
        assert [frames.label(i) for i in (0, 1, 2)] == [
            "20200820-subject-03/20200820_100004/836212060125/labels_000000.npz",
            "20200820-subject-03/20200820_100004/836212060125/labels_000001.npz",
            "20200820-subject-03/20200820_100004/839512060362/labels_000000.npz",
        ]
        assert frames.color(1) == "20200820-subject-03/20200820_100004/836212060125/color_000001.jpg"
        depth = "20200820-subject-03/20200820_100004/836212060125/aligned_depth_to_color_000001.png"
        assert frames.depth(1) == depth
        # its eight cameras' sixteen, then the tenth sequence
        assert frames.label(16) == "20200820-subject-03/20200820_100009/836212060125/labels_000000.npz"
        assert frames.label(len(frames) - 1) == "20201022-subject-10/20201022_100099/932122062010/labels_000000.npz"
        assert frames.capture(1) == "20200820-subject-03/20200820_100004"
        assert frames.track(2) == "20200820-subject-03/20200820_100004/839512060362"
        assert (frames.split, frames.frame[1], frames.serial[2], frames.subject[0]) == ("s0-test", 1, 1, 2)
        assert (frames.whole, frames.name(16)) == (True, "dexycb/s0-test/00000016")
        # sequence 9 is of a right hand, 4 of a left one
        assert frames.side([16, 0]).tolist() == ["right", "left"]
        # 4, 9, 14, ... 99: seven of twenty are multiples of three
        rights = {frames.capture(i) for i in np.flatnonzero(~frames.left)}
        assert len(rights) == 7 * 8
        assert len({frames.capture(i) for i in range(len(frames))}) == 20 * 8
        assert frames.calibrations[frames.calibration[16]] == "20200820-subject-03_right"

    def test_a_frame_takes_ten_bytes(self, tree):
        frames = split_frames(folder(tree), "s0-train")
        columns = (frames.subject, frames.sequence, frames.serial, frames.frame, frames.left, frames.calibration)
        assert sum(column.nbytes for column in columns) == 10 * len(frames)

    @pytest.mark.parametrize("split", TABLE)
    def test_the_official_lists(self, golden, golden_tree, split):
        name = split.replace("-", "_")
        listed, summary = golden("dexycb_split_lists")[name], read_golden("dexycb_splits.json")[name]
        labels = list(labels_of(golden_tree, split))
        assert labels == listed.tolist()
        assert hashlib.sha256("\n".join(labels).encode()).hexdigest() == summary["sha256"]
        assert (len(labels), labels[:20]) == (summary["n"], summary["first"])


class TestTheRealNames:
    @pytest.fixture
    def sides(self, real_data) -> dict[str, str]:
        """`SUBJECT/SEQUENCE` -> side, of the thousand sequences."""
        return {
            name: side
            for side in ("left", "right")
            for name in (real_data / "dexycb" / f"{side}_side.csv").read_text().split()
        }

    @pytest.fixture
    def real_tree(self, sides, tmp_path) -> Path:
        subjects: dict[str, list[dict]] = {name: [] for name in SUBJECTS}
        for name, side in sides.items():
            subject, _, sequence = name.partition("/")
            subjects[subject].append({"name": sequence, "num_frames": 1, "mano_sides": [side]})
        return plant(tmp_path / "tree", subjects)

    def test_how_many_sequences_a_split_has(self, real_tree):
        for split, (sequences, cameras) in COUNTS.items():
            frames = split_frames(folder(real_tree), split)
            taken = {frames.capture(i) for i in range(len(frames))}
            assert (len(taken), len(frames)) == (sequences, sequences * cameras), split

    def test_sides_and_the_last_of_every_five(self, real_tree, sides):
        everything = split_frames(folder(real_tree), "s2-test")
        assert (everything.left.sum(), (~everything.left).sum()) == (499, 501)
        test = split_frames(folder(real_tree), "s0-test")
        taken = {test.capture(i): str(test.side(i)) for i in range(len(test))}
        assert [sum(name.startswith(subject) for name in taken) for subject in SUBJECTS] == [0, 0] + [20] * 8
        assert all(side == sides[name] for name, side in taken.items())
        assert all(a < b for a, b in pairwise(taken))
        for subject in SUBJECTS[2:]:
            ordered = sorted(name for name in sides if name.startswith(subject))
            assert ordered[4::5] == [name for name in taken if name.startswith(subject)]

    def test_a_file_of_both_sides_names_them_all(self, real_data, real_tree, tmp_path):
        path = tmp_path / "names.csv"
        path.write_text("".join((real_data / "dexycb" / f"{side}_side.csv").read_text() for side in ("left", "right")))
        assert read_sequence_names(path) == list_sequences(folder(real_tree))
        with pytest.raises(InvalidError, match=r"left_side.csv names \d+ sequences of 20200709-subject-01"):
            read_sequence_names(real_data / "dexycb" / "left_side.csv")


class TestTreesThatAreNoDexYcb:
    def test_splits_that_there_are_not(self, tree):
        for split in ("s4-test", "s0-evaluation", "s0"):
            with pytest.raises(UsageError, match=r"DexYCB has no split"):
                split_frames(folder(tree), split)

    def test_nine_subjects(self, tmp_path):
        plant(tmp_path, {name: takes_of(name) for name in SUBJECTS[:9]})
        with pytest.raises(MissingError, match=r"no complete DexYCB: it has no folder 20201022-subject-10\.") as caught:
            split_frames(folder(tmp_path), "s0-test")
        assert "DEX_YCB_DIR" in caught.value.hint
        (tmp_path / "none").mkdir()
        with pytest.raises(MissingError, match=r"20200709-subject-01, 20200813-subject-02 and 8 more"):
            split_frames(folder(tmp_path / "none"), "s0-test")

    def test_other_than_a_hundred_sequences(self, tmp_path):
        plant(tmp_path)
        # what is not a sequence does not count
        (tmp_path / SUBJECTS[3] / ".cache").mkdir()
        (tmp_path / SUBJECTS[3] / "notes.txt").write_text("x")
        assert len(list_sequences(folder(tmp_path))[3]) == 100
        (tmp_path / SUBJECTS[3] / "20200903_999999").mkdir()
        with pytest.raises(InvalidError, match=r"subject-04 has 101 sequences"):
            list_sequences(folder(tmp_path))
        for name in ("20200903_999999", "20200903_100000"):
            shutil.rmtree(tmp_path / SUBJECTS[3] / name)
        with pytest.raises(InvalidError, match=r"subject-04 has 99 sequences"):
            list_sequences(folder(tmp_path))

    def test_a_subject_that_is_a_link_out_of_the_folder(self, tree, tmp_path):
        root = tmp_path / "linked"
        root.mkdir()
        for name in SUBJECTS:
            (root / name).symlink_to(tree / name)
        with pytest.raises(InvalidError, match=r"20200709-subject-01 is a link that leads out of"):
            list_sequences(folder(root))

    @pytest.mark.parametrize(
        ("text", "wrong"),
        [
            ("num_frames: 3\n", r"mano_sides in .*meta.yml is None"),
            ("num_frames: 3\nmano_sides: [right, left]\n", r"mano_sides in .*meta.yml is \['right', 'left'\]"),
            ("num_frames: 3\nmano_sides: [both]\n", r"mano_sides in .*meta.yml is \['both'\]"),
            ("mano_sides: [right]\n", r"num_frames in .*meta.yml is None"),
            ("num_frames: yes\nmano_sides: [right]\n", r"num_frames in .*meta.yml is True"),
            ("num_frames: -1\nmano_sides: [right]\n", r"num_frames in .*meta.yml is -1"),
            ("num_frames: '3'\nmano_sides: [right]\n", r"num_frames in .*meta.yml is '3'"),
            (
                "num_frames: 3\nmano_sides: [right]\nmano_calib: [../../x]\n",
                r"mano_calib in .*meta.yml is \['../../x'\]",
            ),
            ("num_frames: 3\nmano_sides: [right]\nmano_calib: [a, b]\n", r"mano_calib in .*meta.yml is \['a', 'b'\]"),
            ("- 1\n- 2\n", r"meta.yml holds no keys and values"),
            ("", r"meta.yml holds no keys and values"),
            ("a: [1, 2\n", r"meta.yml cannot be read"),
            ("a: \x00\n", r"meta.yml cannot be read"),
            ("a: !!python/object/apply:os.mkdir [made]\n", r"meta.yml cannot be read: could not determine"),
            ("a: !!python/object/apply:os.system ['mkdir made']\n", r"meta.yml cannot be read: could not determine"),
        ],
    )
    def test_a_meta_file(self, tmp_path, monkeypatch, text, wrong):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "take").mkdir()
        (tmp_path / "take/meta.yml").write_text(text)
        with pytest.raises(InvalidError, match=wrong):
            read_meta(folder(tmp_path), "take")
        assert not (tmp_path / "made").exists()

    def test_no_meta_file(self, tmp_path):
        with pytest.raises(MissingError, match=r"take/meta.yml does not exist"):
            read_meta(folder(tmp_path), "take")


def test_every_split_is_of_the_table():
    assert tuple(TABLE) == SPLITS
    assert [len(chosen_by(split).subjects) * len(chosen_by(split).sequences) for split in SPLITS] == [
        COUNTS[split][0] for split in SPLITS
    ]
