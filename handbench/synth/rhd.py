"""Writing synthetic hands in RHD's folders: both hands of a person in each image, pictures, masks, depth, two pickles.

The hand that is meant to be looked at fills a third of the image; the other one is beside it, or out of the image. One
image in eight is a tie: pixels of the larger hand are given to the person until both hands have as many.

Of a hand's sixteen mask labels the first fifteen are here the fingers, thumb first, each tip, middle, base; the last is
the palm. Floats of the pickles are float32.
"""

from __future__ import annotations

import dataclasses
import pickle
import zlib
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handbench.hands.camera import project
from handbench.hands.joints import MANO16_IN_FH21, from_fh21
from handbench.hands.raster import rasterise
from handbench.hands.record import Hands
from handbench.synth.background import background
from handbench.synth.frame import WALL
from handbench.synth.layout import Advance, HandOf, Size, claim, put, put_gray, put_rgb, require_sizes
from handbench.synth.picture import foreground
from handbench.synth.scene import Scene, join, make_scene

SIZE = Size(samples=24, held=12)
PARTS = {"train": "training", "test": "evaluation"}
IMAGE_SIZE = 320
SIDES = ("left", "right")
FIRST_LABEL = {"left": 2, "right": 18}
PERSON, BACKGROUND = 1, 0
TIES = (8, 5)  # of every eight images the sixth
DEPTH_STEPS = 65535 / 5.0  # a metre


def images(size: Size) -> int:
    return size.samples + size.held


def write(out: Path, size: Size, seed: int, hands: HandOf, advance: Advance) -> None:
    """`training` with `size.samples` images and `evaluation` with `size.held`."""
    require_sizes(size, "samples", "held")
    claim(out, "rhd", {"seed": seed, "samples": size.samples, "held": size.held, "hand": hands("right").digest()})
    for split, part in PARTS.items():
        entries = {}
        for i in range(_count(split, size)):
            pair = Pair(split, i, seed, hands)
            entries[i] = pair.annotation()
            paths = [out / part / kind / f"{i:05d}.png" for kind in ("mask", "depth", "color")]
            if not all(path.exists() for path in paths):
                put_gray(paths[0], pair.parts)
                put_rgb(paths[1], pair.coded_depth())
                put_rgb(paths[2], pair.image())
            advance(1)
        put(out / part / f"anno_{part}.pickle", pickle.dumps(entries, protocol=2))


def truth(split: str, size: Size, seed: int, hands: HandOf) -> Hands:
    """The dominant hand of each image; joints and cameras are rounded to float32, as in the pickles."""
    pairs = [Pair(split, i, seed, hands) for i in range(_count(split, size))]
    chosen = [pair.scenes[pair.dominant] for pair in pairs]
    n = len(pairs)
    return Hands(
        id=np.array([f"rhd/{split}/{i:08d}" for i in range(n)]),
        side=np.array([pair.dominant for pair in pairs]),
        joints=np.array([scene.joints for scene in chosen]).astype(np.float32),
        joints_valid=np.ones((n, 21), bool),
        joints_visible=np.array([pair.visible(pair.dominant) for pair in pairs]),
        frame_size=np.full((n, 2), IMAGE_SIZE),
        frame_camera=np.array([pair.camera for pair in pairs]).astype(np.float32).astype(np.float64),
        meta={"dataset": "rhd", "split": split},
    )


