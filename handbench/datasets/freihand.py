"""FreiHAND v2 (Zimmermann et al., ICCV 2019), as its page ships it; freihand: README.md, view_samples.py, model.py.

    ROOT/training_{K,xyz[,verts][,mano][,scale]}.json     32,560 entries
         training/rgb/%08d.jpg                            130,240: file id = index + 32,560 k, background version k
         evaluation_{K[,scale][,xyz][,verts][,mano]}.json 3,960 entries (xyz, verts, mano: the later publication)
         evaluation/rgb/%08d.jpg                          3,960

Metres, OpenCV axes, FH21, right hands. `mano` is 48 axis-angle relative to the mean pose, 10 betas, uv of the root
(joint 9) and the scale.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from handbench.console import say, warn
from handbench.datasets.card import Block, Card, Wanted, describe
from handbench.errors import InvalidError, MissingError, UsageError
from handbench.hands.camera import joint_box, project
from handbench.hands.joints import MIDDLE_MCP
from handbench.hands.mano import HandModel
from handbench.hands.record import Hands
from handbench.layouts.context_crop import ORIGINAL, encode_mask
from handbench.layouts.folder import Folder, require_split
from handbench.layouts.images import decode_as_is, fingerprint, read_image
from handbench.layouts.mark import is_synthetic
from handbench.store.json_arrays import read_array

UNIQUE, VERSIONS, EVALUATION = 32560, 4, 3960
IMAGE_SIZE = (224, 224)

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
    captures="a frame with its four backgrounds; subjects and sequences are not published",
    extras=("masks",),
    notes=("Subjects and sequences are not published: samples count as independent, except the four backgrounds.",),
)
OFFICIAL_NAME = {"train": "training", "test": "evaluation"}
# file -> shape of one entry; the first two make a training split, the others add fields
FILES: dict[str, tuple[int, ...]] = {"K": (3, 3), "xyz": (21, 3), "verts": (778, 3), "mano": (1, 61), "scale": ()}


class FreihandSplit:
    """One split. Sample i is image file `file_ids[i]`; its annotation is entry `index[i]` of the lists."""

    def __init__(self, folder: Folder, split: str, wanted: Wanted):
        require_split(split, list(CARD.splits), CARD.name)
        if wanted.masks and split == "test":
            raise UsageError("FreiHAND's evaluation images have no masks.", "Leave --masks out, or give --split train.")
        if wanted.depth:
            raise UsageError("FreiHAND has no depth.", "Leave --depth out.")
        if wanted.lossless:
            raise UsageError("FreiHAND's images are kept as they are.", "Leave --lossless out.")
        self.folder, self.split, self.hand, self.masks = folder, split, wanted.right, wanted.masks
        self.prefix = OFFICIAL_NAME[split]
        self.unique = UNIQUE if split == "train" else EVALUATION
        self.lists = _read_lists(folder, self.prefix, ("K", "xyz") if split == "train" else ("K",))
        self.entries = _same_length(self.lists, folder, self.prefix, self.unique, wanted.partial)
        self._choose(_image_ids(folder, f"{self.prefix}/rgb"), wanted.partial)
        self.meta: dict[str, Any] = describe(
            CARD,
            split,
            folder,
            fingerprint(self.lists, folder, (self._image(i) for i in self.file_ids.tolist())),
            partial=len(self.file_ids) != CARD.splits[split],
            hand_model=self.hand.digest() if self.hand else None,
            image_coding=ORIGINAL,
        )
        if "mano" in self.lists and self.hand is None:
            say("No MANO file: poses and shapes are left out (`handbench prep mano MANO_RIGHT.pkl` brings them).")

    def __len__(self) -> int:
        return len(self.file_ids)

    def name(self, i: int) -> str:
        return f"freihand/{self.split}/{self.file_ids[i]:08d}"

    def _choose(self, file_ids: NDArray, partial: bool) -> None:
        """Which images are samples, and which annotation each has: `id % 32560` (freihand: README, `db_size`)."""
        rgb, n, unique = f"{self.folder}/{self.prefix}/rgb", self.entries, self.unique
        train = self.split == "train"
        official = VERSIONS * unique if train else unique
        if not partial:
            missing = np.setdiff1d(np.arange(official), file_ids)
            if len(missing) or len(file_ids) != official:
                first = f"; {missing[0]:08d}.jpg is not there" if len(missing) else ""
                version = " It is FreiHAND's first version, of one background." if train and len(file_ids) == n else ""
                raise InvalidError(
                    f"{rgb} has {len(file_ids):,} images, FreiHAND has {official:,}{first}.{version}",
                    "With --partial it is taken as it is; its results are then not comparable.",
                )
        # A shorter list is the head of the official one, unless the set says, or shows, that it has its own modulus:
        # the synthetic one says so; images 0..4n-1 for n annotations show it.
        own = is_synthetic(self.folder.root)
        if not own and n < unique and train and np.array_equal(file_ids, np.arange(VERSIONS * n)):
            warn(f"{len(file_ids):,} images and {n:,} annotations in {self.folder}: read as four backgrounds of each.")
            own = True
        self.modulus = n if own else unique
        index = file_ids % self.modulus if train else file_ids
        kept = (index < n) & (file_ids < (VERSIONS * self.modulus if train else n))
        if not kept.any():
            raise InvalidError(f"No image in {rgb} has an annotation.", "Do the folders belong together?")
        if not kept.all():
            warn(f"{(~kept).sum():,} images in {rgb} have no annotation and are left out (--partial).")
            file_ids, index = file_ids[kept], index[kept]
        self.file_ids, self.index = file_ids, index

    def _image(self, file_id: int) -> str:
        return f"{self.prefix}/rgb/{file_id:08d}.jpg"

    def read(self, start: int, stop: int) -> Block:
        index, file_ids = self.index[start:stop], self.file_ids[start:stop].tolist()
        read = [read_image(self.folder, self._image(i), IMAGE_SIZE) for i in file_ids]
        n = len(index)
        camera = self.lists["K"][index]
        joints = self.lists["xyz"][index] if "xyz" in self.lists else None
        pose = shape = translation = None
        if "mano" in self.lists and self.hand is not None:
            pose, shape, translation = mano_parameters(self.lists["mano"][index, 0], camera, self.hand)
        hands = Hands(
            id=np.array([self.name(i) for i in range(start, stop)]),
            capture=np.array([f"freihand/{self.split}/{i:08d}" for i in index.tolist()]),
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
        masks = [self._mask(i) for i in index.tolist()] if self.masks else None
        return Block(hands, [data for data, _ in read], masks)

    def _mask(self, entry: int) -> bytes:
        """One mask serves the four versions of an image; JPEG, so that its edges are neither 0 nor 255."""
        inside = f"training/mask/{entry:08d}.jpg"
        data, _ = read_image(self.folder, inside, IMAGE_SIZE)
        mask = decode_as_is(data, f"{self.folder}/{inside}")
        return encode_mask((mask if mask.ndim == 2 else mask[..., 0]) > 127)


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


def _read_lists(folder: Folder, prefix: str, required: tuple[str, ...]) -> dict[str, NDArray]:
    lists = {}
    for name, shape in FILES.items():
        inside = f"{prefix}_{name}.json"
        if folder.has(inside):
            lists[name] = read_array(folder.path(inside), shape)
        elif name in required:
            raise MissingError(f"{folder}/{inside} does not exist.", f"It is part of FreiHAND_pub_v2.zip: {CARD.url}")
    return lists


def _same_length(lists: dict[str, NDArray], folder: Folder, prefix: str, official: int, partial: bool) -> int:
    """Number of entries that all lists have."""
    for name, array in lists.items():
        if len(array) != official and not partial:
            raise InvalidError(
                f"{folder}/{prefix}_{name}.json has {len(array):,} entries, FreiHAND has {official:,}.",
                "With --partial it is taken as it is; its results are then not comparable.",
            )
    lengths = {name: len(array) for name, array in lists.items()}
    n = min(lengths.values())
    if len(set(lengths.values())) > 1:
        warn(f"{prefix}: the lists have different lengths ({lengths}); the first {n:,} entries are used (--partial).")
    return n


def _image_ids(folder: Folder, inside: str) -> NDArray:
    ids = [int(name[:8]) for name in folder.names(inside, r"[0-9]{8}\.jpg")]
    if not ids:
        raise MissingError(f"{folder}/{inside} has no %08d.jpg images.", "Is the download complete?")
    return np.array(ids, np.int64)


def open_split(folder: Folder, split: str, wanted: Wanted) -> FreihandSplit:
    return FreihandSplit(folder, split, wanted)
