"""A pickle is a program: none of it runs here, and the official files still come through."""

from __future__ import annotations

import contextlib
import copyreg
import functools
import operator
import pickle
import struct
import sys
import types
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csc_matrix

from handbench.errors import InvalidError, MissingError, UsageError
from handbench.hands import pickled_objects, pickles
from handbench.hands.joints import FINGERTIPS
from handbench.hands.mano import MANO_ARRAYS
from handbench.hands.mano_pickle import chumpy_array, read_mano_pickle
from handbench.hands.pickles import load_restricted

PROTOCOLS = range(6)
# modules as they are called now, and as they were when the official files were written
RENAMED = ((b"numpy._core.multiarray", b"numpy.core.multiarray"), (b"scipy.sparse._csc", b"scipy.sparse.csc"))


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "it_ran"


@pytest.fixture
def write(tmp_path: Path):
    def write(data: bytes, name: str = "file.pkl") -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


class Calls:
    """Pickles as a call of `function(*args)`, with an optional state."""

    def __init__(self, function, *args, state=None):
        self.call = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.call


def nested_calls() -> dict[str, object]:
    code = "open('it_ran', 'w').close()"
    import os

    return {
        "os.system": Calls(os.system, "touch it_ran"),
        "eval": Calls(eval, code),
        "exec": Calls(exec, code),
        "open": Calls(open, "it_ran", "w"),
        "import": Calls(__import__, "os"),
        "getattr": Calls(getattr, "text", "upper"),
        "partial": Calls(functools.partial(os.system, "touch it_ran")),
        "attrgetter": Calls(operator.attrgetter("a")),
        "methodcaller": Calls(operator.methodcaller("upper"), "text"),
        "numpy.load": Calls(np.load, "other.npy"),
        "numpy.fromfile": Calls(np.fromfile, "other.npy"),
        "numpy.memmap": Calls(np.memmap, "it_ran", "u1", "w+", 0, (1,)),
        "numpy.zeros": Calls(np.zeros, 10**15),
        "numpy.ndarray called": Calls(np.ndarray, (10**15,)),
        "OrderedDict": OrderedDict(a=1),
        "complex": 1j,
        "range": range(3),
        "frozenset": frozenset({1}),
        "a function": os.path.join,
        "inside a list": [1, {"a": (2, Calls(os.system, "touch it_ran"))}],
        "as a state": Calls(set, [], state={"x": Calls(os.system, "touch it_ran")}),
        "as the argument of an admitted one": Calls(set, Calls(os.system, "touch it_ran")),
        "an object array": np.array([Calls(os.system, "touch it_ran")], dtype=object),
        "a structured array": np.zeros(2, dtype=[("a", "f8")]),
        "dates": np.zeros(2, dtype="M8[s]"),
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("what", nested_calls())
def test_what_pickle_would_call_is_refused(what, protocol, marker, write):
    path = write(pickle.dumps(nested_calls()[what], protocol))
    with pytest.raises(InvalidError, match=str(path)) as refusal:
        load_restricted(path)
    assert "was not read" in refusal.value.message
    assert refusal.value.exit_code == 4
    assert not marker.exists()


def test_a_refusal_names_the_global_and_the_file(write):
    path = write(b"cos\nsystem\n(S'touch it_ran'\ntR.")
    with pytest.raises(InvalidError, match=r"file\.pkl was not read: it names 'os\.system'"):
        load_restricted(path)


# Written by hand, as no pickler would.
GADGETS = {
    "numpy.testing runs strings": b'cnumpy.testing._private.utils\nrunstring\n(S\'open("it_ran","w")\'\n}tR.',
    "numpy.testing's own name": b'cnumpy.testing\nmeasure\n(S\'open("it_ran","w")\'\ntR.',
    "numpy.f2py": b'cnumpy.f2py.crackfortran\nmyeval\n(S\'open("it_ran","w")\'\ntR.',
    "numpy.lib.npyio": b"cnumpy.lib.npyio\nload\n(S'x'\ntR.",
    "scipy by prefix": b"cscipy.sparse\nload_npz\n(S'x'\ntR.",
    "chumpy by prefix": b"cchumpy.ch\nos\n.",
    "a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.dump\x93.",
    "a dotted name that leads to os": b"\x80\x04\x8c\x05numpy\x8c\x11ctypeslib.os.read\x93.",
    "codecs.decode": b"c_codecs\ndecode\n(S'x'\nS'rot13'\ntR.",
    "codecs.encode with a codec of its own": b"c_codecs\nencode\n(Vx\nVzlib_codec\ntR.",
    "codecs.open": b"ccodecs\nopen\n(S'it_ran'\nS'w'\ntR.",
    "copyreg": b"ccopyreg\n__newobj__\n(cbuiltins\nset\ntR.",
    "copy_reg._reconstructor of a set": b"ccopy_reg\n_reconstructor\n(c__builtin__\nset\nc__builtin__\nlist\nNtR.",
    "copy_reg._reconstructor of object": b"ccopyreg\n_reconstructor\n(cbuiltins\nobject\ncbuiltins\nobject\nNtR.",
    "object()": b"c__builtin__\nobject\n(tR.",
    "INST": b"(S'touch it_ran'\nios\nsystem\n.",
    "INST of an admitted one": b"(ichumpy.ch\nCh\n.",
    "OBJ": b"(cchumpy.ch\nCh\no.",
    "NEWOBJ of what is not there": b"\x80\x02cbuiltins\nset\n)\x81.",
    "NEWOBJ with arguments": b"\x80\x02cchumpy.ch\nCh\nK\x01\x85\x81.",
    "NEWOBJ_EX": b"\x80\x04\x8c\x09chumpy.ch\x8c\x02Ch\x93)}\x92.",
    "PERSID": b"Pabc\n.",
    "BINPERSID": b"\x80\x02U\x01aQ.",
    "EXT1": b"\x80\x02\x82\x01.",
    "EXT2": b"\x80\x02\x83\x01\x00.",
    "EXT4": b"\x80\x02\x84\x01\x00\x00\x00.",
    "NEXT_BUFFER": b"\x80\x05\x97.",
    "READONLY_BUFFER": b"\x80\x05C\x01a\x98.",
    "REDUCE of a string": b"S'upper'\n(tR.",
    "REDUCE with no tuple": b"cbuiltins\nset\n]R.",
    "BUILD of a class": b"\x80\x02cchumpy.ch\nCh\nN}U\x04calls\x88s\x86b.",
    "BUILD of a function": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n}U\x01ac__builtin__\nset\nsb.",
    "BUILD of a dict": b"}}b.",
    "BUILD of a list": b"]}b.",
    "BUILD, with attributes, of a chumpy object": b"\x80\x02cchumpy.ch\nCh\n)\x81N}U\x01aK\x01s\x86b.",
    "items of an array": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85NtRK\x00K\x01s.",
    "an array of another class": b"cnumpy.core.multiarray\n_reconstruct\n(cchumpy.ch\nCh\n(I0\ntS'b'\ntR.",
    "a huge array": b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I1000000000000\ntS'b'\ntR.",
    "a dtype of objects": b"cnumpy\ndtype\n(S'O8'\nI0\nI1\ntR.",
    "a dtype of fields": b"cnumpy\ndtype\n(S'f8,f8'\nI0\nI1\ntR.",
    "a dtype of void": b"cnumpy\ndtype\n(S'V8'\nI0\nI1\ntR.",
    "a dtype of a class": b"cnumpy\ndtype\n(c__builtin__\nobject\nI0\nI1\ntR.",
    "a tuple as a key": b"}(I1\ntI1\ns.",
    "a tuple in a set": b"\x80\x04\x8f(K\x01\x85\x90.",
    "a set of a dict": b"cbuiltins\nset\n(}tR.",
    "append to a dict": b"}I1\na.",
    "add to a list": b"\x80\x04](K\x01\x90.",
}


