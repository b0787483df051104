"""What a pickle may name, and how the few admitted objects are made from checked parts.

A global in a pickle never becomes the real class or function: an inert `Admitted` token lies in its place, and the
builders here make the object. Every size is compared with the bytes that are there, so that no shape can ask for
memory that the file does not pay for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Containers, objects and memo entries; each may cost 200 bytes for one byte of file. RHD's annotations need 3 M.
MAX_OBJECTS = 10_000_000

_PLAIN_KEYS = (str, bytes, int, float, bool, type(None))
_DTYPE = re.compile(r"[<>=|]?(b1|\?|[iu][1248]|f[248]|c8|c16|[SU][1-9][0-9]{0,8})")


class Refused(Exception):
    """The pickle asks for something that this reader does not do."""


@dataclass
class Accounts:
    """What one reading has made and may still copy.

    `unbuilt` holds, by id, what a builder made and what still waits for its state: the only things that BUILD may
    touch, once. A string that is written once can be named again and again: `bytes_left` keeps copies from outgrowing
    the file.
    """

    bytes_left: int
    objects: int = 0
    unbuilt: dict[int, Any] = field(default_factory=dict)

    def count(self) -> None:
        self.objects += 1
        if self.objects > MAX_OBJECTS:
            raise Refused(f"it makes more than {MAX_OBJECTS:,} objects")

    def pay(self, size: int) -> None:
        self.bytes_left -= size
        if self.bytes_left < 0:
            raise Refused("it copies its own data over and over")

    def wait(self, made: Any) -> Any:
        self.count()
        self.unbuilt[id(made)] = made  # held, so that the id stays its own
        return made


@dataclass(frozen=True, eq=False)
class Admitted:
    """What stands for an admitted global; without `call` and `make` it may only be an argument.

    `call(accounts, *args)` is done where the pickle calls it, `make(accounts)` where it makes an instance.
    """

    name: str
    call: Callable[..., Any] | None = None
    make: Callable[[Accounts], Any] | None = None


class Chumpy:
    """A pickled chumpy object, held still: which class it was (`Ch` or `Select`) and the attributes that it had."""

    __slots__ = ("kind", "state")

    def __init__(self, kind: str):
        self.kind = kind
        self.state: dict[str, Any] = {}


def name_of(value: Any) -> str:
    """What a refused operand is, in a word; never its repr, which may be endless."""
    return repr(value.name) if type(value) is Admitted else f"a {type(value).__name__}"


def plain_key(key: Any) -> Any:
    """A key of a dict or a member of a set; hashing a tuple a million levels deep would end the process."""
    if type(key) not in _PLAIN_KEYS:
        raise Refused(f"it uses a {type(key).__name__} as a key")
    return key


def _length(shape: Any) -> int:
    if type(shape) is not tuple or len(shape) > 32 or not all(type(size) is int and size >= 0 for size in shape):
        raise Refused("it gives an array a shape that is none")
    return math.prod(shape)


def _raw(accounts: Accounts, raw: Any, dtype: Any, count: int) -> bytes:
    """The bytes of `count` numbers of a finished plain dtype; the file must hold exactly as many."""
    if not isinstance(dtype, np.dtype) or id(dtype) in accounts.unbuilt:
        raise Refused(f"it makes an array of {name_of(dtype)}")
    if type(raw) is str:  # Python 2's str, decoded
        raw = raw.encode("latin1")
    if type(raw) is not bytes:
        raise Refused("it makes an array of objects")
    if count * dtype.itemsize != len(raw):
        raise ValueError(f"an array of {count} x {dtype.itemsize} bytes has {len(raw)}")
    accounts.pay(len(raw))
    return raw


# ---- what stands for a call


def _array(accounts: Accounts, cls: Any, shape: Any, code: Any) -> NDArray:
    if cls is not _NDARRAY or shape != (0,):
        raise Refused(f"it makes an array of {name_of(cls)}")
    return accounts.wait(np.ndarray((0,), "b"))


def _dtype(accounts: Accounts, spec: Any, align: Any = False, copy: Any = True) -> np.dtype:
    spec = spec.decode("latin1") if type(spec) is bytes else spec
    if type(spec) is not str:
        raise Refused("it makes a dtype with fields")
    if not _DTYPE.fullmatch(spec):
        raise Refused(f"it makes the dtype {spec[:40]!r}")
    return accounts.wait(np.dtype(spec, copy=True))


def _scalar(accounts: Accounts, dtype: Any, raw: Any = None) -> Any:
    return np.frombuffer(_raw(accounts, raw, dtype, 1), dtype)[0]


def _frombuffer(accounts: Accounts, raw: Any, dtype: Any, shape: Any, order: Any) -> NDArray:
    if type(order) is not str or order not in "CF":
        raise Refused("it orders an array in an unknown way")
    data = np.frombuffer(_raw(accounts, raw, dtype, _length(shape)), dtype)
    return data.reshape(shape, order="F" if order == "F" else "C").copy("K")


def _encode(accounts: Accounts, text: Any, encoding: Any = None) -> bytes:
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise Refused("it calls '_codecs.encode' for something that is not bytes")
    accounts.pay(len(text))
    return text.encode("latin1")


def _no_bytes(accounts: Accounts) -> bytes:
    return b""  # how Python 3 writes empty bytes in protocols 0 to 2


def _set(accounts: Accounts, members: Any = ()) -> set:
    if type(members) not in (list, tuple):
        raise Refused("it makes a set of something that is no list")
    accounts.count()
    accounts.pay(64 * len(members))
    return set(map(plain_key, members))


def _instance(accounts: Accounts, cls: Any, base: Any, state: Any) -> Any:
    if type(cls) is not Admitted or cls.make is None or base is not _OBJECT or state is not None:
        raise Refused(f"it makes an object of {name_of(cls)}")
    return cls.make(accounts)


def _csc(accounts: Accounts) -> Any:
    from scipy.sparse import csc_matrix

    return accounts.wait(csc_matrix.__new__(csc_matrix))


# ---- states


def fill(accounts: Accounts, target: Any, state: Any) -> None:
    """Give `target`, which a builder made and which has no state yet, the state of the pickle."""
    if accounts.unbuilt.pop(id(target), None) is None:
        raise Refused(f"it sets the state of {name_of(target)}")
    if isinstance(target, np.ndarray):
        _, shape, dtype, fortran, raw = state
        _set_state(target, (1, shape, dtype, bool(fortran), _raw(accounts, raw, dtype, _length(shape))))
    elif isinstance(target, np.dtype):
        _fill_dtype(target, *state)
    elif isinstance(target, Chumpy):
        if type(state) is not dict or not all(type(key) is str for key in state):
            raise Refused("it gives a chumpy object a state that is no dict of names")
        target.state = state
    else:
        _fill_csc(accounts, target, state)


def _fill_dtype(
    dtype: np.dtype, version: Any, order: Any, base: Any, names: Any, fields: Any, size: Any, align: Any, *more: Any
) -> None:
    order = order.decode("latin1") if type(order) is bytes else order
    if base is not None or names is not None or fields is not None or any(type(part) is not int for part in more):
        raise Refused("it makes a dtype with fields")
    if order not in (("|",) if dtype.kind == "S" or dtype.itemsize == 1 else ("<", ">", "=")):
        raise Refused("it gives a dtype a byte order that is none")
    if size not in (-1, dtype.itemsize):
        raise Refused("it gives a dtype a size that is not its own")
    sized = (dtype.itemsize, dtype.alignment) if dtype.kind in "SU" else (-1, -1)
    _set_state(dtype, (3, order, None, None, None, *sized, dtype.flags))


def _set_state(made: Any, checked: tuple[Any, ...]) -> None:
    """numpy's own `__setstate__`, with nothing left for it to find out."""
    made.__setstate__(checked)


