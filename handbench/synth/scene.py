"""One scene: a hand before a camera, its forearm, and what stands in front of it, with exact masks.

The geometry is drawn first and alone (`Scene`), so that annotations cost no picture; `picture.py` paints it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from handbench.hands.camera import joint_box, project
from handbench.hands.mano import HandModel, axis_angle_to_matrix
from handbench.hands.raster import Raster, rasterise
from handbench.synth.bodies import SHAPES, Body, boundary_loop, forearm, solid
from handbench.synth.look import PLAIN, Look
from handbench.synth.poses import sample_poses

# FreiHAND's hands stand about 0.4 to 0.9 m away.
DISTANCE = (0.38, 1.0)
OCCLUDER_CHANCE = 0.6
LEAST_VISIBLE = 0.15
ARM_TOWARDS = -0.7  # the forearm points at the camera by no more than this (-1: straight), or it would hide the hand

# A joint lies inside the hand: it is hidden where something is nearer than its own flesh can be. m, FH21 order.
FLESH = np.array([30, 24, 19, 16, 13, *(19, 15, 13, 11) * 3, 17, 13, 11, 10]) * 1e-3


@dataclass(frozen=True, eq=False)
class Scene:
    """Metres, OpenCV camera frame, FH21 joints: side; joints (21, 3); vertices (778, 3) of the model; mano_pose (48,)
    with the mean pose in it, mano_shape (10,), mano_translation (3,) m; camera (3, 3) of an image of `image_size`
    (width, height); arm, and occluders in front; `paint` the seed of all that is only colour, which `look` bounds.

    Computed when asked for: depth and face maps, masks, `visible_fraction`, `joints_visible`, `box`.
    """

    id: str
    model: HandModel
    joints: NDArray
    vertices: NDArray
    mano_pose: NDArray
    mano_shape: NDArray
    mano_translation: NDArray
    camera: NDArray
    image_size: tuple[int, int]
    arm: Body
    occluders: tuple[Body, ...]
    paint: tuple[int, ...]
    look: Look = PLAIN

    @property
    def side(self) -> str:
        return self.model.side

    @cached_property
    def hand(self) -> Raster:
        """The hand alone at the image's pixels."""
        return rasterise(self.vertices, self.model.f, self.camera, self.image_size)

    @cached_property
    def others_depth(self) -> NDArray:
        """Depth (H, W) m of everything but the hand, inf where there is nothing."""
        vertices, faces = join([self.arm, *self.occluders])
        return rasterise(vertices, faces, self.camera, self.image_size).depth

    @property
    def amodal_mask(self) -> NDArray:
        """(H, W) bool: the hand's silhouette inside the image, as if nothing stood before it."""
        return self.hand.mask

    @cached_property
    def hand_mask(self) -> NDArray:
        """(H, W) bool: the pixels whose centre sees the hand."""
        return self.hand.mask & (self.hand.depth <= self.others_depth)

    @property
    def depth(self) -> NDArray:
        """Depth (H, W) m of the nearest thing, background inf."""
        return np.minimum(self.hand.depth, self.others_depth)

    @property
    def visible_fraction(self) -> float:
        """Visible pixels over the amodal silhouette's inside the image; 0 where the hand is outside."""
        return float(self.hand_mask.sum() / max(self.amodal_mask.sum(), 1))

    @cached_property
    def joints_visible(self) -> NDArray:
        """(21,) bool: inside the image, and nothing nearer than the joint's own flesh can be (z-test)."""
        pixels = np.rint(project(self.joints, self.camera)).astype(int)
        width, height = self.image_size
        inside = ((pixels >= 0) & (pixels < [width, height])).all(1)
        x, y = np.clip(pixels, 0, [width - 1, height - 1]).T
        return inside & (self.depth[y, x] >= self.joints[:, 2] - FLESH)

    @property
    def box(self) -> NDArray:
        """The tight box (4,) xyxy around the projected joints."""
        return joint_box(project(self.joints, self.camera))