@pytest.mark.parametrize("gadget", GADGETS)
def test_a_crafted_program_is_refused(gadget, marker, write):
    with pytest.raises(InvalidError, match="was not read"):
        load_restricted(write(GADGETS[gadget]))
    assert not marker.exists()


def test_the_extension_registry_is_never_asked(marker, write):
    import os

    # A cached extension never passes find_class in the ordinary unpickler.
    copyreg.add_extension("os", "system", 240)
    try:
        data = b"\x80\x02\x82\xf0U\x0ctouch it_ran\x85R."
        pickle.loads(data)
        assert marker.exists(), "the gadget works on pickle itself"
        marker.unlink()
        assert 240 in copyreg._extension_cache or os.system
        with pytest.raises(InvalidError, match="EXT1"):
            load_restricted(write(data))
        assert not marker.exists()
    finally:
        copyreg.remove_extension("os", "system", 240)


def test_every_opcode_is_either_listed_or_refused():
    import pickletools

    known = {op.code for op in pickletools.opcodes}
    admitted = {chr(code) for code in pickles._Reader.dispatch}
    refused = {op.name for op in pickletools.opcodes if op.code not in admitted}
    assert admitted <= known
    assert refused == {
        "INST", "OBJ", "NEWOBJ_EX", "PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4",
        "NEXT_BUFFER", "READONLY_BUFFER", "FROZENSET",
    }  # fmt: skip


