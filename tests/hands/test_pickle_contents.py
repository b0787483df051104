"""Numbers, text, arrays and sparse matrices come out of an official pickle as they went in."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.sparse import csc_matrix

from handbench.errors import InvalidError
from handbench.hands.pickles import load_restricted

PROTOCOLS = range(6)
# modules as they are called now, and as they were when the official files were written
RENAMED = ((b"numpy._core.multiarray", b"numpy.core.multiarray"), (b"scipy.sparse._csc", b"scipy.sparse.csc"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_numbers_and_text_come_back_as_they_were(protocol, write):
    content = {
        "text": "wrist é", "none": None, "yes": True, "int": -(2**70), "float": 0.1, "bytes": b"\x00\xff",
        "list": [1, [2, ()]], "tuple": (1, (2, 3), 4, 5), "set": {1, "a"}, 7: "int key", b"b": 1,
    }  # fmt: skip
    assert load_restricted(write(pickle.dumps(content, protocol))) == content


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(6, dtype="<f4").reshape(2, 3)),
        np.arange(4, dtype=">f8"), np.arange(3, dtype=np.uint32), np.array(3.5), np.zeros((0, 3)),
        np.array([True, False]), np.arange(3, dtype=np.int8), np.array(["a", "bcd"]), np.array([b"a", b"bcd"]),
        np.array([1 + 2j]), np.arange(10)[::2], np.arange(3, dtype=np.float16),
    ],
    ids=lambda array: f"{array.dtype.str}{array.shape}",
)  # fmt: skip
def test_arrays_come_back_as_they_were(array, protocol, write):
    data = pickle.dumps([array, array], protocol)
    pair = load_restricted(write(data))
    assert pair[0] is pair[1]
    assert pair[0].dtype == pickle.loads(data)[0].dtype  # numpy turns foreign byte orders into its own
    np.testing.assert_array_equal(pair[0], array)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_scalars_and_sparse_matrices_come_back(protocol, write):
    matrix = csc_matrix(np.array([[0, 1.5, 0], [2.0, 0, 3.0]]))
    scalar, got = load_restricted(write(pickle.dumps((np.float32(2.5), matrix), protocol)))
    assert scalar == np.float32(2.5)
    assert scalar.dtype == np.float32
    np.testing.assert_array_equal(got.toarray(), matrix.toarray())


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_the_names_of_old_numpy_and_old_scipy_are_read(protocol, write):
    data = pickle.dumps((np.arange(3.0), np.float64(2), csc_matrix(np.eye(2))), protocol)
    for new, old in RENAMED:
        assert new in data
        data = data.replace(new, old)
    array, scalar, matrix = load_restricted(write(data))
    np.testing.assert_array_equal(array, [0, 1, 2])
    assert scalar == 2
    np.testing.assert_array_equal(matrix.toarray(), np.eye(2))


def test_strings_of_python_2_are_read_in_the_encoding_that_is_asked(write):
    path = write(b"\x80\x02U\x02a\xe9.")
    assert load_restricted(path) == "aé"
    assert load_restricted(path, encoding="bytes") == b"a\xe9"
    with pytest.raises(InvalidError):
        load_restricted(path, encoding="ascii")
