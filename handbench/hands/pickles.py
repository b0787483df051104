"""The only reader of pickles: it rebuilds numbers and text from an official file, and has no way to run code.

MANO's models, RHD's annotations and HO-3D's frames come as pickles, and a pickle is a program. This reader is an
interpreter of that program in which the dangerous instructions do not exist:

- an opcode that is not in `_PLAIN` or among the reader's own is refused (persistent ids, the extension registry,
  `INST`, `OBJ`, `NEWOBJ_EX`, out-of-band buffers);
- a global is admitted by its (module, name) pair, never by a prefix, and never becomes the real thing: what lies on
  the stack is an inert `_Admitted` token, and the few that may be called lead to the checked builders below;
- `BUILD` works once, on an object that this reader made itself; arrays and dtypes get a state that was checked
  against the bytes that are there, so no shape can ask for memory that the file does not pay for;
- keys of dicts and members of sets are plain (hashing a tuple a million levels deep ends the process).
"""

from __future__ import annotations

import io
import math
import pickle
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handbench.errors import HandbenchError, InvalidError, MissingError

# The largest official pickle (RHD's training annotations) is near 100 MB.
MAX_BYTES = 512 * 2**20
# Containers and memo entries; they cost up to 200 bytes for one byte of file. RHD's training annotations need 3 M.
MAX_OBJECTS = 10_000_000

_PLAIN_KEYS = (str, bytes, int, float, bool, type(None))
_DTYPE = re.compile(r"[<>=|]?(b1|\?|[iu][1248]|f(2|4|8)|c(8|16)|[SU][1-9][0-9]{0,8})")


class _Refused(Exception):
    """The pickle asks for something that this reader does not do."""


class _Admitted:
    """What stands for an admitted global: its name and, where it may be called, what is done instead."""

    __slots__ = ("call", "make", "name")

    def __init__(self, name: str, call: str = "", make: str = ""):
        # `call` and `make` name the builders of `_Reader` for REDUCE and NEWOBJ; empty: it may only be an argument.
        self.name, self.call, self.make = name, call, make


class Chumpy:
    """A pickled chumpy object, held still: which class it was (`Ch` or `Select`) and the attributes that it had."""

    __slots__ = ("kind", "state")

    def __init__(self, kind: str):
        self.kind = kind
        self.state: dict[str, Any] = {}


_NDARRAY = _Admitted("ndarray")
_OBJECT = _Admitted("object")
_DTYPE_CLASS = _Admitted("dtype", call="_dtype")
_RECONSTRUCT = _Admitted("_reconstruct", call="_array")
_SCALAR = _Admitted("scalar", call="_scalar")
_FROMBUFFER = _Admitted("_frombuffer", call="_frombuffer")
_ENCODE = _Admitted("encode", call="_encode")
_SET = _Admitted("set", call="_set")
_COPYREG = _Admitted("_reconstructor", call="_instance")
_CSC = _Admitted("csc_matrix", make="_csc")
_CH = _Admitted("Ch", make="_chumpy")
_SELECT = _Admitted("Select", make="_chumpy")

# (module, name) as written in the file -> what stands for it. The names of Python 2, 3, NumPy 1 and 2, old SciPy.
ADMITTED: dict[tuple[str, str], _Admitted] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _DTYPE_CLASS,
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy.core.multiarray", "scalar"): _SCALAR,
    ("numpy._core.multiarray", "scalar"): _SCALAR,
    ("numpy.core.numeric", "_frombuffer"): _FROMBUFFER,  # protocol 5
    ("numpy._core.numeric", "_frombuffer"): _FROMBUFFER,
    ("_codecs", "encode"): _ENCODE,  # bytes, in the old protocols
    ("scipy.sparse.csc", "csc_matrix"): _CSC,
    ("scipy.sparse._csc", "csc_matrix"): _CSC,
    ("chumpy.ch", "Ch"): _CH,
    ("chumpy.reordering", "Select"): _SELECT,
    ("__builtin__", "set"): _SET,  # chumpy's _dirty_vars, in the official MANO files
    ("builtins", "set"): _SET,
    ("copy_reg", "_reconstructor"): _COPYREG,  # instances, in protocols 0 and 1
    ("copyreg", "_reconstructor"): _COPYREG,
    ("__builtin__", "object"): _OBJECT,  # only as its argument
    ("builtins", "object"): _OBJECT,
}

