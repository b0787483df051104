"""A network of the user's own, from a file or from Python, and what is said where it fails."""

from __future__ import annotations

import json
import sys
import threading
import time

import pytest
import torch
from torch import nn

import handbench as public
from handbench.errors import InvalidError, MissingError, UsageError
from handbench.report.speeds import read_speeds
from handbench.speed.clock import EFFORTS, Effort
from handbench.speed.own import speed
from handbench.speed.own_file import check_targets, from_file
from handbench.store.records import write_json

GOOD = """
import torch
from torch import nn

def build():
    return nn.Linear(8, 4), torch.zeros(2, 8)
"""


TWO = """
import torch
from torch import nn

def small():
    print("a word on stdout")
    return nn.Linear(8, 4), torch.zeros(2, 8)

def big():
    return nn.Linear(8, 40), torch.zeros(2, 8)
"""


def written(tmp_path, text, name="my_file.py"):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def short(monkeypatch):
    """Where what is measured does not matter."""
    monkeypatch.setitem(EFFORTS, "quick", Effort("quick", 4, 0.0, 0.2, 10, 0.0, 5))


def test_a_file_is_timed_by_the_same_protocol(handbench, home, tmp_path):
    path = written(tmp_path, GOOD)
    ran = handbench("speed", f"{path}:build", "--quick", "--device", "cpu", "--json", "-")
    assert ran.code == 0, ran.err
    (record,) = json.loads(ran.out)
    assert (record["method"], record["tier"], record["batch"]) == ("my_file:build", "T0", 2)
    assert record["cost"]["macs"] == 2 * 8 * 4
    assert record["cost"]["parameters"] == 8 * 4 + 4
    assert next((home / "speed").glob("speed-*.json")).name.startswith("speed-my_file--build-T0-b2-fp32-eager-")
    table = handbench("speed", f"{path}:build", "--quick", "--device", "cpu").out
    assert "T0 calls/s" in table


def test_two_functions_of_a_file_are_two_networks(handbench, home, tmp_path, short):
    path = written(tmp_path, TWO)
    ran = handbench("speed", f"{path}:small", f"{path}:big", "--compare", "--quick", "--device", "cpu", "--json", "-")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert [record["method"] for record in found["records"]] == ["my_file:small", "my_file:big"]
    assert [record["cost"]["parameters"] for record in found["records"]] == [36, 360]
    assert len(list((home / "speed").glob("speed-*.json"))) == 2
    (compared,) = found["comparisons"]
    assert (compared["a"], compared["b"]) == ("my_file:small", "my_file:big")
    # what build() prints is no part of the result
    assert "a word on stdout" in ran.err


def test_two_networks_of_one_name_are_refused_before_anything_is_timed(handbench, home, tmp_path):
    one, two = (written(tmp_path, GOOD, f"{folder}/net.py") for folder in ("a", "b"))
    ran = handbench("speed", one, two, "--quick", "--device", "cpu")
    assert ran.code == 2
    assert f"{one} and {two} would both be called net:build" in ran.err
    assert not (home / "speed").exists()
    with pytest.raises(UsageError, match="both be called"):
        check_targets([str(one), f"{one}:build"])
    # on disk
    with pytest.raises(UsageError, match="both be called"):
        check_targets([str(written(tmp_path, GOOD, name)) for name in ("my net.py", "my-net.py")])


def test_everything_is_looked_at_before_anything_is_timed(handbench, home, tmp_path):
    good = written(tmp_path, GOOD)
    for wrong, code in (
        (written(tmp_path, "def build(:", "wrong.py"), 4),
        (f"{good}:biuld", 2),
        (tmp_path / "no.py", 3),
    ):
        assert handbench("speed", good, wrong, "--quick", "--device", "cpu").code == code
    for options in (("--data", tmp_path / "no.h5"), ("--compare", "mean-pose")):
        assert handbench("speed", good, "--quick", "--device", "cpu", *options).code in (2, 3)
    assert not (home / "speed").exists()


NEIGHBOURS = """
import torch
from model import Net

def build():
    return Net(), torch.zeros(1, 8)
"""


def test_each_file_imports_its_own_neighbours(tmp_path):
    """Both have a model.py beside them, and a package of another name: the second gets the second."""
    for folder, out in (("a", 4), ("b", 7)):
        written(tmp_path, f"width = {out}", f"{folder}/size.py")
        model = "from torch import nn\nclass Net(nn.Linear):\n    def __init__(self):\n        from size import width\n"
        written(tmp_path, f"{model}        super().__init__(8, width)", f"{folder}/model.py")
        written(tmp_path, NEIGHBOURS, f"{folder}/net_{folder}.py")
    before = list(sys.path)
    for folder, out in (("a", 4), ("b", 7)):
        with from_file(str(tmp_path / folder / f"net_{folder}.py")) as (_, module, _):
            assert module.out_features == out
            assert sys.path[0] == str(tmp_path / folder)
        assert sys.path == before
        assert not {"model", "size"} & set(sys.modules)


def test_the_path_is_put_right_though_the_file_adds_to_it(tmp_path):
    path = written(tmp_path, f"import sys\nsys.path.insert(0, '/nowhere')\n{GOOD}")
    before = list(sys.path)
    with from_file(str(path)):
        assert sys.path[0] == "/nowhere"
    assert sys.path == before


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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise ValueError('no weights here')\ndef build(): ...", "cannot be loaded: ValueError: no weights here"),
        ("def build(:", "cannot be loaded: SyntaxError"),
        ("import no_such_library\ndef build(): ...", "ModuleNotFoundError: No module named 'no_such_library'"),
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
        check_targets([str(tmp_path / "no.py:build")])
    path = written(tmp_path, GOOD)
    with pytest.raises(UsageError, match="did you mean 'build'"):
        check_targets([f"{path}:biuld"])
    with from_file(str(path)) as (name, _, inputs):
        assert (name, inputs.shape) == ("my_file:build", (2, 8))
    # a word of the file, and no function of it
    with pytest.raises(UsageError, match="no function 'zeros'"), from_file(f"{path}:zeros"):
        pass


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


@pytest.mark.parametrize("option", [("--mode", "bf16"), ("--throughput",)])
def test_modes_are_for_methods(handbench, tmp_path, home, option):
    ran = handbench("speed", written(tmp_path, GOOD), *option, "--device", "cpu")
    assert ran.code == 2
    assert "no joints to compare" in ran.err
    assert not (home / "speed").exists()
