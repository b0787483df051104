"""Training samples: augmented crops with their truth. What is drawn depends on (seed, epoch, sample, view) only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import default_collate

from handbench import datasets
from handbench.hands.camera import joint_box, project, square_crop
from handbench.hands.mano import axis_angle_to_matrix
from handbench.hands.record import Hands
from handbench.inference.crops import Crops, given_quantity, mirrored
from handbench.methods.base import Method
from handbench.recipe import Data
from handbench.store.hands_file import HandsFile
from handbench.synth.background import background
from handbench.training.processes import Processes

# a patch beside the hand is at least this share of the hand's box wide; where the picture has no room for one, or in
# half of all cases, it is a texture
LEAST_SHARE = 0.4
# how far a hand reaches beyond the box of its joints, and of its vertices, as a share of the box
FLESH, SKIN = 0.2, 0.05


class Drawn(NamedTuple):
    """What augmentation draws for a view: rotation rad, `grow` and `shift` (2,) in -1..1, `colour` (3,) a factor for
    each channel; `more` goes on drawing.
    """

    rotation: float
    grow: float
    shift: NDArray
    colour: NDArray
    more: np.random.Generator

    def coloured(self, image: NDArray) -> NDArray:
        """The image (3,S,S) uint8 with the factors applied."""
        if (self.colour == 1).all():
            return image
        return np.clip(image * self.colour[:, None, None], 0, 255).astype(np.uint8)


class AugmentedCrops(Crops):
    """As `Crops`, with the truth of a `Batch` and `views` differently augmented views of each image.

    `non_hands` patches without a hand are added for each sample of a batch, at least one where it is not 0.
    `labels` are those of all samples of the file: name -> (N,), -1 unknown.
    """

    def __init__(
        self,
        file: HandsFile,
        data: Data,
        index: NDArray,
        method: Method,
        seed: int,
        labels: Mapping[str, NDArray] | None = None,
    ):
        box = ("box",) if "box" in method.given else ()
        given = ("root", "root depth", "scale", "camera", *box)
        super().__init__(file, method.input_size, data.margin, given, index, method.mirrors_left)
        self.data = data
        self.views = method.views
        self.seed = seed
        self.labels = {name: (labels or {})[name] for name in method.labels}
        self.epoch = 0
        self.non_hands = 0.0
        # of which this one loads its share of each batch
        self.processes = Processes()
        name = str(file.meta.get("dataset"))
        # of data that no card describes nothing is known
        self.other_hands = name not in datasets.names() or datasets.find(name).CARD.other_hands

    def entries(self, samples: int) -> int:
        """How many images a batch of so many samples has, patches beside the hand included."""
        return samples + (max(1, round(self.non_hands * samples)) if self.non_hands else 0)

    def __getitems__(self, items: list[int]) -> list[dict[str, Any]]:
        """This process's share of a batch at once, as torch's loader asks for it: samples, then patches."""
        n = len(items)
        mine = self.processes.share(self.entries(n))
        return [self[items[i]] if i < n else self._beside(items[i % n], i // n - 1) for i in mine]

    def __getitem__(self, item: int) -> dict[str, Any]:
        at = int(self.index[item])
        hands = self.file.read(at, at + 1)
        views = [self._view(at, hands, view) for view in range(self.views)]
        return {key: np.stack([view[key] for view in views]) for key in views[0]}

    def collate(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        """B samples of V views -> a batch of V*B: first one view of each, then the next."""
        return {key: value.transpose(0, 1).flatten(0, 1) for key, value in default_collate(items).items()}

    def quantity(self, hands: Hands, name: str) -> NDArray:
        """NaN where it is not known: the losses mask what needs it."""
        return given_quantity(hands, name)

    def _view(self, at: int, hands: Hands, view: int) -> dict[str, Any]:
        return self._varied(at, hands, self._draw(at, view))

    def _varied(self, at: int, hands: Hands, drawn: Drawn, least: float = 0.0) -> dict[str, Any]:
        data = self.data
        affine = self.affine(hands, drawn.rotation, 1 + data.scale * drawn.grow, data.shift * drawn.shift, least)
        sample = self.crop(at, hands, affine, drawn.rotation)
        sample["image"] = drawn.coloured(sample["image"])
        labels = {name: np.int64(of_all[at]) for name, of_all in self.labels.items()}
        return {**sample, **truth(hands), "hand": np.bool_(True), **labels}

    def _draw(self, at: int, view: int) -> Drawn:
        draw = np.random.default_rng([self.seed, self.epoch, at, view])
        data = self.data
        # drawn in a fixed order, wanted or not, so that one setting does not change the draws of another
        turn, turned, grow = draw.uniform(-1, 1), draw.uniform(), draw.uniform(-1, 1)
        shift, gain, brightness = draw.uniform(-1, 1, 2), draw.uniform(-1, 1, 3), draw.uniform(-1, 1)
        rotation = np.deg2rad(data.rotation) * turn if turned < data.rotation_probability else 0.0
        factor = (1 + data.colour * gain) * (1 + data.colour * brightness)
        return Drawn(float(rotation), float(grow), shift, factor, draw)

    def _beside(self, item: int, turn: int) -> dict[str, Any]:
        """A patch of the sample's picture beside its hand, turned and coloured like one with a hand, or a texture;
        without truth.
        """
        at = int(self.index[item])
        hands = self.file.read(at, at + 1)
        drawn = self._draw(at, self.views + turn)
        square = self._free_square(hands, drawn)
        affine = self.affine(hands, drawn.rotation)
        if square is not None:
            affine = square_crop(square, self.size, rotation=drawn.rotation)
            affine = mirrored(affine, self.size) if self._mirrors(hands) else affine
        sample = self.crop(at, hands, affine, drawn.rotation)
        if square is None:
            sample["image"] = np.ascontiguousarray(texture(self.size, drawn.more).transpose(2, 0, 1))
        sample["image"] = drawn.coloured(sample["image"])
        nothing = {key: np.zeros_like(value) for key, value in truth(hands).items()}
        nothing["mano_rotations"] += np.eye(3, dtype=np.float32)
        unknown = dict.fromkeys(self.labels, np.int64(-1))
        one = {**sample, **nothing, "hand": np.bool_(False), **unknown}
        return {key: np.stack([np.asarray(value)] * self.views) for key, value in one.items()}

    def _free_square(self, hands: Hands, drawn: Drawn) -> NDArray | None:
        """A square xyxy that stays beside the hand when it is turned, in the widest strip of the picture that is free;
        None: no room, or another hand may be in the picture.
        """
        draw = drawn.more
        if draw.random() < 0.5 or self.other_hands:
            return None
        width, height = np.asarray(hands.image_size)[0].astype(float)
        left, top, right, bottom = self._around(hands)
        strips = [(0, 0, left, height), (right, 0, width, height), (0, 0, width, top), (0, bottom, width, height)]
        x0, y0, x1, y1 = max(strips, key=lambda s: min(s[2] - s[0], s[3] - s[1]))
        # the side of the upright square around a turned one, over the turned one's
        reach = abs(np.cos(drawn.rotation)) + abs(np.sin(drawn.rotation))
        room = min(x1 - x0, y1 - y0) / reach
        least = LEAST_SHARE * max(right - left, bottom - top)
        # without a known box the strips are not a number, and neither is the room
        if not room >= max(least, 8):
            return None
        side = draw.uniform(least, room)
        half = side * reach / 2
        x, y = draw.uniform(x0 + half, x1 - half), draw.uniform(y0 + half, y1 - half)
        # the crop reaches half a pixel beyond the first and last centres
        return np.array([x, y, x - 1, y - 1]) + side / 2 * np.array([-1, -1, 1, 1])

    def _around(self, hands: Hands) -> NDArray:
        """A box xyxy with the whole hand inside: of its joints, and of its vertices where they are known, and a margin
        for flesh; NaN where it is not known.
        """
        joints = np.asarray(hands.box)[0] if hands.box is not None else np.full(4, np.nan)
        boxes, margin = [joints], FLESH
        if hands.vertices is not None and hands.camera is not None and np.isfinite(hands.vertices[0]).all():
            boxes.append(joint_box(project(np.asarray(hands.vertices[0]), np.asarray(hands.camera)[0])))
            margin = SKIN
        low, high = np.array(boxes)[:, :2].min(0), np.array(boxes)[:, 2:].max(0)
        more = margin * (high - low).max()
        return np.concatenate([low - more, high + more])


def texture(size: int, draw: np.random.Generator) -> NDArray:
    """(size, size, 3) uint8 RGB without a hand."""
    return (background((size, size), draw) * 255).round().astype(np.uint8)


def truth(hands: Hands) -> dict[str, Any]:
    """The supervision of one sample: absent entries are 0 with their mask False."""
    joints = np.asarray(hands.joints[0], np.float32)  # type: ignore[index]
    valid = np.asarray(np.isfinite(joints).all(-1))
    if hands.joints_valid is not None:
        valid &= hands.joints_valid[0]
    has_mesh = hands.vertices is not None and bool(np.isfinite(hands.vertices[0]).all())
    vertices = hands.vertices[0] if has_mesh else np.zeros((778, 3))  # type: ignore[index]
    posed = (
        hands.mano_pose is not None
        and hands.mano_shape is not None
        and bool(np.isfinite(hands.mano_pose[0]).all() and np.isfinite(hands.mano_shape[0]).all())
    )
    pose = hands.mano_pose[0] if posed else np.zeros(48)  # type: ignore[index]
    return {
        "joints": np.where(valid[:, None], joints, 0.0).astype(np.float32),
        "joints_valid": valid,
        "vertices": np.asarray(vertices, np.float32),
        "vertices_valid": np.bool_(has_mesh),
        "mano_rotations": axis_angle_to_matrix(np.asarray(pose, np.float64).reshape(16, 3)).astype(np.float32),
        "mano_shape": np.asarray(hands.mano_shape[0] if posed else np.zeros(10), np.float32),  # type: ignore[index]
        "mano_valid": np.bool_(posed),
    }
