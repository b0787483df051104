"""A pickle's sizes are claims: none of them costs more than the file pays for, and damage is one known error."""

from __future__ import annotations

import contextlib
import pickle
import struct

import numpy as np
import pytest

from handbench.errors import InvalidError, MissingError
from handbench.hands import pickled_objects, pickles
from handbench.hands.pickles import load_restricted

PROTOCOLS = range(6)


ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
FLOAT = b"cnumpy\ndtype\n(S'f8'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        (b"(I1000000000000\nt", FLOAT),
        (b"(I-1\nt", FLOAT),
        (b"(I0\nI10000000000000000000000000\nt", FLOAT),
        (b"(I1\nt", b"cnumpy\ndtype\n(S'f8'\nI0\nI1\ntR"),  # a dtype without its state
        (b"(I1\nt", b"cnumpy\ndtype\n(S'S999999999'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntb"),
        (b"(I1\nt", b"cnumpy\ndtype\n(S'f8'\nI0\nI1\ntR(I3\nS'<'\nNNNI1\nI1\nI0\ntb"),  # another size
        (b"(I1\nt", b"cnumpy\ndtype\n(S'f8'\nI0\nI1\ntR(I3\nS'|'\nN(S'a'\nt}I-1\nI-1\nI0\ntb"),  # fields
        (b"S'a'\n", FLOAT),
        (b"(F1.5\nt", FLOAT),
    ],
)
def test_an_array_is_as_large_as_its_bytes(shape, dtype, write):
    with pytest.raises(InvalidError):
        load_restricted(write(ARRAY + b"(I1\n" + shape + dtype + b"I00\nS'12345678'\ntb."))


def test_the_array_of_that_form_is_read_where_it_is_right(write):
    data = ARRAY + b"(I1\n(I1\nt" + FLOAT + b"I00\nS'" + b"\\x00" * 6 + b"\\xf0?'\ntb."
    np.testing.assert_array_equal(load_restricted(write(data)), [1.0])


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b"abc.",  # a bytearray
        b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"abc.",  # bytes
        b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"abc.",  # text
        b"\x80\x02T" + struct.pack("<i", -5) + b"abc.",
        b"\x80\x02\x8b" + struct.pack("<i", -5) + b"abc.",
        b"Nr\xff\xff\xff\xff" + b"j\xff\xff\xff\xff",  # the memo's last place, then no end
        b"I" + b"9" * 5000 + b"\n.",
    ],
)
def test_a_length_is_only_a_claim(data, write):
    with pytest.raises(InvalidError):
        load_restricted(write(data))


def test_a_frame_may_claim_what_it_wants(write):
    assert load_restricted(write(b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"N.")) is None


def test_a_file_that_is_too_large_is_not_opened(write, monkeypatch):
    monkeypatch.setattr(pickles, "MAX_BYTES", 3)
    with pytest.raises(InvalidError, match="up to"):
        load_restricted(write(b"]]]]0000."))


def test_objects_are_counted(write, monkeypatch):
    monkeypatch.setattr(pickled_objects, "MAX_OBJECTS", 100)
    with pytest.raises(InvalidError, match="more than 100 objects"):
        load_restricted(write(b"]" * 101 + b"."))


def test_one_string_is_not_copied_without_end(write):
    text = b"V" + b"a" * 100_000 + b"\np0\n0"
    once = b"c_codecs\nencode\n(g0\nVlatin1\ntR0"
    assert load_restricted(write(text + once + b"N.")) is None
    with pytest.raises(InvalidError, match="over and over"):
        load_restricted(write(text + once * 1000 + b"N."))


def test_a_deep_nest_does_not_end_the_process(write):
    deep = load_restricted(write(b"]" + b"]" * 200_000 + b"a" * 200_000 + b"."))
    assert type(deep) is list
    with pytest.raises(InvalidError, match="a tuple as a key"):
        load_restricted(write(b"}" + b"N" + b"\x85" * 200_000 + b"Ns."))


def test_a_built_array_cannot_be_built_again(write):
    """The indices of a csc matrix are checked once; scipy's C code trusts them ever after."""
    array = ARRAY + b"p0\n(I1\n(I1\nt" + FLOAT + b"I00\nS'12345678'\ntb"
    assert load_restricted(write(array + b".")).shape == (1,)
    with pytest.raises(InvalidError, match="sets the state"):
        load_restricted(write(array + b"0g0\n(I1\n(I0\nt" + FLOAT + b"I00\nS''\ntb."))


def test_an_object_without_its_state_is_not_handed_out(write):
    with pytest.raises(InvalidError, match="without its state"):
        load_restricted(write(b"\x80\x02cchumpy.ch\nCh\n)\x81."))


def csc_state(**changes) -> bytes:
    state = {
        "_shape": (2, 2), "data": np.ones(2), "indices": np.array([0, 1], np.int32),
        "indptr": np.array([0, 1, 2], np.int32), **changes,
    }  # fmt: skip
    body = pickle.dumps(state, 2)
    return b"\x80\x02cscipy.sparse.csc\ncsc_matrix\n)\x81" + body[2:-1] + b"b."


def test_a_csc_matrix_of_that_form_is_read(write):
    np.testing.assert_array_equal(load_restricted(write(csc_state())).toarray(), np.eye(2))


@pytest.mark.parametrize(
    "changes",
    [
        {"indices": np.array([0, 9], np.int32)},
        {"indices": np.array([0, -7], np.int32)},
        {"indptr": np.array([0, 1, 99], np.int32)},
        {"indptr": np.array([0, 1], np.int32)},
        {"indptr": np.array([2, 1, 0], np.int32)},
        {"data": np.ones(1)},
        {"data": None},
        {"data": np.ones((2, 1))},
        {"indices": np.array([0.0, 1.0])},
        {"_shape": None},
        {"_shape": (2, 2, 2)},
        {"_shape": (-2, 2)},
        {"_shape": (2**60, 2)},
        {"_shape": ("a", 2)},
    ],
)
def test_the_indices_of_a_csc_matrix_stay_inside(changes, write):
    with pytest.raises(InvalidError):
        load_restricted(write(csc_state(**changes)))


# ---- what is wrong without malice


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(MissingError):
        load_restricted(tmp_path / "MANO_RIGHT.pkl")
    with pytest.raises(MissingError):
        load_restricted(tmp_path)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_file_that_is_cut_anywhere_is_truncated(protocol, write):
    data = pickle.dumps({"a": np.arange(3.0), "b": ["text", 1, {2}]}, protocol)
    for end in range(len(data)):
        with pytest.raises(InvalidError):
            load_restricted(write(data[:end]))


@pytest.mark.parametrize("junk", [b"", b"PK\x03\x04", b"\x93NUMPY", b"<!DOCTYPE html>", b"\x80\x09.", b"\xff" * 40])
def test_something_else_is_not_a_pickle(junk, write):
    with pytest.raises(InvalidError):
        load_restricted(write(junk))


def test_no_damage_to_a_byte_gets_past_as_another_error(write):
    data = pickle.dumps({"K": np.eye(3), "s": {1, 2}, "n": np.float32(2), "t": ("a", b"b", None, 1.5)}, 2)
    rng = np.random.default_rng(0)
    for _ in range(1500):
        broken = bytearray(data)
        for at in rng.integers(0, len(data), rng.integers(1, 4)):
            broken[at] = rng.integers(0, 256)
        with contextlib.suppress(InvalidError):
            load_restricted(write(bytes(broken)))
