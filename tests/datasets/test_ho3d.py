"""HO-3D's two versions are read as their page describes them: numbers typed from there, none from our own writer."""

from __future__ import annotations

import dataclasses
import pickle

import cv2
import numpy as np
import pytest

from handbench.datasets import find
from handbench.datasets.card import Wanted
from handbench.errors import MissingError
from handbench.hands.camera import project
from handbench.hands.record import Hands
from handbench.layouts.folder import Folder
from handbench.layouts.ho3d_labels import read_label
from handbench.synth.hand import synthetic_hand
from tests.datasets.ho3d_layout import BOX, CAMERA, joints, picture, plant, plant_segmentations, put, training_label

# HO-3D's joint of each of FH21: wrist; thumb, index, middle, ring, little, each from base to tip
FROM_HO3D = [0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20]
TIPS = [728, 353, 442, 576, 694]
# of the segmentations of version 3, the hand's pixels
BLUE = np.random.default_rng(0).random((120, 160)) < 0.6


def opened(root, split="train", dataset="ho3d-v2", **wanted):
    module = find(dataset)
    return module.open_split(Folder(root, module.CARD.title), split, Wanted(partial=True, **wanted))


def everything(root, split="train", dataset="ho3d-v2", **wanted):
    split = opened(root, split, dataset, **wanted)
    return split.read(0, len(split))


