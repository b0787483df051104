"""Dexter+Object's layout is read as Minimal-Hand-pytorch reads it: tips only, depth camera to colour camera."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest

from handbench.datasets.card import Wanted
from handbench.datasets.dexter_object import CARD, open_split
from handbench.errors import InvalidError, MissingError, UsageError
from handbench.hands.camera import project
from handbench.layouts.folder import Folder
from handbench.preparation.blocks import joined
from handbench.synth import dexter_object as writer
from handbench.synth.hand import synthetic_hand
from handbench.synth.layout import Size

SIZE, SEED = Size(sequences=6, frames=4), 6
SEQUENCES = ("Grasp1", "Grasp2", "Occlusion", "Rigid", "Pinch", "Rotate")
TIPS = [4, 8, 12, 16, 20]


def opened(root, partial=True, split="test", **wanted):
    return open_split(Folder(root, "Dexter+Object"), split, Wanted(partial=partial, **wanted))


def whole(split):
    return split.read(0, len(split))


def picture(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


# ---- a set of synthetic hands


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("dexter") / "set"
    writer.write(root, SIZE, SEED, synthetic_hand, lambda steps: None)
    return root


def test_what_was_written_is_what_is_read(written):
    hands, images, masks, depth = whole(opened(written))
    true = writer.truth("test", SIZE, SEED, synthetic_hand)
    # sequences of 4, 3, 2, 4, 3, 2 frames
    assert len(images) == len(hands) == len(true) == 18
    assert masks is depth is None
    for name, expected in true.arrays():
        got = getattr(hands, name)
        if expected.dtype.kind == "f":
            assert np.array_equal(np.isnan(got), np.isnan(expected)), name
            assert np.nanmax(np.abs(got - expected)) < 1e-9, name
        else:
            assert np.array_equal(got, expected), name


def test_only_tips_are_annotated_and_not_all_of_them(written):
    hands = whole(opened(written)).hands
    assert not np.delete(hands.joints_valid, TIPS, axis=1).any()
    tips = hands.joints_valid[:, TIPS]
    assert tips.any()
    assert np.array_equal(np.isnan(hands.joints).all(-1), ~hands.joints_valid)
    # frame 2 of Grasp1 and of Pinch
    assert np.flatnonzero(~tips.any(1)).tolist() == [2, 15]


def test_a_block_can_have_any_size(written):
    split = opened(written)
    hands, images, *_ = whole(split)
    for size in (1, 5):
        again = joined([split.read(i, min(i + size, len(split))) for i in range(0, len(split), size)])
        assert again.images == images
        for name, expected in hands.arrays():
            got = getattr(again.hands, name)
            assert np.array_equal(got, expected, equal_nan=expected.dtype.kind == "f"), name
            assert got.dtype == expected.dtype
    assert list(hands.id) == [split.name(i) for i in range(len(split))]


def test_tips_lie_on_the_hand_in_the_picture(written):
    hands, images, *_ = whole(opened(written, lossless=True))
    found = []
    for i in range(len(hands)):
        behind = writer.room((640, 480), (SEED, writer.zlib.crc32(hands.capture[i].encode())))[..., ::-1] * 255
        left, top = -hands.crop[i, :, 2].astype(int)
        image = picture(images[i]).astype(float)
        other = np.abs(image - behind[top : top + image.shape[0], left : left + image.shape[1]]).max(-1) > 12
        for x, y in np.rint(project(hands.joints[i], hands.camera[i])[hands.joints_valid[i]]).astype(int):
            if 0 <= x < image.shape[1] and 0 <= y < image.shape[0]:
                found.append(other[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3].any())
    assert len(found) > 20
    assert np.mean(found) > 0.95


def test_the_synthetic_original_annotations_are_wrong_where_the_revised_are_not(written, tmp_path):
    hands = whole(opened(written)).hands
    for name in SEQUENCES:
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "color").symlink_to(tmp_path / "color" / name)
        for kind in ("color", "annotations"):
            target = tmp_path / kind / name
            target.mkdir(parents=True)
            for file in (written / "data" / name / kind).iterdir():
                if not file.name.startswith("my_"):
                    os.link(file, target / file.name)
        (tmp_path / "data" / name / "annotations").symlink_to(tmp_path / "annotations" / name)
    original = opened(tmp_path)
    assert original.meta["annotations"] == "original (known errors: CalciferZh/minimal-hand#77)"
    other = np.nanmax(np.abs(whole(original).hands.joints - hands.joints), axis=(1, 2), initial=0)
    assert np.flatnonzero(other > 0.03).tolist() == [0, 4, 7, 9, 13, 16]


# ---- a set written by hand, with the numbers of the calibration

LINE = "20.0, 30.0, 600.0; -10, 20.5, 32001; 1.5,2.5,550; -40, 25, 580; -55.25, -3, 610; 5, 6, 700; 7, 8, 710"
NONE = "0, 0, 32001; 0, 0, 32001; 0, 0, 32001; 0, 0, 32001; 0, 0, 32001; 5, 6, 700"


def write_by_hand(root, lines, name="Grasp1", prefix="", images=None):
    folder = root / "data" / name
    for kind in ("color", "annotations"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    (folder / "annotations" / f"{prefix}{name}3D.txt").write_text("\n".join(lines) + "\n")
    first = root / "image.png"
    if not first.exists():
        cv2.imwrite(str(first), np.full((480, 640, 3), 70, np.uint8))
    for i in range(len(lines) if images is None else images):
        path = folder / "color" / f"frame{i:04d}.png"
        if not path.exists():
            os.link(first, path)
    return root


@pytest.fixture
def typed(tmp_path):
    return write_by_hand(tmp_path / "dexter+object", [LINE, NONE, LINE])


def test_the_official_count():
    assert dict(CARD.splits) == {"test": 3014}


def test_annotated_millimetres_are_turned_moved_and_put_at_the_tips(typed):
    hands = whole(opened(typed)).hands
    # x and y negated: (-20, -30, 600); then R X + t
    x = 0.9999 * -20 + 0.0034 * -30 + 0.0161 * 600 + 19.0473
    y = -0.0033 * -20 + 1.0 * -30 + -0.0079 * 600 - 1.8514
    z = -0.0162 * -20 + 0.0079 * -30 + 0.9998 * 600 - 4.7501
    assert hands.joints[0, 4] == pytest.approx(np.array([x, y, z]) / 1000, abs=1e-12)
    assert hands.joints_valid[0].nonzero()[0].tolist() == [4, 12, 16, 20]
    assert np.isnan(hands.joints[0, 8]).all()
    assert hands.joints[0, 20, 0] > hands.joints[0, 4, 0]  # the little finger's -55 mm is to the right
    u, v = project(hands.joints, hands.frame_camera)[0, 4]
    assert (u, v) == pytest.approx((587.45209 * x / z + 325, 600.67456 * y / z + 249))
    assert set(hands.side) == {"left"}


def test_a_frame_without_tips_is_a_sample_with_the_whole_image(typed):
    split = opened(typed)
    hands, images, *_ = whole(split)
    assert len(hands) == 3
    assert split.meta["without_tips"] == 1
    assert np.isnan(hands.joints[1]).all()
    assert np.isnan(hands.box[1]).all()
    assert hands.image_size[1].tolist() == [640, 480]
    assert picture(images[1]).shape == (480, 640, 3)


def test_the_box_is_that_of_the_tips_but_no_smaller_than_a_hand(typed):
    one = "0, 0, 600; 0, 0, 32001; 0, 0, 32001; 0, 0, 32001; 0, 0, 32001"
    far = "100, 0, 600; 0, 0, 32001; 0, 0, 32001; 0, 0, 32001; -100, 0, 600"
    write_by_hand(typed, [one, NONE, far])
    hands = whole(opened(typed)).hands
    boxes = hands.box - hands.crop[:, :, 2][:, [0, 1, 0, 1]]
    pixels = project(hands.joints, hands.frame_camera)
    z = hands.joints[0, 4, 2]
    half = np.array([587.45209, 600.67456]) * 0.15 / z / 2
    assert boxes[0] == pytest.approx([*(pixels[0, 4] - half), *(pixels[0, 4] + half)])
    assert boxes[2, [0, 2]] == pytest.approx([pixels[2, 4, 0], pixels[2, 20, 0]])
    # three times as wide as the box
    assert hands.image_size[0, 0] == pytest.approx(3 * 2 * half.max(), abs=2)


def test_revised_annotations_are_preferred_and_it_is_said(typed, capsys):
    write_by_hand(typed, [LINE], name="Pinch")
    assert opened(typed).meta["annotations"] == "original (known errors: CalciferZh/minimal-hand#77)"
    write_by_hand(typed, [NONE, LINE, LINE], prefix="my_")
    split = opened(typed)
    assert split.meta["annotations"] == "revised for Grasp1, else original (known errors: CalciferZh/minimal-hand#77)"
    assert "revised for Grasp1" in capsys.readouterr().err
    assert np.isnan(whole(split).hands.joints[0]).all()
    write_by_hand(typed, [LINE], name="Pinch", prefix="my_")
    assert opened(typed).meta["annotations"] == "revised"


def test_samples_are_numbered_over_the_sequences_in_their_order(typed):
    write_by_hand(typed, [LINE, LINE], name="Grasp2")
    write_by_hand(typed, [LINE], name="Rotate")
    write_by_hand(typed, [LINE], name="Occlusion")
    hands = whole(opened(typed)).hands
    assert list(hands.id) == [f"dexter-object/test/{i:08d}" for i in range(7)]
    assert hands.capture.tolist() == ["Grasp1"] * 3 + ["Grasp2"] * 2 + ["Occlusion", "Rotate"]
    assert np.array_equal(hands.track, hands.capture)
    assert hands.frame.tolist() == [0, 1, 2, 0, 1, 0, 0]
    # without its images a sequence keeps its numbers
    for image in (typed / "data/Grasp2/color").iterdir():
        image.unlink()
    assert [name[-1] for name in whole(opened(typed)).hands.id] == ["0", "1", "2", "5", "6"]


def test_lines_belong_to_images_in_the_order_of_their_names(typed):
    folder = typed / "data/Grasp1/color"
    (folder / "frame0001.png").unlink()
    cv2.imwrite(str(folder / "frame0001.png"), np.full((480, 640, 3), 200, np.uint8))
    images = whole(opened(typed, lossless=True)).images
    assert [int(picture(image)[0, 0, 0]) for image in images] == [70, 200, 70]


def test_the_whole_split_has_3014_frames(tmp_path):
    for name, n in zip(SEQUENCES, (500, 500, 500, 500, 500, 514), strict=True):
        write_by_hand(tmp_path, [LINE] * n, name=name)
    split = opened(tmp_path, partial=False)
    assert len(split) == 3014
    assert split.meta["partial"] is False
    assert split.name(3013) == "dexter-object/test/00003013"
    write_by_hand(tmp_path, [LINE] * 501, name="Rigid")
    with pytest.raises(InvalidError, match="has 3,015 annotated frames, Dexter\\+Object has 3,014"):
        opened(tmp_path, partial=False)


def test_annotations_beside_the_data_are_found_too(typed):
    (typed / "annotations").mkdir()
    (typed / "data/Grasp1/annotations/Grasp13D.txt").rename(typed / "annotations/Grasp13D.txt")
    assert len(opened(typed)) == 3


# ---- what is not as it should be


def test_what_dexter_object_cannot_bring_is_refused(typed):
    with pytest.raises(UsageError, match="not registered"):
        opened(typed, depth=True)
    with pytest.raises(UsageError, match="no masks"):
        opened(typed, masks=True)
    with pytest.raises(UsageError, match="no split 'train'"):
        opened(typed, split="train")


@pytest.mark.parametrize("images", [2, 4])
def test_another_number_of_images_than_of_lines_is_refused_with_both_named(tmp_path, images):
    root = write_by_hand(tmp_path, [LINE] * 3, images=images)
    with pytest.raises(InvalidError) as caught:
        opened(root)
    for part in ("Grasp1/color", f"{images} images", "Grasp13D.txt", "3 lines"):
        assert part in caught.value.message


@pytest.mark.parametrize(
    "line",
    ["1, 2, 600; 1, 2", LINE.replace("30.0", "thirty"), "1, 2; " * 5, "1, 2, 3, 4; " * 5, "1, 2, 3; " * 4],
)
def test_a_line_of_another_form_is_named(typed, line):
    write_by_hand(typed, [LINE, line, LINE])
    with pytest.raises(InvalidError, match=r"Line 2 of .*Grasp13D\.txt"):
        opened(typed)


def test_an_annotation_file_that_is_cut_short_is_refused(typed):
    path = typed / "data/Grasp1/annotations/Grasp13D.txt"
    data = path.read_bytes()
    path.write_bytes(data[: len(LINE) + len(NONE) + 30])
    with pytest.raises(InvalidError, match=r"Line 3 of .*Grasp13D\.txt"):
        opened(typed)
    path.write_bytes(b"\xff\xfe" + data)
    with pytest.raises(InvalidError, match=r"Grasp13D\.txt is not text"):
        opened(typed)
    path.write_bytes(b"")
    with pytest.raises(InvalidError, match=r"Grasp13D\.txt has 0 lines"):
        opened(typed)


def test_missing_parts_are_named(typed, tmp_path):
    with pytest.raises(MissingError, match=r"Grasp23D\.txt does not exist"):
        opened(typed, partial=False)
    (typed / "data/Grasp1/color").rename(typed / "away")
    with pytest.raises(MissingError, match="Grasp1/color does not exist"):
        opened(typed, partial=False)
    with pytest.raises(MissingError, match="no annotated sequence with images"):
        opened(typed)
    with pytest.raises(MissingError, match="has no folder data"):
        opened(typed / "data")


def test_a_damaged_image_is_named_when_it_is_read(typed):
    path = typed / "data/Grasp1/color/frame0001.png"
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[:-30])
    split = opened(typed)
    split.read(0, 1)
    with pytest.raises(InvalidError, match=r"frame0001\.png is cut short"):
        split.read(0, 3)
    path.unlink()
    with pytest.raises(MissingError, match=r"frame0001\.png does not exist"):
        split.read(1, 2)
    cv2.imwrite(str(path), np.zeros((240, 320, 3), np.uint8))
    with pytest.raises(InvalidError, match="is 320x240, not 640x480"):
        split.read(1, 2)


@pytest.mark.parametrize("inside", ["data/Grasp1/color/frame0001.png", "data/Grasp1/annotations", "data"])
def test_a_link_out_of_the_folder_is_not_followed(typed, tmp_path, inside):
    outside = tmp_path / "elsewhere"
    (typed / inside).rename(outside)
    (typed / inside).symlink_to(outside)
    with pytest.raises(InvalidError, match="leads out"):
        whole(opened(typed))
