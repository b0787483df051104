"""HanCo's layout is read as contra-hand's example reads it: joints of the world, eight cameras with their K and M."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from handbench.datasets.card import Wanted
from handbench.datasets.hanco import CARD, open_split
from handbench.errors import InvalidError, MissingError, UsageError
from handbench.hands.camera import project
from handbench.layouts import hanco_tree
from handbench.layouts.folder import Folder
from handbench.preparation.blocks import joined
from handbench.synth import hanco as writer
from handbench.synth.hand import synthetic_hand
from handbench.synth.layout import Size
from tests.conftest import jpeg

SIZE, SEED = Size(sequences=2, frames=3), 5
HAND = synthetic_hand("right")


def opened(root, partial=True, hand=HAND, **wanted):
    return open_split(Folder(root, "HanCo"), "all", Wanted(partial=partial, right=hand, **wanted))


def whole(split):
    return split.read(0, len(split))


# ---- a set of synthetic hands


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("hanco") / "set"
    writer.write(root, SIZE, SEED, synthetic_hand, lambda steps: None)
    return root


def test_what_was_written_is_what_is_read(written):
    split = opened(written)
    hands, images, masks, depth = whole(split)
    true = writer.truth("all", SIZE, SEED, synthetic_hand)
    # three frames of which one is not valid, and two of which one is not, by eight cameras
    assert len(images) == len(hands) == len(true) == 8 * (2 + 1)
    assert masks is depth is None
    assert [name for name, _ in hands.arrays()] == [name for name, _ in true.arrays()]
    for name, expected in true.arrays():
        got = getattr(hands, name)
        if expected.dtype.kind == "f":
            assert np.abs(got - expected).max() < (1e-7 if name in ("camera", "box") else 1e-9), name
        else:
            assert np.array_equal(got, expected), name
    assert hands.id.tolist() == [split.name(i) for i in range(len(split))]


def test_time_steps_without_a_validated_fit_are_counted_and_said(written, capsys):
    assert opened(written).meta["unvalidated"] == 2
    assert "2 of 5 time steps" in capsys.readouterr().err


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_block_can_have_any_size_and_blocks_any_order(written, size):
    split = opened(written, masks=True)
    hands, images, masks, _ = whole(split)
    starts = list(range(0, len(split), size))
    blocks = {start: split.read(start, min(start + size, len(split))) for start in starts[::-1]}
    again = joined([blocks[start] for start in starts])
    assert again.images == images
    assert again.masks == masks
    for name, expected in hands.arrays():
        got = getattr(again.hands, name)
        assert np.array_equal(got, expected), name
        assert got.dtype == expected.dtype


def test_images_are_the_original_bytes_and_masks_lie_under_the_joints(written):
    hands, images, masks, _ = whole(opened(written, masks=True))
    seen = []
    for i, place in enumerate(name.removeprefix("hanco/all/") for name in hands.id):
        assert images[i] == (written / f"rgb/{place}.jpg").read_bytes()
        mask = cv2.imdecode(np.frombuffer(masks[i], np.uint8), cv2.IMREAD_UNCHANGED)
        assert set(np.unique(mask)) == {0, 255}
        x, y = np.rint(project(hands.joints[i], hands.camera[i])).astype(int).T
        assert ((x >= 0) & (x < 224) & (y >= 0) & (y < 224)).all()
        # the hand of the first sequence holds something, which hides joints
        if hands.capture[i] == "hanco/0001":
            seen.append(cv2.dilate(mask, np.ones((7, 7)))[y, x] > 0)
    assert np.mean(seen) > 0.85


def test_the_tracks_of_the_cameras_are_contiguous_and_a_sequence_is_one_capture(written):
    hands = whole(opened(written)).hands
    assert hands.track.tolist() == [
        f"hanco/{s:04d}/cam{c}" for s, n in ((0, 2), (1, 1)) for c in range(8) for _ in range(n)
    ]
    assert hands.capture.tolist() == ["hanco/0000"] * 16 + ["hanco/0001"] * 8
    assert hands.frame.tolist() == [0, 1] * 8 + [0] * 8
    assert hands.frame.dtype == np.int64
    assert hands.fps is None


# ---- a set written by hand, as contra-hand's show_dataset.py reads it

# camera c is turned by c quarter turns about z, and stands c tenths of a metre aside
TURNS = [np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]) for a in np.arange(8) * np.pi / 2]


def joint(t):
    """Joint j of frame t is at (j mm, t cm, 50 cm) in the world."""
    return np.column_stack([np.arange(21) * 1e-3, np.full(21, 0.01 * t), np.full(21, 0.5)])


def write_by_hand(root, valid=((True, False, True), (True,)), fit=((True, True, False), (True,)), sequences=None):
    meta = {
        "is_train": [[True] * len(row) for row in valid],
        "subject_id": [[3] * len(row) for row in valid],
        "is_valid": [list(row) for row in valid],
        "object_id": [[None] * len(row) for row in valid],
        "has_fit": [list(row) for row in fit],
    }
    root.mkdir(parents=True, exist_ok=True)
    (root / "meta.json").write_text(json.dumps(meta))
    pose = np.tile(np.eye(4), (8, 1, 1))
    pose[:, :3, :3] = TURNS
    pose[:, 0, 3] = 0.1 * np.arange(8)
    camera = np.array([[[400.0 + c, 0, 100 + c], [0, 420.0 + c, 110], [0, 0, 1]] for c in range(8)])
    image = jpeg(1)
    for s in range(len(valid)) if sequences is None else sequences:
        for kind in ("rgb", "mask_hand"):
            for c in range(8):
                (root / f"{kind}/{s:04d}/cam{c}").mkdir(parents=True)
        for kind in ("calib", "xyz"):
            (root / f"{kind}/{s:04d}").mkdir(parents=True)
        for t in range(len(valid[s])):
            moment = f"{s:04d}/{t:08d}.json"
            (root / "calib" / moment).write_text(json.dumps({"K": camera.tolist(), "M": pose.tolist()}))
            if valid[s][t]:
                (root / "xyz" / moment).write_text(json.dumps(joint(t).tolist()))
            for c in range(8):
                (root / f"rgb/{s:04d}/cam{c}/{t:08d}.jpg").write_bytes(image)
                (root / f"mask_hand/{s:04d}/cam{c}/{t:08d}.jpg").write_bytes(image)
                if fit[s][t]:
                    path = root / f"shape/{s:04d}/cam{c}/{t:08d}.json"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    # no pose, no shape; joint 9 at pixel (100 + c, 320), 410 px focal length over 0.5 m
                    vector = [0.0] * 58 + [100.0 + c, 320.0, (410.0 + c) / 0.5]
                    path.write_text(json.dumps(vector))
    return root


@pytest.fixture
def typed(tmp_path):
    return write_by_hand(tmp_path / "HanCo")


def test_there_is_one_split_without_an_official_number(typed):
    assert dict(CARD.splits) == {"all": None}
    with pytest.raises(UsageError, match="no split 'train'"):
        open_split(Folder(typed, "HanCo"), "train", Wanted(partial=True))


def test_valid_frames_of_uneven_sequences_are_samples(typed):
    split = opened(typed)
    assert len(split) == 8 * 2 + 8
    assert [split.name(i) for i in (0, 1, 2, 15, 16)] == [
        "hanco/all/0000/cam0/00000000",
        "hanco/all/0000/cam0/00000002",
        "hanco/all/0000/cam1/00000000",
        "hanco/all/0000/cam7/00000002",
        "hanco/all/0001/cam0/00000000",
    ]


def test_joints_of_the_world_are_moved_into_each_camera(typed):
    hands = whole(opened(typed)).hands
    # camera 1, frame 2: a quarter turn takes (x, y) to (-y, x), then 10 cm aside
    assert hands.joints[3, 4] == pytest.approx([-0.02 + 0.1, 0.004, 0.5], abs=1e-12)
    # camera 0 is the world
    assert hands.joints[1, 20] == pytest.approx([0.02, 0.02, 0.5], abs=1e-12)
    assert set(hands.side) == {"right"}
    assert hands.joints_valid.all()


def test_each_camera_has_its_own_intrinsics(typed):
    hands = whole(opened(typed)).hands
    assert hands.camera[3].tolist() == [[401.0, 0, 101.0], [0, 421.0, 110.0], [0, 0, 1]]
    assert hands.camera[14].tolist() == [[407.0, 0, 107.0], [0, 427.0, 110.0], [0, 0, 1]]
    # camera 0, frame 0: joints 0 to 20 mm along x at 0.5 m
    assert hands.box[0] == pytest.approx([100, 110, 100 + 400 * 0.02 / 0.5, 110], abs=1e-9)
    assert hands.image_size[0].tolist() == [224, 224]


def test_the_fitted_mesh_is_where_its_vector_says(typed):
    hands = whole(opened(typed)).hands
    # a pose of zeros is MANO's mean pose
    assert np.abs(hands.mano_pose[2] - [0, 0, 0, *HAND.hands_mean]).max() < 1e-15
    vertices, joints16 = HAND.forward(hands.mano_pose[2:3], hands.mano_shape[2:3], hands.mano_translation[2:3])
    assert np.abs(vertices[0] - hands.vertices[2]).max() < 1e-12
    # joint 9 of camera 1: pixel (101, 320) at 0.5 m, by fx = 401 and fy = 421
    root = HAND.joints21(vertices, joints16, "freihand")[0, 9]
    assert root == pytest.approx([0.0, 0.5 * 210 / 421, 0.5 * (401 + 421) / 2 / 411], abs=1e-12)


def test_where_there_is_no_fit_the_mesh_is_nan_in_every_block(typed):
    split = opened(typed)
    block = split.read(0, 2).hands
    for name in ("vertices", "mano_pose", "mano_shape", "mano_translation"):
        assert np.isfinite(getattr(block, name)[0]).all()
        assert np.isnan(getattr(block, name)[1]).all()
        assert np.isnan(getattr(split.read(1, 2).hands, name)).all()
    assert np.isfinite(block.joints).all()


@pytest.mark.parametrize("why", ["no hand model", "no folder shape"])
def test_without_a_model_or_shapes_the_mesh_is_left_out_and_that_is_said(typed, why, capsys):
    if why == "no folder shape":
        (typed / "shape").rename(typed / "away")
    hands = whole(opened(typed, hand=HAND if why == "no folder shape" else None)).hands
    assert hands.vertices is hands.mano_pose is hands.mano_shape is hands.mano_translation is None
    assert hands.meta["hand_model"] is None
    said = capsys.readouterr().err
    # the mesh in one line, and the frames that are no samples in another
    about_mesh, about_frames = sorted(said.splitlines(), key=lambda line: "is_valid" in line)
    assert "vertices are left out" in about_mesh
    assert "1 of 4 time steps" in about_frames


def test_a_vector_may_be_one_row_of_a_matrix(typed):
    before = opened(typed).read(0, 1).hands
    path = typed / "shape/0000/cam0/00000000.json"
    path.write_text(json.dumps([json.loads(path.read_text())]))
    assert np.array_equal(opened(typed).read(0, 1).hands.vertices, before.vertices)


def test_invalid_frames_are_not_even_opened(typed):
    (typed / "calib/0000/00000001.json").write_text("{")
    (typed / "rgb/0000/cam0/00000001.jpg").unlink()
    assert len(whole(opened(typed)).hands) == 24


def test_what_eight_cameras_share_is_read_once_and_kept_for_one_sequence_only(typed, monkeypatch):
    split = opened(typed)
    read = []
    original = Folder.read
    monkeypatch.setattr(
        Folder, "read", lambda self, inside, *more: (read.append(inside), original(self, inside, *more))[1]
    )
    for i in range(len(split)):
        split.read(i, i + 1)
    shared = [name for name in read if name.startswith(("xyz", "calib"))]
    assert len(shared) == len(set(shared)) == 2 * 3
    assert list(split._shared) == [0]


def test_the_index_has_no_object_for_a_frame(tmp_path):
    frames = ((True,) * 500,) * 40
    (tmp_path / "rgb").mkdir()
    for kind in ("rgb", "xyz", "calib"):
        for s in range(40):
            (tmp_path / kind / f"{s:04d}").mkdir(parents=True)
    (tmp_path / "meta.json").write_text(json.dumps({"is_valid": frames, "has_fit": frames}))
    found = hanco_tree.find_frames(Folder(tmp_path, "HanCo"), ("rgb", "xyz", "calib"), partial=True)
    assert len(found) == 8 * 500 * 40
    columns = (found.sequence, found.camera, found.frame, found.fit)
    assert sum(column.nbytes for column in columns) == 8 * len(found)


# ---- what is not as it should be


@pytest.mark.parametrize("kind", ["rgb", "xyz", "calib", "mask_hand"])
def test_a_folder_that_was_not_downloaded_is_named(typed, kind):
    (typed / kind).rename(typed / "away")
    with pytest.raises(MissingError, match=f"no folder {kind}") as caught:
        opened(typed, masks=True)
    assert "several archives" in caught.value.hint


def test_an_index_that_is_not_there_is_named(typed):
    (typed / "meta.json").unlink()
    with pytest.raises(MissingError, match=r"meta\.json does not exist"):
        opened(typed)


def test_a_part_of_the_set_is_taken_only_as_partial(typed, monkeypatch):
    with pytest.raises(InvalidError, match=r"meta\.json has 2 sequences, HanCo has 1,518"):
        opened(typed, partial=False)
    assert opened(typed).meta["partial"] is True
    monkeypatch.setattr(hanco_tree, "SEQUENCES", 2)
    assert opened(typed, partial=False).meta["partial"] is False
    assert opened(typed).meta["partial"] is False


@pytest.mark.parametrize("kind", ["rgb", "xyz", "calib", "shape"])
def test_a_sequence_that_is_not_there_is_left_out_only_as_partial(typed, monkeypatch, kind, capsys):
    monkeypatch.setattr(hanco_tree, "SEQUENCES", 2)
    (typed / kind / "0000").rename(typed / "away")
    with pytest.raises(MissingError, match=f"{kind}/0000 does not exist; 1 of 2"):
        opened(typed, partial=False)
    hands = whole(opened(typed)).hands
    assert set(hands.capture) == {"hanco/0001"}
    assert hands.meta["partial"] is True
    assert "1 of 2 sequences are not there" in capsys.readouterr().err


def test_a_sequence_without_a_valid_frame_is_no_gap(tmp_path, monkeypatch):
    monkeypatch.setattr(hanco_tree, "SEQUENCES", 2)
    root = write_by_hand(tmp_path, ((False, False), (True,)), ((False, False), (True,)), sequences=[1])
    split = opened(root, partial=False)
    assert len(split) == 8
    assert split.meta["partial"] is False


def test_a_sequence_without_a_fit_needs_no_folder_of_shapes(tmp_path, monkeypatch):
    monkeypatch.setattr(hanco_tree, "SEQUENCES", 2)
    root = write_by_hand(tmp_path, ((True, True), (True,)), ((False, False), (True,)))
    assert not (root / "shape/0000").exists()
    split = opened(root, partial=False)
    assert len(split) == 8 * 3
    assert np.isnan(split.read(0, 16).hands.vertices).all()
    assert np.isfinite(split.read(16, 24).hands.vertices).all()


def test_a_set_without_any_valid_frame_is_refused(tmp_path):
    with pytest.raises(MissingError, match="no valid frame"):
        opened(write_by_hand(tmp_path, ((False,),), ((True,),)))


@pytest.mark.parametrize(
    "file",
    [
        "rgb/0001/cam3/00000000.jpg",
        "mask_hand/0001/cam3/00000000.jpg",
        "xyz/0001/00000000.json",
        "calib/0001/00000000.json",
        "shape/0001/cam3/00000000.json",
    ],
)
def test_a_file_of_a_frame_that_is_missing_or_cut_short_is_named_when_it_is_read(typed, file):
    path = typed / file
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    split = opened(typed, masks=True)
    assert len(split.read(0, 16).hands) == 16
    with pytest.raises(InvalidError, match=file.replace(".", r"\.")):
        split.read(19, 20)
    path.unlink()
    with pytest.raises(MissingError, match=file.replace(".", r"\.")):
        split.read(16, 24)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("xyz/0000/00000000.json", np.zeros((20, 3)).tolist()),
        ("xyz/0000/00000000.json", None),
        ("xyz/0000/00000000.json", {"xyz": 1}),
        ("xyz/0000/00000000.json", [["1", "2", "3"]] * 21),
        ("xyz/0000/00000000.json", [[1.0, 2.0, 3.0]] * 20 + [[1.0]]),
        ("calib/0000/00000000.json", {"K": np.zeros((8, 3, 3)).tolist()}),
        ("calib/0000/00000000.json", {"K": np.zeros((7, 3, 3)).tolist(), "M": np.zeros((8, 4, 4)).tolist()}),
        ("calib/0000/00000000.json", {"K": np.tile(np.eye(3), (8, 1, 1)).tolist(), "M": np.ones((8, 4, 4)).tolist()}),
        ("shape/0000/cam0/00000000.json", [0.0] * 60),
        ("shape/0000/cam0/00000000.json", {"poses": [[0.0] * 48]}),
    ],
)
def test_a_file_with_other_numbers_is_refused_and_named(typed, file, content):
    (typed / file).write_text(json.dumps(content))
    with pytest.raises(InvalidError, match=file.replace(".", r"\.")):
        opened(typed).read(0, 1)


def test_a_focal_length_or_a_scale_of_nothing_is_refused(typed):
    path = typed / "shape/0001/cam3/00000000.json"
    path.write_text(json.dumps([0.0] * 60 + [0.0]))
    with pytest.raises(InvalidError, match=r"shape/0001/cam3/00000000\.json has a scale of 0"):
        opened(typed).read(16, 24)
    path = typed / "calib/0000/00000002.json"
    calibration = json.loads(path.read_text())
    calibration["K"][5][0][0] = 0.0
    path.write_text(json.dumps(calibration))
    with pytest.raises(InvalidError, match=r"calib/0000/00000002\.json has a focal length"):
        opened(typed).read(1, 2)


def test_numbers_beyond_all_bounds_are_refused(typed):
    for text in ("NaN", "Infinity", "1e999"):
        (typed / "xyz/0000/00000000.json").write_text(json.dumps(joint(0).tolist()).replace("0.5", text, 1))
        with pytest.raises(InvalidError, match=r"xyz/0000/00000000\.json"):
            opened(typed).read(0, 1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda meta: [], "no 'is_valid'"),
        (lambda meta: {key: meta[key] for key in meta if key != "has_fit"}, "no 'has_fit'"),
        (lambda meta: meta | {"is_valid": []}, "no 'is_valid'"),
        (lambda meta: meta | {"is_valid": [[True], [True]]}, "different lengths"),
        (lambda meta: meta | {"is_valid": [True, True]}, "'is_valid' of sequence 0"),
        (lambda meta: meta | {"has_fit": [[True, True, False], ["yes"]]}, "'has_fit' of sequence 1"),
        (lambda meta: meta | {"has_fit": [[True, True, 2], [True]]}, "'has_fit' of sequence 0"),
    ],
)
def test_an_index_of_another_form_is_refused(typed, change, said):
    path = typed / "meta.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(InvalidError, match=said) as caught:
        opened(typed)
    assert "meta.json" in caught.value.message


def test_an_index_that_is_cut_short_is_refused(typed):
    data = (typed / "meta.json").read_bytes()
    (typed / "meta.json").write_bytes(data[: len(data) // 2])
    with pytest.raises(InvalidError, match=r"meta\.json is not valid JSON"):
        opened(typed)


def test_an_image_of_another_size_is_refused(typed):
    (typed / "rgb/0000/cam0/00000000.jpg").write_bytes(jpeg(1, 256))
    with pytest.raises(InvalidError, match="is 256x256, not 224x224"):
        opened(typed).read(0, 1)


def test_what_hanco_cannot_bring_is_refused(typed):
    with pytest.raises(UsageError, match="no depth"):
        opened(typed, depth=True)
    with pytest.raises(UsageError, match="kept as they are"):
        opened(typed, lossless=True)


@pytest.mark.parametrize("inside", ["xyz", "rgb/0000/cam0/00000000.jpg", "calib/0000/00000000.json", "meta.json"])
def test_a_link_out_of_the_folder_is_not_followed(typed, tmp_path, inside):
    outside = tmp_path / "elsewhere"
    (typed / inside).rename(outside)
    (typed / inside).symlink_to(outside)
    with pytest.raises(InvalidError, match="leads out"):
        whole(opened(typed))
