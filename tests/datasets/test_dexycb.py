"""DexYCB is read as its toolkit reads it: numbers typed from its description, none from our own writer."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from handbench.datasets import find
from handbench.datasets.card import Block, Wanted
from handbench.errors import InvalidError
from handbench.hands.camera import project
from handbench.layouts.folder import Folder
from handbench.layouts.occlusion import visible_fraction
from handbench.synth.hand import synthetic_hand
from tests.conftest import hands_in_view
from tests.datasets.dexycb_layout import SERIALS, picture, plant, plant_calibration, put_frame

# the first two sequences of s0's test split: of a left hand with two frames, of a right hand with one
LEFT, RIGHT = "20200820-subject-03/20200820_100004", "20200820-subject-03/20200820_100009"
BETAS = np.arange(1, 11) / 10
TIPS = {"right": [745, 317, 444, 556, 673], "left": [745, 317, 445, 556, 673]}
# MANO's joint, or 16 + fingertip, of each of FH21
FROM_MANO = [0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20]
FRAMES = 24


def both(**wanted) -> Wanted:
    return Wanted(right=synthetic_hand("right"), left=synthetic_hand("left"), partial=True, **wanted)


def opened(root: Path, wanted: Wanted | None = None, split: str = "s0-test"):
    module = find("dexycb")
    return module.open_split(Folder(root, "DexYCB"), split, wanted or Wanted(partial=True))


def posed(side: str, pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What manopth's layer makes of `pose_m` (51,): mesh and joints, the mean pose added to the coefficients."""
    hand = synthetic_hand(side)
    full = np.concatenate([pose[:3], hand.hands_mean + pose[3:48] @ hand.hands_components])
    betas = BETAS if side == "right" else -BETAS
    vertices, joints16 = hand.forward(full[None], betas[None], pose[None, 48:])
    return vertices[0], np.concatenate([joints16[0], vertices[0, TIPS[side]]])[FROM_MANO]


def pose_of(k: int) -> np.ndarray:
    pose = np.random.default_rng(k).normal(0, 0.3, 51).astype(np.float32)
    pose[48:] = [0.05, -0.02 * (k % 3), 0.75]
    return pose.astype(np.float64)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """1,000 sequences, and the files of the first 24 frames of s0's test split. Frame 5 has no annotation; frame 7 has
    joints and no pose."""
    root = plant(tmp_path_factory.mktemp("dexycb"))
    plant_calibration(root)
    tracks = [f"{LEFT}/{serial}" for serial in SERIALS for _ in range(2)] + [f"{RIGHT}/{serial}" for serial in SERIALS]
    for i, track in enumerate(tracks):
        side, pose = "left" if i < 16 else "right", pose_of(i)
        _, joints = posed(side, pose)
        if i == 5:
            pose, joints = np.zeros(51), np.full((21, 3), -1.0)
        if i == 7:
            pose = np.zeros(51)
        seg = np.zeros((480, 640), np.uint8)
        seg[200:260, 330:400], seg[260:300, 330:400] = 255, 21
        put_frame(root, track, i % 2 if i < 16 else 0, joints, pose, seg, seed=i)
    return root


@pytest.fixture(scope="module")
def block(root) -> Block:
    return opened(root, both(masks=True, depth=True)).read(0, FRAMES)