def test_no_admitted_name_is_the_real_thing():
    for token in pickled_objects.ADMITTED.values():
        assert type(token) is pickled_objects.Admitted
    with pytest.raises(AttributeError):
        next(iter(pickled_objects.ADMITTED.values())).call = print  # frozen


# ---- exhausting the machine


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


# ---- what is admitted


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
    pair = load_restricted(write(pickle.dumps([array, array], protocol)))
    assert pair[0] is pair[1]
    assert pair[0].dtype == array.dtype
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


# ---- a hand in the form of MANO's official files


def made_up_hand(side: str = "right") -> dict[str, object]:
    """Arrays in MANO's shapes and frame: a flat right hand, fingers along -x, palm along -y, thumb towards +z."""
    rng = np.random.default_rng(3)
    joints = np.zeros((16, 3))
    joints[0] = [0.095, 0, 0]
    roots = {1: 0.02, 4: 0.0, 7: -0.04, 10: -0.02}  # index, middle, little, ring: place across the hand
    for first, z in roots.items():
        joints[first : first + 3] = [[0.0 - 0.025 * k, 0, z] for k in range(3)]
    joints[13:16] = [[0.07 - 0.025 * k, -0.015, 0.03 + 0.015 * k] for k in range(3)]
    vertices = rng.normal(0, 0.01, (778, 3))
    vertices[:16] = joints
    weights = np.zeros((778, 16))
    weights[np.arange(778), rng.integers(0, 16, 778)] = 1
    weights[:16] = np.eye(16)
    for finger, (tip, first) in enumerate(zip(FINGERTIPS["manopth"], (13, 1, 4, 10, 7), strict=True)):
        vertices[tip] = joints[first + 2] + [-0.02, 0, 0.005 * (finger == 0)]
        weights[tip] = np.eye(16)[first + 2]
    regressor = np.zeros((16, 778))
    regressor[:, :16] = np.eye(16)
    mean = np.zeros(45)
    mean.reshape(15, 3)[:, 2] = 0.3  # about +z: fingers along -x bend towards -y
    if side == "left":
        vertices[:, 0] *= -1
        mean = (mean.reshape(15, 3) * [1, -1, -1]).ravel()
    parents = [2**32 - 1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14]
    return {
        "v_template": vertices,
        "f": rng.integers(0, 778, (1538, 3)).astype(np.uint32),
        "posedirs": rng.normal(0, 1e-3, (778, 3, 135)),
        "shapedirs": rng.normal(0, 1e-3, (778, 3, 10)),
        "J_regressor": regressor,
        "weights": weights,
        "kintree_table": np.array([parents, range(16)], np.int64),
        "hands_components": np.linalg.qr(rng.normal(size=(45, 45)))[0],
        "hands_mean": mean,
        "hands_coeffs": rng.normal(size=(100, 45)),
        "J": joints,
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }


@contextlib.contextmanager
def chumpy_modules():
    """Stand-ins for chumpy's classes, as they were when the official files were written."""
    names = {"chumpy": [], "chumpy.ch": ["Ch"], "chumpy.reordering": ["Select"]}
    modules = {name: types.ModuleType(name) for name in names}
    for name, classes in names.items():
        for cls in classes:
            setattr(modules[name], cls, type(cls, (), {"__module__": name}))
    saved = {name: sys.modules.get(name) for name in names}
    sys.modules.update(modules)
    try:
        yield modules["chumpy.ch"].Ch, modules["chumpy.reordering"].Select
    finally:
        for name, module in saved.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module


