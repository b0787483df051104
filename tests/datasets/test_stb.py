"""STB's layout is read as its README describes it: three colour cameras, millimetres, the palm as joint 0."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest
import scipy.io

from handbench.datasets.card import Wanted
from handbench.datasets.stb import CARD, open_split
from handbench.errors import InvalidError, MissingError, UsageError
from handbench.hands.camera import project
from handbench.hands.palm import wrist_from_palm
from handbench.layouts import stb_tree
from handbench.layouts.folder import Folder
from handbench.preparation.blocks import joined
from handbench.synth import stb as writer
from handbench.synth.hand import synthetic_hand
from handbench.synth.layout import Size

SIZE, SEED = Size(sequences=2, frames=3), 5
SPLITS = ["train", "test", "bb-train", "bb-test", "bb-right-train", "bb-right-test"]


def opened(root, split="test", partial=True, **wanted):
    return open_split(Folder(root, "STB"), split, Wanted(partial=partial, **wanted))


def whole(split):
    return split.read(0, len(split))


def picture(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


# ---- a set of synthetic hands


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("stb") / "set"
    writer.write(root, SIZE, SEED, synthetic_hand, lambda steps: None)
    return root


@pytest.mark.parametrize("split", SPLITS)
def test_what_was_written_is_what_is_read(written, split):
    hands, images, masks, depth = whole(opened(written, split))
    true = writer.truth(split, SIZE, SEED, synthetic_hand)
    assert len(images) == len(hands) == len(true) == 6
    assert masks is depth is None
    for name, expected in true.arrays():
        got = getattr(hands, name)
        if expected.dtype.kind == "f":
            assert np.abs(got - expected).max() < 1e-9, name
        else:
            assert np.array_equal(got, expected), name
    assert hands.meta["joint_0"] == "palm centre"


def test_a_block_can_have_any_size(written):
    split = opened(written)
    hands, images, *_ = whole(split)
    for size in (1, 2, 4):
        again = joined([split.read(i, min(i + size, len(split))) for i in range(0, len(split), size)])
        assert again.images == images
        for name, expected in hands.arrays():
            got = getattr(again.hands, name)
            assert np.array_equal(got, expected), name
            assert got.dtype == expected.dtype
    assert list(hands.id) == [split.name(i) for i in range(len(split))]


@pytest.mark.parametrize("split", ["test", "bb-test", "bb-right-test"])
def test_the_hand_in_the_picture_lies_under_its_joints(written, split):
    """Where the joints are, the picture is not what the frames before and after it show as background."""
    read = opened(written, split, lossless=True)
    hands, images, *_ = whole(read)
    prefix = read.view.prefix
    for i in range(len(hands)):
        frame = cv2.imread(str(written / f"images/{hands.capture[i]}/{prefix}_{hands.frame[i]}.png"))
        left, top = -hands.crop[i, :, 2].astype(int)
        width, height = hands.image_size[i]
        assert np.array_equal(picture(images[i]), frame[top : top + height, left : left + width])
        behind = writer.room((640, 480), (SEED, writer.zlib.crc32(b"B1")), "clutter")[..., ::-1] * 255
        other = np.abs(frame.astype(float) - behind).max(-1) > 12
        x, y = np.rint(project(hands.joints[i], hands.frame_camera[i])).astype(int).T
        inside = (x >= 0) & (x < 640) & (y >= 0) & (y < 480)
        assert other[y[inside], x[inside]].mean() > 0.8


def test_the_wrist_of_the_recipe_is_the_synthetic_hands_own(written):
    hands = whole(opened(written)).hands
    take = writer._take("B1Counting", 3, SEED, synthetic_hand("left"))
    assert np.abs(wrist_from_palm(hands.joints[:3], "ge") - take.joints).max() < 1e-9


# ---- a set written by hand, with the numbers of STB's README

R, _ = cv2.Rodrigues(np.array([0.00531, -0.01196, 0.00301]))
T = np.array([-24.0381, -0.4563, -1.2326])


def write_by_hand(root, frames=3, sequences=("B1Counting", "B1Random"), labelled=None):
    """Joint j of frame t is at (10 j, 5 t - 40, 600 + j) mm of the camera of the labels."""
    image = cv2.imencode(".png", np.full((480, 640, 3), 90, np.uint8))[1].tobytes()
    (root / "labels").mkdir(parents=True, exist_ok=True)
    first = root / "image.png"
    first.write_bytes(image)
    labelled = labelled or frames
    labels = np.empty((3, 21, labelled))
    labels[0] = 10.0 * np.arange(21)[:, None]
    labels[1] = 5.0 * (np.arange(labelled) % 10) - 40
    labels[2] = 600.0 + np.arange(21)[:, None]
    for name in sequences:
        (root / "images" / name).mkdir(parents=True, exist_ok=True)
        for t in range(frames):
            for prefix in ("SK_color", "BB_left", "BB_right"):
                os.link(first, root / "images" / name / f"{prefix}_{t}.png")
        for kind in ("SK", "BB"):
            scipy.io.savemat(root / "labels" / f"{name}_{kind}.mat", {"handPara": labels})
    return root


@pytest.fixture
def typed(tmp_path):
    return write_by_hand(tmp_path / "STB")


def test_the_official_counts():
    assert dict(CARD.splits) == dict(zip(SPLITS, [15000, 3000] * 3, strict=True))


def test_little_finger_first_becomes_thumb_first_and_the_palm_stays_joint_0(typed):
    hands = whole(opened(typed, "bb-test")).hands
    order = np.rint(hands.joints[0, :, 0] * 100).astype(int)
    # README: palm, little, ring, middle, index, thumb, each MCP to tip
    assert order.tolist() == [0, 17, 18, 19, 20, 13, 14, 15, 16, 9, 10, 11, 12, 5, 6, 7, 8, 1, 2, 3, 4]
    assert set(hands.side) == {"left"}
    assert hands.fps is None


def test_labels_of_the_stereo_pair_are_millimetres_of_its_left_camera(typed):
    left, right = (whole(opened(typed, split)).hands for split in ("bb-test", "bb-right-test"))
    # joint 20 of the labels, the thumb's tip, in frame 2
    assert left.joints[2, 4] == pytest.approx([0.2, -0.03, 0.62], abs=1e-12)
    assert right.joints[2, 4] == pytest.approx([0.2 - 0.120054, -0.03, 0.62], abs=1e-12)
    camera = [[822.79041, 0, 318.47345], [0, 822.79041, 250.31296], [0, 0, 1]]
    assert left.frame_camera[0].tolist() == right.frame_camera[0].tolist() == camera
    u, v = project(right.joints, right.frame_camera)[2, 4]
    assert (u, v) == pytest.approx((318.47345 + 822.79041 * 79.946 / 620, 250.31296 - 822.79041 * 30 / 620))


def test_labels_of_the_depth_camera_are_moved_to_the_colour_camera(typed):
    """README: R and t take the colour camera's coordinates to the depth camera's."""
    labels = np.zeros((3, 21, 1))
    labels[:, 0, 0] = T
    labels[:, 20, 0] = R @ [30.0, -20.0, 500.0] + T
    labels[:, 1:20, 0] = [[0], [0], [600]]
    scipy.io.savemat(typed / "labels/B1Counting_SK.mat", {"handPara": labels})
    hands = opened(typed, "test").read(0, 1).hands
    assert hands.joints[0, 0] == pytest.approx([0, 0, 0], abs=1e-12)
    assert hands.joints[0, 4] == pytest.approx([0.03, -0.02, 0.5], abs=1e-12)
    assert hands.frame_camera[0].tolist() == [[607.92271, 0, 314.78337], [0, 607.88192, 236.42484], [0, 0, 1]]


def test_a_sample_is_numbered_by_sequence_and_frame(tmp_path):
    root = write_by_hand(tmp_path, sequences=("B1Random", "B3Counting"))
    (root / "images/B1Random/SK_color_0.png").unlink()
    test, train = opened(root, "test"), opened(root, "train")
    assert [test.name(i) for i in range(len(test))] == ["stb/test/00001501", "stb/test/00001502"]
    # B2Counting, B2Random, B3Counting
    assert train.name(1) == "stb/train/00003001"
    hands = whole(test).hands
    assert hands.capture.tolist() == ["B1Random", "B1Random"]
    assert hands.track.tolist() == ["B1Random/SK_color"] * 2
    assert hands.frame.tolist() == [1, 2]
    assert hands.joints[0, 0, 1] == pytest.approx((R.T @ (np.array([0, -35.0, 600]) - T) / 1000)[1])


def test_frame_numbers_are_sorted_as_numbers(tmp_path):
    root = write_by_hand(tmp_path, frames=12, sequences=("B1Counting",))
    assert whole(opened(root)).hands.frame.tolist() == list(range(12))


def test_the_whole_split_has_1500_frames_a_sequence(tmp_path):
    root = write_by_hand(tmp_path, frames=1500)
    split = opened(root, "test", partial=False)
    assert len(split) == 3000
    assert split.meta["partial"] is False
    assert split.read(2999, 3000).hands.id.tolist() == ["stb/test/00002999"]
    os.unlink(root / "images/B1Random/SK_color_77.png")
    with pytest.raises(MissingError, match=r"lacks 1 of 1,500 SK_color images, the first is SK_color_77\.png"):
        opened(root, "test", partial=False)
    assert opened(root, "test").meta["partial"] is True
    # the other cameras are whole
    assert len(opened(root, "bb-right-test", partial=False)) == 3000


def test_the_window_is_twice_the_box_of_the_joints(typed):
    hands, images, *_ = whole(opened(typed, "bb-test"))
    assert picture(images[0]).shape == (*hands.image_size[0][::-1], 3)
    pixels = project(hands.joints, hands.camera)
    assert np.allclose(hands.box, np.concatenate([pixels.min(1), pixels.max(1)], 1))


# ---- what is not as it should be


def test_what_stb_cannot_bring_is_refused(typed):
    with pytest.raises(UsageError, match="not registered"):
        opened(typed, depth=True)
    with pytest.raises(UsageError, match="no masks"):
        opened(typed, masks=True)
    with pytest.raises(UsageError, match="no split 'sk-test'"):
        opened(typed, "sk-test")


def test_short_sequences_are_refused_unless_partial(typed):
    with pytest.raises(InvalidError, match=r"B1Counting_SK\.mat has 3 frames, not 1,500"):
        opened(typed, partial=False)


def test_images_beyond_the_labels_are_no_samples(tmp_path):
    root = write_by_hand(tmp_path, frames=5, sequences=("B1Counting",), labelled=4)
    assert len(opened(root)) == 4


@pytest.mark.parametrize("absent", ["images/B1Random", "labels/B1Random_SK.mat"])
def test_a_missing_sequence_is_named_and_left_out_of_a_partial_set(typed, absent, monkeypatch):
    monkeypatch.setattr(stb_tree, "LENGTH", 3)
    (typed / absent).rename(typed / "away")
    with pytest.raises(MissingError, match=absent):
        opened(typed, partial=False)
    assert whole(opened(typed)).hands.capture.tolist() == ["B1Counting"] * 3


def test_a_folder_without_labels_or_images_is_refused(typed, tmp_path):
    (typed / "labels").rename(typed / "away")
    with pytest.raises(MissingError, match="has no folder labels"):
        opened(typed)
    with pytest.raises(MissingError, match="has no folder images"):
        opened(tmp_path)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
def test_a_label_file_that_is_cut_short_is_named(typed, share):
    path = typed / "labels/B1Random_SK.mat"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InvalidError, match=r"B1Random_SK\.mat cannot be read as a MAT file"):
        whole(opened(typed))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"other": np.zeros((3, 21, 3))}, "has no 'handPara'"),
        ({"handPara": np.zeros((21, 3, 3))}, "not \\(3, 21, 1500\\)"),
        ({"handPara": np.zeros((3, 21, 1501))}, "not \\(3, 21, 1500\\)"),
        ({"handPara": np.zeros((3, 21, 2), dtype=object)}, "not \\(3, 21, 1500\\)"),
    ],
)
def test_labels_of_another_form_are_refused(typed, content, said):
    scipy.io.savemat(typed / "labels/B1Counting_SK.mat", content)
    with pytest.raises(InvalidError, match=said) as caught:
        opened(typed)
    assert "B1Counting_SK.mat" in caught.value.message


def test_a_damaged_image_is_named_when_it_is_read(typed):
    path = typed / "images/B1Counting/SK_color_1.png"
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[:-30])
    split = opened(typed)
    split.read(0, 1)
    with pytest.raises(InvalidError, match=r"SK_color_1\.png is cut short"):
        split.read(0, 3)
    path.unlink()
    with pytest.raises(MissingError, match=r"SK_color_1\.png does not exist"):
        split.read(1, 2)
    cv2.imwrite(str(path), np.zeros((240, 320, 3), np.uint8))
    with pytest.raises(InvalidError, match="is 320x240, not 640x480"):
        split.read(1, 2)


@pytest.mark.parametrize("inside", ["images/B1Counting/SK_color_0.png", "labels/B1Counting_SK.mat", "images"])
def test_a_link_out_of_the_folder_is_not_followed(typed, tmp_path, inside):
    outside = tmp_path / "elsewhere"
    (typed / inside).rename(outside)
    (typed / inside).symlink_to(outside)
    with pytest.raises(InvalidError, match="leads out"):
        whole(opened(typed))