def make_scene(
    name: str,
    model: HandModel,
    image_size: int,
    fingertips: str,
    occluders: bool,
    seed: tuple[int, ...],
    look: Look = PLAIN,
) -> Scene:
    """The scene that belongs to this seed, whatever was made before it; with another look, the same pose."""
    rng = np.random.default_rng(seed)
    pose = sample_poses(1, rng, model.side)
    turn = Rotation.random(rng=rng)
    while turn.apply(outward(model))[2] < ARM_TOWARDS:
        turn = Rotation.random(rng=rng)
    pose[0, :3] = turn.as_rotvec()
    shape = np.clip(rng.standard_normal((1, 10)), -2.5, 2.5)
    vertices, joints16 = model.forward(pose, shape)
    joints = model.joints21(vertices, joints16, fingertips)[0]

    ratio = image_size / 224.0
    focal = np.clip(rng.normal(look.focal, look.focal_spread), *look.focal_range) * ratio
    camera = np.array([[focal, 0, image_size / 2], [0, focal, image_size / 2], [0, 0, 1.0]])
    # So far away that the hand fills the image as wanted, its middle near the image's.
    low, high = joints.min(0), joints.max(0)
    wanted = rng.uniform(*look.fill) * image_size
    distance = np.clip((high - low)[:2].max() * focal / wanted, *DISTANCE)
    at = np.array([*((rng.normal(0, 7.0, 2) * ratio) * distance / focal), distance])
    shift = at - (low + high) / 2
    vertices, joints = vertices[0] + shift, joints + shift

    arm = _arm(model, vertices, joints, pose[0], rng)
    solids = _occluders(joints, rng) if occluders and rng.random() < OCCLUDER_CHANCE else ()
    scene = Scene(
        name, model, joints, vertices, pose[0], shape[0], shift, camera, (image_size, image_size), arm, solids,
        (*seed, 1), look,
    )  # fmt: skip
    # Where next to nothing of the hand is left there is nothing to estimate.
    if solids and scene.visible_fraction < LEAST_VISIBLE:
        scene = dataclasses.replace(scene, occluders=())
    return scene


def join(bodies: list[Body]) -> Body:
    """Several bodies as one."""
    offsets = np.cumsum([0, *(len(v) for v, _ in bodies)])
    return (
        np.concatenate([v for v, _ in bodies]),
        np.concatenate([f + o for (_, f), o in zip(bodies, offsets, strict=False)]),
    )


@lru_cache(maxsize=4)
def wrist_loop(model: HandModel) -> NDArray:
    """The 16 vertices of the hand's open boundary, in order."""
    return boundary_loop(model.f)


def outward(model: HandModel) -> NDArray:
    """Where the forearm goes at rest: the wrist opens towards +x, on the left hand towards -x."""
    return np.array([1.0 if model.side == "right" else -1.0, 0.0, 0.0])


def _arm(model: HandModel, vertices: NDArray, joints: NDArray, pose: NDArray, rng: np.random.Generator) -> Body:
    turn = axis_angle_to_matrix(pose[:3])
    # The wrist bends mostly up and down.
    bend = turn @ (np.array([0.06, 0.14, 0.38]) * rng.standard_normal(3))
    return forearm(vertices[wrist_loop(model)], turn @ outward(model), bend)


def _occluders(joints: NDArray, rng: np.random.Generator) -> tuple[Body, ...]:
    """One to three solids between camera and hand, each before some joint."""
    bodies = []
    for _ in range(int(rng.choice(3, p=(0.5, 0.35, 0.15))) + 1):
        target = joints[rng.integers(21)]
        nearest = joints[:, 2].min()
        half = rng.uniform(0.007, 0.027, 3)
        # In front of the whole hand: a solid that cuts through flesh is not seen in life.
        depth = nearest - half.max() * 1.8 - rng.uniform(0.015, 0.08)
        ray = target / target[2]
        middle = ray * depth + np.array([*rng.normal(0, 0.012, 2), 0.0])
        bodies.append(solid(SHAPES[rng.integers(len(SHAPES))], half, Rotation.random(rng=rng).as_matrix(), middle))
    return tuple(bodies)