class Pair:
    """Both hands of one image, which belongs to (seed, split, i): `scenes` by side, each with the other in front of it
    or behind, `parts` (320, 320) uint8 the mask."""

    def __init__(self, split: str, i: int, seed: int, hands: HandOf):
        self.seed = (seed, zlib.crc32(f"rhd/{split}".encode()), i)
        rng = np.random.default_rng(self.seed)
        self.tie = i % TIES[0] == TIES[1]
        focal = rng.uniform(260.0, 310.0)
        self.camera = np.array([[focal, 0, 160.0], [0, focal, 160.0], [0, 0, 1.0]])
        order = SIDES if rng.random() < 0.5 else SIDES[::-1]
        depth = rng.uniform(0.42, 0.62)
        middles = [np.array([*rng.uniform(-0.05, 0.05, 2), depth])]
        # beside the first one, a little nearer or farther; one in three is out of the image
        away = 0.7 if rng.random() < 1 / 3 else rng.uniform(0.12, 0.2)
        aside = np.sign(rng.uniform(-1, 1)) * away
        middles.append(middles[0] + [aside, rng.uniform(-0.04, 0.04), rng.uniform(-0.02, 0.12)])
        alone = {
            side: _moved(
                make_scene(f"{split}/{i}", hands(side), IMAGE_SIZE, "freihand", False, (*self.seed, k)), middles[k]
            )
            for k, side in enumerate(order)
        }
        # one person: one skin and one light for both hands
        self.scenes = {
            side: dataclasses.replace(
                scene,
                camera=self.camera,
                occluders=((other.vertices, other.model.f), other.arm),
                paint=(*self.seed, 1),
            )
            for side, other_side in zip(SIDES, SIDES[::-1], strict=True)
            for scene, other in [(alone[side], alone[other_side])]
        }

    @cached_property
    def _drawn(self) -> tuple[NDArray, NDArray]:
        """The mask before a tie is made, and depth (320, 320) m."""
        bodies, labels = [], []
        for side, scene in self.scenes.items():
            bodies += [(scene.vertices, scene.model.f), scene.arm]
            labels += [FIRST_LABEL[side] + _part_of_faces(scene), np.full(len(scene.arm[1]), PERSON)]
        vertices, faces = join(bodies)
        raster = rasterise(vertices, faces, self.camera, (IMAGE_SIZE, IMAGE_SIZE))
        label = np.concatenate([*labels, [BACKGROUND]])  # what sees nothing has face -1
        return label[raster.face].astype(np.uint8), np.minimum(raster.depth, WALL)

    @cached_property
    def parts(self) -> NDArray:
        parts = self._drawn[0].copy()
        if self.tie:
            counts = {side: _pixels(parts, side).sum() for side in SIDES}
            larger = max(counts, key=lambda side: counts[side])
            rows, columns = np.nonzero(_pixels(parts, larger))
            surplus = abs(counts["left"] - counts["right"])
            parts[rows[:surplus], columns[:surplus]] = PERSON
        return parts

    @property
    def dominant(self) -> str:
        return "left" if _pixels(self.parts, "left").sum() > _pixels(self.parts, "right").sum() else "right"

    def visible(self, side: str) -> NDArray:
        return self.scenes[side].joints_visible

    def annotation(self) -> dict[str, NDArray]:
        """The entry of the pickle: rows of the left hand first, fingers from tip to base."""
        joints = np.concatenate([from_fh21(self.scenes[side].joints, "rhd") for side in SIDES])
        seen = np.concatenate([from_fh21(self.visible(side)[:, None], "rhd") for side in SIDES])
        uv_vis = np.concatenate([project(joints, self.camera), seen], 1)
        return {
            "xyz": joints.astype(np.float32),
            "uv_vis": uv_vis.astype(np.float32),
            "K": self.camera.astype(np.float32),
        }

    def coded_depth(self) -> NDArray:
        """RGB (320, 320, 3): the high byte of 65535ths of 5 m in R, the low one in G."""
        steps = np.rint(self._drawn[1] * DEPTH_STEPS).astype(np.int64)
        return np.stack([steps // 256, steps % 256, np.zeros_like(steps)], -1).astype(np.uint8)

    def image(self) -> NDArray:
        left, right = (foreground(self.scenes[side]) for side in SIDES)
        # each hand and its forearm as they are drawn for themselves
        other = self._body == 1
        mixed = dataclasses.replace(left, colour=np.where(other[..., None], right.colour, left.colour))
        rng = np.random.default_rng((*self.seed, 2))
        return mixed.over(background((IMAGE_SIZE, IMAGE_SIZE), rng), rng)

    @property
    def _body(self) -> NDArray:
        """(320, 320): 0 where the left hand or its forearm is seen, 1 the right one's, -1 neither."""
        scenes = [self.scenes[side] for side in SIDES]
        depths = [
            rasterise(*join([(s.vertices, s.model.f), s.arm]), s.camera, s.image_size).depth for s in scenes
        ]  # fmt: skip
        nearest = np.argmin(depths, axis=0)
        return np.where(np.isfinite(np.min(depths, axis=0)), nearest, -1)


def _count(split: str, size: Size) -> int:
    return size.samples if split == "train" else size.held


def _pixels(parts: NDArray, side: str) -> NDArray:
    return (parts >= FIRST_LABEL[side]) & (parts < FIRST_LABEL[side] + 16)


def _moved(scene: Scene, middle: NDArray) -> Scene:
    """The scene with the middle of the hand's joints at `middle` (3,) m."""
    shift = middle - scene.joints.mean(0)
    return dataclasses.replace(
        scene,
        joints=scene.joints + shift,
        vertices=scene.vertices + shift,
        mano_translation=scene.mano_translation + shift,
        arm=(scene.arm[0] + shift, scene.arm[1]),
    )


def _part_of_faces(scene: Scene) -> NDArray:
    """Part 0-15 of each face (F,), by the bone that moves its corners most: fingers thumb first, tip to base; 15 the
    palm."""
    part_of_bone = np.full(16, 15)
    for bone, joint in enumerate(MANO16_IN_FH21):
        if joint:
            finger, phalanx = divmod(joint - 1, 4)
            part_of_bone[bone] = 3 * finger + 2 - phalanx
    weights = scene.model.weights[scene.model.f].sum(1)
    return part_of_bone[weights.argmax(1)]
