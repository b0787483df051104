"""RHD's layout is read as hand3d reads it: the hand with more mask pixels, its fingers from tip to base."""

from __future__ import annotations

import json
import os
import pickle
import shutil

import cv2
import numpy as np
import pytest

from handbench.datasets.card import Wanted
from handbench.datasets.rhd import CARD, COUNTS, open_split
from handbench.errors import InvalidError, MissingError, UsageError
from handbench.hands.camera import apply_affine, project
from handbench.layouts.folder import Folder
from handbench.preparation.blocks import joined
from handbench.synth import rhd as writer
from handbench.synth.hand import synthetic_hand
from handbench.synth.layout import Size

SIZE, SEED = Size(samples=10, held=7), 4
EXTRAS = {"masks": True, "depth": True, "lossless": True}


def opened(root, split="test", partial=True, **wanted):
    return open_split(Folder(root, "RHD"), split, Wanted(partial=partial, **wanted))


def whole(split):
    return split.read(0, len(split))


def picture(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


# ---- a set of synthetic hands


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("rhd") / "set"
    writer.write(root, SIZE, SEED, synthetic_hand, lambda steps: None)
    return root


@pytest.fixture(scope="module")
def trained(written):
    """The training split with everything that can be asked for, and its frames' truth."""
    return opened(written, "train", **EXTRAS), writer.truth("train", SIZE, SEED, synthetic_hand)


@pytest.mark.parametrize("split", ["train", "test"])
def test_what_was_written_is_what_is_read(written, split):
    hands, images, masks, depth = whole(opened(written, split))
    true = writer.truth(split, SIZE, SEED, synthetic_hand)
    assert len(images) == len(hands) == len(true) > 0
    assert masks is depth is None
    for name, expected in true.arrays():
        assert np.array_equal(getattr(hands, name), expected), name
    assert hands.joints.dtype == np.float32


def test_a_block_can_have_any_size(trained):
    split, _ = trained
    hands, images, masks, depth = whole(split)
    for size in (1, 3):
        again = joined([split.read(i, min(i + size, len(split))) for i in range(0, len(split), size)])
        assert (again.images, again.masks, again.depth) == (images, masks, depth)
        for name, expected in hands.arrays():
            assert np.array_equal(getattr(again.hands, name), expected), name
    one = split.read(2, 3).hands
    assert [(name, array.dtype, array.shape[1:]) for name, array in one.arrays()] == [
        (name, array.dtype, array.shape[1:]) for name, array in hands.arrays()
    ]
    assert one.id[0] == split.name(2)


def test_both_sides_a_tie_and_hidden_joints_are_in_the_set(trained):
    _, true = trained
    assert set(true.side) == {"left", "right"}
    assert true.joints_visible.any(1).all()
    assert not true.joints_visible.all()
    # image 5 is the tie
    parts = writer.Pair("train", 5, SEED, synthetic_hand).parts
    counts = np.bincount(parts.ravel(), minlength=34)
    assert counts[2:18].sum() == counts[18:34].sum() > 0
    assert true.side[5] == "right"


def test_the_picture_is_the_window_of_the_frame_pixel_by_pixel(trained, written):
    split, _ = trained
    hands, images, *_ = whole(split)
    for i in range(len(hands)):
        frame = cv2.imread(str(written / f"training/color/{i:05d}.png"))
        left, top = -hands.crop[i, :, 2].astype(int)
        width, height = hands.image_size[i]
        assert np.array_equal(picture(images[i]), frame[top : top + height, left : left + width])
    in_frame = project(hands.joints, hands.frame_camera)
    assert np.allclose(apply_affine(hands.crop, in_frame), project(hands.joints, hands.camera), atol=1e-9)
    assert (hands.box[:, :2] <= project(hands.joints, hands.camera).min(1) + 1e-4).all()


def test_visible_joints_lie_on_the_hands_pixels_at_its_depth(trained):
    split, _ = trained
    hands, _, masks, depth = whole(split)
    on_hand, apart = [], []
    for i in range(len(hands)):
        mask, metres = picture(masks[i]), picture(depth[i]) * 1e-4
        assert set(np.unique(mask)) <= {0, 255}
        for x, y in np.rint(project(hands.joints[i], hands.camera[i])[hands.joints_visible[i]]).astype(int):
            near = mask[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
            on_hand.append(near.any())
            if mask[y, x]:
                apart.append(abs(metres[y, x] - hands.joints[i, :, 2].mean()))
    assert np.mean(on_hand) > 0.85
    assert max(apart) < 0.12


def test_written_twice_it_is_the_same(written, tmp_path):
    again = tmp_path / "again"
    small = Size(samples=2, held=1)
    writer.write(again, small, SEED, synthetic_hand, lambda steps: None)
    for kind in ("color", "mask", "depth"):
        name = f"training/{kind}/00001.png"
        assert (again / name).read_bytes() == (written / name).read_bytes()


# ---- a set written by hand, with the numbers of hand3d's reader

FOCAL = 300.0


def entry(dtype=np.float32):
    """42 joints that tell their row: (row, -row, 500 + row) mm."""
    row = np.arange(42.0)
    xyz = np.stack([row, -row, 500 + row], 1) / 1000
    uv = FOCAL * xyz[:, :2] / xyz[:, 2:] + 160
    camera = np.array([[FOCAL, 0, 160], [0, FOCAL, 160], [0, 0, 1]])
    return {
        "xyz": xyz.astype(dtype),
        "uv_vis": np.concatenate([uv, np.ones((42, 1))], 1).astype(dtype),
        "K": camera.astype(dtype),
    }


def mask_of(left: int, right: int, labels=(2, 17, 18, 33)):
    """A mask with that many pixels of each hand, half of either end of its labels, and many of the person."""
    mask = np.zeros((320, 320), np.uint8)
    mask[200:] = 1
    mask[100, :left], mask[100, : left // 2] = labels[1], labels[0]
    mask[110, :right], mask[110, : right // 2] = labels[3], labels[2]
    return mask


def write_by_hand(root, masks, part="evaluation", dtype=np.float32, entries=None):
    for kind in ("color", "mask", "depth"):
        (root / part / kind).mkdir(parents=True, exist_ok=True)
    for i, mask in enumerate(masks):
        depth = np.zeros((320, 320, 3), np.uint8)
        depth[...] = (9, 96, 234)  # B, G, R
        cv2.imwrite(str(root / part / "color" / f"{i:05d}.png"), np.full((320, 320, 3), 40 + i, np.uint8))
        cv2.imwrite(str(root / part / "mask" / f"{i:05d}.png"), mask)
        cv2.imwrite(str(root / part / "depth" / f"{i:05d}.png"), depth)
    entries = {i: entry(dtype) for i in range(len(masks))} if entries is None else entries
    (root / part / f"anno_{part}.pickle").write_bytes(pickle.dumps(entries, protocol=2))
    return root


@pytest.fixture
def typed(tmp_path):
    """Four images: more of the left hand, as many, more of the right hand, none of either."""
    return write_by_hand(tmp_path / "RHD_published_v2", [mask_of(10, 9), mask_of(8, 8), mask_of(4, 6), mask_of(0, 0)])


def test_the_official_counts():
    assert dict(CARD.splits) == {"train": 41258, "test": 2728}


def test_the_hand_is_the_one_with_more_mask_pixels_and_the_right_one_in_a_tie(typed):
    hands = whole(opened(typed)).hands
    assert list(hands.side) == ["left", "right", "right", "right"]
    # the wrists are rows 0 and 21
    assert hands.joints[:, 0] == pytest.approx(np.array([[0, 0, 0.5], *[[0.021, -0.021, 0.521]] * 3]), abs=1e-7)


@pytest.mark.parametrize(("image", "first"), [(0, 0), (2, 21)])
def test_fingers_are_turned_from_tip_to_base_thumb_first(typed, image, first):
    hands = whole(opened(typed)).hands
    rows = np.rint(hands.joints[image, :, 0] * 1000) - first
    # FH21: wrist, then thumb to little, base to tip; RHD: wrist, then thumb to little, tip to base
    assert rows.tolist() == [0, 4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13, 20, 19, 18, 17]


def test_what_the_renderer_does_not_show_is_annotated_and_not_visible(typed):
    one = entry()
    one["uv_vis"][25, 2] = 0.0  # right hand, row 4: the base of the thumb, FH21 1
    write_by_hand(typed, [mask_of(1, 3)], entries={0: one})
    hands = whole(opened(typed)).hands
    assert np.flatnonzero(~hands.joints_visible[0]).tolist() == [1]
    assert hands.joints_valid.all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_joints_keep_their_precision_and_are_metres_before_an_opencv_camera(typed, dtype):
    write_by_hand(typed, [mask_of(0, 5)], dtype=dtype, entries={0: entry(dtype)})
    hands = whole(opened(typed)).hands
    assert hands.joints.dtype == dtype
    u, v = project(hands.joints, hands.frame_camera)[0, 20]
    # row 21 + 17: 38 mm to the right, 38 mm up, 538 mm away
    assert (u, v) == pytest.approx((160 + 300 * 38 / 538, 160 - 300 * 38 / 538), abs=1e-4)
    assert hands.frame_size.tolist() == [[320, 320]]


def test_masks_are_of_that_hand_and_depth_has_its_high_byte_in_red(typed):
    split = opened(typed, masks=True, depth=True)
    hands, images, masks, depth = whole(split)
    # the window of image 3, which has no hand in its mask
    assert not picture(masks[3]).any()
    left, top = -hands.crop[0, :, 2].astype(int)
    width, height = hands.image_size[0]
    row = picture(masks[0])
    expected = np.zeros((320, 320), np.uint8)
    expected[100, :10] = 255
    assert np.array_equal(row, expected[top : top + height, left : left + width])
    # (234 * 256 + 96) / 65535 * 5 m = 4.57771 m
    assert np.unique(picture(depth[0])).tolist() == [45777]
    assert split.meta["depth_unit"] == 1e-4
    assert picture(images[0]).shape[:2] == (height, width)


def test_ids_are_the_numbers_of_the_images(typed):
    (typed / "evaluation/color/00001.png").unlink()
    split = opened(typed)
    assert [split.name(i) for i in range(len(split))] == [f"rhd/test/{i:08d}" for i in (0, 2, 3)]
    assert split.meta["partial"]
    assert list(whole(split).hands.id) == [split.name(i) for i in range(3)]


def test_the_whole_split_is_not_partial(typed, monkeypatch):
    monkeypatch.setitem(COUNTS, "test", 4)
    split = opened(typed, partial=False)
    assert len(split) == split.meta["count"] == 4
    assert split.meta["partial"] is False


def test_other_pictures_or_labels_have_another_fingerprint(typed):
    before = opened(typed).meta["read"]
    assert opened(typed).meta["read"] == before
    os.utime(typed / "evaluation/mask/00002.png", (1, 1))
    after = opened(typed).meta["read"]
    changed = {i: entry() for i in range(4)}
    changed[3]["xyz"][3] += 0.001
    (typed / "evaluation/anno_evaluation.pickle").write_bytes(pickle.dumps(changed, protocol=2))
    assert len({before, after, opened(typed).meta["read"]}) == 3


# ---- what is not as it should be


class Runs:
    """Pickled, a call."""

    def __init__(self, call, *args):
        self.call = call, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("gadget", ["os.system", "numpy.testing"])
def test_a_pickle_that_runs_something_is_refused_and_runs_nothing(typed, tmp_path, gadget):
    proof = tmp_path / "it ran"
    if gadget == "os.system":
        bad = Runs(os.system, f"touch '{proof}'")
    else:
        from numpy.testing._private.utils import runstring

        bad = Runs(runstring, f"open({str(proof)!r}, 'w')", {})
    path = typed / "evaluation/anno_evaluation.pickle"
    path.write_bytes(pickle.dumps({0: {**entry(), "K": bad}}, protocol=2))
    with pytest.raises(InvalidError, match=r"anno_evaluation\.pickle was not read"):
        opened(typed)
    assert not proof.exists()


def cut_short(path, share=0.5):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


@pytest.mark.parametrize("name", ["color", "mask", "depth"])
def test_a_damaged_image_is_named_when_it_is_read(typed, name):
    path = typed / f"evaluation/{name}/00001.png"
    cut_short(path)
    split = opened(typed, depth=True)
    split.read(0, 1)
    with pytest.raises(InvalidError, match=f"{name}/00001.png is cut short"):
        split.read(1, 2)
    path.unlink()
    with pytest.raises(MissingError, match=f"{name}/00001.png does not exist"):
        split.read(0, 2)


def test_an_image_of_another_size_or_a_mask_of_other_labels_is_refused(typed):
    split = opened(typed)
    cv2.imwrite(str(typed / "evaluation/mask/00000.png"), np.full((320, 320), 255, np.uint8))
    with pytest.raises(InvalidError, match=r"mask/00000\.png is no mask of labels"):
        split.read(0, 1)
    cv2.imwrite(str(typed / "evaluation/color/00001.png"), np.zeros((240, 320, 3), np.uint8))
    with pytest.raises(InvalidError, match=r"color/00001\.png is 320x240, not 320x320"):
        split.read(1, 2)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (pickle.dumps([entry()], 2), "holds no entries"),
        (pickle.dumps({}, 2), "holds no entries"),
        (pickle.dumps({"0": entry()}, 2), "a key that is no image number"),
        (pickle.dumps({0: {**entry(), "xyz": np.zeros((21, 3))}}, 2), "Entry 0 .* has no 'xyz' of shape"),
        (pickle.dumps({0: {"xyz": entry()["xyz"]}}, 2), "Entry 0 .* has no 'uv_vis'"),
        (pickle.dumps({0: entry()}, 2)[:700], "truncated"),
    ],
)
def test_annotations_of_another_form_are_refused(typed, content, said):
    (typed / "evaluation/anno_evaluation.pickle").write_bytes(content)
    with pytest.raises(InvalidError, match=said) as caught:
        opened(typed)
    assert "anno_evaluation.pickle" in caught.value.message


def test_another_count_is_refused_and_the_other_split_is_recognised(typed, tmp_path):
    with pytest.raises(InvalidError, match="has 4 entries, RHD's test split has 2,728"):
        opened(typed, partial=False)
    one = entry()
    write_by_hand(tmp_path, [mask_of(0, 1)], part="training", entries=dict.fromkeys(range(2728), one))
    with pytest.raises(InvalidError, match="has 2,728 entries, RHD's train split has 41,258") as caught:
        opened(tmp_path, "train", partial=False)
    assert "test split" in caught.value.hint


def test_a_whole_split_without_one_of_its_images_is_refused(typed, monkeypatch):
    monkeypatch.setitem(COUNTS, "test", 4)
    (typed / "evaluation/color/00002.png").unlink()
    with pytest.raises(MissingError, match=r"00002\.png is not there"):
        opened(typed, partial=False)


def test_a_folder_that_is_not_rhd_is_refused(typed, tmp_path):
    with pytest.raises(MissingError, match=r"anno_training\.pickle does not exist"):
        opened(typed, "train")
    with pytest.raises(MissingError) as caught:
        opened(typed.parent)
    assert "RHD_published_v2" in caught.value.hint
    shutil.rmtree(typed / "evaluation/color")
    with pytest.raises(MissingError, match="evaluation/color does not exist"):
        opened(typed)
    with pytest.raises(UsageError, match="no split 'val'"):
        opened(typed, "val")


@pytest.mark.parametrize("inside", ["evaluation/color/00000.png", "evaluation/anno_evaluation.pickle"])
def test_a_link_out_of_the_folder_is_not_followed(typed, tmp_path, inside):
    outside = tmp_path / "elsewhere"
    (typed / inside).rename(outside)
    (typed / inside).symlink_to(outside)
    with pytest.raises(InvalidError, match="leads out"):
        whole(opened(typed))


# ---- real images, where they are


def test_the_projection_of_real_joints_is_their_annotated_place(real_data, tmp_path):
    if not (real_data / "rhd/test_rhd.json").is_file():
        pytest.skip("no RHD images")
    found = json.loads((real_data / "rhd/test_rhd.json").read_text())
    root, entries, expected = tmp_path / "real", {}, []
    for kind in ("color", "mask"):
        (root / "evaluation" / kind).mkdir(parents=True)
    for image, annotation in zip(found["images"], found["annotations"], strict=True):
        number, right = image["id"], annotation["hand_type"] == "right"
        rows = slice(21, 42) if right else slice(0, 21)
        one = entry(np.float64)
        (fx, fy), (cx, cy) = image["cam_param"]["focal"], image["cam_param"]["princpt"]
        one["K"] = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
        one["xyz"][rows] = np.array(annotation["joint_cam"]) / 1000
        one["uv_vis"][rows] = annotation["keypoints"]
        entries[number] = one
        low, high = (f(np.array(annotation["keypoints"])[:, :2], 0).astype(int) for f in (np.min, np.max))
        mask = np.zeros((320, 320), np.uint8)
        mask[max(low[1], 0) : high[1], max(low[0], 0) : high[0]] = 20 if right else 5
        cv2.imwrite(str(root / "evaluation/mask" / f"{number:05d}.png"), mask)
        shutil.copy(real_data / "rhd" / image["file_name"], root / "evaluation/color")
        expected.append((right, annotation))
    (root / "evaluation/anno_evaluation.pickle").write_bytes(pickle.dumps(entries, protocol=2))
    hands = whole(opened(root)).hands
    assert list(hands.id) == [f"rhd/test/{number:08d}" for number in sorted(entries)]
    # RHD to FH21, typed
    order = [0, 4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13, 20, 19, 18, 17]
    pixels = project(hands.joints, hands.frame_camera)
    for i, (right, annotation) in enumerate(expected):
        keypoints = np.array(annotation["keypoints"])[order]
        assert hands.side[i] == ("right" if right else "left")
        assert np.abs(pixels[i] - keypoints[:, :2]).max() < 0.1
        assert np.array_equal(hands.joints_visible[i], keypoints[:, 2] != 0)
