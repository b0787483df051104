"""Time by stage: where it went, and when it is not told."""

from __future__ import annotations

import time
from typing import ClassVar

import pytest
import torch
from torch import nn

from handbench.methods import find
from handbench.methods.base import Method, ModelConfig, Prediction, blank_batch
from handbench.recipe import load_recipe
from handbench.sections import validated
from handbench.speed.clock import Clock
from handbench.speed.stages import stage_record, time_stages
from handbench.speed.tiers import LIFT, Step
from handbench.synth.hand import synthetic_hand
from tests.training.test_loop import toy_hand

CPU = Clock(torch.device("cpu"))


class Sleep(nn.Module):
    def __init__(self, ms: float):
        super().__init__()
        self.ms = ms

    def forward(self, x):
        time.sleep(self.ms / 1000)
        return x


class Sleeper(Method):
    name = "sleeper"
    input_size = 8
    stages: ClassVar[dict[str, tuple[str, ...]]] = {"one": ("a",), "two": ("b", "c"), "absent": ("none",)}
    stage_groups: ClassVar[dict[str, tuple[str, ...]]] = {"both": ("one", "two")}

    def __init__(self):
        super().__init__(ModelConfig(), toy_hand(), "freihand")
        self.a, self.b, self.c, self.none = Sleep(4), Sleep(8), Sleep(8), None

    def forward(self, image, batch=None):
        return {"x": self.c(self.b(self.a(image)))}

    def lift(self, output, batch):
        time.sleep(0.003)
        return Prediction(output["x"], None)


def timed(method, count=5):
    x = torch.zeros(1)
    steps = [Step(None, lambda i: method(x)), Step(LIFT, lambda output: method.lift(output, {}))]
    return time_stages(method, steps, CPU, count)


def test_each_stage_has_its_own_time_and_two_modules_of_one_stage_add_up():
    ms = timed(Sleeper())
    assert list(ms) == ["one", "two", LIFT]
    assert 4 <= ms["one"] < 8
    assert 16 <= ms["two"] < 24
    assert 3 <= ms[LIFT] < 7


def test_the_clocks_are_taken_off_again():
    method = Sleeper()
    timed(method)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in method.modules())


def test_a_stage_that_nothing_reaches_is_no_zero():
    method = Sleeper()
    method.none = Sleep(1)
    with pytest.raises(RuntimeError, match="no call reached the stage absent"):
        timed(method)


def test_shares_only_where_the_sum_is_the_total_to_5_percent():
    ms = {"one": 4.0, "two": 5.6, LIFT: 0.4}
    record = stage_record(ms, Sleeper.stage_groups, 10.0)
    assert (record["sum_ms"], record["holds"], record["why_not"]) == (10.0, True, None)
    assert record["groups_ms"] == {"both": 9.6}
    for total in (9.0, 11.0):
        record = stage_record(ms, {}, total)
        assert not record["holds"]
        assert "the protocol allows 5 %" in record["why_not"]


@pytest.mark.parametrize("name", ["clip-dg", "clip-hand3d", "dahyf"])
def test_every_declared_stage_of_a_method_is_reached(name):
    cls = find(name)
    config = validated(cls.Config, load_recipe(name, "full", "tiny").model, "The recipe", "model")
    method = cls(config, synthetic_hand(), "freihand").eval()
    image, batch = torch.zeros(1, 3, method.input_size, method.input_size), blank_batch(1, method.input_size)
    steps = [Step(None, lambda i: method(image, batch)), Step(LIFT, lambda out: method.lift(out, batch))]
    ms = time_stages(method, steps, CPU, 1)
    assert set(ms) == {*cls.stages, LIFT}
    assert min(ms.values()) > 0
