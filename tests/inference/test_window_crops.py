"""Windows as a method sees them: every sample predicted once, no frame decoded twice."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from handbench.errors import InvalidError
from handbench.inference.predict import crops_for, predict_in_memory
from handbench.inference.window_crops import WindowCrops
from tests.video_file import ToyWindows, close, video_file

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
