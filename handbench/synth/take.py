"""A take: one hand in motion, with its forearm and something that it holds, as any number of cameras see it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from handbench.hands.mano import HandModel, axis_angle_to_matrix
from handbench.synth.bodies import SHAPES, Body, forearm, solid
from handbench.synth.poses import sequence
from handbench.synth.scene import Scene, outward, wrist_loop

# where hands are before a single camera, m: its own depth, and how far from the axis
DEPTH, ASIDE = (0.45, 0.8), 0.08
# the hand wanders this far over a take, m, and turns this much, radians
WANDERS, TURNS = 0.05, 0.6


@dataclass(frozen=True, eq=False)
class View:
    """A camera: intrinsics (3, 3) of images of `size` (width, height); world -> camera is rotation X + shift."""

    camera: NDArray
    size: tuple[int, int]
    rotation: NDArray
    shift: NDArray


def own_view(camera: NDArray, size: tuple[int, int]) -> View:
    """The camera whose frame is the world."""
    return View(camera, size, np.eye(3), np.zeros(3))


@dataclass(frozen=True, eq=False)
class Take:
    """F frames of one hand, in the world's frame (OpenCV axes for a single camera), metres, float64:

    poses (F, 48) full axis-angle, shape (10,), translations (F, 3); vertices (F, 778, 3), joints (F, 21, 3) FH21;
    `held` the body that the hand holds, in each frame, None where it holds nothing.
    """

    name: str
    model: HandModel
    fingertips: str
    poses: NDArray
    shape: NDArray
    translations: NDArray
    vertices: NDArray
    joints: NDArray
    held: tuple[Body, ...] | None
    bend: NDArray
    seed: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.poses)

    def scene(self, t: int, view: View) -> Scene:
        """Frame t as the camera sees it: everything in the camera's frame."""
        turn = view.rotation
        global_turn = axis_angle_to_matrix(self.poses[t, :3])
        pose = self.poses[t].copy()
        pose[:3] = Rotation.from_matrix(turn @ global_turn).as_rotvec()
        # the wrist is what a hand turns about: its rest place is turned along with nothing
        rest = self.model.J_regressor[0] @ (self.model.v_template + self.model.shapedirs @ self.shape)
        translation = turn @ (rest + self.translations[t]) + view.shift - rest
        vertices = self.vertices[t] @ turn.T + view.shift
        arm = forearm(
            vertices[wrist_loop(self.model)], turn @ global_turn @ outward(self.model), turn @ global_turn @ self.bend
        )
        solids = () if self.held is None else ((self.held[t][0] @ turn.T + view.shift, self.held[t][1]),)
        return Scene(
            id=f"{self.name}/{t:06d}",
            model=self.model,
            joints=self.joints[t] @ turn.T + view.shift,
            vertices=vertices,
            mano_pose=pose,
            mano_shape=self.shape,
            mano_translation=translation,
            camera=view.camera,
            image_size=view.size,
            arm=arm,
            occluders=solids,
            # one take has one skin, one light, one thing
            paint=(*self.seed, 1),
        )


def make_take(
    name: str,
    model: HandModel,
    frames: int,
    seed: tuple[int, ...],
    fingertips: str,
    *,
    shape: NDArray | None = None,
    middle: NDArray | None = None,
    holds: bool = True,
) -> Take:
    """The take that belongs to this seed. `middle` (3,) m: where the wrist is about; before a single camera if not
    given. `shape` (10,) the betas, drawn if not given.
    """
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 1, frames)[:, None] if frames > 1 else np.zeros((1, 1))
    poses = sequence(frames, rng, side=model.side)
    begin = Rotation.random(rng=rng)
    while middle is None and begin.apply(outward(model))[2] < -0.5:  # the forearm would stand before the hand
        begin = Rotation.random(rng=rng)
    poses[:, :3] = (begin * Rotation.from_rotvec(t * rng.normal(0, TURNS, 3))).as_rotvec()
    betas = np.clip(rng.normal(0, 0.8, 10), -2.5, 2.5) if shape is None else np.asarray(shape, np.float64)
    if middle is None:
        middle = np.array([*rng.uniform(-ASIDE, ASIDE, 2), rng.uniform(*DEPTH)])
    wrist = middle + rng.uniform(-0.03, 0.03, 3) + t * rng.normal(0, WANDERS, 3)
    rest = model.J_regressor[0] @ (model.v_template + model.shapedirs @ betas)
    translations = wrist - rest
    vertices, joints16 = model.forward(poses, np.tile(betas, (frames, 1)), translations)
    joints = model.joints21(vertices, joints16, fingertips)

    held = None
    if holds:
        half, form = rng.uniform(0.015, 0.035, 3), SHAPES[rng.integers(len(SHAPES))]
        start, away = Rotation.random(rng=rng), rng.normal(size=3)
        away *= 0.045 / np.linalg.norm(away)
        held = tuple(
            solid(form, half, (step * start).as_matrix(), joint.mean(0) + step.apply(away))
            for step, joint in zip(Rotation.from_rotvec(poses[:, :3]), joints, strict=True)
        )
    bend = np.array([0.06, 0.14, 0.38]) * rng.standard_normal(3)
    return Take(name, model, fingertips, poses, betas, translations, vertices, joints, held, bend, seed)
