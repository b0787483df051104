"""Windows as a method sees them: every sample predicted once, no frame decoded twice."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from handbench.errors import InvalidError
from handbench.inference.checkpoint import save_checkpoint
from handbench.inference.predict import crops_for, predict, predict_in_memory
from handbench.inference.window_crops import WindowCrops
from handbench.recipe import Data, Recipe, Train
from handbench.synth.hand import synthetic_hand
from handbench.training.plan import Plan
from handbench.training.validate import Validation
from tests.methods.deformer_tiny import build
from tests.video_file import ToyWindows, close, toy_hand, video_file

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return video_file(tmp_path_factory.mktemp("video") / "video.h5", missing=(4, 13))


def alone(method, file):
    """The prediction of each sample from its own crop, at its own place in a window of nothing but itself."""
    crops = WindowCrops(file, method, 1.3)
    found = {}
    for i in range(len(crops)):
        batch = crops.collate([crops[i]])
        output = method(method.normalise(batch["image"]), batch)["joints"] + batch["root"][:, None]
        rows = range(len(output)) if method.stride > 1 else [method.frames // 2]
        for row in rows:
            if not batch["repeated"][row]:
                found[int(batch["index"][row])] = output[row].detach()
    return torch.stack([found[i] for i in range(len(file))])


@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize("workers", [0, 2])
def test_each_sample_is_predicted_once_in_the_files_order(file, stride, workers):
    torch.manual_seed(0)
    method = ToyWindows(stride).eval()
    expected = alone(method, file)
    crops = crops_for(method, file, 1.3)
    hands = predict_in_memory(method, crops, CPU, 7, workers)
    assert (hands.id == file.ids).all()
    assert close(hands.joints, expected)
    for start, stop in ((0, 5), (5, 6), (6, len(file))):
        part = predict_in_memory(method, crops.only(np.arange(start, stop)), CPU, 7, workers)
        assert (part.id == file.ids[start:stop]).all()
        assert close(part.joints, expected[start:stop])


@pytest.mark.parametrize("stride", [1, 3])
def test_no_frame_is_decoded_twice(file, stride):
    crops = WindowCrops(file, ToyWindows(stride), 1.3)
    for start in range(0, len(file), 4):
        part = crops.only(np.arange(start, min(start + 4, len(file))))
        for i in range(len(part)):
            part[i]
    if stride == 1:
        assert crops.decoded.count == len(file)
    whole = WindowCrops(file, ToyWindows(stride), 1.3)
    for i in range(len(whole)):
        whole[i]
    assert whole.decoded.count == len(file)
    assert len(whole.decoded._kept) <= whole.decoded.most


def test_a_batch_is_window_by_window(file):
    method = ToyWindows()
    crops = WindowCrops(file, method, 1.3)
    batch = crops.collate([crops[0], crops[2]])
    assert batch["image"].shape == (6, 3, 16, 16)
    assert batch["index"].tolist() == [0, 0, 2, 0, 2, 2]
    assert batch["repeated"].tolist() == [True, False, False, False, False, True]
    # frame 4 is missing: the last one before it stands in, with all that belongs to it
    assert torch.equal(batch["image"][5], batch["image"][4])
    assert torch.equal(batch["camera"][5], batch["camera"][4])
    assert "visible_fraction" not in batch


def test_the_frames_of_a_window_have_one_scale(file):
    crops = WindowCrops(file, ToyWindows(), 1.3)
    window = crops[3]
    scale = window["affine"][:, 0, 0]
    assert np.allclose(scale, scale[0])
    sides = [np.ptp(file.read(at, at + 1).box[0].reshape(2, 2), axis=0).max() for at in window["index"]]
    assert scale[0] == pytest.approx(16 / (1.3 * max(sides)), rel=1e-5)


def test_the_visible_share_comes_to_a_method_that_is_given_it(file):
    method = ToyWindows()
    method.given = (*method.given, "occlusion")
    window = WindowCrops(file, method, 1.3)[5]
    assert window["visible_fraction"].dtype == np.float32
    assert np.allclose(window["visible_fraction"], file.column("visible_fraction")[window["index"]])


def test_a_file_without_tracks_is_refused(tmp_path):
    bare = video_file(tmp_path / "bare.h5", (3,), track=None, frame=None)
    with pytest.raises(InvalidError, match="has no tracks") as refused:
        crops_for(ToyWindows(), bare, 1.3)
    assert "handsynth-video" in refused.value.hint


# --- frames whose truth lacks what is given -------------------------------------------------------------------------


def without(file, path, *places):
    """The same two tracks; at these places nothing is annotated."""
    joints, box = file.column("joints"), file.column("box")
    joints[list(places)], box[list(places)] = np.nan, np.nan
    return video_file(path, joints=joints, box=box)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return video_file(tmp_path_factory.mktemp("whole") / "video.h5")


@pytest.mark.parametrize("stride", [1, 3])
def test_a_frame_that_is_not_annotated_stands_beside_those_that_are(whole, tmp_path, stride):
    bare = without(whole, tmp_path / "bare.h5", 4)
    torch.manual_seed(0)
    method = ToyWindows(stride).eval()
    kept = np.setdiff1d(np.arange(len(bare)), 4)
    expected = predict_in_memory(method, crops_for(method, whole, 0.0, kept), CPU, 7, 0)
    crops = crops_for(method, bare, 0.0, kept)
    root = np.concatenate([crops[i]["root"][crops[i]["index"] == 4] for i in range(len(crops))])
    assert len(root)
    assert np.isnan(root).all()
    hands = predict_in_memory(method, crops, CPU, 7, 0)
    assert (hands.id == whole.ids[kept]).all()
    assert close(hands.joints, expected.joints)


@pytest.mark.parametrize("stride", [1, 3])
def test_a_frame_that_is_predicted_needs_what_is_given(whole, tmp_path, stride):
    method, bare = ToyWindows(stride).eval(), without(whole, tmp_path / "bare.h5", 4)
    with pytest.raises(InvalidError, match="has no root, which the method is given"):
        predict_in_memory(method, crops_for(method, bare, 1.3), CPU, 7, 0)


@pytest.mark.parametrize("stride", [1, 3])
def test_validation_passes_over_frames_that_are_not_annotated(whole, tmp_path, stride):
    method = ToyWindows(stride)
    recipe = Recipe(method=method.name, variant="full", size="full", model={}, data=Data(), train=Train())
    held_out = Plan(recipe, whole, toy_hand(), tmp_path / "a").validation_index
    middle = int(held_out[len(held_out) // 2])
    plan = Plan(recipe, without(whole, tmp_path / "bare.h5", middle), toy_hand(), tmp_path / "b")
    validation = Validation(plan, method)
    assert len(validation.truth) == len(held_out) - 1
    assert np.isfinite(list(validation.errors(method, CPU).values())).all()


@pytest.mark.parametrize("unknown", [None, np.full(21, np.nan)])
def test_a_method_that_is_given_the_occlusion_is_not_predicted_without(tmp_path, unknown):
    hand = synthetic_hand("right")
    checkpoint, out = tmp_path / "best.pt", tmp_path / "predictions.h5"
    save_checkpoint(checkpoint, build(hand, aggregation="occlusion"), hand, {"fingertips": "freihand"})
    bare = video_file(tmp_path / "bare.h5", visible_fraction=unknown)
    with pytest.raises(InvalidError, match="does not say how much of each hand is covered") as refused:
        predict(checkpoint, bare, out, method="deformer", device=CPU, batch=3, workers=0)
    assert "dexycb" in refused.value.hint
    assert not list(tmp_path.glob("predictions*"))
