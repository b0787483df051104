"""A network of the user's own, from a file or from Python, and what is said where it fails."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

import handbench as public
from handbench.errors import HandbenchError, InvalidError, MissingError, UsageError
from handbench.report.speeds import read_speeds
from handbench.speed.own import from_file, speed
from handbench.store.records import write_json

GOOD = """
import torch
from torch import nn

def build():
    return nn.Linear(8, 4), torch.zeros(2, 8)
"""


def written(tmp_path, text):
    path = tmp_path / "my_file.py"
    path.write_text(text)
    return path


def test_a_file_is_timed_by_the_same_protocol(handbench, home, tmp_path):
    path = written(tmp_path, GOOD)
    ran = handbench("speed", f"{path}:build", "--quick", "--device", "cpu", "--json", "-")
    assert ran.code == 0, ran.err
    (record,) = json.loads(ran.out)
    assert (record["method"], record["tier"], record["batch"]) == ("my_file", "T0", 2)
    assert record["cost"]["macs"] == 2 * 8 * 4
    assert record["cost"]["parameters"] == 8 * 4 + 4
    assert next((home / "speed").glob("speed-*.json")).name.startswith("speed-my_file-T0-b2-fp32-eager-torch")
    table = handbench("speed", f"{path}:build", "--quick", "--device", "cpu").out
    assert "T0 calls/s" in table


def test_from_python(monkeypatch):
    network = nn.Sequential(nn.Linear(4, 4), nn.Dropout())
    record = public.speed(network, [torch.zeros(1, 4), torch.ones(1, 4)], device="cpu", effort="quick")
    assert record["pool"] == 2
    assert record["n"] >= 100
    assert record["fps"] == pytest.approx(1000 / record["p50_ms"])
    # the caller's own is left as it was
    assert network.training


def test_inputs_by_name_and_in_order():
    class Two(nn.Module):
        def forward(self, a, b):
            assert (float(a.sum()), float(b.sum())) == (0, 2)
            return a + b

    for inputs in ((torch.zeros(2), torch.ones(2)), {"b": torch.ones(2), "a": torch.zeros(2)}):
        assert speed(Two(), inputs, device="cpu", effort="quick")["p50_ms"] > 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import torch\nraise ValueError('no weights here')", "cannot be loaded: ValueError: no weights here"),
        ("def build(:", "cannot be loaded: SyntaxError"),
        ("import a_library_that_is_not_there", "ModuleNotFoundError: No module named 'a_library_that_is_not_there'"),
        ("def build():\n    raise KeyError('x')", "fails: KeyError: 'x'"),
        ("def build():\n    raise SystemExit(0)", "fails: SystemExit: 0"),
        ("def build(a):\n    return a", "fails: TypeError"),
        ("def build():\n    return 3", "returns a int, not (module, inputs)"),
        (GOOD.replace("torch.zeros(2, 8)", "torch.zeros(2, 7)"), "fails on its inputs: RuntimeError"),
    ],
)
def test_a_file_that_fails_says_its_own_error(handbench, tmp_path, text, said):
    ran = handbench("speed", f"{written(tmp_path, text)}:build", "--quick", "--device", "cpu")
    assert ran.code == 4
    assert said in ran.err
    assert "build() takes nothing and returns" in ran.err
    assert "Traceback" not in ran.err
    assert ran.out == ""


def test_a_file_or_function_that_is_not_there(tmp_path):
    with pytest.raises(MissingError):
        from_file(str(tmp_path / "no.py:build"))
    path = written(tmp_path, GOOD)
    with pytest.raises(UsageError, match="did you mean 'build'"):
        from_file(f"{path}:biuld")
    assert from_file(str(path))[0] == "my_file"


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


def test_modes_are_for_methods(handbench, tmp_path):
    ran = handbench("speed", written(tmp_path, GOOD), "--mode", "bf16", "--device", "cpu")
    assert ran.code == 2
    assert "no joints to compare" in ran.err
    assert issubclass(InvalidError, HandbenchError)
