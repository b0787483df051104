"""A file with a network of the user's own: what it is called, what it imports, and what is said where it fails."""

from __future__ import annotations

import json
import sys

import pytest

from handbench.errors import MissingError, UsageError
from handbench.speed.own_file import check_targets, from_file

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


@pytest.mark.parametrize("option", [("--mode", "bf16"), ("--throughput",)])
def test_modes_are_for_methods(handbench, tmp_path, home, option):
    ran = handbench("speed", written(tmp_path, GOOD), *option, "--device", "cpu")
    assert ran.code == 2
    assert "no joints to compare" in ran.err
    assert not (home / "speed").exists()
