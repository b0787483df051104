"""Further modes: drift in mm against the headline, what a CPU refuses, and the command's own refusals."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch

from handbench.errors import MissingError, UsageError
from handbench.inference.predict import crops_for
from handbench.methods.base import Prediction
from handbench.speed.modes import MODES, call_in_mode, check_modes, drift, full_precision
from handbench.speed.tiers import as_call, make_pool, steps_of
from tests.video_file import ToyWindows, video_file

CPU = torch.device("cpu")


def test_drift_is_in_millimetres_the_largest_and_the_mean():
    joints = torch.zeros(1, 21, 3)
    moved = joints.clone()
    moved[0, 3, 1] = 0.00021
    found = drift(lambda i: Prediction(joints, None), [moved.double(), joints.double()])
    assert found["max_mm"] == pytest.approx(0.21)
    assert found["mean_mm"] == pytest.approx(0.21 / 42)
    assert found["flagged"]
    moved[0, 3, 1] = 0.00009
    assert not drift(lambda i: Prediction(joints, None), [moved.double()])["flagged"]
    assert drift(lambda i: Prediction(joints, None), [joints.double() * torch.nan])["flagged"]
    assert drift(lambda i: Prediction(joints, None), [moved.double()], trained=False)["flagged"] is None


@pytest.mark.skipif(not hasattr(torch.backends.cuda.matmul, "fp32_precision"), reason="torch before 2.9")
def test_the_headline_has_no_tf32_whichever_way_it_was_switched_on():
    """For all backends at once, by the newer of torch's two interfaces; afterwards all is as it was."""
    parts = (torch.backends, torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn)
    before = [part.fp32_precision for part in parts]
    try:
        torch.backends.fp32_precision = "tf32"
        torch.backends.cuda.matmul.fp32_precision = "tf32"
        with full_precision():
            assert [part.fp32_precision for part in parts[1:]] == ["ieee"] * 3
            assert not torch.backends.cudnn.allow_tf32
        assert [part.fp32_precision for part in parts] == ["tf32"] * 4
    finally:
        for part, value in zip(parts, before, strict=True):
            part.fp32_precision = value


@pytest.mark.parametrize("name", ["tf32", "cuda-graph"])
def test_a_mode_of_cuda_refuses_a_cpu_in_words(name, handbench):
    ran = handbench("speed", "mean-pose", "--mode", name, "--device", "cpu", "--quick")
    assert ran.code == 3
    assert f"Mode {name} needs CUDA" in ran.err
    assert "bf16" in ran.err


def test_an_unknown_mode_gets_a_suggestion():
    with pytest.raises(UsageError, match="channels_last"):
        check_modes(["channel_last"], CPU)
    check_modes([name for name, mode in MODES.items() if not mode.cuda], CPU)
    with pytest.raises(MissingError):
        check_modes(["tf32"], CPU)


@pytest.mark.parametrize("name", ["bf16", "channels_last"])
def test_a_mode_answers_for_the_same_inputs_and_leaves_the_method_alone(tmp_path, name):
    method = ToyWindows(1).eval()
    pool = make_pool(method, crops_for(method, video_file(tmp_path / "video.h5", (8,)), 1.3), CPU, 4)
    headline = as_call(steps_of("T1", method, pool, CPU))
    before = headline(2).joints.clone()
    with call_in_mode(name, method, pool, CPU) as call:
        found = drift(headline, [call(i).joints.double() for i in range(3)])
    # in bf16, 8 bits of a hand that is about a metre away
    assert found["max_mm"] < 1e-3 if name == "channels_last" else 1e-3 < found["max_mm"] < 10
    assert torch.equal(headline(2).joints, before)
    assert torch.backends.cuda.matmul.allow_tf32 is False


def test_a_mode_is_a_further_record_with_a_name_of_its_own(handbench, home):
    ran = handbench("speed", "mean-pose", "--quick", "--device", "cpu", "--mode", "bf16", "--throughput", "--json", "-")
    assert ran.code == 0, ran.err
    records = json.loads(ran.out)
    assert [(r["tier"], r["precision"], r["mode"]) for r in records[2:]] == [
        ("T2", "fp32", "eager"),
        ("T1", "bf16", "eager"),
    ]
    assert records[3]["drift"]["inputs"] == 32
    # mean-pose is not trained here: nothing passes a gate by having random weights
    assert records[3]["drift"]["flagged"] is None
    assert any("drift of random weights" in warning for warning in records[3]["warnings"])
    assert records[1]["throughput"]["rows"][0]["batch"] == 1
    assert len(list((home / "speed").glob("speed-mean-pose-full-T1-b1-bf16-eager-*.json"))) == 1


def test_a_mode_that_torch_cannot_run_here_is_said_and_what_came_before_is_kept(handbench, home, monkeypatch):
    from handbench.speed import modes

    def broken(*_, **__):
        raise RuntimeError("Failed to find C compiler.\nand a long story")

    monkeypatch.setattr(modes.torch, "compile", broken)
    monkeypatch.setattr(modes.torch, "_dynamo", SimpleNamespace(reset=lambda: None), raising=False)
    ran = handbench("speed", "mean-pose", "--quick", "--device", "cpu", "--mode", "compile")
    assert ran.code == 3
    assert "Mode compile does not run here: RuntimeError: Failed to find C compiler" in ran.err
    assert len(list((home / "speed").glob("speed-*.json"))) == 3


def test_quick_and_strict_or_comparing_one(handbench):
    assert handbench("speed", "mean-pose", "--quick", "--strict").code == 2
    ran = handbench("speed", "mean-pose", "--compare", "--device", "cpu")
    assert ran.code == 2
    assert "two methods" in ran.err
    ran = handbench("speed", "clip-hand3", "--device", "cpu")
    assert ran.code == 2
    assert "clip-hand3d" in ran.err
