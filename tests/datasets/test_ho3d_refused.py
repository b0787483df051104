"""What is missing, damaged, of another version or malicious in an HO-3D folder is refused, and the file is named."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from handbench.datasets import find
from handbench.datasets.card import Wanted
from handbench.errors import InvalidError, MissingError, UsageError
from handbench.layouts.folder import Folder
from tests.datasets.ho3d_layout import joints, picture, plant, plant_segmentations, put, training_label


def read(root: Path, split="train", dataset="ho3d-v2", **wanted):
    module = find(dataset)
    opened = module.open_split(Folder(root, module.CARD.title), split, Wanted(**wanted))
    return opened.read(0, len(opened))


@pytest.fixture
def v2(tmp_path) -> Path:
    return plant(tmp_path / "HO3D_v2")


@pytest.fixture
def v3(tmp_path) -> Path:
    return plant(tmp_path / "HO3D_v3", ".jpg")


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("train.txt", "train"),
        ("train/MC1", "train"),
        ("train/ABF10/rgb", "train"),
        ("train/ABF10/rgb/0001.png", "train"),
        ("train/ABF10/meta/0001.pkl", "train"),
        ("train/ABF10/depth/0001.png", "train"),
        ("evaluation.txt", "test"),
        ("evaluation/SM1/rgb/0002.png", "test"),
    ],
)
def test_what_is_missing_is_named(v2, file, kind):
    shutil.rmtree(v2 / file, ignore_errors=True)
    (v2 / file).unlink(missing_ok=True)
    partial = kind == "test" and file.endswith(".txt")
    if kind == "test" and not partial:
        # an evaluation split of two frames is a part: its frame is left out, and nothing is missing
        assert len(read(v2, kind, partial=True).hands) == 1
        return
    with pytest.raises(MissingError, match=rf"{v2}/{file}.* does not exist"):
        read(v2, kind, partial=partial, depth=True)


def test_a_single_missing_frame_stops_its_own_block_only(v2):
    (v2 / "train/ABF10/rgb/0001.png").unlink()
    split = find("ho3d-v2").open_split(Folder(v2, "HO-3D v2"), "train", Wanted())
    assert len(split) == 4
    assert len(split.read(0, 1).hands) == len(split.read(2, 3).hands) == 1
    with pytest.raises(MissingError, match=r"0001\.png"):
        split.read(1, 2)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.98])
@pytest.mark.parametrize(
    "file", ["ABF10/rgb/0001.png", "ABF10/meta/0001.pkl", "ABF10/depth/0001.png", "ABF10/seg/0001.png"]
)
def test_what_is_cut_short_is_named(tmp_path, file, share):
    masks = "seg" in file
    root = plant(tmp_path / "x", ".jpg" if masks else ".png")
    plant_segmentations(root, np.ones((120, 160), bool))
    path = root / "train" / file
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InvalidError, match=str(path)):
        read(root, dataset="ho3d-v3" if masks else "ho3d-v2", masks=masks, depth=True)


@pytest.mark.parametrize("file", ["evaluation_xyz.json", "evaluation_verts.json"])
def test_the_published_truth_cut_short(v2, file):
    path = v2 / file
    path.write_text(path.read_text()[:-500])
    with pytest.raises(InvalidError, match=str(path)):
        read(v2, "test", partial=True)


class TestVersions:
    def test_by_the_kind_of_images(self, v2, v3):
        for split in ("train", "test"):
            for partial in (False, True):
                with pytest.raises(InvalidError, match=r"is HO-3D v3, not HO-3D v2: .* has \.jpg images") as caught:
                    read(v3, split, "ho3d-v2", partial=partial)
                assert "ho3d-v3" in caught.value.hint
                with pytest.raises(InvalidError, match=r"is HO-3D v2, not HO-3D v3: .* has \.png images"):
                    read(v2, split, "ho3d-v3", partial=partial)

    def test_by_the_count(self, v2):
        put(v2 / "evaluation.txt", "".join(f"SM1/{i:04d}\n" for i in range(20137)))
        with pytest.raises(
            InvalidError, match=r"lists 20,137 frames: those of HO-3D v3; HO-3D v2 has 11,524"
        ) as caught:
            read(v2, "test", partial=True)
        assert "ho3d-v3" in caught.value.hint

    def test_a_part_of_evaluation_must_be_asked_for(self, v2):
        with pytest.raises(InvalidError, match=r"evaluation\.txt lists 2 frames, HO-3D v2 has 11,524") as caught:
            read(v2, "test")
        assert "--partial" in caught.value.hint

    def test_nothing_of_the_list_is_there(self, v2):
        shutil.rmtree(v2 / "train")
        with pytest.raises(MissingError, match=r"No frame of .*train\.txt is in"):
            read(v2, partial=True)


class TestLists:
    @pytest.mark.parametrize(
        ("text", "wrong"),
        [
            ("ABF10/0000\n../../etc/0001\n", r"Line 2 of .*train\.txt is '\.\./\.\./etc/0001'"),
            ("/etc/0001\n", r"Line 1 of"),
            ("ABF10/0000.png\n", r"Line 1 of"),
            ("ABF10/00a0\n", r"Line 1 of"),
            ("ABF10/٠٠٠٠\n", r"Line 1 of"),
            ("ABF10/0000\nABF10/0001\nABF10/0000\n", r"names the frame ABF10/0000 twice"),
            ("\n", r"lists no frame"),
        ],
    )
    def test_a_line_that_is_no_frame(self, v2, text, wrong):
        put(v2 / "train.txt", text)
        with pytest.raises(InvalidError, match=wrong):
            read(v2, partial=True)

    def test_a_list_that_is_no_text(self, v2):
        put(v2 / "train.txt", b"\xff\xfe\x00")
        with pytest.raises(InvalidError, match=r"train\.txt is not text"):
            read(v2)

    def test_the_published_truth_of_another_length(self, v2):
        put(v2 / "evaluation_xyz.json", [joints().tolist()] * 3)
        with pytest.raises(InvalidError, match=r"evaluation_xyz\.json has 3 entries and evaluation\.txt 2 lines"):
            read(v2, "test", partial=True)

    def test_the_published_truth_of_other_frames_or_axes(self, v2):
        put(v2 / "evaluation_xyz.json", [joints().tolist(), (joints(0.01) * [1, -1, -1]).tolist()])
        with pytest.raises(InvalidError, match=r"Entry 1 of .*evaluation_xyz\.json has its wrist 1\.00 m from"):
            read(v2, "test", partial=True)


class TestLabels:
    @pytest.mark.parametrize(
        ("change", "wrong"),
        [
            (dict.fromkeys, r"has no annotation"),
            (lambda label: label | {"handPose": None}, r"has no annotation \(handPose is None\)"),
            (lambda label: label | {"handJoints3D": np.zeros(3)}, r"'handJoints3D' in .* is not of 21x3 numbers"),
            (lambda label: label | {"handBeta": "ten"}, r"'handBeta' in .* is not of 10 numbers"),
            (lambda label: label | {"camMat": np.full((3, 3), np.nan)}, r"'camMat' in .* has a NaN"),
            (lambda label: {k: v for k, v in label.items() if k != "handTrans"}, r"has no 'handTrans'"),
        ],
    )
    def test_a_listed_frame_without_its_annotation(self, v2, change, wrong):
        path = put(v2 / "train/ABF10/meta/0001.pkl", change(training_label()))
        with pytest.raises(InvalidError, match=wrong) as caught:
            read(v2)
        assert str(path) in str(caught.value)

    def test_another_thing_than_fields(self, v2):
        put(v2 / "train/ABF10/meta/0001.pkl", pickle.dumps([1, 2], protocol=2))
        with pytest.raises(InvalidError, match=r"0001\.pkl holds no fields"):
            read(v2)

    @pytest.mark.parametrize(
        "program",
        [
            b"cos\nsystem\n(S'touch it_ran'\ntR.",
            b'cnumpy.testing._private.utils\nrunstring\n(S\'open("it_ran","w")\'\n}tR.',
            b"\x80\x02}U\x08handPosecposix\nsystem\nU\x0ctouch it_ran\x85Rs.",
        ],
    )
    def test_a_pickle_that_is_a_program_runs_nothing(self, v2, program, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        path = put(v2 / "train/ABF10/meta/0000.pkl", program)
        with pytest.raises(InvalidError, match=rf"{path} was not read"):
            read(v2)
        assert not (tmp_path / "it_ran").exists()


class TestLinks:
    @pytest.mark.parametrize("file", ["rgb/0001.png", "meta/0001.pkl", "rgb", "meta", ""])
    def test_nothing_outside_the_folder_is_read(self, v2, tmp_path, file):
        inside = (v2 / "train/ABF10" / file) if file else v2 / "train/ABF10"
        inside.rename(tmp_path / "outside")
        inside.symlink_to(tmp_path / "outside")
        with pytest.raises(InvalidError, match=r"leads out of"):
            read(v2)

    @pytest.mark.parametrize("file", ["train.txt", "evaluation.txt", "evaluation_xyz.json"])
    def test_nor_a_list(self, v2, tmp_path, file):
        (v2 / file).rename(tmp_path / "outside")
        (v2 / file).symlink_to(tmp_path / "outside")
        with pytest.raises(InvalidError, match=r"leads out of"):
            read(v2, "train" if file == "train.txt" else "test", partial=True)


class TestWhatIsAskedFor:
    def test_masks_are_of_version_3_and_training(self, v2, v3):
        with pytest.raises(UsageError, match=r"HO-3D v2 has no segmentation"):
            read(v2, masks=True)
        with pytest.raises(UsageError, match=r"HO-3D v3 has no segmentation of its evaluation frames"):
            read(v3, "test", "ho3d-v3", masks=True, partial=True)
        with pytest.raises(MissingError, match=r"train/ABF10 has no folder seg") as caught:
            read(v3, "train", "ho3d-v3", masks=True)
        assert "HO3D_v3_segmentations_rendered.zip" in caught.value.hint

    def test_jpeg_is_not_lossless(self, v3):
        with pytest.raises(UsageError, match=r"images are JPEG"):
            read(v3, dataset="ho3d-v3", lossless=True)

    def test_unknown_splits(self, v2):
        with pytest.raises(UsageError, match=r"no split 'evaluation'"):
            read(v2, "evaluation")

    def test_images_and_segmentations_of_another_size(self, v2, v3):
        put(v2 / "train/ABF10/rgb/0001.png", picture(1)[:240])
        with pytest.raises(InvalidError, match=r"0001\.png is 640x240, not 640x480"):
            read(v2)
        plant_segmentations(v3, np.ones((120, 160), bool))
        put(v3 / "train/ABF10/seg/0001.png", np.zeros((100, 160, 3), np.uint8))
        with pytest.raises(InvalidError, match=r"seg/0001\.png is 160x100"):
            read(v3, dataset="ho3d-v3", masks=True)
