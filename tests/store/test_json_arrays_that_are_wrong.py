"""An official file that is damaged is told in words of our own, with the entry."""

import numpy as np
import pytest

from handbench.errors import InvalidError
from handbench.hands.record import Hands
from handbench.store.hands_file import HandsFile, write_hands
from handbench.store.json_arrays import read_array


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[[0,0,0]],[[0,NaN,0]]]", "Entry 1 of .* has NaN or infinity"),
        ("[[[0,0,0]],[[0,1e999,0]]]", "Entry 1 of .* has NaN or infinity"),
        ("[[[-Infinity,0,0]]]", "Entry 0 of .* has NaN or infinity"),
        ("", "is empty"),
        ("[[[0,0,0]],[[0,", r"is not valid JSON: .* at character"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, said):
    path = tmp_path / "evaluation_xyz.json"
    path.write_text(text)
    with pytest.raises(InvalidError, match=said) as caught:
        read_array(path, (1, 3))
    assert "TAPE" not in caught.value.message


def test_a_file_of_another_kind_is_never_to_be_deleted(tmp_path):
    import h5py

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