_PLAIN = (
    "PROTO FRAME STOP NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT "
    "STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES "
    "BINBYTES8 EMPTY_TUPLE GET BINGET LONG_BINGET POP POP_MARK GLOBAL STACK_GLOBAL"
).split()
# The same, counted: what grows in memory by more than the file's own bytes.
_COUNTED = (
    "MARK DUP TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST LIST EMPTY_DICT EMPTY_SET PUT BINPUT LONG_BINPUT MEMOIZE"
).split()


def load_restricted(path: Path, *, encoding: str = "latin1") -> object:
    """Read an official pickle of protocol 0 to 5: containers, numbers, text, arrays, csc matrices, `Chumpy` stand-ins.

    `encoding` says how Python 2's strings are decoded (`latin1` keeps every byte; `bytes` leaves them as bytes).
    Raises MissingError if the file is not there, InvalidError if it is truncated, is no pickle, or names anything
    that is not admitted; nothing of it has run then.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InvalidError(
                f"{path} has {size / 2**20:,.0f} MiB; pickles are read up to {MAX_BYTES / 2**20:,.0f} MiB.",
                "The official pickles are smaller: is it the right file?",
            )
        data = path.read_bytes()
    except OSError as error:
        raise MissingError(f"{path} cannot be read ({error.strerror}).", "Check the path.") from error
    try:
        return _Reader(data, encoding).load()
    except HandbenchError:
        raise
    except _Refused as error:
        raise InvalidError(
            f"{path} was not read: {error}, which a file of numbers does not need and handbench does not admit.",
            "Nothing of it has run. Use the file from the dataset's own site.",
        ) from None
    except (
        pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError,
        NotImplementedError, OverflowError, MemoryError, RecursionError, struct.error,
    ) as error:  # fmt: skip
        what = f"{type(error).__name__}: {error}"[:120].rstrip(": ")
        raise InvalidError(
            f"{path} is truncated or not a pickle ({what}).", "Download it again from the dataset's own site."
        ) from None


class _Opcodes(dict):
    """Opcode -> what the reader does; an opcode that is not in it is refused by name."""

    def __missing__(self, code: int) -> Callable:
        from pickletools import code2op

        known = code2op.get(chr(code))
        if known is None:
            raise pickle.UnpicklingError(f"no such opcode: {code:#04x}")
        raise _Refused(f"it uses the opcode {known.name}")


class _Reader(pickle._Unpickler):  # the pure Python one: its instructions can be taken away one by one
    stack: list[Any]

    def __init__(self, data: bytes, encoding: str):
        super().__init__(io.BytesIO(data), fix_imports=False, encoding=encoding)
        self._objects = 0
        self._bytes_left = 2 * len(data) + 2**20
        self._unbuilt: dict[int, Any] = {}  # made by this reader, waiting for its state

    # ---- what may be named

    def find_class(self, module: str, name: str) -> Any:
        token = ADMITTED.get((module, name))
        if token is None:
            raise _Refused(f"it names {f'{module}.{name}'[:200]!r}")
        return token

    # ---- opcodes of our own

    def _reduce(self) -> None:
        args, function = self.stack.pop(), self.stack.pop()
        if type(function) is not _Admitted or not function.call or type(args) is not tuple:
            raise _Refused(f"it calls {_name(function)}")
        self.stack.append(getattr(self, function.call)(*args))

    def _newobj(self) -> None:
        args, cls = self.stack.pop(), self.stack.pop()
        if type(cls) is not _Admitted or not cls.make or args != ():
            raise _Refused(f"it makes an object of {_name(cls)}")
        self.stack.append(getattr(self, cls.make)(cls))

    def _build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if self._unbuilt.pop(id(target), None) is None:
            raise _Refused(f"it sets the state of {_name(target)}")
        if isinstance(target, np.ndarray):
            self._fill_array(target, *state)
        elif isinstance(target, np.dtype):
            _fill_dtype(target, *state)
        elif isinstance(target, Chumpy):
            if type(state) is not dict or not all(type(key) is str for key in state):
                raise _Refused("it gives a chumpy object a state that is no dict of names")
            target.state = state
        else:
            _fill_csc(target, state)

    def _setitems(self) -> None:
        items = self.pop_mark()
        self._update(self.stack[-1], items)

    def _setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._update(self.stack[-1], [key, value])

    def _dict(self) -> None:
        items = self.pop_mark()
        self.stack.append({})
        self._update(self.stack[-1], items)

    def _update(self, target: Any, items: list) -> None:
        if type(target) is not dict or len(items) % 2:
            raise _Refused(f"it sets items of {_name(target)}")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[_plain_key(key)] = value

    def _append(self) -> None:
        value = self.stack.pop()
        self._extend(self.stack[-1], [value])

    def _appends(self) -> None:
        values = self.pop_mark()
        self._extend(self.stack[-1], values)

    def _extend(self, target: Any, values: list) -> None:
        if type(target) is not list:
            raise _Refused(f"it appends to {_name(target)}")
        target.extend(values)

    def _additems(self) -> None:
        values = self.pop_mark()
        if type(self.stack[-1]) is not set:
            raise _Refused(f"it adds to {_name(self.stack[-1])}")
        self.stack[-1].update(map(_plain_key, values))

    def _bytearray8(self) -> None:
        # As bytes, and by reading: the original makes room for the length that the file claims.
        (length,) = struct.unpack("<Q", self.read(8))
        data = self.read(min(length, MAX_BYTES))
        if len(data) != length:
            raise EOFError("ran out of input")
        self.stack.append(data)

    def _stop(self) -> None:
        if self._unbuilt:
            raise pickle.UnpicklingError("an object was left without its state")
        raise pickle._Stop(self.stack.pop())

    # ---- what stands for a call

    def _array(self, cls: Any, shape: Any, code: Any) -> NDArray:
        if cls is not _NDARRAY or shape != (0,):
            raise _Refused(f"it makes an array of {_name(cls)}")
        return self._wait(np.ndarray((0,), "b"))

    def _dtype(self, spec: Any, align: Any = False, copy: Any = True) -> np.dtype:
        spec = spec.decode("latin1") if type(spec) is bytes else spec
        if type(spec) is not str or not _DTYPE.fullmatch(spec):
            raise _Refused(f"it makes the dtype {str(spec)[:40]!r}" if type(spec) is str else "it makes a dtype")
        return self._wait(np.dtype(spec, copy=True))

    def _scalar(self, dtype: Any, raw: Any = None) -> Any:
        return np.frombuffer(self._raw(raw, dtype, 1), dtype)[0]

    def _frombuffer(self, raw: Any, dtype: Any, shape: Any, order: Any) -> NDArray:
        if order not in ("C", "F"):
            raise _Refused("it orders an array in an unknown way")
        data = self._raw(raw, dtype, _count(shape))
        return np.frombuffer(data, dtype).reshape(shape, order=order).copy(order)

    def _encode(self, text: Any, encoding: Any = None) -> bytes:
        if type(text) is not str or encoding not in ("latin1", "latin-1"):
            raise _Refused("it calls _codecs.encode for something that is not bytes")
        self._pay(len(text))
        return text.encode("latin1")

    def _set(self, members: Any = ()) -> set:
        if type(members) not in (list, tuple):
            raise _Refused("it makes a set of something that is no list")
        return set(map(_plain_key, members))

    def _instance(self, cls: Any, base: Any, state: Any) -> Any:
        if type(cls) is not _Admitted or not cls.make or base is not _OBJECT or state is not None:
            raise _Refused(f"it makes an object of {_name(cls)}")
        return getattr(self, cls.make)(cls)

    def _chumpy(self, cls: _Admitted) -> Chumpy:
        return self._wait(Chumpy(cls.name))

    def _csc(self, cls: _Admitted) -> Any:
        from scipy.sparse import csc_matrix

        return self._wait(csc_matrix.__new__(csc_matrix))

    # ---- accounts

    def _wait(self, made: Any) -> Any:
        self._count_one()
        self._unbuilt[id(made)] = made  # held here, so that the id stays its own
        return made

    def _count_one(self) -> None:
        self._objects += 1
        if self._objects > MAX_OBJECTS:
            raise _Refused(f"it makes more than {MAX_OBJECTS:,} objects")

    def _pay(self, size: int) -> None:
        # A string that is written once can be named again and again; copies must not outgrow the file.
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise _Refused("it copies its own data over and over")

    def _raw(self, raw: Any, dtype: Any, count: int) -> bytes:
        if not isinstance(dtype, np.dtype) or id(dtype) in self._unbuilt and dtype.kind in "SU":
            raise _Refused(f"it makes an array of {_name(dtype)}")
        if type(raw) is str:
            raw = raw.encode("latin1")
        if type(raw) is not bytes:
            raise _Refused("it makes an array of objects")
        if count * dtype.itemsize != len(raw):
            raise ValueError(f"an array of {count} x {dtype.itemsize} bytes has {len(raw)}")
        self._pay(len(raw))
        return raw

    def _fill_array(self, array: NDArray, version: Any, shape: Any, dtype: Any, fortran: Any, raw: Any) -> None:
        # numpy's own __setstate__, with nothing left to find out
        array.__setstate__((1, shape, dtype, bool(fortran), self._raw(raw, dtype, _count(shape))))

    def _counted(opcode: str) -> Callable:  # type: ignore[misc]
        plain = pickle._Unpickler.dispatch[getattr(pickle, opcode)[0]]

        def counted(self: _Reader) -> None:
            self._count_one()
            plain(self)

        return counted

    dispatch = _Opcodes(
        {getattr(pickle, opcode)[0]: pickle._Unpickler.dispatch[getattr(pickle, opcode)[0]] for opcode in _PLAIN}
    )
    dispatch.update({getattr(pickle, opcode)[0]: _counted(opcode) for opcode in _COUNTED})
    dispatch.update(
        {
            pickle.REDUCE[0]: _reduce, pickle.NEWOBJ[0]: _newobj, pickle.BUILD[0]: _build, pickle.STOP[0]: _stop,
            pickle.DICT[0]: _dict, pickle.SETITEM[0]: _setitem, pickle.SETITEMS[0]: _setitems,
            pickle.APPEND[0]: _append, pickle.APPENDS[0]: _appends, pickle.ADDITEMS[0]: _additems,
            pickle.BYTEARRAY8[0]: _bytearray8,
        }
    )  # fmt: skip


def _name(value: Any) -> str:
    """What a refused operand is, in a word; never its repr, which may be endless."""
    return repr(value.name) if type(value) is _Admitted else f"a {type(value).__name__}"


def _plain_key(key: Any) -> Any:
    if type(key) not in _PLAIN_KEYS:
        raise _Refused(f"it uses a {type(key).__name__} as a key")
    return key


def _count(shape: Any) -> int:
    if type(shape) is not tuple or len(shape) > 32 or not all(type(size) is int and size >= 0 for size in shape):
        raise _Refused("it gives an array a shape that is none")
    return math.prod(shape)


def _fill_dtype(
    dtype: np.dtype, version: Any, order: Any, base: Any, names: Any, fields: Any, size: Any, align: Any, *more: Any
) -> None:
    order = order.decode("latin1") if type(order) is bytes else order
    plain = base is None and names is None and fields is None and not any(isinstance(part, dict) for part in more)
    orders = "|" if dtype.kind in "S?b" or dtype.itemsize == 1 else "<>="
    if not plain or size not in (-1, dtype.itemsize) or type(order) is not str or order not in tuple(orders):
        raise _Refused("it makes a dtype with fields")
    sized = (dtype.itemsize, dtype.alignment) if dtype.kind in "SU" else (-1, -1)
    dtype.__setstate__((3, order, None, None, None, *sized, 0))


def _fill_csc(matrix: Any, state: Any) -> None:
    """Give an empty csc matrix its arrays, checked entry by entry: scipy's C code trusts the indices."""
    from scipy.sparse import csc_matrix

    parts = [state.get(name) for name in ("data", "indices", "indptr")] if type(state) is dict else [None]
    shape = state.get("_shape") if type(state) is dict else None
    if not all(isinstance(part, np.ndarray) and part.dtype.kind in "iuf" and part.ndim == 1 for part in parts):
        raise _Refused("it gives a csc matrix a state that is none")
    if _count(shape) < 0 or len(shape) != 2 or any(part.dtype.kind == "f" for part in parts[1:]):
        raise _Refused("it gives a csc matrix a state that is none")
    real = csc_matrix(tuple(part.copy() for part in parts), shape=shape)
    real.check_format(full_check=True)
    matrix.__dict__.update(real.__dict__)
