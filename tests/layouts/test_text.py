"""YAML of official files makes plain values, and nothing else."""

from __future__ import annotations

import pytest

from handbench.errors import InvalidError, MissingError
from handbench.layouts.dexycb_tree import read_meta
from handbench.layouts.folder import Folder
from handbench.layouts.text import read_lines, read_yaml


@pytest.fixture
def read(tmp_path):
    def of(text):
        (tmp_path / "a.yml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_yaml(Folder(tmp_path, "a set"), "a.yml")

    return of


def test_plain_values_and_tuples(read):
    assert read("num_frames: 72\nmano_sides: [right]\nsize: !!python/tuple [640, 480]\n") == {
        "num_frames": 72,
        "mano_sides": ["right"],
        "size": (640, 480),
    }


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system ['touch {}']",
        "!!python/object/apply:subprocess.check_output [['touch', '{}']]",
        "!!python/object/new:os.system ['touch {}']",
        "!!python/name:os.system",
        "!!python/module:os",
        "!!python/object:handbench.errors.InvalidError {{}}",
    ],
)
def test_no_tag_makes_an_object_or_runs_anything(read, tmp_path, tag):
    with pytest.raises(InvalidError, match=r"a\.yml cannot be read"):
        read(f"a: {tag.format(tmp_path / 'ran')}")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("text", ["a: [1, 2", "- 1\n- 2", "", b"\xff\xfe\x00", "a: &x [*x, *x]\nb: {c: *y}", "\t"])
def test_what_is_no_mapping_is_refused_in_one_sentence(read, text):
    with pytest.raises(InvalidError) as error:
        read(text)
    assert "a.yml" in error.value.message
    assert "\n" not in error.value.message


def test_a_bomb_of_references_takes_no_memory(read):
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 20)]
    assert len(read("\n".join(lines))) == 20


def test_lines_are_those_with_something_on_them(tmp_path):
    (tmp_path / "l.txt").write_bytes(b"MC1/0000\r\n\nMC1/0001 \n")
    assert read_lines(Folder(tmp_path, "a set"), "l.txt") == ["MC1/0000", "MC1/0001"]
    (tmp_path / "l.txt").write_bytes(b"\xff\xff")
    with pytest.raises(InvalidError, match="not text"):
        read_lines(Folder(tmp_path, "a set"), "l.txt")
    with pytest.raises(MissingError):
        read_lines(Folder(tmp_path, "a set"), "no.txt")


@pytest.mark.parametrize(
    "value", ['!!int ""', '!!float ""', '!!bool "abc"', '!!timestamp "x"', '!!binary "a"', "!!set 1"]
)
def test_a_value_that_is_not_what_its_tag_says_is_refused(read, value):
    with pytest.raises(InvalidError, match=r"a\.yml"):
        read(f"a: {value}")


BOMB = "\n".join(["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)])


@pytest.mark.parametrize("key", ["num_frames", "mano_sides", "mano_calib"])
def test_a_refused_value_is_shown_in_short_however_long_it_is(tmp_path, key):
    sound = {"num_frames": "3", "mano_sides": "[right]", "mano_calib": "[a]"} | {key: "*a11"}
    text = "\n".join([BOMB, *(f"{name}: {value}" for name, value in sound.items())])
    (tmp_path / "s").mkdir()
    (tmp_path / "s/meta.yml").write_text(text)
    with pytest.raises(InvalidError, match=key) as error:
        read_meta(Folder(tmp_path, "DexYCB"), "s")
    assert len(error.value.message) < 400


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path):
    (tmp_path / "l.txt").write_bytes(b"\xef\xbb\xbfSM1/0000\n")
    assert read_lines(Folder(tmp_path, "a set"), "l.txt") == ["SM1/0000"]