def official_bytes(arrays: dict[str, object], protocol: int = 2) -> bytes:
    """The arrays as the official files hold them: the first ten of twenty shape directions chosen by chumpy, a sparse
    regressor, Python 2's module names."""
    directions = np.concatenate([arrays["shapedirs"], np.full((778, 3, 10), 9.0)], axis=2)
    with chumpy_modules() as (Ch, Select):
        base, chosen = Ch(), Select()
        base.__dict__ = {"x": directions, "_dirty_vars": {"x"}, "_itr": None}
        indices = np.arange(directions.size).reshape(directions.shape)[:, :, :10].ravel()
        chosen.__dict__ = {"a": base, "idxs": indices, "preferred_shape": (778, 3, 10), "_dirty_vars": set()}
        content = {**arrays, "shapedirs": chosen, "J_regressor": csc_matrix(arrays["J_regressor"])}
        data = pickle.dumps(content, protocol, fix_imports=True)
    for new, old in RENAMED:
        data = data.replace(new, old) if protocol < 4 else data
    return data


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("side", ["right", "left"])
def test_an_official_file_becomes_a_hand_model(side, protocol, write):
    arrays = made_up_hand(side)
    model = read_mano_pickle(write(official_bytes(arrays, protocol), f"MANO_{side.upper()}.pkl"))
    assert (model.side, model.source) == (side, "mano")
    for name in MANO_ARRAYS:
        np.testing.assert_array_equal(getattr(model, name), np.asarray(arrays[name], float))
    assert model.f.dtype == np.int64
    assert model.v_template.dtype == np.float64
    assert list(model.parents[:5]) == [-1, 0, 1, 2, 0]


def test_the_modules_of_chumpy_are_not_needed(write):
    path = write(official_bytes(made_up_hand()), "MANO_RIGHT.pkl")
    assert "chumpy" not in sys.modules
    read_mano_pickle(path)
    assert "chumpy" not in sys.modules


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("flat", [False, True])
def test_the_shape_of_the_hand_tells_its_side(side, flat, write):
    arrays = made_up_hand(side)
    if flat:
        arrays["hands_mean"] = np.zeros(45)
    assert read_mano_pickle(write(official_bytes(arrays), "model.pkl")).side == side


def test_a_name_that_contradicts_the_hand_is_an_error(write):
    path = write(official_bytes(made_up_hand("left")), "MANO_RIGHT.pkl")
    with pytest.raises(InvalidError, match="left hand"):
        read_mano_pickle(path)
    assert read_mano_pickle(path, "left").side == "left"
    with pytest.raises(InvalidError, match="left hand"):
        read_mano_pickle(path, "right")
    with pytest.raises(UsageError):
        read_mano_pickle(path, "upper")


def test_a_body_is_not_a_hand(write):
    arrays = {"v_template": np.zeros((6890, 3)), "f": np.zeros((13776, 3), np.uint32)}
    with pytest.raises(InvalidError, match=r"\(6890, 3\).*SMPL"):
        read_mano_pickle(write(pickle.dumps(arrays, 2), "SMPL.pkl"))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"weights": np.zeros((778, 24))}, r"'weights' has shape \(778, 24\)"),
        ({"v_template": np.full((778, 3), np.nan)}, "finite"),
        ({"v_template": "none"}, "no array"),
        ({"v_template": np.full((778, 3), "a")}, "finite numbers"),
        ({"f": np.full((1538, 3), 778)}, "0 to 777"),
        ({"kintree_table": np.full((2, 16), 15)}, "before its parent"),
        ({"J_regressor": csc_matrix((24, 6890))}, "SMPL"),
        ({"J_regressor": csc_matrix((2**39, 1))}, "shape"),
    ],
)
def test_a_wrong_part_is_named(change, match, write):
    arrays = made_up_hand()
    path = write(pickle.dumps({**arrays, **change}, 2), "MANO_RIGHT.pkl")
    with pytest.raises(InvalidError, match=match):
        read_mano_pickle(path)


def test_a_missing_part_is_named(write):
    arrays = made_up_hand()
    del arrays["hands_mean"]
    with pytest.raises(InvalidError, match="has no hands_mean"):
        read_mano_pickle(write(pickle.dumps(arrays, 2), "MANO_RIGHT.pkl"))
    with pytest.raises(InvalidError, match="holds a list"):
        read_mano_pickle(write(pickle.dumps([1], 2), "MANO_RIGHT.pkl"))


def test_a_selection_that_points_outside_is_an_error(write):
    with chumpy_modules() as (Ch, Select):
        base, chosen = Ch(), Select()
        base.__dict__ = {"x": np.zeros(4)}
        chosen.__dict__ = {"a": base, "idxs": np.array([9])}
        data = pickle.dumps({**made_up_hand(), "shapedirs": chosen}, 2)
        chosen.__dict__ = {"a": chosen, "idxs": np.array([0])}
        endless = pickle.dumps({**made_up_hand(), "shapedirs": chosen}, 2)
    with pytest.raises(InvalidError, match="shapedirs"):
        read_mano_pickle(write(data, "MANO_RIGHT.pkl"))
    with pytest.raises(InvalidError, match="shapedirs"):
        read_mano_pickle(write(endless, "MANO_RIGHT.pkl"))
    with pytest.raises(ValueError, match="no array"):
        chumpy_array({"x": np.zeros(3)})
