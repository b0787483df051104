"""An official file that is damaged is told in words of our own, with the entry."""

import re

import h5py
import numpy as np
import pytest

from handbench.errors import InvalidError
from handbench.hands.record import Hands
from handbench.store.hands_file import HandsFile
from handbench.store.hands_writer import write_hands
from handbench.store.json_arrays import read_array


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[[0,0,0]],[[0,NaN,0]]]", "Entry 1 of .* has NaN or infinity"),
        ("[[[0,0,0]],[[0,1e999,0]]]", "Entry 1 of .* has NaN or infinity"),
        ("[[[-Infinity,0,0]]]", "Entry 0 of .* has NaN or infinity"),
        (f"[[[0,0,0]],[[0,{10**400},0]]]", "Entry 1 of .* has NaN or infinity"),
        (f"[[[0,0,0]],[[0,{'9' * 5000},0]]]", "Entry 1 of .* has NaN or infinity"),
        ("[[[0,0,0]],[[0,NaN]],[[0,0]]]", "Entry 1 of .* has NaN or infinity"),
        ("[[[0,0,0]],[[0,0]],[[0,NaN,0]]]", "Entry 1 of .* is 1x2, not 1x3 numbers"),
        ("[[[0,0,0]],[[0,null,0]]]", "Entry 1 of .* must be 1x3 numbers, and has"),
        ("[[[0,0,0]],[[0,0],[0]]]", "Entry 1 of .* must be 1x3 numbers, and has lists of uneven length"),
        ("", "is empty"),
        (" \n ", "is empty"),
        ("NaN", "does not hold a list with entries"),
        ("[[[0,0,0]],[[0,", r"is not valid JSON: it ends too early, after 15 bytes"),
        ("[[[0,0,0]],[[0,0,0]]\n", r"is not valid JSON: it ends too early, after 21 bytes"),
        ("[[[0,0,0]],[[0,x,0]]]", r"is not valid JSON: expecting value at character 15 of 21"),
        ("[" * 100_000, "is not valid JSON: .*nested too deeply"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, said):
    path = tmp_path / "evaluation_xyz.json"
    path.write_text(text)
    with pytest.raises(InvalidError, match=said) as caught:
        read_array(path, (1, 3))
    assert not re.search("TAPE|ERROR|EMPTY|simdjson", caught.value.message)
    assert caught.value.hint


def test_whole_numbers_beyond_64_bits_are_numbers(tmp_path):
    (tmp_path / "a.json").write_text(f"[[[0,0,0]],[[{10**30},-{10**20},0]]]")
    np.testing.assert_array_equal(read_array(tmp_path / "a.json", (1, 3)), [[[0, 0, 0]], [[1e30, -1e20, 0]]])


def test_only_what_handbench_wrote_is_to_be_deleted(tmp_path):
    write_hands(tmp_path / "a.h5", Hands(id=np.array(["a"]), joints=np.zeros((1, 21, 3))))
    whole = (tmp_path / "a.h5").read_bytes()
    for keep, hint in ((2500, "Delete it"), (100, "Fetch or write it again."), (3, "Give one that handbench wrote")):
        (tmp_path / "a.h5").write_bytes(whole[:keep])
        with pytest.raises(InvalidError, match="cannot be read") as caught:
            HandsFile(tmp_path / "a.h5")
        assert caught.value.hint.startswith(hint)
    write_hands(tmp_path / "a.h5", Hands(id=np.array(["a"]), joints=np.zeros((1, 21, 3))))
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        del file["hands/id"]
        file["hands/id"] = 3
    with pytest.raises(InvalidError, match="damaged"):
        HandsFile(tmp_path / "a.h5")


def test_a_file_of_another_kind_is_never_to_be_deleted(tmp_path):
    (tmp_path / "a.h5").write_text(" [[1, 2]]")
    (tmp_path / "b.h5").write_text("hello")
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file.attrs["format"] = "handbench-result-2"
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["x"] = 1
    for name, said in (("a", "is JSON"), ("b", "it is no HDF5"), ("c", "is a result"), ("d", "not one of handbench's")):
        with pytest.raises(InvalidError, match=said) as caught:
            HandsFile(tmp_path / f"{name}.h5")
        assert "elete" not in caught.value.hint
    write_hands(tmp_path / "e.h5", Hands(id=np.array(["a"]), joints=np.zeros((1, 21, 3))))
    whole = (tmp_path / "e.h5").read_bytes()
    (tmp_path / "e.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidError, match="damaged or cut short") as caught:
        HandsFile(tmp_path / "e.h5")
    assert "Delete it" in caught.value.hint
