"""The one JSON file of a submission archive, read without unpacking anything to the disk."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from handbench.errors import InvalidError

MAX_BYTES = 2 << 30
# Zeros compress a thousandfold and zero predictions are legitimate: the ratio counts only where the size does too.
RATIO_FROM_BYTES, MAX_RATIO = 256 << 20, 100
PREFERRED = "pred.json"


def read_member(path: Path) -> tuple[str, bytes]:
    """Name and content of `pred.json`, or of the only .json there is (freihand: eval.py, `res` folder).

    Raises InvalidError for what is no zip archive, for names that lead out of it, for a bomb (over 2 GiB, or over
    256 MiB and a hundredfold), and where there is no JSON file or more than one.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            for member in members:
                _require_inside(member.filename, path)
            member = _choose(members, path)
            _require_bounded(member, path)
            with archive.open(member) as stream:
                data = stream.read(MAX_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, OSError, EOFError, ValueError) as error:
        raise _unreadable(path, error) from None
    except (NotImplementedError, RuntimeError) as error:
        # RuntimeError: encrypted. NotImplementedError: a compression that Python does not know.
        raise _unreadable(path, error) from None
    if len(data) > MAX_BYTES:
        raise InvalidError(f"{member.filename} in {path} is larger than {MAX_BYTES:,} bytes.", "Give the JSON file.")
    return member.filename, data


def _unreadable(path: Path, error: Exception) -> InvalidError:
    return InvalidError(
        f"{path} cannot be read as a zip archive: {str(error).rstrip('.')}.", "Pack it again, or give the JSON file."
    )


def _require_inside(name: str, path: Path) -> None:
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or (parts.parts and parts.parts[0].endswith(":")):
        raise InvalidError(f"{path} has a member that leads out of the archive: {name!r}.", "Pack it again.")


def _choose(members: list[zipfile.ZipInfo], path: Path) -> zipfile.ZipInfo:
    # macOS adds a shadow file beside each file
    found = [m for m in members if m.filename.endswith(".json") and not m.filename.startswith("__MACOSX/")]
    for member in found:
        if member.filename == PREFERRED:
            return member
    if len(found) == 1:
        return found[0]
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