def decoded(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


@pytest.fixture(scope="module")
def v2(tmp_path_factory):
    return plant(tmp_path_factory.mktemp("v2"))


@pytest.fixture(scope="module")
def v3(tmp_path_factory):
    root = plant(tmp_path_factory.mktemp("v3"), ".jpg")
    plant_segmentations(root, BLUE)
    return root


def test_only_evaluation_has_an_official_count():
    assert dict(find("ho3d-v2").CARD.splits) == {"train": None, "test": 11524}
    assert dict(find("ho3d-v3").CARD.splits) == {"train": None, "test": 20137}


class TestTraining:
    def test_the_list_says_which_frames_there_are(self, v2):
        hands = everything(v2).hands
        assert hands.id.tolist() == [f"ho3d-v2/train/0000000{i}" for i in range(4)]
        assert hands.track.tolist() == ["ABF10"] * 3 + ["MC1"]
        assert hands.capture.tolist() == ["ABF1"] * 3 + ["MC1"]
        assert hands.frame.tolist() == [0, 1, 4, 7]
        assert (hands.fps == 30).all()
        assert (hands.side == "right").all()

    def test_joints_come_in_opencv_axes_and_fh21_order(self, v2):
        hands = everything(v2).hands
        for i in range(4):
            expected = joints(0.01 * i)[FROM_HO3D] * [1, -1, -1]
            np.testing.assert_array_equal(hands.joints[i], expected)
        # the thumb's tip is HO-3D's joint 16: x 0.064 - 0.03, y 0.05 - 0.048, z -0.516
        np.testing.assert_allclose(hands.joints[0, 4], [0.034, -0.002, 0.516], atol=1e-15)
        assert hands.joints_valid.all()

    def test_the_wrist_projects_where_it_lies_in_the_image(self, v2):
        hands = everything(v2).hands
        # u = 600 * -0.03 / 0.5 + 320, v = 610 * -0.05 / 0.5 + 240
        np.testing.assert_allclose(project(hands.joints, hands.frame_camera)[0, 0], [284, 179], atol=1e-10)
        np.testing.assert_array_equal(hands.frame_camera[0], CAMERA)
        assert hands.frame_size[0].tolist() == [640, 480]
        in_crop = project(hands.joints, hands.camera)
        np.testing.assert_allclose(hands.box[:, :2], in_crop.min(1), atol=1e-9)
        np.testing.assert_allclose(hands.box[:, 2:], in_crop.max(1), atol=1e-9)

    def test_the_stored_image_is_the_window_of_the_frame(self, v2):
        block = everything(v2, lossless=True)
        for i, data in enumerate(block.images):
            left, top = (-block.hands.crop[i, :, 2]).astype(int)
            width, height = block.hands.image_size[i]
            np.testing.assert_array_equal(decoded(data), picture(i)[top : top + height, left : left + width])
            assert width < 640
        assert opened(v2, lossless=True).meta["image_coding"] == "PNG"
        plain = everything(v2).images[0]
        assert plain[:2] == b"\xff\xd8"
        assert opened(v2).meta["image_coding"] == "JPEG 95 4:4:4"

    def test_without_a_hand_model_there_is_no_mesh(self, v2, capsys):
        hands = everything(v2).hands
        assert hands.vertices is hands.mano_pose is hands.mano_shape is hands.mano_translation is None
        assert "prep mano" in capsys.readouterr().err

    def test_the_pose_is_absolute_and_the_mesh_lies_in_opencv_axes(self, v2):
        """What the layer of the official scripts (no PCA, flat_hand_mean) makes of a label, mirrored in y and z."""
        hand = synthetic_hand()
        hands = everything(v2, right=hand).hands
        label = training_label()
        vertices, joints16 = hand.forward(label["handPose"][None], label["handBeta"][None], label["handTrans"][None])
        np.testing.assert_allclose(hands.vertices[0], vertices[0] * [1, -1, -1], atol=1e-12)
        again, moved = hand.forward(hands.mano_pose, hands.mano_shape, hands.mano_translation)
        np.testing.assert_allclose(again, hands.vertices, atol=1e-12)
        np.testing.assert_allclose(moved[0, 0], joints16[0, 0] * [1, -1, -1], atol=1e-12)
        np.testing.assert_array_equal(hands.mano_pose[0, 3:], label["handPose"][3:])
        np.testing.assert_array_equal(hands.mano_shape[0], label["handBeta"])

    def test_the_tips_are_ho3d_s_vertices(self, v2, tmp_path):
        hand = synthetic_hand()
        label = training_label()
        vertices, joints16 = hand.forward(label["handPose"][None], label["handBeta"][None], label["handTrans"][None])
        label["handJoints3D"] = np.concatenate([joints16[0], vertices[0, TIPS]])
        plant(tmp_path)
        put(tmp_path / "train/ABF10/meta/0000.pkl", label)
        split = opened(tmp_path, right=hand)
        hands = split.read(0, 1).hands
        np.testing.assert_allclose(hands.joints[0, [4, 8, 12, 16, 20]], hands.vertices[0, TIPS], atol=1e-12)
        assert (split.meta["fingertips"], split.meta["joint_source"]) == ("ho3d", "model")

    def test_depth_is_read_in_wide_numbers(self, v2):
        block = everything(v2, depth=True)
        stored = decoded(block.depth[0])
        # (5 + 256 * 200) * 0.00012498664727900177 m in steps of a tenth of a millimetre
        assert stored.dtype == np.uint16
        assert (stored == 63999).all()
        assert stored.shape == tuple(block.hands.image_size[0][::-1])
        assert opened(v2, depth=True).meta["depth_unit"] == 1e-4


class TestSegmentation:
    def test_blue_is_the_hand_each_pixel_sixteen_of_the_frame(self, v3):
        block = everything(v3, dataset="ho3d-v3", masks=True)
        hands = block.hands
        for i, data in enumerate(block.masks):
            left, top = (-hands.crop[i, :, 2]).astype(int)
            width, height = hands.image_size[i]
            frame = np.repeat(np.repeat(BLUE, 4, 0), 4, 1) * 255
            np.testing.assert_array_equal(decoded(data), frame[top : top + height, left : left + width])
        assert {0, 255} == set(np.unique(decoded(block.masks[0])).tolist())

    def test_how_much_of_the_silhouette_is_blue(self, v3, tmp_path):
        hand = synthetic_hand()
        seen = everything(v3, dataset="ho3d-v3", right=hand).hands.visible_fraction
        assert seen.shape == (4,)
        assert ((seen > 0) & (seen < 1)).any()
        for blue, expected in ((np.ones((120, 160), bool), 1.0), (np.zeros((120, 160), bool), 0.0)):
            root = plant(tmp_path / str(expected), ".jpg")
            plant_segmentations(root, blue)
            split = opened(root, dataset="ho3d-v3", right=hand)
            assert split.read(0, 4).hands.visible_fraction.tolist() == [expected] * 4
            assert "silhouette" in split.meta["visible_fraction"]

    def test_it_is_known_of_all_frames_or_of_none(self, tmp_path):
        root = plant(tmp_path, ".jpg")
        plant_segmentations(root, np.ones((120, 160), bool))
        hand = synthetic_hand()
        assert everything(root, dataset="ho3d-v3").hands.visible_fraction is None
        (root / "train/MC1/seg").rename(root / "train/MC1/other")
        assert everything(root, dataset="ho3d-v3", right=hand).hands.visible_fraction is None
        assert everything(root, "test", "ho3d-v3", right=hand).hands.visible_fraction is None


class TestEvaluation:
    def test_the_published_truth(self, v2):
        split = opened(v2, "test")
        hands = split.read(0, 2).hands
        assert hands.id.tolist() == ["ho3d-v2/test/00000000", "ho3d-v2/test/00000001"]
        assert hands.frame.tolist() == [0, 2]
        for i in range(2):
            np.testing.assert_array_equal(hands.joints[i], joints(0.01 * i)[FROM_HO3D] * [1, -1, -1])
            # vertices have no order of joints
            np.testing.assert_array_equal(hands.vertices[i, :21], joints(0.01 * i) * [1, -1, -1])
        assert hands.mano_pose is None
        assert split.meta["partial"] is True

    def test_the_box_is_the_official_one(self, v2):
        hands = everything(v2, "test").hands
        left, top = -hands.crop[0, :, 2]
        np.testing.assert_array_equal(hands.box[0], np.array(BOX) - [left, top, left, top])
        # 80 x 110 px around (290, 205): twice 110 around that, from 180 to 400 and from 95 to 315
        assert (left, top) == (180, 95)
        assert hands.image_size[0].tolist() == [221, 221]

    def test_without_it_only_the_wrist_is_known(self, tmp_path, capsys):
        plant(tmp_path, truth=False)
        hands = everything(tmp_path, "test").hands
        np.testing.assert_allclose(hands.joints[0, 0], [-0.03, -0.05, 0.5])
        assert np.isnan(hands.joints[:, 1:]).all()
        assert hands.joints_valid.tolist() == [[True] + [False] * 20] * 2
        assert hands.vertices is None
        assert "only the wrist is known" in capsys.readouterr().err

    def test_without_vertices(self, tmp_path):
        plant(tmp_path)
        (tmp_path / "evaluation_verts.json").unlink()
        hands = everything(tmp_path, "test").hands
        assert hands.vertices is None
        assert hands.joints_valid.all()


class TestFramesThatAreThere:
    def test_frames_of_a_sequence_are_neighbours_and_keep_their_line(self, tmp_path):
        plant(tmp_path)
        put(tmp_path / "train.txt", "MC1/0007\nABF10/0004\nABF10/0000\n")
        assert opened(tmp_path).name(0) == "ho3d-v2/train/00000000"
        put(tmp_path / "train.txt", "ABF10/0004\nMC1/0007\nABF10/0000\n")
        hands = everything(tmp_path).hands
        assert hands.track.tolist() == ["ABF10", "ABF10", "MC1"]
        assert hands.frame.tolist() == [0, 4, 7]
        assert [name[-1] for name in hands.id.tolist()] == ["2", "0", "1"]
        np.testing.assert_array_equal(hands.joints[0], joints(0.0)[FROM_HO3D] * [1, -1, -1])

    def test_of_a_part_what_is_there_is_taken(self, tmp_path, capsys):
        plant(tmp_path)
        (tmp_path / "train/MC1").rename(tmp_path / "elsewhere")
        (tmp_path / "train/ABF10/rgb/0001.png").unlink()
        (tmp_path / "evaluation/SM1/meta/0000.pkl").unlink()
        split = opened(tmp_path)
        assert split.read(0, 2).hands.id.tolist() == ["ho3d-v2/train/00000000", "ho3d-v2/train/00000002"]
        assert (len(split), split.meta["partial"]) == (2, True)
        assert "2 of the 4 frames" in capsys.readouterr().err
        # an entry belongs to its line, whatever is missing before it
        np.testing.assert_array_equal(
            everything(tmp_path, "test").hands.joints[0], joints(0.01)[FROM_HO3D] * [1, -1, -1]
        )

    def test_a_list_of_another_length_is_said_and_taken(self, v2, capsys):
        module = find("ho3d-v2")
        split = module.open_split(Folder(v2, "HO-3D v2"), "train", Wanted())
        # taken, but not recorded as the whole
        assert (len(split), split.meta["partial"], split.meta["count"]) == (4, True, None)
        assert "lists 4 frames; HO-3D v2 is said to have 66,034" in capsys.readouterr().err

    def test_a_segmentation_that_nobody_asked_for_may_be_missing(self, tmp_path):
        """The visible fraction of that frame is not known; with --masks the file is needed."""
        v3 = plant(tmp_path, ".jpg")
        plant_segmentations(v3, BLUE)
        missing = opened(v3, dataset="ho3d-v3", right=synthetic_hand())._segmentation(0)
        (v3 / missing).unlink()
        split = opened(v3, dataset="ho3d-v3", right=synthetic_hand())
        hands = split.read(0, len(split)).hands
        assert len(hands) == len(split)
        assert np.isnan(hands.visible_fraction).sum() == 1
        asked = opened(v3, dataset="ho3d-v3", masks=True, right=synthetic_hand())
        with pytest.raises(MissingError, match=missing):
            asked.read(0, len(asked))

    @pytest.mark.parametrize("kind", [np.int64, np.float32, int, float])
    def test_a_box_may_be_numbers_of_any_kind_in_a_list_or_in_pairs(self, tmp_path, kind):
        v2 = plant(tmp_path)
        path = next((v2 / "evaluation").glob("*/meta")) / "0000.pkl"
        label = pickle.loads(path.read_bytes(), encoding="latin1")
        box = [kind(v) for v in label["handBoundingBox"]]
        for written in (box, [tuple(box[:2]), tuple(box[2:])], np.array(box)):
            path.write_bytes(pickle.dumps({**label, "handBoundingBox": written}, 2))
            found = read_label(Folder(v2, "HO-3D v2"), str(path.relative_to(v2)), {"handBoundingBox": (4,)})
            np.testing.assert_array_equal(found["handBoundingBox"], [float(v) for v in box])

    def test_blocks_of_every_size_are_the_same(self, v3):
        split = opened(v3, dataset="ho3d-v3", masks=True, depth=True, right=synthetic_hand())
        whole = split.read(0, 4)
        for size in (1, 2, 3):
            blocks = [split.read(i, min(i + size, 4)) for i in range(0, 4, size)]
            together = Hands.concatenate([block.hands for block in blocks])
            for name, array in whole.hands.arrays():
                if array.dtype.kind == "f":
                    np.testing.assert_allclose(getattr(together, name), array, atol=1e-12)
                    assert getattr(together, name).dtype == array.dtype
                else:
                    np.testing.assert_array_equal(getattr(together, name), array)
            for kind in ("images", "masks", "depth"):
                assert [one for block in blocks for one in getattr(block, kind)] == getattr(whole, kind)

    def test_what_is_read_has_a_fingerprint(self, tmp_path):
        plant(tmp_path)
        before = opened(tmp_path).meta["read"]
        assert opened(tmp_path).meta["read"] == before
        put(tmp_path / "train/MC1/meta/0007.pkl", training_label(0.5) | {"more": np.zeros(9)})
        assert opened(tmp_path).meta["read"] != before

    def test_what_a_card_says_is_filled(self):
        for dataset in ("ho3d-v2", "ho3d-v3"):
            card = find(dataset).CARD
            assert all(getattr(card, field.name) not in (None, "", ()) for field in dataclasses.fields(card))
            assert (card.name, card.rate, card.sides) == (dataset, 30.0, "right")
        assert find("ho3d-v2").CARD.extras == ("depth",)
        assert find("ho3d-v3").CARD.extras == ("masks", "depth")
