"""Synthetic hands in DexYCB's folders come back as they were made, and the files are as DexYCB's."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from handbench.datasets import find
from handbench.datasets.card import Wanted
from handbench.errors import InvalidError, UsageError
from handbench.hands.camera import project
from handbench.layouts.dexycb_tree import SPLITS, list_sequences, read_sequence_names, split_frames
from handbench.layouts.folder import Folder
from handbench.layouts.mark import is_synthetic
from handbench.synth import dexycb
from handbench.synth.dexycb_tree import Place, places, write_tree
from handbench.synth.hand import synthetic_hand
from handbench.synth.layout import Size, writer

SIZE = Size(sequences=20, frames=2)
SERIALS = [
    "836212060125", "839512060362", "840412060917", "841412060263", "932122060857", "932122060861", "932122061900",
    "932122062010",
]  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("dexycb")
    steps: list[int] = []
    dexycb.write(root, SIZE, 3, synthetic_hand, steps.append)
    assert sum(steps) == dexycb.images(SIZE) == len(list(root.rglob("color_*.jpg")))
    return root


def opened(root: Path, split: str, **wanted):
    names = root / "sequence-names.txt"
    models = {side: synthetic_hand(side) for side in ("right", "left")}
    found = Wanted(partial=True, sequence_names=names, **models, **wanted)
    return find("dexycb").open_split(Folder(root, "DexYCB"), split, found)


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def decoded(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def label_files(root: Path) -> list[Path]:
    return sorted(root.rglob("labels_*.npz"))


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


@pytest.mark.parametrize("split", ["s0-train", "s0-val", "s0-test", "s2-test", "s3-train"])
def test_what_is_read_is_what_was_made(root, split):
    found = opened(root, split)
    hands = found.read(0, len(found)).hands
    truth = dexycb.truth(split, SIZE, 3, synthetic_hand)
    made = {"box", "camera", "crop", "image_size"}  # by the window around the hand
    assert {name for name, _ in hands.arrays()} - made == {name for name, _ in truth.arrays()}
    for name, expected in truth.arrays():
        if expected.dtype.kind == "f":
            # a pixel of a silhouette may lie on the other side of an edge
            slack = 0.005 if name == "visible_fraction" else 1e-9
            np.testing.assert_allclose(getattr(hands, name), expected, rtol=0, atol=slack, err_msg=name)
        else:
            np.testing.assert_array_equal(getattr(hands, name), expected, err_msg=name)


def test_hand_pixels_lie_under_the_joints(root):
    found = opened(root, "s3-train", masks=True, depth=True)
    block = found.read(0, len(found))
    hands, hits, ahead = block.hands, [], []
    for k in range(len(hands)):
        image, mask, depth = decoded(block.images[k]), decoded(block.masks[k]), decoded(block.depth[k])
        assert image.shape[:2] == mask.shape == depth.shape == tuple(hands.image_size[k][::-1])
        x, y = np.rint(project(hands.joints[k].astype(float), hands.camera[k])).astype(int).T
        inside = (x >= 0) & (y >= 0) & (x < mask.shape[1]) & (y < mask.shape[0])
        seen = mask[y[inside], x[inside]] > 0
        hits += seen.tolist()
        below = hands.joints[k, inside][seen, 2] - depth[y[inside], x[inside]][seen] * 1e-4
        # the skin is before the joint, by no more than a hand is long
        ahead += below[depth[y[inside], x[inside]][seen] > 0].tolist()
    assert np.mean(hits) > 0.6
    # a tip lies on the skin, which slopes by some millimetres within the pixel that sees it
    assert -0.004 < np.percentile(ahead, 2) < np.percentile(ahead, 98) < 0.15


class TestTheFiles:
    def test_label_arrays(self, root):
        path = label_files(root)[0]
        objects = len(yaml.safe_load((path.parent.parent / "meta.yml").read_text())["ycb_ids"])
        assert {name: (array.shape, array.dtype.name) for name, array in arrays_of(path).items()} == {
            "seg": ((480, 640), "uint8"),
            "pose_y": ((objects, 3, 4), "float32"),
            "pose_m": ((1, 51), "float32"),
            "joint_3d": ((1, 21, 3), "float32"),
            "joint_2d": ((1, 21, 2), "float32"),
        }

    def test_images_and_depth(self, root):
        for label in label_files(root)[::20]:
            number = label.stem[-6:]
            assert cv2.imread(str(label.parent / f"color_{number}.jpg")).shape == (480, 640, 3)
            depth = cv2.imread(str(label.parent / f"aligned_depth_to_color_{number}.png"), cv2.IMREAD_UNCHANGED)
            assert (depth.shape, depth.dtype) == ((480, 640), np.uint16)
            assert (depth[:, :6] == 0).all()
            assert 300 < depth[:, 6:].min() <= depth.max() == 1600

    def test_meta_and_calibration(self, root):
        for path in root.glob("2020*/*/meta.yml"):
            meta = yaml.safe_load(path.read_text())
            assert meta["serials"] == SERIALS
            assert set(meta) == {
                *("serials", "num_frames", "ycb_ids", "ycb_grasp_ind", "mano_sides", "mano_calib", "extrinsics")
            }
            assert all(1 <= ycb <= 21 for ycb in meta["ycb_ids"])
            assert sorted(path.name for path in path.parent.iterdir() if path.is_dir()) == SERIALS
            number = {len(list((path.parent / serial).glob("labels_*.npz"))) for serial in SERIALS}
            assert number == {meta["num_frames"]}
            world = arrays_of(path.parent / "pose.npz")
            assert world["pose_y"].shape == (meta["num_frames"], len(meta["ycb_ids"]), 7)
            assert world["pose_m"].shape == (meta["num_frames"], 1, 51)
            calibration = root / "calibration" / f"mano_{meta['mano_calib'][0]}" / "mano.yml"
            assert len(yaml.safe_load(calibration.read_text())["betas"]) == 10
        read = yaml.safe_load((root / "calibration/extrinsics_20200702_151821/extrinsics.yml").read_text())
        assert (set(read["extrinsics"]), read["master"]) == ({*SERIALS, "apriltag"}, "840412060917")

    def test_frames_without_annotation(self, root):
        labels = [arrays_of(path) for path in label_files(root)]
        absent = [(label["joint_3d"] == -1).all() for label in labels]
        assert 0 < np.mean(absent) < 0.3
        for label, without in zip(labels, absent, strict=True):
            assert (not label["pose_m"].any()) == (label["joint_2d"] == -1).all() == without
            assert not (without and label["seg"].any())

    def test_segmentations_have_the_hand_and_what_it_holds(self, root):
        found = Counter()
        for path in label_files(root):
            meta = yaml.safe_load((path.parent.parent / "meta.yml").read_text())
            grasped = meta["ycb_ids"][meta["ycb_grasp_ind"]]
            values = set(np.unique(arrays_of(path)["seg"]).tolist())
            assert values <= {0, grasped, 255}
            found.update(values - {0})
        assert found[255] > 100
        assert sum(found.values()) - found[255] > 100

    def test_some_hands_are_partly_outside(self, root):
        outside = []
        for path in label_files(root):
            label = arrays_of(path)
            pixels = label["joint_2d"][0]
            if (pixels != -1).any():
                outside.append(((pixels < 0) | (pixels > [639, 479])).any(1))
        partly = [one.any() and not one.all() for one in outside]
        assert 0.01 < np.mean(partly) < 0.3
        assert not any(one.all() for one in outside)

    def test_eight_cameras_see_one_hand(self, root):
        read = yaml.safe_load((root / "calibration/extrinsics_20200702_151821/extrinsics.yml").read_text())
        hand = {side: synthetic_hand(side) for side in ("right", "left")}
        compared = 0
        for meta_file in root.glob("2020*/*/meta.yml"):
            meta, world = yaml.safe_load(meta_file.read_text()), arrays_of(meta_file.parent / "pose.npz")
            model = hand[meta["mano_sides"][0]]
            betas = yaml.safe_load((root / f"calibration/mano_{meta['mano_calib'][0]}/mano.yml").read_text())["betas"]
            pose = world["pose_m"][0].astype(float)
            if not pose.any():
                continue
            full = np.concatenate([pose[:, :3], pose[:, 3:48] @ model.hands_components + model.hands_mean], 1)
            vertices, joints16 = model.forward(full, np.array(betas)[None], pose[:, 48:])
            tips = "manopth" if model.side == "right" else "manopth-left"
            expected = model.joints21(vertices, joints16, tips)[0]
            grasped = meta["ycb_grasp_ind"]
            for serial in SERIALS:
                label = arrays_of(meta_file.parent / serial / "labels_000000.npz")
                matrix = np.array(read["extrinsics"][serial]).reshape(3, 4)
                in_world = label["joint_3d"][0] @ matrix[:, :3].T + matrix[:, 3]
                np.testing.assert_allclose(in_world, expected, atol=2e-6)
                place = matrix[:, :3] @ label["pose_y"][grasped, :, 3] + matrix[:, 3]
                np.testing.assert_allclose(place, world["pose_y"][0, grasped, 4:], atol=2e-6)
                compared += 1
        assert compared >= 32


class TestWhatIsWritten:
    def test_again_the_same_bytes_and_only_what_is_missing(self, root, tmp_path):
        small = Size(sequences=2, frames=1)
        for name in ("a", "b"):
            dexycb.write(tmp_path / name, small, 0, synthetic_hand, lambda steps: None)
        assert files(tmp_path / "a") == files(tmp_path / "b")
        assert is_synthetic(tmp_path / "a")
        kept = next((tmp_path / "a").rglob("color_*.jpg"))
        changed = next(path for path in (tmp_path / "a").rglob("labels_*.npz") if path.parent != kept.parent)
        kept.write_bytes(b"x")
        changed.unlink()
        dexycb.write(tmp_path / "a", small, 0, synthetic_hand, lambda steps: None)
        assert kept.read_bytes() == b"x"
        assert changed.read_bytes() == files(tmp_path / "b")[str(changed.relative_to(tmp_path / "a"))]

    def test_a_folder_with_something_in_it(self, root, tmp_path):
        (tmp_path / "mine.txt").write_text("x")
        with pytest.raises(InvalidError, match=r"is not empty"):
            dexycb.write(tmp_path, SIZE, 3, synthetic_hand, lambda steps: None)
        assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
        with pytest.raises(InvalidError, match=r"was made otherwise"):
            dexycb.write(root, SIZE, 4, synthetic_hand, lambda steps: None)

    def test_the_usual_size_is_the_whole_tree(self, tmp_path):
        assert Size(sequences=1000, frames=1) == writer("dexycb").SIZE
        assert dexycb.images(dexycb.SIZE) == 8000
        write_tree(tmp_path, Size(sequences=1000, frames=3))
        folder = Folder(tmp_path, "DexYCB")
        assert not folder.has("sequence-names.txt")
        frames = split_frames(folder, "s3-val")
        # the sixteenth sequence has one frame, the seventeenth two
        assert frames.frame[:12].tolist() == [0] * 8 + [0, 1, 0, 1]
        assert Counter(frames.side(slice(None)).tolist()).keys() == {"right", "left"}
        assert len(split_frames(folder, "s2-test")) == 10 * (34 + 2 * 33 + 3 * 33)

    def test_the_names_of_all_sequences_lie_beside_a_part(self, root, tmp_path):
        write_tree(tmp_path, Size(sequences=1000, frames=1))
        names = read_sequence_names(root / "sequence-names.txt")
        assert names == list_sequences(Folder(tmp_path, "DexYCB"))

    def test_a_few_sequences_are_of_all_subjects_and_splits(self, root):
        for n in (10, 20, 1000):
            found = places(Size(sequences=n, frames=1))
            assert set(Counter(place.subject for place in found).values()) == {n // 10}
            assert len(set(found)) == n
        for split in SPLITS:
            assert len(opened(root, split)) > 0
        assert {place.side for place in places(SIZE)} == {"right", "left"}

    def test_too_many_or_none(self):
        with pytest.raises(UsageError, match=r"DexYCB has 1,000 sequences"):
            dexycb.images(Size(sequences=1001, frames=1))
        with pytest.raises(UsageError, match=r"frames must be at least 1"):
            dexycb.images(Size(sequences=10))
        with pytest.raises(UsageError, match=r"No annotated frame of s0-test is written"):
            dexycb.truth("s0-test", Size(sequences=1, frames=1), 0, synthetic_hand)

    def test_what_a_place_is_called(self):
        place = Place(subject=2, position=61, frames=1)
        assert place.name == "20200820-subject-03/20200820_140100"
        assert (place.side, place.grasped, place.calibration) == ("left", 13, "20200820-subject-03_left")


def test_numbers_of_a_whole_split_are_the_official_ones(monkeypatch):
    """The truth counts frames that have no annotation, as the toolkit's list does."""
    monkeypatch.setattr(dexycb.Frame, "visible_fraction", 0.5)
    truth = dexycb.truth("s0-val", dexycb.SIZE, 0, synthetic_hand)
    numbers = [int(name.removeprefix("dexycb/s0-val/")) for name in truth.id.tolist()]
    assert numbers == sorted(set(numbers))
    assert 256 < len(numbers) < 320 > max(numbers)
    # one frame a sequence, eight cameras: a number is a camera of a sequence
    assert all(SERIALS[number % 8] in track for number, track in zip(numbers, truth.track.tolist(), strict=True))
