"""Malformed official folders, made by script: a small written layout with one thing wrong, and what `prep` must say.

A `Case` is a file of a layout and what is done to it. Trees are copied as hard links: whatever is done replaces a file,
and never writes into one.
"""

from __future__ import annotations

import io
import itertools
import json
import math
import os
import pickle
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import scipy.io
import scipy.sparse

USAGE, MISSING, INVALID = 2, 3, 4
Spoil = Callable[[Path], None]


@dataclass(frozen=True)
class Case:
    """`inside`: the file that `spoil` is called with, and that the error must name, unless it names `names`.

    samples: where only these samples are spoilt, what --skip-bad leaves out; says: words that the error must have.
    """

    dataset: str
    split: str
    inside: str
    what: str
    spoil: Spoil
    code: int = INVALID
    options: tuple[str, ...] = ()
    samples: tuple[str, ...] = ()
    says: str = ""
    names: str = ""
    partial: bool = True

    def __str__(self) -> str:
        return f"{self.dataset} {self.split}: {self.inside.rpartition('/')[2]} {self.what}".replace("/", "|")


@dataclass(frozen=True)
class Place:
    """A file of a layout that things are done to."""

    dataset: str
    split: str
    inside: str
    samples: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def case(self, what: str, spoil: Spoil, code: int = INVALID, says: str = "", names: str = "") -> Case:
        return Case(
            self.dataset, self.split, self.inside, what, spoil, code, self.options, self.samples, says, names
        )  # fmt: skip


# What is done to a file


def put(data: bytes) -> Spoil:
    def spoil(path: Path) -> None:
        path.unlink()
        path.write_bytes(data)

    return spoil


def change(how: Callable[[bytes], bytes]) -> Spoil:
    return lambda path: put(how(path.read_bytes()))(path)


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def link_out(path: Path) -> None:
    """The right file, but outside."""
    outside = path.parents[len(path.parts) - 2]
    outside = next(parent for parent in path.parents if parent.name == "official").parent / "elsewhere"
    outside.mkdir(exist_ok=True)
    shutil.move(path, outside / path.name)
    path.symlink_to(outside / path.name)


def link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def large(size: int) -> Spoil:
    """A file of so many bytes that takes no room."""

    def spoil(path: Path) -> None:
        path.unlink()
        with path.open("wb") as file:
            file.truncate(size)

    return spoil


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


NOISE = bytes(np.random.default_rng(0).integers(0, 256, 5000, dtype=np.uint8))
NO_FILE: dict[str, tuple[Spoil, str]] = {
    "is a link that leads out": (link_out, "leads out"),
    "is a link to itself": (link_to_itself, ""),
    "is a pipe": (pipe, "is not a file"),
    "is a folder": (folder, ""),
}


# Images


def as_png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_that_claims(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def jpeg_that_claims(width: int, height: int) -> bytes:
    data = bytearray(cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8))[1].tobytes())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def other_size(data: bytes) -> bytes:
    kind = ".png" if data[:4] == b"\x89PNG" else ".jpg"
    return cv2.imencode(kind, np.full((70, 90, 3), 120, np.uint8))[1].tobytes()


