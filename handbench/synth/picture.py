"""Painting a scene: Lambert light on skin, cloth and solids, twice as fine as the image, then averaged."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from handbench.hands.mano import HandModel
from handbench.hands.raster import rasterise
from handbench.synth.background import background
from handbench.synth.bodies import vertex_normals
from handbench.synth.look import PLAIN, Look
from handbench.synth.scene import Scene, join, wrist_loop
from handbench.synth.skin import NOISE_TILE, Skin, skin_colours, skin_detail, skin_of

FINER = 2  # supersampling


@dataclass(frozen=True, eq=False)
class Foreground:
    """Everything but the background: colour (H, W, 3) premultiplied by alpha (H, W, 1), float32 in 0..1."""

    colour: NDArray
    alpha: NDArray

    def over(
        self, behind: NDArray, rng: np.random.Generator, tint: NDArray | None = None, look: Look = PLAIN
    ) -> NDArray:
        """The image (H, W, 3) uint8 RGB before this background (H, W, 3), with the look's blur and noise; `tint` (3,)
        scales the foreground's channels."""
        colour = self.colour if tint is None else self.colour * tint.astype(np.float32)
        image = colour + behind * (1 - self.alpha)
        if look.blur:
            image = cv2.GaussianBlur(image, (0, 0), look.blur * image.shape[1] / 224.0)
        image += rng.standard_normal(image.shape, dtype=np.float32) * look.noise
        return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def paint(scene: Scene, kind: str | None = None) -> NDArray:
    """The scene's image (H, W, 3) uint8 RGB; `kind` of background as in `background`."""
    rng = np.random.default_rng((*scene.paint, 2))
    look = scene.look
    return foreground(scene).over(background(scene.image_size, rng, kind or look.kind(rng)), rng, look=look)


def foreground(scene: Scene) -> Foreground:
    """Hand, forearm and occluders of the scene, lit."""
    rng = np.random.default_rng(scene.paint)
    skin = _skin(scene.model)
    hand_colour, tone = skin_colours(skin, rng, scene.look.tones)
    bodies = [(scene.vertices, scene.model.f), scene.arm, *scene.occluders]
    colours = [hand_colour, _arm_colours(len(scene.arm[0]), hand_colour[wrist_loop(scene.model)], tone, rng)]
    colours += [np.broadcast_to(rng.uniform(0.08, 0.95, 3), (len(v), 3)) for v, _ in scene.occluders]
    vertices, faces = join(bodies)
    lit = np.concatenate(colours) * _light(vertices, faces, scene.look, rng)

    hand = len(scene.vertices)
    extra = np.zeros((len(vertices), 5))
    extra[:hand] = np.column_stack([skin.along, skin.up, skin.palm, skin.place])
    extra[hand:, 3:] = vertices[hand:, :2] * 1500.0
    width, height = scene.image_size
    fine = np.array([[FINER, 0, (FINER - 1) / 2], [0, FINER, (FINER - 1) / 2], [0, 0, 1.0]])
    raster = rasterise(vertices, faces, fine @ scene.camera, (FINER * width, FINER * height), cull=True)
    seen = raster.mask
    values = raster.interpolate(faces, np.column_stack([lit, extra]).astype(np.float32))
    colour, along, up, palm, place = values[:, :3], *values[:, 3:6].T, values[:, 6:]
    u, v = (place.astype(np.int64) % NOISE_TILE).T
    noise = _noise()[v, u]
    is_hand = np.flatnonzero(raster.face[seen] < len(scene.model.f))
    out = colour * (1 + np.float32(0.05) * noise)[:, None]
    out[is_hand] = skin_detail(colour[is_hand], along[is_hand], up[is_hand], palm[is_hand], noise[is_hand])

    layers = np.zeros((FINER * height, FINER * width, 4), np.float32)
    layers[seen, :3] = np.clip(out, 0, 1)
    layers[seen, 3] = 1.0
    smooth = cv2.resize(layers, (width, height), interpolation=cv2.INTER_AREA)
    return Foreground(smooth[..., :3], smooth[..., 3:])


def _light(vertices: NDArray, faces: NDArray, look: Look, rng: np.random.Generator) -> NDArray:
    """Light (V, 3) on each vertex: sky and ground, a lamp that wraps around as it does on skin, and a faint gleam."""
    normal = vertex_normals(vertices, faces)
    lamp = rng.normal(size=3)
    lamp[2] = -abs(lamp[2]) - 0.5  # on the camera's side
    lamp /= np.linalg.norm(lamp)
    warm = 1 + rng.uniform(*look.warmth) * np.array([1.0, 0.0, -1.0])
    ambient = rng.uniform(*look.ambient)
    facing = normal @ lamp
    sky = 0.5 - 0.5 * normal[:, 1]
    diffuse = np.clip((facing + 0.25) / 1.25, 0, 1)
    towards = -vertices / np.linalg.norm(vertices, axis=1, keepdims=True)
    half = lamp + towards
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    gleam = 0.10 * np.clip((normal * half).sum(1), 0, 1) ** 18
    strength = ambient * (0.75 + 0.35 * sky) + (1.08 - 0.75 * ambient) * diffuse
    return strength[:, None] * warm + gleam[:, None]


def _arm_colours(count: int, wrist: NDArray, tone: NDArray, rng: np.random.Generator) -> NDArray:
    """Colours (count, 3) of the forearm: skin that carries on from the wrist's (16, 3), and often a sleeve."""
    around = len(wrist)
    colours = np.concatenate([np.tile(wrist, (count // around, 1)), np.broadcast_to(tone, (count % around, 3))])
    first = rng.integers(1, 9) * around  # where the sleeve begins; beyond the end there is none
    colours[first:] = rng.uniform(0.05, 0.9, 3)
    return colours


@lru_cache(maxsize=4)
def _skin(model: HandModel) -> Skin:
    return skin_of(model)


@lru_cache(maxsize=1)
def _noise() -> NDArray:
    """A tile (256, 256) of grain that wraps around, zero mean, about -1..1."""
    rng = np.random.default_rng(7)
    total = np.zeros((NOISE_TILE, NOISE_TILE))
    for blur, share in ((1.2, 0.45), (5.0, 0.6)):
        spectrum = np.fft.rfft2(rng.standard_normal((NOISE_TILE, NOISE_TILE)))
        fy, fx = np.fft.fftfreq(NOISE_TILE)[:, None], np.fft.rfftfreq(NOISE_TILE)[None]
        smooth = np.fft.irfft2(spectrum * np.exp(-2 * (np.pi * blur) ** 2 * (fx**2 + fy**2)))
        total += share * smooth / smooth.std()
    return np.clip(total, -2.5, 2.5).astype(np.float32)
