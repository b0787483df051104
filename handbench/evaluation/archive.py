"""The one JSON file of a submission archive, read block by block, without unpacking anything to the disk."""

from __future__ import annotations

import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from handbench.errors import InvalidError
from handbench.store.json_arrays import BLOCK

MAX_BYTES = 2 << 30
# Zeros compress a thousandfold and zero predictions are legitimate: the ratio counts only where the size does too.
RATIO_FROM_BYTES, MAX_RATIO = 256 << 20, 100
# a submission has one or two files
MAX_MEMBERS = 10_000
PREFERRED = "pred.json"
ARCHIVES = (".zip", ".gz", ".tgz", ".tar", ".bz2", ".xz", ".7z", ".rar")
BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    OSError,
    EOFError,
    ValueError,
    # a compression that Python does not know; an encrypted file
    NotImplementedError,
    RuntimeError,
)


def find_member(path: Path) -> zipfile.ZipInfo:
    """`pred.json`, or the only .json there is (freihand: eval.py, `res` folder), in whatever folder it lies.

    Raises InvalidError for what is no zip archive, for names that lead out of it, links, a bomb (over 2 GiB, or over
    256 MiB and a hundredfold), an archive in the archive, and where there is no JSON file or more than one.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
    except BROKEN as error:
        raise _unreadable(path, error) from None
    if len(members) > MAX_MEMBERS:
        raise InvalidError(f"{path} has {len(members):,} files.", f"A submission has {PREFERRED} and little else.")
    for member in members:
        _require_inside(member, path)
    member = _choose(members, path)
    _require_bounded(member, path)
    return member


def member_blocks(path: Path, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """The content of a member, a block at a time; never more than 2 GiB, whatever the archive says of itself."""
    size = 0
    try:
        with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
            while block := stream.read(BLOCK):
                size += len(block)
                if size > MAX_BYTES:
                    break
                yield block
    except BROKEN as error:
        raise _unreadable(path, error) from None
    if size > MAX_BYTES:
        raise InvalidError(f"{member.filename} in {path} is larger than {MAX_BYTES:,} bytes.", "Give the JSON file.")


def _unreadable(path: Path, error: Exception) -> InvalidError:
    return InvalidError(
        f"{path} cannot be read as a zip archive: {str(error).rstrip('.') or type(error).__name__}.",
        "Pack it again, or give the JSON file.",
    )


def _require_inside(member: zipfile.ZipInfo, path: Path) -> None:
    name = member.filename
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or (parts.parts and parts.parts[0].endswith(":")):
        raise InvalidError(f"{path} has a member that leads out of the archive: {name!r}.", "Pack it again.")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        what = "a link" if kind == stat.S_IFLNK else "no plain file"
        raise InvalidError(f"{path} has a member that is {what}: {name!r}.", "Pack the files themselves.")


def _choose(members: list[zipfile.ZipInfo], path: Path) -> zipfile.ZipInfo:
    # macOS adds a shadow file beside each file
    found = [m for m in members if m.filename.endswith(".json") and not m.filename.startswith("__MACOSX/")]
    if len({member.filename for member in found}) < len(found):
        raise InvalidError(f"{path} has two .json files of one name.", "Pack it again.")
    for member in found:
        if member.filename == PREFERRED:
            return member
    named = [m for m in found if PurePosixPath(m.filename).name == PREFERRED]
    if len(found) == 1 or len(named) == 1:
        return (named or found)[0]
    inner = [m.filename for m in members if m.filename.lower().endswith(ARCHIVES)]
    if not found and inner:
        raise InvalidError(f"{path} has no .json file but another archive, {inner[0]!r}.", "Unpack it and give that.")
    if not found:
        raise InvalidError(f"{path} has no .json file.", f"A submission has {PREFERRED}.")
    listed = ", ".join(m.filename for m in found[:3])
    raise InvalidError(f"{path} has {len(found)} .json files ({listed}) and none is {PREFERRED}.", "Keep one.")


def _require_bounded(member: zipfile.ZipInfo, path: Path) -> None:
    ratio = member.file_size / max(1, member.compress_size)
    if member.file_size > MAX_BYTES or (member.file_size > RATIO_FROM_BYTES and ratio > MAX_RATIO):
        raise InvalidError(
            f"{member.filename} in {path} unpacks to {member.file_size:,} bytes ({ratio:,.0f} times its size): it is "
            f"not read.",
            "If that is right, give the JSON file itself.",
        )
