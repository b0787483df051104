"""A network of the user's own, from Python: what its record says, and what is said where it fails."""

from __future__ import annotations

import threading
import time

import pytest
import torch
from torch import nn

import handbench as public
from handbench.errors import InvalidError, UsageError
from handbench.report.speeds import read_speeds
from handbench.speed.own import speed
from handbench.store.records import write_json


class Buffered(nn.Linear):
    def __init__(self, dtype):
        super().__init__(4, 4, dtype=dtype)
        self.register_buffer("scale", torch.ones(1))
        self.register_buffer("count", torch.zeros(1, dtype=torch.int64))


@pytest.mark.parametrize(
    ("network", "inputs", "precision"),
    [
        (nn.Linear(4, 4), torch.zeros(1, 4), "fp32"),
        (nn.Linear(4, 4, dtype=torch.float64), torch.zeros(1, 4, dtype=torch.float64), "fp64"),
        (nn.Linear(4, 4, dtype=torch.bfloat16), torch.zeros(1, 4, dtype=torch.bfloat16), "bf16"),
        (Buffered(torch.float32), torch.zeros(1, 4), "fp32"),
        (Buffered(torch.bfloat16), torch.zeros(1, 4, dtype=torch.bfloat16), "mixed"),
        (nn.Identity(), torch.zeros(1, 4, dtype=torch.float16), "fp16"),
        (nn.Identity(), torch.zeros(1, 4, dtype=torch.int64), "unknown"),
    ],
)
def test_its_precision_is_that_of_its_weights(network, inputs, precision, short):
    record = speed(network, inputs, device="cpu", effort="quick")
    assert (record["precision"], record["mode"]) == (precision, "eager")


def test_a_compiled_or_scripted_network_is_called_so(short, monkeypatch):
    scripted = torch.jit.trace(nn.Linear(4, 4), torch.zeros(1, 4))
    record = speed(scripted, torch.zeros(1, 4), device="cpu", effort="quick")
    assert (record["mode"], record["cost"]["parameters"]) == ("torchscript", 20)
    compiled = torch.compile(nn.Linear(4, 4), backend="eager")
    record = speed(compiled, torch.zeros(1, 4), device="cpu", effort="quick")
    assert (record["mode"], record["cost"]["macs"]) == ("compile", 16)
    inside = nn.Linear(4, 4)
    inside.compile(backend="eager")
    with pytest.raises(UsageError, match="compiled in place"):
        speed(nn.Sequential(inside), torch.zeros(1, 4), device="cpu")


def test_the_first_call_is_the_networks_first(short):
    """A network that makes something when it is first called, as CUDA makes its kernels."""

    class Slow(nn.Module):
        called = 0

        def forward(self, x):
            if not self.called:
                time.sleep(0.2)
            self.called += 1
            return x

    record = speed(Slow(), [torch.zeros(1), torch.ones(1)], device="cpu", effort="quick")
    assert record["first_ms"] > 200 > 10 * record["p50_ms"]
    assert record["cold_start_s"] > 0.2


def test_from_python(monkeypatch):
    network = nn.Sequential(nn.Linear(4, 4), nn.Dropout())
    record = public.speed(network, [torch.zeros(1, 4), torch.ones(1, 4)], device="cpu", effort="quick")
    assert record["pool"] == 2
    assert record["n"] >= 100
    assert record["fps"] == pytest.approx(1000 / record["p50_ms"])
    # the caller's own is left as it was
    assert network.training


def test_inputs_by_name_and_in_order(short):
    class Two(nn.Module):
        def forward(self, a, b):
            assert (float(a.sum()), float(b.sum())) == (0, 2)
            return a + b

    for inputs in ((torch.zeros(2), torch.ones(2)), {"b": torch.ones(2), "a": torch.zeros(2)}):
        assert speed(Two(), inputs, device="cpu", effort="quick")["p50_ms"] > 0


def test_tensors_within_an_input_are_moved_too(short):
    class Nested(nn.Module):
        def forward(self, views, given):
            return [view + given["at"][0] for view in views]

    inputs = ([torch.zeros(3, 2), torch.ones(3, 2)], {"at": (torch.ones(1),)})
    record = speed(Nested(), inputs, device="cpu", effort="quick")
    assert record["batch"] == 3
    # on the meta device every tensor must have been moved, or it is not counted
    assert record["cost"]["macs"] == 0


def test_a_network_that_cannot_be_copied_says_why():
    class Locked(nn.Module):
        def __init__(self):
            super().__init__()
            self.lock = threading.Lock()

    with pytest.raises(InvalidError, match="cannot be copied to cpu: TypeError"):
        speed(Locked(), torch.zeros(1), device="cpu", effort="quick")


def test_what_is_no_network_or_no_input():
    with pytest.raises(UsageError, match=r"torch\.nn\.Module"):
        speed(lambda x: x, torch.zeros(1))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="An input is a str"):
        speed(nn.Identity(), "image.png", device="cpu")
    with pytest.raises(UsageError, match="empty"):
        speed(nn.Identity(), [], device="cpu")
    with pytest.raises(UsageError, match="no effort"):
        speed(nn.Identity(), torch.zeros(1), effort="fast")


def test_a_network_that_looks_at_its_numbers_is_timed_and_not_counted(tmp_path):
    class Looks(nn.Module):
        def forward(self, x):
            return x if float(x.sum()) > 0 else -x

    record = speed(Looks(), torch.ones(3), device="cpu", effort="quick")
    assert record["cost"]["macs"] is None
    assert record["cost"]["why_not_counted"]
    write_json(tmp_path / "speed-looks.json", record)
    (read,) = read_speeds(tmp_path)
    assert read["gmacs"] is None
