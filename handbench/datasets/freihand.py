"""FreiHAND v2 (Zimmermann et al., ICCV 2019), as its page ships it; freihand: README.md, view_samples.py, model.py.

    ROOT/training_{K,xyz[,verts][,mano][,scale]}.json     32,560 entries
         training/rgb/%08d.jpg                            130,240: file id = index + 32,560 k, background version k
         evaluation_{K[,scale][,xyz][,verts][,mano]}.json 3,960 entries (xyz, verts, mano: the later publication)
         evaluation/rgb/%08d.jpg                          3,960

Metres, OpenCV axes, FH21, right hands. `mano` is 48 axis-angle relative to the mean pose, 10 betas, uv of the root
(joint 9) and the scale.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handbench.console import say, warn
from handbench.datasets.card import Card
from handbench.datasets.images import fingerprint, read_image
from handbench.errors import InvalidError, MissingError, UsageError
from handbench.hands.camera import joint_box, project
from handbench.hands.joints import MIDDLE_MCP
from handbench.hands.mano import HandModel
from handbench.hands.record import Hands
from handbench.store.json_arrays import read_array
from handbench.store.records import read_json

UNIQUE, VERSIONS, EVALUATION = 32560, 4, 3960
SYNTHETIC_MARK = "handbench-synthetic.json"

CARD = Card(
    name="freihand",
    title="FreiHAND v2",
    splits={"train": UNIQUE * VERSIONS, "test": EVALUATION},
    has=("joints", "vertices", "mano_pose", "mano_shape", "camera", "side"),
    conventions="metres; OpenCV axes; FH21 order; MANO poses relative to the mean pose; four backgrounds a frame",
    fingertips="freihand",
    licence="research only",
    url="https://lmb.informatik.uni-freiburg.de/projects/freihand/",
    citation="Zimmermann et al., FreiHAND: A Dataset for Markerless Capture of Hand Pose and Shape, ICCV 2019",
    validation="hash",
    notes=("Subjects and sequences are not published: samples count as independent, except the four backgrounds.",),
)
OFFICIAL_NAME = {"train": "training", "test": "evaluation"}
# file -> shape of one entry; the first two make a training split, the others add fields
FILES: dict[str, tuple[int, ...]] = {"K": (3, 3), "xyz": (21, 3), "verts": (778, 3), "mano": (1, 61), "scale": ()}


class FreihandSplit:
    """One split. Sample i is image file `files[i]`; its annotation is entry `index[i]` of the lists."""

    def __init__(self, source: Path, split: str, partial: bool, hand: HandModel | None):
        if split not in CARD.splits:
            raise UsageError(f"freihand has no split {split!r}.", f"Splits: {', '.join(CARD.splits)}.")
        self.folder = OFFICIAL_NAME[split]
        self.source = source
        self.hand = hand
        required = ("K", "xyz") if split == "train" else ("K",)
        self.lists = _read_lists(source, self.folder, required)
        unique = UNIQUE if split == "train" else EVALUATION
        n = _same_length(self.lists, source, self.folder, unique, partial)
        file_ids = _image_ids(source / self.folder / "rgb")
        self._choose(file_ids, n, unique, CARD.splits[split], split, partial)
        self.ids = np.array([f"freihand/{split}/{i:08d}" for i in self.file_ids])
        self.captures = np.array([f"freihand/{split}/{i:08d}" for i in self.index])
        mark = source / SYNTHETIC_MARK
        self.meta: dict[str, Any] = {
            "dataset": CARD.name,
            "split": split,
            "count": CARD.splits[split],
            "partial": len(self.ids) != CARD.splits[split],
            "source": read_json(mark, "The mark")["source"] if mark.exists() else "official files",
            "read_from": str(source),
            "joint_source": "annotated",
            "fingertips": CARD.fingertips,
            "validation": CARD.validation,
            "hand_model": hand.digest() if hand else None,
            "read": fingerprint(self.lists, [self._image(i) for i in self.file_ids]),
        }
        if "mano" in self.lists and hand is None:
            say("No MANO file: poses and shapes are left out (`handbench prep mano MANO_RIGHT.pkl` brings them).")

    def _choose(self, file_ids: NDArray, n: int, unique: int, official: int, split: str, partial: bool) -> None:
        """Which images are samples, and which annotation each has: `id % 32560` (freihand: README, `db_size`)."""
        rgb = self.source / self.folder / "rgb"
        if not partial:
            missing = np.setdiff1d(np.arange(official), file_ids)
            if len(missing) or len(file_ids) != official:
                first = f"; {missing[0]:08d}.jpg is not there" if len(missing) else ""
                raise InvalidError(
                    f"{rgb} has {len(file_ids):,} images, FreiHAND has {official:,}{first}.",
                    "With --partial it is taken as it is; its results are then not comparable.",
                )
        # A shorter list is the head of the official one, unless the set says, or shows, that it has its own modulus:
        # the synthetic one says so; images 0..4n-1 for n annotations show it.
        own = (self.source / SYNTHETIC_MARK).exists()
        if not own and n < unique and split == "train" and np.array_equal(file_ids, np.arange(VERSIONS * n)):
            warn(f"{len(file_ids):,} images and {n:,} annotations in {self.source}: read as four backgrounds of each.")
            own = True
        modulus = n if own else unique
        index = file_ids % modulus if split == "train" else file_ids
        kept = (index < n) & (file_ids < (VERSIONS * modulus if split == "train" else n))
        if not kept.any():
            raise InvalidError(f"No image in {rgb} has an annotation.", "Do the folders belong together?")
        if not kept.all():
            warn(f"{(~kept).sum():,} images in {rgb} have no annotation and are left out (--partial).")
            file_ids, index = file_ids[kept], index[kept]
        self.file_ids, self.index = file_ids, index

    def _image(self, file_id: int) -> Path:
        return self.source / self.folder / "rgb" / f"{file_id:08d}.jpg"

    def read(self, start: int, stop: int) -> tuple[Hands, list[bytes]]:
        index = self.index[start:stop]
        files = [self._image(i) for i in self.file_ids[start:stop]]
        with ThreadPoolExecutor(8) as pool:
            read = list(pool.map(read_image, files))
        n = len(index)
        camera = self.lists["K"][index]
        joints = self.lists["xyz"][index] if "xyz" in self.lists else None
        pose = shape = translation = None
        if "mano" in self.lists and self.hand is not None:
            pose, shape, translation = mano_parameters(self.lists["mano"][index, 0], camera, self.hand)
        hands = Hands(
            id=self.ids[start:stop],
            capture=self.captures[start:stop],
            side=np.full(n, "right"),
            joints=joints,
            joints_valid=None if joints is None else np.isfinite(joints).all(-1),
            vertices=self.lists["verts"][index] if "verts" in self.lists else None,
            mano_pose=pose,
            mano_shape=shape,
            mano_translation=translation,
            image_size=np.array([size for _, size in read]),
            camera=camera,
            box=None if joints is None else joint_box(project(joints, camera)),
            meta=self.meta,
        )
        return hands, [data for data, _ in read]


def mano_parameters(mano: NDArray, camera: NDArray, hand: HandModel) -> tuple[NDArray, NDArray, NDArray]:
    """FreiHAND's vectors (N, 61) and cameras (N, 3, 3) -> full pose (N, 48), shape (N, 10), translation (N, 3) m.

    The stored pose is relative to MANO's mean pose; the translation puts joint 9 at `recover_root`.
    """
    pose = mano[:, :48].copy()
    pose[:, 3:] += hand.hands_mean
    shape = mano[:, 48:58]
    vertices, joints = hand.forward(pose, shape)
    posed = hand.joints21(vertices, joints, "freihand")[:, MIDDLE_MCP]
    return pose, shape, recover_root(mano, camera) - posed


def recover_root(mano: NDArray, camera: NDArray) -> NDArray:
    """Position (N, 3) m of joint 9: `((uv - pp), f) / scale`, f the mean focal length (freihand: model.py)."""
    focal = (camera[:, 0, 0] + camera[:, 1, 1]) / 2
    principal = camera[:, :2, 2]
    uv, scale = mano[:, 58:60], mano[:, 60:61]
    return np.concatenate([uv - principal, focal[:, None]], -1) / scale


def _read_lists(source: Path, prefix: str, required: tuple[str, ...]) -> dict[str, NDArray]:
    if not source.is_dir():
        raise MissingError(f"The folder {source} does not exist.", f"FreiHAND v2 is had from {CARD.url}")
    lists = {}
    for name, shape in FILES.items():
        path = source / f"{prefix}_{name}.json"
        if path.exists():
            lists[name] = read_array(path, shape)
        elif name in required:
            raise MissingError(f"{path} does not exist.", f"It is part of FreiHAND_pub_v2.zip, from {CARD.url}")
    return lists


def _same_length(lists: dict[str, NDArray], source: Path, prefix: str, official: int, partial: bool) -> int:
    """Number of entries that all lists have."""
    for name, array in lists.items():
        if len(array) != official and not partial:
            raise InvalidError(
                f"{source / f'{prefix}_{name}.json'} has {len(array):,} entries, FreiHAND has {official:,}.",
                "With --partial it is taken as it is; its results are then not comparable.",
            )
    lengths = {name: len(array) for name, array in lists.items()}
    n = min(lengths.values())
    if len(set(lengths.values())) > 1:
        warn(f"{prefix}: the lists have different lengths ({lengths}); the first {n:,} entries are used (--partial).")
    return n


def _image_ids(folder: Path) -> NDArray:
    if not folder.is_dir():
        raise MissingError(f"The folder {folder} does not exist.", "Is the download unpacked there?")
    ids = sorted(int(m[1]) for f in folder.iterdir() if (m := re.fullmatch(r"(\d{8})\.jpg", f.name)))
    if not ids:
        raise MissingError(f"{folder} has no %08d.jpg images.", "Is the download complete?")
    return np.array(ids, np.int64)


def open_split(source: Path, split: str, *, partial: bool, hand: HandModel | None) -> FreihandSplit:
    return FreihandSplit(source, split, partial, hand)
