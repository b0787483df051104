"""FreiHAND's layout is read as its page describes it, and refused where it is not that."""

from __future__ import annotations

import json

import numpy as np
import pytest

from handbench.datasets.freihand import CARD, recover_root
from handbench.datasets.holdout import validation_mask
from handbench.errors import InvalidError, MissingError, UsageError
from handbench.hands.camera import project
from handbench.store.hands_file import HandsFile
from tests.conftest import jpeg
from tests.datasets import official


def opened(root, split="train", partial=True):
    return official.opened("freihand", root, split, partial=partial)


def prepared(root, path, split="train"):
    return official.prepared("freihand", root, split, path, partial=True)


def rewrite(path, change):
    values = json.loads(path.read_text())
    path.write_text(json.dumps(change(values)))


def test_the_official_counts():
    # FreiHAND's page: 4 x 32,560 training and 3,960 evaluation images
    assert dict(CARD.splits) == {"train": 130240, "test": 3960}


def test_each_image_has_the_annotation_of_its_id_modulo_the_list(freihand_layout):
    split = opened(freihand_layout)
    xyz = np.array(json.loads((freihand_layout / "training_xyz.json").read_text()))
    hands, images, *_ = split.read(0, 20)
    assert list(hands.id[[0, 19]]) == ["freihand/train/00000000", "freihand/train/00000019"]
    for i in range(20):
        assert np.array_equal(hands.joints[i], xyz[i % 5])
        assert images[i] == jpeg(1000 + i)
    # the four backgrounds of a frame were recorded together
    assert len(np.unique(hands.capture)) == 5
    assert hands.capture[3] == hands.capture[8] == hands.capture[18]


def test_with_the_official_list_the_modulus_is_32560(freihand_layout):
    """Frames 355 and 17,620 of the official list exist as k * 32,560 + id."""
    for name in ("K", "xyz", "scale"):
        rewrite(freihand_layout / f"training_{name}.json", lambda v: [v[i % 5] for i in range(17621)])
    for old in (freihand_layout / "training/rgb").iterdir():
        old.unlink()
    for frame in (355, 17620):
        for k in range(4):
            (freihand_layout / "training/rgb" / f"{frame + 32560 * k:08d}.jpg").write_bytes(jpeg(k))
    split = opened(freihand_layout)
    assert list(split.index) == [355, 17620] * 4
    hands, *_ = split.read(0, 8)
    assert np.array_equal(hands.joints[0], hands.joints[2])


def test_projection_is_k_xyz_over_z_and_the_box_surrounds_it(freihand_layout):
    hands, *_ = opened(freihand_layout, "test").read(0, 3)
    x, y, z = hands.joints[1, 8]
    u, v = project(hands.joints, hands.camera)[1, 8]
    assert (u, v) == pytest.approx((480 * x / z + 112, 480 * y / z + 112))
    assert hands.box[1, 0] <= u <= hands.box[1, 2]
    assert hands.box[1, 1] <= v <= hands.box[1, 3]


def test_prepared_it_is_metres_right_hands_and_the_original_bytes(freihand_layout, tmp_path):
    file = prepared(freihand_layout, tmp_path / "freihand-test.h5", "test")
    hands = file.read()
    assert hands.joints.dtype == np.float64
    assert set(hands.side) == {"right"}
    assert [file.image(i) for i in range(3)] == [jpeg(2000 + i) for i in range(3)]
    assert file.meta["partial"]
    assert file.meta["count"] == 3960
    assert file.meta["fingertips"] == "freihand"


def test_a_tenth_of_the_frames_is_held_out_with_all_its_backgrounds(freihand_layout, tmp_path):
    file = prepared(freihand_layout, tmp_path / "freihand-train.h5")
    mask = validation_mask(file)
    captures = file.column("capture")
    assert len(set(captures[mask])) == 1
    assert mask.sum() == 4
    assert not set(captures[mask]) & set(captures[~mask])


@pytest.mark.parametrize("entries", [32559, 32561])
def test_a_list_of_another_length_is_refused_without_partial(freihand_layout, entries):
    for name in ("K", "xyz", "scale"):
        rewrite(freihand_layout / f"training_{name}.json", lambda v: [v[i % 5] for i in range(entries)])
    with pytest.raises(InvalidError, match=f"has {entries:,} entries, FreiHAND has 32,560") as error:
        opened(freihand_layout, partial=False)
    assert "--partial" in error.value.hint


def test_missing_images_are_refused_without_partial_and_one_is_named(freihand_layout):
    for name in ("K", "xyz", "scale"):
        rewrite(freihand_layout / f"training_{name}.json", lambda v: [v[i % 5] for i in range(32560)])
    with pytest.raises(InvalidError, match=r"has 20 images, FreiHAND has 130,240; 00000020\.jpg is not there"):
        opened(freihand_layout, partial=False)


