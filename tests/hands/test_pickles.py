"""A pickle is a program: none of it runs here, and the official files still come through."""

from __future__ import annotations

import copyreg
import functools
import operator
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from handbench.errors import InvalidError
from handbench.hands import pickled_objects, pickles
from handbench.hands.pickles import load_restricted

PROTOCOLS = range(6)
# modules as they are called now, and as they were when the official files were written
RENAMED = ((b"numpy._core.multiarray", b"numpy.core.multiarray"), (b"scipy.sparse._csc", b"scipy.sparse.csc"))


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "it_ran"


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
    # A cached extension never passes find_class in the ordinary unpickler.
    copyreg.add_extension("os", "system", 240)
    try:
        data = b"\x80\x02\x82\xf0U\x0ctouch it_ran\x85R."
        pickle.loads(data)
        assert marker.exists(), "the gadget works on pickle itself"
        marker.unlink()
        assert 240 in copyreg._extension_cache
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