def _fill_csc(accounts: Accounts, matrix: Any, state: Any) -> None:
    """Give an empty csc matrix its arrays, copied and checked entry by entry: scipy's C code trusts the indices."""
    from scipy.sparse import csc_matrix

    wrong = Refused("it gives a csc matrix a state that is none")
    if type(state) is not dict:
        raise wrong
    parts: list[Any] = [state.get(name) for name in ("data", "indices", "indptr")]
    data, indices, indptr = parts
    if not all(isinstance(part, np.ndarray) and part.ndim == 1 and id(part) not in accounts.unbuilt for part in parts):
        raise wrong
    if data.dtype.kind not in "iuf" or indices.dtype.kind != "i" or indptr.dtype.kind != "i":
        raise wrong
    shape = state.get("_shape")
    if type(shape) is not tuple or len(shape) != 2 or _length(shape) > 2**40:
        raise wrong
    for part in parts:
        accounts.pay(part.nbytes)
    real = csc_matrix((data.copy(), indices.copy(), indptr.copy()), shape=shape)
    real.check_format(full_check=True)
    matrix.__dict__.update(real.__dict__)


_NDARRAY = Admitted("ndarray")
_OBJECT = Admitted("object")
_MAKE_DTYPE = Admitted("dtype", call=_dtype)
_MAKE_ARRAY = Admitted("_reconstruct", call=_array)
_MAKE_SCALAR = Admitted("scalar", call=_scalar)
_FROM_BUFFER = Admitted("_frombuffer", call=_frombuffer)
_MAKE_BYTES = Admitted("encode", call=_encode)
_MAKE_NO_BYTES = Admitted("bytes", call=_no_bytes)
_MAKE_SET = Admitted("set", call=_set)
_MAKE_INSTANCE = Admitted("_reconstructor", call=_instance)
_CSC = Admitted("csc_matrix", make=_csc)
_CH = Admitted("Ch", make=lambda accounts: accounts.wait(Chumpy("Ch")))
_SELECT = Admitted("Select", make=lambda accounts: accounts.wait(Chumpy("Select")))