def decoded(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


KEPT = [i for i in range(FRAMES) if i != 5]


def test_the_official_counts():
    card = find("dexycb").CARD
    counts = {f"s{k}-{part}": None for k in range(4) for part in ("train", "val", "test")}
    assert dict(card.splits) == counts | {"s0-train": 406888, "s0-test": 78768}
    assert (card.sides, card.rate, card.fingertips, card.stored) == ("right and left", 30, "manopth", "context crop")


class TestWhichFrames:
    def test_the_frame_without_annotation_is_no_sample(self, root, block):
        split = opened(root)
        # ten subjects but two, twenty sequences of one to three frames, eight cameras
        assert len(split) == 8 * 8 * sum(1 + i % 3 for i in range(4, 100, 5))
        assert block.hands.id.tolist() == [f"dexycb/s0-test/{i:08d}" for i in KEPT]
        assert split.name(23) == "dexycb/s0-test/00000023"
        assert len(block.images) == len(block.masks) == len(block.depth) == len(KEPT)
        assert split.read(5, 6) == (None, [], None, None)
        assert opened(root, both(masks=True, depth=True)).read(5, 6) == (None, [], [], [])

    def test_one_hand_of_eight_cameras(self, block):
        hands = block.hands
        assert hands.capture.tolist() == [LEFT] * 15 + [RIGHT] * 8
        assert hands.track.tolist() == [
            f"{LEFT if i < 16 else RIGHT}/{SERIALS[i // 2 if i < 16 else i - 16]}" for i in KEPT
        ]
        assert hands.frame.tolist() == [i % 2 if i < 16 else 0 for i in KEPT]
        assert hands.frame.dtype == np.int64
        assert (hands.fps == 30).all()
        assert hands.side.tolist() == ["left"] * 15 + ["right"] * 8


class TestTheHand:
    def test_joints_are_the_label_s_as_they_stand(self, block):
        hands = block.hands
        assert hands.joints.dtype == np.float32
        for k, i in enumerate(KEPT):
            _, joints = posed("left" if i < 16 else "right", pose_of(i))
            np.testing.assert_array_equal(hands.joints[k], joints.astype(np.float32))
        assert hands.joints_valid.all()
        assert hands.joints_visible is None

    def test_poses_are_absolute_and_shapes_the_side_s(self, block):
        hands = block.hands
        for k, i in ((0, 0), (22, 23)):
            side, pose = "left" if i < 16 else "right", pose_of(i)
            hand = synthetic_hand(side)
            np.testing.assert_array_equal(hands.mano_pose[k, :3], pose[:3])
            mean_added = hand.hands_mean + pose[3:48] @ hand.hands_components
            np.testing.assert_allclose(hands.mano_pose[k, 3:], mean_added, rtol=0, atol=1e-14)
            np.testing.assert_array_equal(hands.mano_shape[k], BETAS if side == "right" else -BETAS)
            np.testing.assert_array_equal(hands.mano_translation[k], pose[48:])

    def test_the_mesh_has_the_label_s_joints(self, block):
        hands = block.hands
        for k, i in enumerate(KEPT):
            if i == 7:
                continue
            side = "left" if i < 16 else "right"
            vertices, _ = posed(side, pose_of(i))
            np.testing.assert_allclose(hands.vertices[k], vertices, rtol=0, atol=1e-12)
            hand = synthetic_hand(side)
            _, joints16 = hand.forward(
                hands.mano_pose[k][None], hands.mano_shape[k][None], hands.mano_translation[k][None]
            )
            again = np.concatenate([joints16[0], hands.vertices[k, TIPS[side]]])[FROM_MANO]
            np.testing.assert_allclose(again, hands.joints[k], rtol=0, atol=1e-6)

    def test_joints_without_a_pose(self, block):
        hands = block.hands
        k = KEPT.index(7)
        assert np.isfinite(hands.joints[k]).all()
        for name in ("mano_pose", "mano_shape", "mano_translation", "vertices", "visible_fraction"):
            values = getattr(hands, name)
            assert np.isnan(values[k]).all(), name
            assert np.isfinite(np.delete(values, k, 0)).all(), name

    def test_how_much_is_seen_is_the_share_of_255_in_the_silhouette(self, block):
        hands = block.hands
        hand = np.zeros((480, 640), bool)
        hand[200:260, 330:400] = True
        for k in (0, 20):
            faces = synthetic_hand(str(hands.side[k])).f
            expected = visible_fraction(hands.vertices[k], faces, hands.frame_camera[k], hand)
            assert 0.02 < expected < 0.98
            assert hands.visible_fraction[k] == expected

    def test_without_models_of_both_sides_there_is_no_mesh_of_any(self, root, capsys):
        for wanted in (Wanted(partial=True), Wanted(partial=True, right=synthetic_hand("right"))):
            split = opened(root, wanted)
            hands = split.read(0, 20).hands
            assert {name for name, _ in hands.arrays()} == {
                *("id", "capture", "track", "frame", "fps", "side", "joints", "joints_valid"),
                *("image_size", "camera", "box", "frame_size", "frame_camera", "crop"),
            }
            assert "hand_model" not in split.meta
            said = capsys.readouterr().err
            assert len(said.splitlines()) == 1
            assert "No MANO files of both sides" in said


class TestTheImage:
    def test_the_wrist_projects_by_the_calibration_of_its_camera(self, block):
        hands = block.hands
        for k, j in ((0, 0), (2, 1), (22, 7)):
            np.testing.assert_array_equal(hands.frame_camera[k], [[600 + j, 0, 320 - j], [0, 610, 240], [0, 0, 1]])
            x, y, z = hands.joints[k, 0].astype(float)
            found = project(hands.joints[k].astype(float), hands.frame_camera[k])[0]
            np.testing.assert_allclose(found, [(600 + j) * x / z + 320 - j, 610 * y / z + 240], atol=1e-9)
        assert hands.frame_size.tolist() == [[640, 480]] * len(hands)

    def test_the_window_is_a_part_of_the_frame(self, block):
        hands = block.hands
        for k, i in enumerate(KEPT):
            image = decoded(block.images[k])
            left, top = (-hands.crop[k, :, 2]).astype(int)
            width, height = hands.image_size[k]
            assert image.shape == (height, width, 3)
            part = picture(i)[top : top + height, left : left + width]
            assert np.abs(image.astype(float) - part).mean() < 3
            inside = project(hands.joints[k].astype(float), hands.camera[k])
            np.testing.assert_allclose(hands.box[k], [*inside.min(0), *inside.max(0)], atol=1e-9)

    def test_masks_and_depth_are_of_the_same_window(self, block):
        whole = np.zeros((480, 640), np.uint8)
        whole[200:260, 330:400] = 255
        for k in range(len(block.hands)):
            left, top = (-block.hands.crop[k, :, 2]).astype(int)
            width, height = block.hands.image_size[k]
            part = slice(top, top + height), slice(left, left + width)
            np.testing.assert_array_equal(decoded(block.masks[k]), whole[part])
            depth = decoded(block.depth[k])
            assert depth.dtype == np.uint16
            # 873 mm in steps of a tenth of a millimetre
            expected = np.full((480, 640), 8730)
            expected[:10] = 0
            np.testing.assert_array_equal(depth, expected[part])

    def test_depth_of_nothing_is_zero(self, root, tmp_path):
        """A hand at the frame's upper edge: the first ten rows have no depth."""
        here = plant(tmp_path / "tree")
        plant_calibration(here)
        put_frame(here, f"{LEFT}/{SERIALS[0]}", 0, hands_in_view(1)[0] - [0, 0.2, 0])
        block = opened(here, Wanted(partial=True, depth=True)).read(0, 1)
        depth = decoded(block.depth[0])
        assert (depth[:10] == 0).all()
        assert (depth[10:] == 8730).all()


class TestBlocks:
    @pytest.mark.parametrize("size", [1, 5, 24, 1000])
    def test_any_size_gives_the_same(self, root, block, size):
        split = opened(root, both(masks=True, depth=True))
        blocks = [split.read(start, min(start + size, FRAMES)) for start in range(0, FRAMES, size)]
        blocks = [one for one in blocks if one.hands is not None]
        for name, expected in block.hands.arrays():
            parts = [getattr(one.hands, name) for one in blocks]
            joined = np.concatenate(parts)
            if expected.dtype.kind == "f":
                assert {part.dtype for part in parts} == {expected.dtype}, name
                # a matrix product of one row is summed in another order
                np.testing.assert_allclose(joined, expected, rtol=0, atol=1e-14)
            else:
                np.testing.assert_array_equal(joined, expected)
        for stream in ("images", "masks", "depth"):
            assert [one for part in blocks for one in getattr(part, stream)] == getattr(block, stream)


class TestMeta:
    def test_what_is_said_of_the_set(self, root):
        meta = opened(root, both(depth=True)).meta
        expected = {
            "dataset": "dexycb", "split": "s0-test", "count": 78768, "partial": True, "source": "official files",
            "joint_source": "model", "fingertips": "manopth", "validation": "hash", "image_coding": "JPEG 95 4:4:4",
            "depth_unit": 1e-4,
        }  # fmt: skip
        assert {name: meta[name] for name in expected} == expected
        assert meta["hand_model"] == f"right {synthetic_hand('right').digest()}, left {synthetic_hand('left').digest()}"
        assert "amodal" in meta["visible_fraction"]
        assert {"depth_unit", "hand_model", "visible_fraction"}.isdisjoint(opened(root).meta)

    def test_the_fingerprint_is_of_files_and_calibration(self, root):
        before = opened(root, both()).meta["read"]
        assert opened(root, both()).meta["read"] == before
        path = root / "calibration/mano_20200820-subject-03_left/mano.yml"
        text = path.read_text()
        path.write_text(text.replace("-0.1,", "-0.2,"))
        assert opened(root, both()).meta["read"] != before
        path.write_text(text)
        label = root / f"{LEFT}/{SERIALS[0]}/labels_000000.npz"
        data = label.read_bytes()
        label.write_bytes(data + b"\0")
        assert opened(root, both()).meta["read"] != before
        label.write_bytes(data)

    def test_a_tree_with_too_few_frames_is_not_the_official_one(self, root):
        for split, official in (("s0-test", "at least 78,768"), ("s0-train", "465,504")):
            with pytest.raises(InvalidError, match=rf"frames of {split}, DexYCB has {official}") as caught:
                opened(root, Wanted(), split)
            assert "--partial" in caught.value.hint
        # what nobody counted is taken as it is
        assert opened(root, Wanted(), "s1-test").meta["partial"] is False
        assert dataclasses.asdict(find("dexycb").CARD)["splits"]["s1-test"] is None
