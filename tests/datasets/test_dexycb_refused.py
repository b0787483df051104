"""What is missing, damaged or malicious in a DexYCB folder is refused, and the file is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from handbench.datasets import find
from handbench.datasets.card import Wanted
from handbench.errors import InvalidError, MissingError, UsageError
from handbench.layouts.folder import Folder
from handbench.preparation.blocks import read_range
from handbench.synth.hand import synthetic_hand
from tests.conftest import hands_in_view
from tests.datasets.dexycb_layout import SERIALS, SUBJECTS, plant, plant_calibration, put_frame, takes_of

SEQUENCE = "20200820-subject-03/20200820_100004"
TRACK = f"{SEQUENCE}/{SERIALS[0]}"


def opened(root: Path, split="s0-test", **wanted):
    return find("dexycb").open_split(Folder(root, "DexYCB"), split, Wanted(**{"partial": True, **wanted}))


def read(root: Path, **wanted):
    return opened(root, **wanted).read(0, 4)


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Path:
    """The four first frames of the split: two cameras, two frames."""
    root = plant(tmp_path_factory.mktemp("dexycb"))
    plant_calibration(root)
    for i, joints in enumerate(hands_in_view(4)):
        put_frame(root, f"{SEQUENCE}/{SERIALS[i // 2]}", i % 2, joints, pose=np.full(51, 0.1), seed=i)
    return root


@pytest.fixture
def root(planted, tmp_path) -> Path:
    """The whole tree as hard links, but the sequence that is read: it can be spoilt."""
    root = tmp_path / "dexycb"
    root.mkdir()
    for path in planted.iterdir():
        (root / path.name).mkdir()
        for inside in path.iterdir():
            if (path.name == SUBJECTS[2] and inside.name == "20200820_100004") or path.name == "calibration":
                shutil.copytree(inside, root / path.name / inside.name)
            else:
                (root / path.name / inside.name).mkdir()
                (root / path.name / inside.name / "meta.yml").hardlink_to(inside / "meta.yml")
    return root


def test_it_is_read_as_long_as_nothing_is_wrong(root):
    assert len(read(root, depth=True, masks=True).hands) == 4


@pytest.mark.parametrize(
    "file",
    [
        f"{TRACK}/color_000001.jpg",
        f"{TRACK}/labels_000001.npz",
        f"{TRACK}/aligned_depth_to_color_000001.png",
        f"{SEQUENCE}/{SERIALS[1]}",
    ],
)
def test_a_file_of_a_frame_that_is_missing(root, file):
    path = root / file
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    split = opened(root, depth=True)
    with pytest.raises(MissingError, match=rf"{path}.* does not exist"):
        split.read(0, 4)
    block, left_out = read_range(split, 0, 4, skip_bad=True)
    assert len(block.hands) == 4 - len(left_out)
    assert left_out[-1][0] == f"dexycb/s0-test/0000000{3 if path.suffix == '' else 1}"


@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        ("calibration/intrinsics/932122062010_640x480.yml", {}),
        (f"{SEQUENCE}/meta.yml", {}),
        (f"calibration/mano_{SUBJECTS[2]}_left/mano.yml", {"models": True}),
    ],
)
def test_a_file_of_the_whole_set_that_is_missing_stops_at_once(root, file, wanted):
    models = {side: synthetic_hand(side) for side in ("right", "left")} if wanted else {}
    opened(root, **models)
    (root / file).unlink()
    with pytest.raises(MissingError, match=rf"{root}/{file} does not exist"):
        opened(root, **models)


@pytest.mark.parametrize("file", ["color_000000.jpg", "labels_000000.npz", "aligned_depth_to_color_000000.png"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.98])
def test_a_file_that_is_cut_short(root, file, share):
    path = root / TRACK / file
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(InvalidError, match=rf"{path} "):
        read(root, depth=True)


def test_images_of_another_size(root):
    put_frame(root, TRACK, 0, hands_in_view(1)[0])
    for name, wrong in (("color_000000.jpg", "224x224, not 640x480"), ("aligned_depth_to_color_000000.png", "uint8")):
        path = root / TRACK / name
        before = path.read_bytes()
        assert cv2.imwrite(str(path), np.zeros((224, 224, 3), np.uint8))
        with pytest.raises(InvalidError, match=rf"{path} is {wrong}"):
            read(root, depth=True)
        path.write_bytes(before)


def test_masks_of_another_type_are_refused_where_they_are_wanted(root):
    joints = hands_in_view(1)[0]
    put_frame(root, TRACK, 0, joints, seg=np.zeros((480, 640), np.int16))
    assert len(read(root).hands) == 4
    with pytest.raises(InvalidError, match=r"seg in .*labels_000000.npz"):
        read(root, masks=True)


def test_nothing_that_a_yaml_file_names_is_run(root, monkeypatch):
    monkeypatch.chdir(root)
    for file in (f"{SEQUENCE}/meta.yml", f"calibration/mano_{SUBJECTS[2]}_left/mano.yml"):
        path = root / file
        text = path.read_text()
        for tag in ("os.system ['mkdir made']", "subprocess.call [[mkdir, made]]"):
            path.write_text(f"{text}more: !!python/object/apply:{tag}\n")
            with pytest.raises(InvalidError, match=rf"{path} cannot be read"):
                opened(root, right=synthetic_hand("right"), left=synthetic_hand("left"))
        path.write_text(text)
    assert not (root / "made").exists()


def test_a_link_out_of_the_folder(root, tmp_path):
    path = root / TRACK / "color_000000.jpg"
    path.rename(tmp_path / "outside.jpg")
    path.symlink_to(tmp_path / "outside.jpg")
    with pytest.raises(InvalidError, match=rf"{path} is a link that leads out of"):
        read(root)


def test_a_camera_s_folder_that_leads_out(root, tmp_path):
    (root / TRACK).rename(tmp_path / "camera")
    (root / TRACK).symlink_to(tmp_path / "camera")
    with pytest.raises(InvalidError, match=rf"{root / TRACK} is a link that leads out of"):
        read(root)


def test_jpeg_is_not_lossless(root):
    with pytest.raises(UsageError, match="JPEG"):
        opened(root, lossless=True)


def test_a_split_that_there_is_not(root):
    with pytest.raises(UsageError, match=r"dexycb has no split 'test'"):
        opened(root, split="test")


class TestParts:
    @pytest.fixture
    def names(self, tmp_path) -> Path:
        path = tmp_path / "names.csv"
        path.write_text("\n".join(f"{subject}/{take['name']}" for subject in SUBJECTS for take in takes_of(subject)))
        return path

    @pytest.fixture
    def part(self, planted, tmp_path) -> Path:
        """One sequence as it was downloaded alone, seen by two cameras, and the calibration."""
        root = tmp_path / "part"
        shutil.copytree(planted / SEQUENCE, root / SEQUENCE)
        shutil.copytree(planted / "calibration", root / "calibration")
        return root

    def test_the_whole_tree_is_required(self, part, names):
        with pytest.raises(MissingError, match=r"no complete DexYCB: it has no folder 20200709-subject") as caught:
            opened(part, partial=False, sequence_names=None)
        assert "--partial" in caught.value.hint
        with pytest.raises(UsageError, match=r"--sequence-names is for a tree that is not whole") as usage:
            opened(part, partial=False, sequence_names=names)
        assert "--partial" in usage.value.hint

    def test_a_part_needs_the_names_of_all(self, part, root):
        with pytest.raises(UsageError, match=r"has no folder .*, and splits count sequences by their pos") as caught:
            opened(part)
        assert "--sequence-names FILE" in caught.value.hint
        shutil.rmtree(root / SUBJECTS[4] / takes_of(SUBJECTS[4])[3]["name"])
        with pytest.raises(UsageError, match=r"has 99 sequences, .*, and splits count sequences by their position"):
            opened(root)

    def test_what_is_there_is_taken(self, part, names):
        split = opened(part, sequence_names=names)
        assert len(split) == 4
        hands = split.read(0, 4).hands
        assert hands.id.tolist() == [f"dexycb/s0-test/{SEQUENCE}/{SERIALS[j]}/00000{t}" for j in (0, 1) for t in (0, 1)]
        assert hands.id.tolist() == [split.name(i) for i in range(4)]
        assert split.meta["partial"] is True
        with pytest.raises(MissingError, match=r"has no sequence of the split s0-train"):
            opened(part, "s0-train", sequence_names=names)

    def test_a_single_file_that_is_missing_is_still_an_error(self, part, names):
        (part / TRACK / "labels_000001.npz").unlink()
        with pytest.raises(MissingError, match=r"labels_000001.npz does not exist"):
            opened(part, sequence_names=names).read(0, 4)

    def test_names_of_fewer(self, part, names):
        names.write_text("\n".join(names.read_text().split()[1:]))
        with pytest.raises(InvalidError, match=r"names.csv names 99 sequences of 20200709-subject-01"):
            opened(part, sequence_names=names)