IMAGE: dict[str, tuple[Spoil, str]] = {
    "is cut in the middle": (change(half), "is cut short"),
    "lacks its last bytes": (change(lambda data: data[:-6]), "is cut short"),
    "is its head alone": (change(lambda data: data[:20]), "is cut short"),
    "is text": (put(b"<html>404 not found</html>\n"), "neither JPEG nor PNG"),
    "is empty": (put(b""), "neither JPEG nor PNG"),
    "is a GIF": (put(b"GIF89a" + bytes(200)), "neither JPEG nor PNG"),
    "is of another size": (change(other_size), "90x70"),
    "claims 60,000 x 60,000 pixels as PNG": (put(png_that_claims(60_000, 60_000)), "60000 x 60000"),
    "claims 60,000 x 60,000 pixels as JPEG": (put(jpeg_that_claims(60_000, 60_000)), "60000 x 60000"),
    "claims no pixels": (put(png_that_claims(0, 0)), "0 x 0"),
    "has 65 MB": (large(65 << 20), "bytes, more than any"),
    **NO_FILE,
}
FEW = ("is cut in the middle", "is text", "is of another size", "is a link that leads out", "is a pipe")
PNG_ONLY: dict[str, tuple[Spoil, str]] = {
    "has its size and no pixels": (
        change(lambda data: png_that_claims(*struct.unpack(">II", data[16:24]))), "cannot be decoded"),
    "has a hole in its middle": (
        change(lambda data: data[: len(data) // 2] + bytes(1500) + data[len(data) // 2 + 1500 :]), "damaged"),
}  # fmt: skip

IMAGES = (
    Place("freihand", "test", "evaluation/rgb/00000001.jpg", ("freihand/test/00000001",)),
    Place("ho3d-v2", "test", "evaluation/AP10/rgb/0001.png", ("ho3d-v2/test/00000003",)),
    Place("ho3d-v3", "test", "evaluation/AP10/rgb/0001.jpg", ("ho3d-v3/test/00000003",)),
    Place("rhd", "test", "evaluation/color/00001.png", ("rhd/test/00000001",)),
    Place("stb", "test", "images/B1Random/SK_color_1.png", ("stb/test/00001501",)),
    Place("dexter-object", "test", "data/Grasp1/color/image_00001_color.png", ("dexter-object/test/00000001",)),
    Place("ge-realworld", "test", "images/00500.jpg", ("ge-realworld/test/00500",)),
)
MASKS = (
    Place("freihand", "train", "training/mask/00000001.jpg",
          tuple(f"freihand/train/{i:08d}" for i in (1, 5, 9, 13)), ("--masks",)),
    Place("ho3d-v2", "test", "evaluation/AP10/depth/0001.png", ("ho3d-v2/test/00000003",), ("--depth",)),
    Place("ho3d-v3", "train", "train/ABF10/seg/0001.png", ("ho3d-v3/train/00000001",), ("--masks",)),
    Place("rhd", "test", "evaluation/mask/00001.png", ("rhd/test/00000001",)),
    Place("rhd", "test", "evaluation/depth/00001.png", ("rhd/test/00000001",), ("--depth",)),
    Place("stb", "bb-right-test", "images/B1Random/BB_right_1.png", ("stb/bb-right-test/00001501",)),
)  # fmt: skip


def image_cases() -> Iterator[Case]:
    for place in IMAGES:
        for what, (spoil, says) in IMAGE.items():
            yield place.case(what, spoil, says=says)
    for place in MASKS:
        for what in FEW:
            yield place.case(what, IMAGE[what][0])
        yield place.case("is missing", remove, MISSING, "does not exist")
    for place in IMAGES + MASKS:
        # those that are decoded: of originals only what they say of themselves is known
        if place.inside.endswith(".png"):
            for what, (spoil, says) in PNG_ONLY.items():
                yield place.case(what, spoil, says=says)
    mask, depth = MASKS[3], MASKS[4]
    yield mask.case("has labels above 33", put(as_png(np.full((320, 320), 34, np.uint8))), says="no mask of labels")
    yield mask.case("has 16 bits", put(as_png(np.full((320, 320), 3, np.uint16))), says="no mask of labels")
    yield depth.case("has one channel", put(as_png(np.full((320, 320), 3, np.uint8))), says="no depth image")
    yield depth.case("has 16 bits", put(as_png(np.full((320, 320, 3), 3, np.uint16))), says="no depth image")


# Lists in JSON


def in_json(how: Callable[[Any], Any]) -> Spoil:
    return change(lambda data: json.dumps(how(json.loads(data))).encode())


def first_number(value: float | str | None) -> Callable[[Any], Any]:
    def how(entries: Any) -> Any:
        at = entries[1]
        while isinstance(at[0], list):
            at = at[0]
        at[0] = value
        return entries

    return how


def times(factor: float) -> Callable[[Any], Any]:
    return lambda entries: (np.array(entries) * factor).tolist()


BROKEN_JSON: dict[str, tuple[Spoil, str]] = {
    "is empty": (put(b""), "is empty"),
    "is white space": (put(b" \n\t"), "is empty"),
    "is cut in the middle": (change(half), "ends too early"),
    "lacks its last bracket": (change(lambda data: data.rstrip()[:-1]), "ends too early"),
    "is noise": (put(NOISE), "not valid JSON"),
    "is not UTF-8": (put(b'["\xff\xfe"]'), ""),
    "is UTF-16": (change(lambda data: data.decode().encode("utf-16")), ""),
    "is nested 10,000 deep": (put(b"[" * 10_000 + b"]" * 10_000), ""),
    "is 10,000 brackets that open": (put(b"[" * 10_000), ""),
    "is an object": (put(b'{"a": 1}'), ""),
    "is a number": (put(b"7"), ""),
    "is null": (put(b"null"), ""),
    "goes on after its end": (change(lambda data: data + b"[1]"), ""),
}
WRONG_LISTS: dict[str, tuple[Spoil, str]] = {
    "is an empty list": (put(b"[]"), "list with entries"),
    "has NaN": (in_json(first_number(math.nan)), "NaN or infinity"),
    "has infinity": (in_json(first_number(-math.inf)), "NaN or infinity"),
    "has a number of 400 digits": (
        in_json(first_number("HUGE")) and change(lambda data: data.replace(b"[[", b"[[1" + 400 * b"0" + b",", 1)), ""),
    "has text among its numbers": (in_json(first_number("0.1")), "Entry 1"),
    "has null among its numbers": (in_json(first_number(None)), "Entry 1"),
    "has true among its numbers": (in_json(first_number(True)), "Entry 1"),
    "has an entry that is shorter": (in_json(lambda entries: [entries[0], entries[1][:-1], *entries[2:]]), "Entry 1"),
    "has an entry that is nested deeper": (
        in_json(lambda entries: [entries[0], [entries[1]], *entries[2:]]), "Entry 1"),
    "has an entry that is null": (in_json(lambda entries: [entries[0], None, *entries[2:]]), "Entry 1"),
    "has entries of other shape": (in_json(lambda entries: [entry[:2] for entry in entries]), "Entry 0"),
    "is one list too deep": (in_json(lambda entries: [entries]), "Entry 0"),
}  # fmt: skip


def json_cases() -> Iterator[Case]:
    lists = [
        Place("freihand", "test", "evaluation_K.json"),
        Place("freihand", "test", "evaluation_xyz.json"),
        Place("freihand", "train", "training_mano.json"),
        Place("ho3d-v2", "test", "evaluation_xyz.json"),
        Place("ho3d-v3", "test", "evaluation_verts.json"),
    ]
    for place in lists:
        for what, (spoil, says) in (BROKEN_JSON | WRONG_LISTS | NO_FILE).items():
            yield place.case(what, spoil, says=says)
    yield lists[0].case("is missing", remove, MISSING, "FreiHAND_pub_v2")
    yield Place("freihand", "train", "training_xyz.json").case("is missing", remove, MISSING, "FreiHAND_pub_v2")
    yield Place("freihand", "test", "evaluation_scale.json").case("has lists", put(b"[[1], [2], [3]]"), says="Entry 0")
    for part, split in (("evaluation", "test"), ("training", "train")):
        xyz = Place("freihand", split, f"{part}_xyz.json")
        yield xyz.case("is in millimetres", in_json(times(1000)), says="millimetres", names="official")
        yield xyz.case("is behind the camera", in_json(times(-1)), says="behind the camera", names="official")
        yield xyz.case(
            "is in HO-3D's order", in_json(lambda all: [[one[k] for k in HO3D_ORDER] for one in all]),
            says="HO3D", names="official")  # fmt: skip
    for dataset in ("ho3d-v2", "ho3d-v3"):
        xyz = Place(dataset, "test", "evaluation_xyz.json")
        yield xyz.case("has one entry less", in_json(lambda all: all[:-1]), says="do not belong together")
        yield xyz.case("has one entry more", in_json(lambda all: [*all, all[0]]), says="do not belong together")
        yield xyz.case("is in OpenCV's axes", in_json(lambda all: (np.array(all) * [1, -1, -1]).tolist()),
                       says="do not belong together")  # fmt: skip
        yield xyz.case("is in millimetres", in_json(times(1000)), says="do not belong together")
        # the wrist is first in both orders
        yield xyz.case("is in FH21 order", in_json(lambda all: [[one[k] for k in FH21_ORDER] for one in all]),
                       says="order", names="official")  # fmt: skip
        verts = Place(dataset, "test", "evaluation_verts.json")
        yield verts.case("has one entry less", in_json(lambda all: all[:-1]), says="do not belong together")


# HO-3D's joints of FH21's, and the other way round
HO3D_ORDER = (0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3, 4, 8, 12, 16, 20)
FH21_ORDER = (0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20)


# Lists of frames


def frame_list_cases() -> Iterator[Case]:
    for dataset, (split, part) in itertools.product(
        ("ho3d-v2", "ho3d-v3"), (("test", "evaluation"), ("train", "train"))
    ):
        place = Place(dataset, split, f"{part}.txt")

        def line(text: str) -> Spoil:
            return change(lambda data: data.replace(data.splitlines()[1], text.encode(), 1))

        for text in ("../evaluation/SM1/0000", "/etc/passwd", "SM1/../SM1/0000", "SM1/0000.png", "SM1\\0000", "SM1",
                     "SM1/1", "SM1/-001", "SM1/00000000000000000001", "a" * 5000):  # fmt: skip
            yield place.case(f"has the line {text[:30]}", line(text), says="Line 2")
        yield place.case("has a line twice", change(lambda data: data + data.splitlines()[0] + b"\n"), says="twice")
        yield place.case("is missing", remove, MISSING, "does not exist")
        yield place.case("is empty", put(b""), says="lists no frame")
        yield place.case("is noise", put(NOISE), says="not text")
        yield place.case("is UTF-16", change(lambda data: data.decode().encode("utf-16")), says="not text")
        yield place.case("names frames that are not there", put(b"XX1/0000\nXX1/0001\n"), MISSING, "No frame of")
        for what, (spoil, says) in NO_FILE.items():
            yield place.case(what, spoil, says=says)


# Pickles


def unpickled(data: bytes) -> Any:
    return pickle.loads(data, encoding="latin1")


def in_pickle(how: Callable[[Any], Any]) -> Spoil:
    return change(lambda data: pickle.dumps(how(unpickled(data)), 2))


def doubled(depth: int) -> Any:
    """A list of two lists that are the same list of two, and so on: 2**depth numbers in some hundred bytes."""
    value: Any = [0.0, 0.0]
    for _ in range(depth - 1):
        value = [value, value]
    return value


def deep(depth: int) -> bytes:
    return b"\x80\x02" + b"]" * depth + b"a" * (depth - 1) + b"."


BROKEN_PICKLE: dict[str, tuple[Spoil, str]] = {
    "is empty": (put(b""), "truncated or not a pickle"),
    "is cut in the middle": (change(half), "truncated or not a pickle"),
    "lacks its last byte": (change(lambda data: data[:-1]), "truncated or not a pickle"),
    "is noise": (put(NOISE), "truncated or not a pickle"),
    "is text": (put(b"handJoints3D: 1 2 3\n"), ""),
    "is a list": (put(pickle.dumps([1, 2, 3], 2)), ""),
    "is None": (put(pickle.dumps(None, 2)), ""),
    "is an empty dictionary": (put(pickle.dumps({}, 2)), ""),
    "is lists 10,000 deep": (put(deep(10_000)), ""),
    "claims 2**62 bytes": (put(b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"abc."), "truncated or not a pickle"),
    "claims text of 2**62 bytes": (put(b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"abc."), "truncated"),
    "claims a frame of 2**62 bytes": (put(b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"abc."), "truncated"),
    "claims a byte array of 2**62": (put(b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b"abc."), "truncated"),
    "claims a number of 2**31 - 1 bytes": (put(b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"ab."), "truncated"),
    "claims a memo of 2**32 - 1": (put(b"\x80\x02Nr" + struct.pack("<I", 2**32 - 1) + b"."), ""),
    "claims an array of 2**40 numbers": (
        put(b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I1099511627776\ntS'b'\ntR."), "was not read"),
    "has 600 MB": (large(600 << 20), "MiB"),
}  # fmt: skip


def set_field(name: str, value: Any) -> Callable[[Any], Any]:
    return lambda label: {**label, name: value}


def without(name: str) -> Callable[[Any], Any]:
    return lambda label: {key: value for key, value in label.items() if key != name}


def ho3d_pickle_cases() -> Iterator[Case]:
    places = [
        Place(dataset, split, f"{inside}/meta/0001.pkl", (f"{dataset}/{split}/0000000{1 if split == 'train' else 3}",))
        for dataset in ("ho3d-v2", "ho3d-v3")
        for split, inside in (("train", "train/ABF10"), ("test", "evaluation/AP10"))
    ]
    for place in places:
        for what, (spoil, says) in (BROKEN_PICKLE | NO_FILE).items():
            yield place.case(what, spoil, says=says)
        fields = ("handJoints3D", "camMat", "handPose" if place.split == "train" else "handBoundingBox")
        for name in fields:
            yield place.case(f"has no {name}", in_pickle(without(name)), says=name)
            wrong = {
                "is None": None,
                "has another shape": np.zeros((7, 5)),
                "is text": "0 0 0",
                "is a list of text": ["0.1"] * 3,
                "is an array of text": np.array(["0.1"] * 3),
                "is a dictionary": {"a": 1},
                "is a number": 1.0,
                "has NaN": np.full((21, 3), np.nan),
                "is 2**40 numbers in shared lists": doubled(40),
            }
            for what, value in wrong.items():
                yield place.case(f"has a {name} that {what}", in_pickle(set_field(name, value)), says=name)
        of_its_shape = [
            ("is complex", lambda array: array * 1j),
            ("has infinity", lambda array: np.where(array == array.flat[0], np.inf, array)),
            ("is boolean", lambda array: array > 0),
        ]
        for name, (what, how) in itertools.product(fields, of_its_shape):
            yield place.case(
                f"has a {name} that {what}",
                in_pickle(lambda label, name=name, how=how: {**label, name: how(np.asarray(label[name]))}),
                says=name,
            )


def rhd_pickle_cases() -> Iterator[Case]:
    place = Place("rhd", "test", "evaluation/anno_evaluation.pickle")

    def entry(name: str, value: Any) -> Spoil:
        return in_pickle(lambda entries: {**entries, 1: {**entries[1], name: value}})

    for what, (spoil, says) in (BROKEN_PICKLE | NO_FILE).items():
        yield place.case(what, spoil, says=says)
    yield place.case("is missing", remove, MISSING, "RHD_v1-1.zip")
    yield place.case("has a key of text", in_pickle(lambda entries: {**entries, "1": entries[1]}), says="key")
    yield place.case("has a negative key", in_pickle(lambda entries: {**entries, -1: entries[1]}), says="key")
    yield place.case("has a key of 10**30", in_pickle(lambda entries: {**entries, 10**30: entries[1]}), says="key")
    yield place.case("has an entry that is None", in_pickle(lambda entries: {**entries, 1: None}), says="Entry 1")
    yield place.case("has other images' entries", in_pickle(lambda entries: {9: entries[1]}), names="evaluation/color")
    for name, shape in (("xyz", (42, 3)), ("uv_vis", (42, 3)), ("K", (3, 3))):
        yield place.case(f"has an entry without {name}",
                         in_pickle(lambda entries, name=name: {**entries, 1: without(name)(entries[1])}),
                         says=name)  # fmt: skip
        for what, value in {
            "is of another shape": np.zeros((21, 3)),
            "is a list": [[0.0] * 3] * 42,
            "is of text": np.full(shape, "1"),
            "is complex": np.zeros(shape, complex),
            "has NaN": np.full(shape, np.nan),
            "has infinity": np.full(shape, np.inf),
            "is 2**40 numbers in shared lists": doubled(40),
        }.items():
            yield place.case(f"has an entry whose {name} {what}", entry(name, value), says="Entry 1")

    def every(how: Callable[[Any], Any]) -> Spoil:
        return in_pickle(lambda all: {key: {**one, "xyz": how(one["xyz"])} for key, one in all.items()})

    for what, how, says in (
        ("is in millimetres", lambda xyz: xyz * 1000, "millimetres"),
        ("lies behind the camera", lambda xyz: xyz * [1, -1, -1], "behind the camera"),
        ("is from base to tip", lambda xyz: xyz[[*FLIPPED, *(21 + k for k in FLIPPED)]], "order"),
    ):
        yield place.case(what, every(how), says=says, names="official")


FLIPPED = (0, 4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13, 20, 19, 18, 17)


# MATLAB's files


def in_mat(how: Callable[[dict], dict]) -> Spoil:
    def changed(data: bytes) -> bytes:
        held = {k: v for k, v in scipy.io.loadmat(io.BytesIO(data)).items() if not k.startswith("__")}
        out = io.BytesIO()
        scipy.io.savemat(out, how(held))
        return out.getvalue()

    return change(changed)


def mat_bomb(name: str, shape: tuple[int, ...], claims: int) -> bytes:
    """A compressed variable whose numbers are said to have `claims` bytes."""

    def element(kind: int, data: bytes, size: int | None = None) -> bytes:
        return struct.pack("<II", kind, len(data) if size is None else size) + data + bytes(-len(data) % 8)

    inner = element(6, struct.pack("<II", 6, 0)) + element(5, struct.pack(f"<{len(shape)}i", *shape))
    inner += element(1, name.encode()) + element(9, bytes(1000), claims)
    packed = zlib.compress(struct.pack("<II", 14, len(inner)) + inner)
    head = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H2s", 0x0100, b"IM")
    return head + struct.pack("<II", 15, len(packed)) + packed


def mat_cases() -> Iterator[Case]:
    places = [
        (Place("stb", "test", "labels/B1Random_SK.mat"), "handPara"),
        (Place("stb", "bb-test", "labels/B1Counting_BB.mat"), "handPara"),
        (Place("ge-realworld", "test", "pose_gt.mat"), "pose_gt"),
        (Place("ge-realworld", "test", "params.mat"), "cam_param"),
        (Place("ge-realworld", "test", "params.mat"), "bbox"),
    ]
    for place, name in places:
        damaged = "damaged or cut short"
        last = {"handPara": (3, 21, 2), "pose_gt": (583, 21, 3)}.get(name, (583, 4))
        for what, spoil, says in (
            ("is empty", put(b""), damaged),
            ("is cut in the middle", change(half), damaged),
            ("is its head alone", change(lambda data: data[:128]), ""),
            ("is noise", put(NOISE), damaged),
            ("is text", put(b"1 2 3\n"), damaged),
            ("is of version 7.3", put(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + NOISE), damaged),
            ("claims 4 GB", put(mat_bomb(name, last, 2**32 - 8)), ""),
            ("claims 2**30 rows", put(mat_bomb(name, (2**30, *last[1:]), 2**31)), ""),
        ):
            yield place.case(what, spoil, says=says)
        for what, (spoil, says) in NO_FILE.items():
            yield place.case(what, spoil, says=says)

        def changed(how: Callable[[np.ndarray], Any], name: str = name) -> Spoil:
            return in_mat(lambda held: {**held, name: how(held[name])})

        for what, how in (
            ("of another shape", lambda array: array[..., :-1] if array.shape[-1] > 2 else array[:2]),
            ("of one number", lambda array: 1.0),
            ("of text", lambda array: "text"),
            ("of cells", lambda array: np.array([[1.0], "a"], object)),
            ("of a structure", lambda array: {"a": array}),
            ("of complex numbers", lambda array: array * 1j),
            ("of a sparse matrix", lambda array: scipy.sparse.csc_matrix(np.eye(4))),
            ("with NaN", lambda array: np.where(array == array.flat[0], np.nan, array)),
            ("with infinity", lambda array: np.where(array == array.flat[0], np.inf, array)),
            ("of no entries", lambda array: array[..., :0] if array.shape[-1] == 2 else array[:0]),
        ):
            yield place.case(f"has {name} {what}", changed(how), says="")
        yield place.case(f"has no {name}", in_mat(lambda held, name=name: {"other": held[name]}), says=name)
        if name != "handPara":
            yield place.case(f"is missing, and {name} with it", remove, MISSING)
            yield place.case(f"has one {name} less", changed(lambda array: array[:-1]), names="params.mat")
    stb, ge = places[0][0], places[2][0]

    def joints(name: str, how: Callable[[np.ndarray], Any]) -> Spoil:
        return in_mat(lambda held: {**held, name: how(held[name])})

    units = {"handPara": ("in metres", 1e-3), "pose_gt": ("in metres", 1e-2)}
    for place, name in ((stb, "handPara"), (ge, "pose_gt")):
        what, factor = units[name]
        yield place.case(f"is {what}", joints(name, lambda array, factor=factor: array * factor),
                         says="contradicts", names="official")  # fmt: skip
    yield ge.case("lies behind the camera", joints("pose_gt", lambda array: array * [1, -1, -1]),
                  says="behind the camera", names="official")  # fmt: skip
    yield ge.case("is in HO-3D's order", joints("pose_gt", lambda array: array[:, list(HO3D_ORDER)]),
                  says="HO3D", names="official")  # fmt: skip


# Text annotations


def dexter_cases() -> Iterator[Case]:
    place = Place("dexter-object", "test", "data/Grasp1/annotations/my_Grasp13D.txt")

    def line(how: Callable[[str], str]) -> Spoil:
        def changed(data: bytes) -> bytes:
            lines = data.decode().splitlines()
            lines[1] = how(lines[1])
            return "\n".join(lines).encode()

        return change(changed)

    for what, how in (
        ("has a line with one tip", lambda text: text.split(";")[0]),
        ("has a line with four tips", lambda text: ";".join(text.split(";")[:4])),
        ("has tips of two numbers", lambda text: ";".join("1, 2" for _ in range(8))),
        ("has tips of one number", lambda text: ";".join("1" for _ in range(8))),
        ("has tips of four numbers", lambda text: ";".join("1, 2, 3, 4" for _ in range(8))),
        ("has text among its numbers", lambda text: text.replace(text.split(",")[0], "left")),
        ("has NaN", lambda text: text.replace(text.split(",")[0], "nan")),
        ("has infinity", lambda text: text.replace(text.split(",")[0], "-inf")),
        ("has a number of 400 digits", lambda text: text.replace(text.split(",")[0], "9" * 400)),
        ("has points and commas the other way", lambda text: text.replace(".", ",")),
    ):
        yield place.case(what, line(how), says="Line 2")
    for what, spoil, says in (
        ("is empty", put(b""), "0 lines"),
        ("is noise", put(NOISE), "not text"),
        ("is UTF-16", change(lambda data: data.decode().encode("utf-16")), "not text"),
        ("is cut in the middle", change(half), ""),
        ("has one line less", change(lambda data: b"\n".join(data.splitlines()[:-1])), "lines"),
        ("has one line more", change(lambda data: data + data.splitlines()[0]), "lines"),
        ("is the one with pixels", change(lambda data: b"1, 2; 3, 4; 5, 6; 7, 8; 9, 10\n" * 3), "Line 1"),
    ):
        yield place.case(what, spoil, says=says)
    for what, (spoil, says) in NO_FILE.items():
        yield place.case(what, spoil, says=says)

    def scaled(factor: float) -> Spoil:
        def changed(data: bytes) -> bytes:
            rows = [
                [[float(v) for v in tip.split(",")] for tip in one.split(";")] for one in data.decode().splitlines()
            ]
            return "\n".join(
                "; ".join(", ".join(str(v if v == 32001 else v * factor) for v in tip) for tip in row) for row in rows
            ).encode()

        return change(changed)

    def both(path: Path) -> None:
        # a few frames of one sequence are no median
        for name in ("Grasp1", "Grasp2"):
            scaled(0.001)(path.parents[2] / name / f"annotations/my_{name}3D.txt")

    yield place.case("is in metres", both, says="contradicts", names="official")


# Folders and versions


def as_other_version(path: Path) -> None:
    """Version 3's images in version 2's folder, and the other way round."""
    for image in (path / "evaluation").rglob("rgb/*"):
        image.rename(image.with_suffix(".jpg" if image.suffix == ".png" else ".png"))


def folder_cases() -> Iterator[Case]:
    for dataset, split, inside in (
        ("freihand", "test", "evaluation/rgb"),
        ("ge-realworld", "test", "images"),
        ("rhd", "test", "evaluation/color"),
        ("stb", "test", "images"),
        ("stb", "test", "labels"),
        ("dexter-object", "test", "data"),
    ):
        place = Place(dataset, split, inside)
        yield place.case("is missing", remove, MISSING)
        yield place.case("is a link that leads out", link_out, says="leads out")

        def emptied(path: Path) -> None:
            shutil.rmtree(path)
            path.mkdir()

        def text(path: Path) -> None:
            shutil.rmtree(path)
            path.write_text("text")

        yield place.case("is empty", emptied, MISSING, names="official")
        yield place.case("is a file", text)
    for dataset, says in (("ho3d-v2", "is HO-3D v3"), ("ho3d-v3", "is HO-3D v2")):
        yield Case(dataset, "test", "", "is of the other version", as_other_version, says=says, names="official")
        place = Place(dataset, "test", "evaluation/AP10/rgb")
        yield place.case("is a link that leads out", link_out, says="leads out")
        yield Place(dataset, "test", "evaluation/AP10/meta").case(
            "is a link that leads out", link_out, says="leads out"
        )
        yield Place(dataset, "test", "evaluation/AP10/meta").case("is a file", lambda path: (
            shutil.rmtree(path), path.write_text("text"))[0], says="not a folder")  # fmt: skip
    for dataset, split, names in (
        ("freihand", "test", "evaluation_K.json"),
        ("freihand", "train", "training_K.json"),
        ("ge-realworld", "test", "images"),
        ("rhd", "test", "anno_evaluation.pickle"),
        ("stb", "test", "labels"),
        ("ho3d-v2", "test", "evaluation.txt"),
        ("ho3d-v3", "test", "evaluation.txt"),
    ):
        yield Case(
            dataset, split, "", "is not whole", lambda path: None, says="", names=names, partial=False
        )  # fmt: skip
    for dataset in ("freihand", "ge-realworld", "ho3d-v2", "ho3d-v3", "rhd", "stb", "dexter-object"):
        for what, data in (("is empty", b""), ("is noise", NOISE), ("says nothing", b"{}"), ("is a list", b"[1]")):
            yield Place(dataset, "test", "handbench-synthetic.json").case(what, put(data))


def _looked_at(case: Case) -> bool:
    """Not those that turn out to be well: UTF-16 is JSON; with --partial a missing image is a smaller tree."""
    if "UTF-16" in case.what and case.inside.endswith(".json"):
        return False
    if case.dataset == "stb" and case.inside.endswith(".png") and case.what == "is missing":
        return False
    if case.inside == "training_mano.json" and case.what == "has entries of other shape":
        return False
    return not (case.dataset == "ge-realworld" and case.what in ("is not whole", "has no bbox"))


CASES = tuple(
    case
    for case in itertools.chain(
        image_cases(), json_cases(), frame_list_cases(), ho3d_pickle_cases(), rhd_pickle_cases(), mat_cases(),
        dexter_cases(), folder_cases(),
    )
    if _looked_at(case)
)  # fmt: skip
