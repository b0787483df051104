"""`handbench submit` and `handbench import`: there and back, and what is said on the way."""

from __future__ import annotations

import json

import numpy as np
import pytest

from handbench.evaluation.protocol import load
from handbench.hands.record import Hands
from handbench.store.hands_file import HandsFile
from handbench.store.hands_writer import write_hands
from tests.cli.test_bad_input import refused
from tests.conftest import hands_in_view


@pytest.fixture
def mine(home):
    """Predictions of the whole official list, in HANDBENCH_HOME and prepared as the truth, too."""

    def write(name: str, row: str = "mine"):
        protocol = load(name)
        n = protocol.count if not protocol.gaps else 50
        ids = protocol.official_ids() or [protocol.ids.format(3 * i) for i in range(n)]
        joints = np.tile(hands_in_view(40), (n // 40 + 1, 1, 1))[:n]
        hands = Hands(id=np.array(ids), joints=joints, vertices=joints[:, :5] + 0.01)
        path = home / f"predictions/{name}/{row}.h5"
        write_hands(path, hands)
        write_hands(
            home / f"data/{protocol.dataset}-{protocol.split}.h5",
            hands.replace(meta={"dataset": protocol.dataset, "split": protocol.split}),
        )
        return path

    return write


@pytest.mark.parametrize(
    ("name", "out", "said"),
    [
        ("freihand", "pred.zip", "FH21 order, OpenCV axes, metres"),
        ("ho3d-v2", "pred.zip", "HO-3D order, OpenGL axes, metres"),
        ("dexycb-s0", "pred.txt", "FH21 order, OpenCV axes, millimetres"),
    ],
)
def test_there_and_back(handbench, mine, tmp_path, home, name, out, said):
    path, benchmark = mine(name), name.partition("-")[0]
    target = tmp_path / out
    ran = handbench("submit", benchmark, "--name", "mine", "--out", target)
    assert ran.code == 0, ran.err
    assert ran.out == f"{target}\n"
    assert said in ran.err
    version = ("--version", "v2") if benchmark == "ho3d" else ()
    ran = handbench("submit", benchmark, "--check", target, *version)
    assert ran.code == 0, ran.out
    assert ran.out.startswith(f"{target} for ")
    assert "ODD" not in ran.out
    ran = handbench("import", target, "--name", "back", "--protocol", name)
    assert ran.code == 0, ran.err
    assert f"read as: {said} (the official layout)" in ran.err
    assert "warning" not in ran.err
    back, before = HandsFile(home / f"predictions/{name}/back.h5").read(), HandsFile(path).read()
    np.testing.assert_allclose(back.joints, before.joints, atol=1e-7, rtol=0)
    assert list(back.id) == list(before.id)


def test_a_path_instead_of_a_name(handbench, mine, tmp_path):
    path = mine("ho3d-v2")
    assert handbench("submit", "ho3d", path, "--out", tmp_path / "pred.json").code == 0
    assert len(json.loads((tmp_path / "pred.json").read_bytes())[0]) == 11524


def test_a_check_that_fails_says_what_and_ends_with_5(handbench, tmp_path):
    joints = np.tile(hands_in_view(40), (99, 1, 1))
    path = tmp_path / "pred.json"
    path.write_text(json.dumps([(1000 * joints).tolist(), joints[:, :5].tolist()]))
    ran = handbench("submit", "freihand", "--check", path)
    assert ran.code == 5
    assert "ODD unit" in ran.out
    assert "they must be metres, and look like millimetres" in ran.out
    assert "hint: See above." in ran.err


def test_bad_requests(handbench, mine, tmp_path):
    path, out = mine("freihand"), tmp_path / "pred.zip"
    refused(handbench("submit", "frihand", path, "--out", out), 2, "'freihand'")
    refused(handbench("submit", "freihand", "--out", out), 2, "Which predictions?")
    refused(handbench("submit", "freihand", path, "--name", "mine", "--out", out), 2, "Which predictions?")
    refused(handbench("submit", "freihand", path), 2, "Where to?")
    refused(handbench("submit", "freihand", path, "--check", out), 2, "--check takes a file and nothing else")
    refused(handbench("submit", "freihand", "--check", out), 3, "no predictions")
    refused(handbench("submit", "freihand", "--name", "theirs", "--out", out), 3, "theirs.h5")
    refused(handbench("submit", "ho3d", "--name", "mine", "--out", out), 3, "no predictions mine of ho3d")
    refused(handbench("submit", "ho3d", "--check", out), 2, "Which version of HO-3D?", "v2 (11,524 frames)")
    refused(handbench("submit", "ho3d", path, "--out", out, "--version", "v3"), 4, "not of HO-3D v3")
    mine("ho3d-v2")
    mine("ho3d-v3")
    refused(handbench("submit", "ho3d", "--name", "mine", "--out", out), 3, "Say which: --version")
    assert not out.exists()


def test_partial_says_that_it_is_of_no_use_officially(handbench, mine, tmp_path):
    path = mine("freihand")
    hands = HandsFile(path).read()
    write_hands(path, hands.take(slice(0, 3000)))
    refused(handbench("submit", "freihand", path, "--out", tmp_path / "p.zip"), 4, "960 of 3,960", "--partial")
    ran = handbench("submit", "freihand", path, "--out", tmp_path / "p.zip", "--partial")
    assert ran.code == 0
    assert "3,000 of 3,960 samples: the official script will not take it" in ran.err


def test_importing_says_what_it_assumed_and_which_flag_mends_it(handbench, mine, tmp_path, home):
    """A pred.json in handbench's own convention where HO-3D's is expected."""
    hands = HandsFile(mine("ho3d-v2")).read()
    path = tmp_path / "pred.json"
    path.write_text(json.dumps([hands.joints.tolist(), []]))
    ran = handbench("import", path, "--name", "theirs", "--protocol", "ho3d-v2")
    assert ran.code == 0, ran.err
    assert "read as: HO-3D order, OpenGL axes, metres (the official layout)" in ran.err
    assert "`--order fh21`" in ran.err
    assert "`--axes opencv`" in ran.err
    ran = handbench("import", path, "--name", "theirs", "--protocol", "ho3d-v2", "--order", "fh21", "--axes", "opencv")
    assert "warning" not in ran.err
    assert "metres (order and axes as told, else the official layout)" in ran.err
    np.testing.assert_array_equal(HandsFile(home / "predictions/ho3d-v2/theirs.h5").read().joints, hands.joints)