@pytest.mark.parametrize("name", ["training_K.json", "training_xyz.json"])
def test_a_missing_list_is_named(freihand_layout, name):
    (freihand_layout / name).unlink()
    with pytest.raises(MissingError, match=name):
        opened(freihand_layout)


def test_a_missing_folder_is_missing(tmp_path):
    with pytest.raises(MissingError, match="nowhere does not exist"):
        opened(tmp_path / "nowhere")


def test_an_unknown_split_is_a_usage_error(freihand_layout):
    with pytest.raises(UsageError, match="validation"):
        opened(freihand_layout, "validation")


def test_evaluation_without_published_truth_has_no_joints(freihand_layout):
    (freihand_layout / "evaluation_xyz.json").unlink()
    hands, *_ = opened(freihand_layout, "test").read(0, 3)
    assert hands.joints is None
    assert hands.box is None
    assert hands.camera.shape == (3, 3, 3)


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_a_cut_json_is_invalid_and_named(freihand_layout, keep):
    path = freihand_layout / "training_xyz.json"
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(InvalidError, match=r"training_xyz\.json is (not valid JSON|empty)"):
        opened(freihand_layout)


def test_an_entry_of_another_shape_is_named(freihand_layout):
    rewrite(freihand_layout / "training_xyz.json", lambda v: [*v[:3], v[3][:20], v[4]])
    with pytest.raises(InvalidError, match=r"Entry 3 of .*training_xyz\.json is 20x3, not 21x3"):
        opened(freihand_layout)


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.98])
def test_a_cut_jpeg_is_invalid_and_named_and_nothing_is_written(freihand_layout, tmp_path, keep):
    path = freihand_layout / "training/rgb/00000013.jpg"
    data = path.read_bytes()
    path.write_bytes(data[: keep if isinstance(keep, int) else int(keep * len(data))])
    with pytest.raises(InvalidError, match=r"00000013\.jpg"):
        prepared(freihand_layout, tmp_path / "out.h5")
    assert not (tmp_path / "out.h5").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda xyz: xyz * 1000, "millimetres"),
        (lambda xyz: xyz * 100, "centimetres"),
        (lambda xyz: xyz * [1, -1, -1], "OpenGL"),
        (lambda xyz: xyz[:, [0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3, 4, 8, 12, 16, 20]], "HO3D order"),
        (lambda xyz: xyz + [1.0, 0, 0], "project near the image"),
    ],
)
def test_a_truth_that_contradicts_its_layout_stops(freihand_layout, tmp_path, change, says):
    rewrite(freihand_layout / "training_xyz.json", lambda v: change(np.array(v)).tolist())
    with pytest.raises(InvalidError, match=says):
        prepared(freihand_layout, tmp_path / "out.h5")


def test_an_image_without_annotation_is_never_given_anothers(freihand_layout, capsys):
    (freihand_layout / "training/rgb/00000021.jpg").write_bytes(jpeg(5))
    split = opened(freihand_layout)
    # neither 21 % 32560 nor (with 22 images) 21 // 5 < 4 makes it a sample of the five frames
    assert set(split.file_ids) == set(range(5))
    assert "17 images" not in capsys.readouterr().out


def test_the_root_is_joint_nine_at_uv_and_focal_over_scale():
    # worked by hand: f = 500, uv - pp = (50, -25), scale 1000 -> (0.05, -0.025, 0.5)
    camera = np.array([[[490.0, 0, 100], [0, 510.0, 120], [0, 0, 1]]])
    mano = np.zeros((1, 61))
    mano[0, 58:] = 150, 95, 1000
    assert recover_root(mano, camera)[0] == pytest.approx([0.05, -0.025, 0.5])


def test_real_samples(real_data, tmp_path):
    file = prepared(real_data / "freihand/train5_native_derived", tmp_path / "a.h5")
    assert isinstance(file, HandsFile)
    assert len(file) == 5
    hands = file.read()
    pixels = project(hands.joints, hands.camera)
    assert ((pixels > 0) & (pixels < 224)).mean() > 0.95


def test_real_background_versions_share_their_frame(real_data):
    truth = json.loads((real_data / "freihand/mmpose_2d/test_freihand.json").read_text())
    names = {image["id"]: image["file_name"] for image in truth["images"]}
    by_frame: dict[int, list] = {}
    for annotation in truth["annotations"]:
        frame = int(names[annotation["image_id"]].removesuffix(".jpg")) % 32560
        by_frame.setdefault(frame, []).append(annotation["keypoints"])
    assert sorted(by_frame) == [355, 17620]
    for versions in by_frame.values():
        assert len(versions) == 4
        assert all(np.allclose(version, versions[0]) for version in versions)


def test_the_root_is_where_the_official_code_puts_it(golden):
    g = golden("freihand_root")
    found = recover_root(g["mano_param"], g["K"])
    np.testing.assert_allclose(found, g["out_xyz_root_joint9"], rtol=0, atol=1e-12)
