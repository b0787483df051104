"""The only reader of pickles: it rebuilds numbers and text from an official file, and has no way to run code.

MANO's models, RHD's annotations and HO-3D's frames come as pickles, and a pickle is a program. This reader is an
interpreter of that program in which the dangerous instructions do not exist:

- an opcode that is not listed here is refused (persistent ids, the extension registry, `INST`, `OBJ`, `NEWOBJ_EX`,
  out-of-band buffers), and so is every opcode that a later Python may bring;
- a global is admitted by its (module, name) pair, never by a prefix, and even then it is not imported: `ADMITTED` in
  `pickled_objects` says what stands in its place;
- `REDUCE` and `NEWOBJ` reach nothing but the builders there; `BUILD` touches, once, what such a builder made: no
  `__setstate__` and no attribute of anything else.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from handbench.errors import InvalidError, MissingError
from handbench.hands.pickled_objects import ADMITTED, Accounts, Admitted, Chumpy, Refused, fill, name_of, plain_key

__all__ = ["MAX_BYTES", "Chumpy", "load_restricted"]

# The largest official pickle, RHD's training annotations, is near 100 MB.
MAX_BYTES = 512 * 2**20

# Opcodes that only make text and numbers, or move what is there.
_PLAIN = """
    PROTO FRAME NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT
    STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES
    BINBYTES8 EMPTY_TUPLE GET BINGET LONG_BINGET POP POP_MARK GLOBAL STACK_GLOBAL
"""
# The same, but a byte of file costs many bytes of memory: counted.
_COUNTED = """
    MARK DUP TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST LIST EMPTY_DICT EMPTY_SET PUT BINPUT LONG_BINPUT MEMOIZE
"""


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
    except Refused as refused:
        raise InvalidError(
            f"{path} was not read: {refused}, which a file of numbers does not need and handbench does not admit.",
            "Nothing of it has run. Take the file from the dataset's own site.",
        ) from None
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError,
            MemoryError, RecursionError, struct.error) as error:  # fmt: skip
        what = f"{type(error).__name__}: {error}"[:120].rstrip(": ")
        raise InvalidError(
            f"{path} is truncated or not a pickle ({what}).", "Take the file from the dataset's own site again."
        ) from None


class _Opcodes(dict):
    """Opcode -> what the reader does; an opcode that is not in it is refused by name."""

    def __missing__(self, code: int) -> Callable:
        from pickletools import opcodes

        known = next((op for op in opcodes if op.code == chr(code)), None)
        if known is None:
            raise pickle.UnpicklingError(f"no such opcode: {code:#04x}")
        raise Refused(f"it uses the opcode {known.name}")


class _Reader(pickle._Unpickler):
    """The pure Python unpickler: of it, unlike of the one in C, instructions can be taken away one by one."""

    dispatch = _Opcodes()
    stack: list[Any]
    pop_mark: Callable[[], list[Any]]
    read: Callable[[int], bytes]

    def __init__(self, data: bytes, encoding: str):
        super().__init__(io.BytesIO(data), fix_imports=False, encoding=encoding)
        self.accounts = Accounts(bytes_left=2 * len(data) + 2**20)

    def find_class(self, module: str, name: str) -> Admitted:
        token = ADMITTED.get((module, name))
        if token is None:
            raise Refused(f"it names {f'{module}.{name}'[:200]!r}")
        return token


def _opcode(code: bytes) -> Callable[[Callable], Callable]:
    def register(function: Callable) -> Callable:
        _Reader.dispatch[code[0]] = function
        return function

    return register


def _original(name: str) -> tuple[bytes, Callable]:
    code = getattr(pickle, name)
    return code, pickle._Unpickler.dispatch[code[0]]


def _counted(original: Callable) -> Callable:
    def count_and_do(reader: _Reader) -> None:
        reader.accounts.count()
        original(reader)

    return count_and_do


for _name in _PLAIN.split():
    _code, _function = _original(_name)
    _opcode(_code)(_function)
for _name in _COUNTED.split():
    _code, _function = _original(_name)
    _opcode(_code)(_counted(_function))


@_opcode(pickle.REDUCE)
def _reduce(reader: _Reader) -> None:
    args, function = reader.stack.pop(), reader.stack.pop()
    if type(function) is not Admitted or function.call is None or type(args) is not tuple:
        raise Refused(f"it calls {name_of(function)}")
    reader.stack.append(function.call(reader.accounts, *args))


@_opcode(pickle.NEWOBJ)
def _newobj(reader: _Reader) -> None:
    args, cls = reader.stack.pop(), reader.stack.pop()
    if type(cls) is not Admitted or cls.make is None or type(args) is not tuple or args:
        raise Refused(f"it makes an object of {name_of(cls)}")
    reader.stack.append(cls.make(reader.accounts))


@_opcode(pickle.BUILD)
def _build(reader: _Reader) -> None:
    state = reader.stack.pop()
    fill(reader.accounts, reader.stack[-1], state)


@_opcode(pickle.DICT)
def _dict(reader: _Reader) -> None:
    items = reader.pop_mark()
    reader.accounts.count()
    reader.stack.append({})
    _update(reader.stack[-1], items)


@_opcode(pickle.SETITEM)
def _setitem(reader: _Reader) -> None:
    value, key = reader.stack.pop(), reader.stack.pop()
    _update(reader.stack[-1], [key, value])


@_opcode(pickle.SETITEMS)
def _setitems(reader: _Reader) -> None:
    items = reader.pop_mark()
    _update(reader.stack[-1], items)


def _update(target: Any, items: list) -> None:
    if type(target) is not dict or len(items) % 2:
        raise Refused(f"it sets items of {name_of(target)}")
    for key, value in zip(items[::2], items[1::2], strict=True):
        target[plain_key(key)] = value


@_opcode(pickle.APPEND)
def _append(reader: _Reader) -> None:
    value = reader.stack.pop()
    _extend(reader.stack[-1], [value])


@_opcode(pickle.APPENDS)
def _appends(reader: _Reader) -> None:
    values = reader.pop_mark()
    _extend(reader.stack[-1], values)


def _extend(target: Any, values: list) -> None:
    if type(target) is not list:
        raise Refused(f"it appends to {name_of(target)}")
    target.extend(values)


@_opcode(pickle.ADDITEMS)
def _additems(reader: _Reader) -> None:
    members = reader.pop_mark()
    if type(reader.stack[-1]) is not set:
        raise Refused(f"it adds to {name_of(reader.stack[-1])}")
    reader.stack[-1].update(map(plain_key, members))


@_opcode(pickle.BYTEARRAY8)
def _bytearray8(reader: _Reader) -> None:
    # By reading, as bytes: the original first makes room for the length that the file claims.
    (length,) = struct.unpack("<Q", reader.read(8))
    data = reader.read(min(length, MAX_BYTES))
    if len(data) != length:
        raise EOFError("ran out of input")
    reader.stack.append(data)


@_opcode(pickle.STOP)
def _stop(reader: _Reader) -> None:
    if reader.accounts.unbuilt:
        raise pickle.UnpicklingError("an object was left without its state")
    raise pickle._Stop(reader.stack.pop())  # type: ignore[attr-defined]
