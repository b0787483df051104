"""Synthetic hands in HO-3D's folders come back as they were made, and the files are as HO-3D's."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest

from handbench.datasets import find
from handbench.datasets.card import Wanted
from handbench.errors import InvalidError, UsageError
from handbench.evaluation.truth import read_truth
from handbench.hands.camera import project
from handbench.layouts.folder import Folder
from handbench.layouts.mark import is_synthetic
from handbench.synth import ho3d
from handbench.synth.hand import synthetic_hand
from handbench.synth.layout import Size, writer

SIZE = Size(sequences=3, frames=5)
VERSIONS = ("ho3d-v2", "ho3d-v3")


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> dict[str, Path]:
    roots = {}
    for dataset in VERSIONS:
        roots[dataset] = tmp_path_factory.mktemp(dataset)
        steps: list[int] = []
        ho3d.write(roots[dataset], SIZE, 3, synthetic_hand, steps.append, dataset)
        assert sum(steps) == ho3d.images(SIZE, dataset) == len(list(roots[dataset].rglob("rgb/*")))
    return roots


def everything(root, dataset, split, **wanted):
    module = find(dataset)
    opened = module.open_split(
        Folder(root, module.CARD.title), split, Wanted(partial=True, right=synthetic_hand(), **wanted)
    )
    return opened.read(0, len(opened))


@pytest.mark.parametrize("dataset", VERSIONS)
@pytest.mark.parametrize("split", ["train", "test"])
def test_what_is_read_is_what_was_made(written, dataset, split):
    hands = everything(written[dataset], dataset, split).hands
    truth = ho3d.truth(split, SIZE, 3, synthetic_hand, dataset)
    made = {"box", "camera", "crop", "image_size"}  # by the window around the hand
    assert {name for name, _ in hands.arrays()} - made == {name for name, _ in truth.arrays()}
    assert ("visible_fraction" in dict(truth.arrays())) == (dataset == "ho3d-v3" and split == "train")
    for name, expected in truth.arrays():
        if expected.dtype.kind == "f":
            np.testing.assert_allclose(getattr(hands, name), expected, rtol=0, atol=1e-9, err_msg=name)
        else:
            np.testing.assert_array_equal(getattr(hands, name), expected, err_msg=name)


def decoded(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def test_hand_pixels_lie_under_the_joints(written):
    block = everything(written["ho3d-v3"], "ho3d-v3", "train", masks=True, depth=True)
    hands, hits, ahead = block.hands, [], []
    for i in range(len(hands)):
        image, mask, depth = decoded(block.images[i]), decoded(block.masks[i]), decoded(block.depth[i])
        assert image.shape[:2] == mask.shape == depth.shape == tuple(hands.image_size[i][::-1])
        left, top = (-hands.crop[i, :, 2]).astype(int)
        whole = cv2.imread(str(written["ho3d-v3"] / f"train/{hands.track[i]}/rgb/{hands.frame[i]:04d}.jpg"))
        part = whole[top : top + len(image), left : left + image.shape[1]]
        assert np.abs(image.astype(float) - part).mean() < 2
        x, y = np.rint(project(hands.joints[i], hands.camera[i])).astype(int).T
        seen = mask[y, x] == 255
        hits.append(seen.mean())
        ahead.append((hands.joints[i, :, 2] - depth[y, x] * 1e-4)[seen])
    assert np.mean(hits) > 0.75
    # skin lies a little before its joint, as far as no other finger is before it
    assert 0.003 < np.median(np.concatenate(ahead)) < 0.03


def test_cameras_of_a_take_see_one_hand(written):
    hands = everything(written["ho3d-v2"], "ho3d-v2", "test").hands
    tracks, captures = hands.track.tolist(), hands.capture.tolist()
    assert list(dict.fromkeys(tracks)) == ["SM1", "AP10", "AP11"]
    assert {captures[i] for i, track in enumerate(tracks) if track != "SM1"} == {"AP1"}
    first, second = (hands.take(hands.track == name) for name in ("AP10", "AP11"))
    np.testing.assert_array_equal(first.frame, second.frame)
    assert np.abs(first.joints - second.joints).max() > 0.05
    folder = written["ho3d-v3"] / "calibration/AP1/calibration"
    assert np.loadtxt(folder / "cam_orders.txt").tolist() == [0, 1]
    to_first = np.loadtxt(folder / "trans_1.txt")
    back = second.joints @ to_first[:3, :3].T + to_first[:3, 3]
    np.testing.assert_allclose(back, first.joints, atol=1e-12)
    line = (folder / "cam_1_intrinsics.txt").read_text().strip()
    values = {key.strip(): float(value) for key, value in (part.split(":") for part in line.split(","))}
    assert list(values) == ["fx", "fy", "ppx", "ppy"]
    assert [values["fx"], values["ppy"]] == [second.frame_camera[0, 0, 0], second.frame_camera[0, 1, 2]]


def test_pickles_have_the_official_fields(written):
    common = {"objTrans", "objRot", "objName", "objLabel", "objCorners3D", "objCorners3DRest", "camMat"}
    hand = {"handPose", "handTrans", "handBeta", "handJoints3D"}
    more = {"camIDList", "handVertContact", "handVertDist", "handVertIntersec", "handVertObjSurfProj"}
    for dataset, extra in (("ho3d-v2", set()), ("ho3d-v3", more)):
        data = (written[dataset] / "train/ABF10/meta/0000.pkl").read_bytes()
        assert data[:2] == b"\x80\x02"
        label = pickle.loads(data, encoding="latin1")
        assert set(label) == common | hand | extra
        shapes = [label[name].shape for name in ("handPose", "handTrans", "handBeta", "handJoints3D", "objCorners3D")]
        assert shapes == [(48,), (3,), (10,), (21, 3), (8, 3)]
        assert (label["handJoints3D"][:, 2] < 0).all()
        held = pickle.loads((written[dataset] / "evaluation/SM1/meta/0000.pkl").read_bytes(), encoding="latin1")
        assert set(held) == common | {"handJoints3D", "handBoundingBox"}
        assert (held["handJoints3D"].shape, len(held["handBoundingBox"])) == ((3,), 4)
    assert label["handVertContact"].dtype == bool
    assert label["handVertObjSurfProj"].shape == (778, 3)


def test_frames_without_annotation_are_all_none_and_in_no_list(written):
    for root in written.values():
        for part in ("train", "evaluation"):
            lines = (root / f"{part}.txt").read_text().split()
            empty = []
            for path in sorted((root / part).rglob("meta/*.pkl")):
                label = pickle.loads(path.read_bytes(), encoding="latin1")
                line = f"{path.parts[-3]}/{path.stem}"
                missing = all(value is None for value in label.values())
                assert (line in lines) != missing
                empty += [line] * missing
            assert empty


def test_what_tells_the_versions_apart(written):
    kinds = {dataset: {path.suffix for path in root.rglob("rgb/*")} for dataset, root in written.items()}
    assert kinds == {"ho3d-v2": {".png"}, "ho3d-v3": {".jpg"}}
    assert not list(written["ho3d-v2"].rglob("seg"))
    seg = cv2.imread(str(written["ho3d-v3"] / "train/ABF10/seg/0000.png"))
    assert seg.shape == (120, 160, 3)
    assert {tuple(colour) for colour in seg.reshape(-1, 3)} == {(0, 0, 0), (255, 0, 0), (0, 255, 0)}
    tips = np.load(written["ho3d-v3"] / "manual_annotations/AP1_0000.npy")
    truth = ho3d.truth("test", SIZE, 3, synthetic_hand, "ho3d-v3")
    first = truth.joints[np.flatnonzero(truth.track == "AP11")[0]]
    np.testing.assert_allclose(tips, first[[20, 16, 12, 8, 4]] * [1, -1, -1], atol=1e-15)
    assert all(is_synthetic(root) for root in written.values())


def test_the_published_truth_is_that_of_the_evaluator(written):
    truth = read_truth(written["ho3d-v3"], "ho3d-v3")
    hands = everything(written["ho3d-v3"], "ho3d-v3", "test").hands
    for name in ("id", "capture", "track", "frame", "joints", "vertices"):
        np.testing.assert_array_equal(getattr(hands, name), getattr(truth, name))


def test_the_same_numbers_write_the_same_and_go_on(written, tmp_path):
    size = Size(sequences=1, frames=3)
    ho3d.write(tmp_path / "a", size, 3, synthetic_hand, lambda steps: None, "ho3d-v3")
    whole = files(tmp_path / "a")
    for name in ("train/ABF10/rgb/0001.jpg", "train/ABF10/seg/0000.png", "evaluation.txt"):
        (tmp_path / "a" / name).unlink()
    ho3d.write(tmp_path / "a", size, 3, synthetic_hand, lambda steps: None, "ho3d-v3")
    assert files(tmp_path / "a") == whole
    with pytest.raises(InvalidError, match=r"made otherwise"):
        ho3d.write(tmp_path / "a", size, 4, synthetic_hand, lambda steps: None, "ho3d-v3")
    with pytest.raises(InvalidError, match=r"made otherwise"):
        ho3d.write(tmp_path / "a", size, 3, synthetic_hand, lambda steps: None, "ho3d-v2")


def test_sizes():
    assert writer("ho3d-v2") is writer("ho3d-v3") is ho3d
    for size in (dataclasses.replace(SIZE, frames=0), dataclasses.replace(SIZE, sequences=99)):
        with pytest.raises(UsageError):
            ho3d.images(size)
    # every sequence has an annotated frame, however short
    assert len(ho3d.truth("train", Size(sequences=20, frames=1), 0, synthetic_hand, "ho3d-v2")) == 20