# (module, name) as written in the file -> what stands for it, under the names of Python 2 and 3, NumPy 1 and 2,
# old and new SciPy. The official MANO files name seven: _reconstruct, ndarray, dtype, __builtin__.set, csc_matrix,
# Ch and Select.
ADMITTED: dict[tuple[str, str], Admitted] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _MAKE_DTYPE,
    ("numpy.core.multiarray", "_reconstruct"): _MAKE_ARRAY,
    ("numpy._core.multiarray", "_reconstruct"): _MAKE_ARRAY,
    ("numpy.core.multiarray", "scalar"): _MAKE_SCALAR,
    ("numpy._core.multiarray", "scalar"): _MAKE_SCALAR,
    ("numpy.core.numeric", "_frombuffer"): _FROM_BUFFER,  # arrays in protocol 5
    ("numpy._core.numeric", "_frombuffer"): _FROM_BUFFER,
    ("_codecs", "encode"): _MAKE_BYTES,  # bytes of Python 3 in protocols 0 to 2
    ("__builtin__", "bytes"): _MAKE_NO_BYTES,
    ("builtins", "bytes"): _MAKE_NO_BYTES,
    ("scipy.sparse.csc", "csc_matrix"): _CSC,
    ("scipy.sparse._csc", "csc_matrix"): _CSC,
    ("chumpy.ch", "Ch"): _CH,
    ("chumpy.reordering", "Select"): _SELECT,
    ("__builtin__", "set"): _MAKE_SET,  # chumpy's _dirty_vars
    ("builtins", "set"): _MAKE_SET,
    ("copy_reg", "_reconstructor"): _MAKE_INSTANCE,  # instances in protocols 0 and 1
    ("copyreg", "_reconstructor"): _MAKE_INSTANCE,
    ("__builtin__", "object"): _OBJECT,  # an argument of the line above, nothing else
    ("builtins", "object"): _OBJECT,
}
