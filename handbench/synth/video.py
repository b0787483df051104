"""Tracks of the synthetic hand: it moves, things pass before it, and what moves while the shutter is open is smeared.

A picture is the mean of three renderings, evenly over the half frame that the shutter is open; annotations, masks and
the covered share are those of its middle, exact as in a single scene.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from handbench.datasets.handsynth_video import LENGTH
from handbench.errors import UsageError
from handbench.hands.mano import HandModel, axis_angle_to_matrix
from handbench.hands.record import Hands
from handbench.synth.background import background
from handbench.synth.bodies import SHAPES, Body, forearm, solid
from handbench.synth.dataset import to_hands
from handbench.synth.look import PLAIN, Look
from handbench.synth.picture import Foreground, foreground
from handbench.synth.poses import sequence
from handbench.synth.scene import ARM_TOWARDS, DISTANCE, Scene, outward, wrist_loop

# frames of a track, and frames a second
FRAMES, RATE = LENGTH, 30
# renderings of a picture, this many sixths of a frame from its middle: the shutter is open for half of a frame
SHUTTER, PARTS = (-1, 0, 1), 6
# from one pose to the next, frames; how far the hand turns, radians, and wanders, m, and how often, a second
HOLD, TURNS, WANDERS, OFTEN = (7, 18), 0.35, (0.028, 0.028, 0.02), (0.3, 1.6)
# the hand's share of the picture: it has to stay inside while it wanders
FILL = (0.38, 0.55)
BARE = 0.2  # of the tracks nothing passes before the hand


@dataclass(frozen=True, eq=False)
class Passing:
    """A solid on its way to and fro before the hand: half-extents (3,) m, turned by `turn` and then `spin` (3,) rad/s,
    at `middle` + `way` * sin(`pace` * t + `phase`), t in seconds; (3,) m, rad/s, rad.
    """

    form: str
    half: NDArray
    turn: Rotation
    spin: NDArray
    middle: NDArray
    way: NDArray
    pace: float
    phase: float

    def at(self, t: float) -> Body:
        turn = (Rotation.from_rotvec(self.spin * t) * self.turn).as_matrix()
        return solid(self.form, self.half, turn, self.middle + self.way * np.sin(self.pace * t + self.phase))


@dataclass(frozen=True, eq=False)
class Track:
    """F frames of `len(SHUTTER)` moments each, camera frame, metres: poses (F, S, 48) full axis-angle, translations
    (F, S, 3), vertices (F, S, 778, 3), joints (F, S, 21, 3) FH21; the hand's shape (10,); what passes before it.
    """

    model: HandModel
    poses: NDArray
    shape: NDArray
    translations: NDArray
    vertices: NDArray
    joints: NDArray
    bend: NDArray
    passing: tuple[Passing, ...]
    camera: NDArray
    image_size: int
    seed: tuple[int, ...]
    look: Look

    def scene(self, name: str, t: int, moment: int = SHUTTER.index(0)) -> Scene:
        """Frame t at one moment of the shutter, its middle if not given."""
        vertices, pose = self.vertices[t, moment], self.poses[t, moment]
        turn = axis_angle_to_matrix(pose[:3])
        seconds = (t + SHUTTER[moment] / PARTS) / RATE
        return Scene(
            id=name,
            model=self.model,
            joints=self.joints[t, moment],
            vertices=vertices,
            mano_pose=pose,
            mano_shape=self.shape,
            mano_translation=self.translations[t, moment],
            camera=self.camera,
            image_size=(self.image_size, self.image_size),
            arm=forearm(vertices[wrist_loop(self.model)], turn @ outward(self.model), turn @ self.bend),
            occluders=tuple(thing.at(seconds) for thing in self.passing),
            # one track has one skin, one light, one set of things
            paint=(*self.seed, 1),
            look=self.look,
        )

    def image(self, t: int) -> NDArray:
        """The picture (H, W, 3) uint8 RGB of frame t: one background, and grain of its own."""
        parts = [foreground(self.scene("", t, moment)) for moment in range(len(SHUTTER))]
        smeared = Foreground(np.mean([p.colour for p in parts], 0), np.mean([p.alpha for p in parts], 0))
        behind = _background(self.image_size, (*self.seed, 2), self.look)
        return smeared.over(behind, np.random.default_rng((*self.seed, 3, t)), look=self.look)


@lru_cache(maxsize=2)
def _background(size: int, seed: tuple[int, ...], look: Look) -> NDArray:
    rng = np.random.default_rng(seed)
    return background((size, size), rng, look.kind(rng))


def make_track(model: HandModel, frames: int, size: int, fingertips: str, seed: tuple[int, ...], look: Look) -> Track:
    """The track that belongs to this seed."""
    rng = np.random.default_rng(seed)
    # one frame before the first: its shutter opens before it
    hold = int(rng.integers(*HOLD))
    moments = (1 + np.arange(frames)[:, None]) * PARTS + np.array(SHUTTER)
    poses = sequence((frames + 2) * PARTS, rng, hold * PARTS, model.side)[moments.ravel()]
    t = (moments.ravel() / PARTS - 1) / RATE
    begin = Rotation.random(rng=rng)
    while begin.apply(outward(model))[2] < ARM_TOWARDS:
        begin = Rotation.random(rng=rng)
    poses[:, :3] = (Rotation.from_rotvec(_path(t, np.full(3, TURNS), rng)) * begin).as_rotvec()
    shape = np.clip(rng.standard_normal(10), -2.5, 2.5)
    vertices, joints16 = model.forward(poses, np.tile(shape, (len(t), 1)))
    joints = model.joints21(vertices, joints16, fingertips)

    ratio = size / 224.0
    focal = np.clip(rng.normal(look.focal, look.focal_spread), *look.focal_range) * ratio
    camera = np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1.0]])
    # so far away that the hand at its widest fills the picture as wanted, its middle about the picture's
    low, high = joints.min(1), joints.max(1)
    wanted = rng.uniform(*FILL) * size
    distance = np.clip((high - low)[:, :2].max() * focal / wanted, *DISTANCE)
    # what is farther away wanders as far in the picture
    moved = _path(t, np.array(WANDERS) * distance / 0.6, rng) + np.array([0.0, 0.0, distance])
    shift = moved - (low + high).mean(0) / 2
    vertices, joints = vertices + shift[:, None], joints + shift[:, None]
    bend = np.array([0.06, 0.14, 0.38]) * rng.standard_normal(3)
    passing = () if rng.random() < BARE else _passing(joints, rng)
    each = (frames, len(SHUTTER))
    return Track(
        model, poses.reshape(*each, 48), shape, shift.reshape(*each, 3), vertices.reshape(*each, *vertices.shape[1:]),
        joints.reshape(*each, 21, 3), bend, passing, camera, size, seed, look,
    )  # fmt: skip


def _path(t: NDArray, reach: NDArray, rng: np.random.Generator) -> NDArray:
    """A smooth way (T, 3) about the origin, within `reach` (3,): two waves an axis."""
    often, phase = rng.uniform(*OFTEN, (2, 1, 3)), rng.uniform(0, 2 * np.pi, (2, 1, 3))
    share = np.array([0.65, 0.35])[:, None, None]
    return (reach * share * np.sin(2 * np.pi * often * t[:, None] + phase)).sum(0)


def _passing(joints: NDArray, rng: np.random.Generator) -> tuple[Passing, ...]:
    """One or two solids that pass before the hand, whose joints over the track are (T, 21, 3)."""
    nearest = joints[..., 2].min()
    found = []
    for _ in range(int(rng.integers(1, 3))):
        target = joints[rng.integers(len(joints)), rng.integers(21)]
        half = rng.uniform(0.015, 0.035, 3) * rng.choice([1.0, 1.6])
        # before the whole hand, wherever it goes: a solid that cuts through flesh is not seen in life
        depth = nearest - half.max() * 1.8 - rng.uniform(0.015, 0.06)
        angle = rng.uniform(0, 2 * np.pi)
        # what is nearer has less far to go
        reach = rng.uniform(0.05, 0.12) * depth / nearest
        found.append(
            Passing(
                form=SHAPES[rng.integers(len(SHAPES))],
                half=half,
                turn=Rotation.random(rng=rng),
                spin=rng.normal(0, 1.0, 3),
                middle=target / target[2] * depth + np.array([*rng.normal(0, 0.015, 2), 0.0]),
                way=reach * np.array([np.cos(angle), np.sin(angle), 0.0]),
                pace=2 * np.pi * rng.uniform(0.3, 1.1),
                phase=rng.uniform(0, 2 * np.pi),
            )
        )
    return tuple(found)


@dataclass(frozen=True, eq=False)
class SyntheticVideo:
    """`n` frames in tracks of `FRAMES`, one after the other; track k depends on (seed, split, k) and on nothing else.

    As `SyntheticHands` otherwise: `dataset` is the first word of the ids only, which number the frames of all tracks.
    """

    n: int
    seed: int
    split: str
    model: HandModel
    dataset: str
    image_size: int = 224
    fingertips: str = "freihand"
    look: Look = PLAIN
    _key: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_key", (self.seed, zlib.crc32(self.split.encode())))

    def __len__(self) -> int:
        return self.n

    def name(self, i: int) -> str:
        return f"{self.dataset}/{self.split}/{i:08d}"

    def sample(self, i: int) -> Scene:
        """Frame i at the middle of its shutter."""
        return self._track(i).scene(self.name(i), i % FRAMES)

    def image(self, i: int) -> NDArray:
        """The picture (H, W, 3) uint8 RGB of frame i."""
        return self._track(i).image(i % FRAMES)

    def hands(self, start: int, stop: int, meta: dict[str, object]) -> Hands:
        """The annotations of frames start..stop; a track is a capture."""
        frames = np.arange(start, stop)
        track = np.array([f"{self.dataset}/{self.split}/track{i // FRAMES:04d}" for i in frames])
        return to_hands([self.sample(i) for i in frames.tolist()], meta).replace(
            capture=track, track=track, frame=frames % FRAMES, fps=np.full(len(frames), float(RATE))
        )

    def _track(self, i: int) -> Track:
        if not 0 <= i < self.n:
            raise UsageError(f"There is no sample {i} among {self.n}.", "Samples are counted from 0.")
        return _track(self.model, self.image_size, self.fingertips, (*self._key, i // FRAMES), self.look)


@lru_cache(maxsize=2)
def _track(model: HandModel, size: int, fingertips: str, seed: tuple[int, ...], look: Look) -> Track:
    return make_track(model, FRAMES, size, fingertips, seed, look)
