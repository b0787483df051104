"""A hand model in MANO's form, and its forward pass in numpy (Romero et al., SIGGRAPH Asia 2017; SMPL eq. 2-10)."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handbench.errors import InvalidError, MissingError
from handbench.hands.joints import FINGERTIPS, to_fh21

# name in the npz (smplx's and the official pickle's names) -> shape
MANO_ARRAYS: dict[str, tuple[int, ...]] = {
    "v_template": (778, 3),
    "f": (1538, 3),
    "shapedirs": (778, 3, 10),
    "posedirs": (778, 3, 135),
    "J_regressor": (16, 778),
    "weights": (778, 16),
    "kintree_table": (2, 16),
    "hands_components": (45, 45),
    "hands_mean": (45,),
}


@dataclass(frozen=True, eq=False)
class HandModel:
    """The arrays of a MANO-like hand, float64, metres, under the official names (`MANO_ARRAYS` has the shapes).

    `side` is `right` or `left`; `source` says where it comes from (`mano` or `synthetic`).
    """

    side: str
    source: str
    v_template: NDArray
    f: NDArray
    shapedirs: NDArray
    posedirs: NDArray
    J_regressor: NDArray
    weights: NDArray
    kintree_table: NDArray
    hands_components: NDArray
    hands_mean: NDArray

    def __post_init__(self) -> None:
        for name, shape in MANO_ARRAYS.items():
            got = getattr(self, name).shape
            if got != shape:
                raise InvalidError(
                    f"The hand model's {name!r} has shape {got}, MANO's is {shape}.",
                    "Give the official MANO_RIGHT.pkl or MANO_LEFT.pkl (version 1.2).",
                )

    @property
    def parents(self) -> NDArray:
        """Parent (16,) of each joint; -1 for the wrist."""
        parents = self.kintree_table[0].astype(np.int64)
        parents[0] = -1
        return parents

    def arrays(self) -> dict[str, NDArray]:
        return {name: getattr(self, name) for name in MANO_ARRAYS}

    def digest(self) -> str:
        """Twelve hex digits of what the model is, the same on every machine (rounded to a micrometre)."""
        h = hashlib.sha256(self.side.encode())
        for name in MANO_ARRAYS:
            h.update(np.round(np.asarray(getattr(self, name), np.float64) * 1e6).astype(np.int64).tobytes())
        return h.hexdigest()[:12]

    def forward(self, pose: NDArray, shape: NDArray, translation: NDArray | None = None) -> tuple[NDArray, NDArray]:
        """Pose (N, 48) axis-angle with the mean pose already added, shape (N, 10), translation (N, 3) m
        -> vertices (N, 778, 3) and the 16 joints (N, 16, 3) in MANO's order, m, float64.
        """
        pose = np.asarray(pose, np.float64)
        shape = np.asarray(shape, np.float64)
        n = len(pose)
        rotations = axis_angle_to_matrix(pose.reshape(n, 16, 3))
        shaped = self.v_template + np.einsum("vcs,ns->nvc", self.shapedirs, shape)
        joints = np.einsum("jv,nvc->njc", self.J_regressor, shaped)
        # Pose blend shapes are driven by R - I of the 15 finger joints, row-major (SMPL eq. 9).
        feature = (rotations[:, 1:] - np.eye(3)).reshape(n, 135)
        posed = shaped + np.einsum("vcp,np->nvc", self.posedirs, feature)

        parents = self.parents
        world = np.empty((n, 16, 4, 4))
        for j in range(16):
            local = np.zeros((n, 4, 4))
            local[:, :3, :3] = rotations[:, j]
            local[:, :3, 3] = joints[:, j] - (joints[:, parents[j]] if j else 0.0)
            local[:, 3, 3] = 1.0
            world[:, j] = world[:, parents[j]] @ local if j else local
        moved = world[:, :, :3, 3].copy()
        # Relative to the rest pose: subtract where each transform takes the rest joint.
        relative = world[:, :, :3, :].copy()
        relative[..., 3] -= np.einsum("njab,njb->nja", relative[..., :3], joints)
        blended = np.einsum("vj,njab->nvab", self.weights, relative)
        vertices = np.einsum("nvab,nvb->nva", blended[..., :3], posed) + blended[..., 3]
        if translation is not None:
            offset = np.asarray(translation, np.float64)[:, None]
            vertices, moved = vertices + offset, moved + offset
        return vertices, moved

    def joints21(self, vertices: NDArray, joints16: NDArray, fingertips: str) -> NDArray:
        """FH21 joints (N, 21, 3) from the mesh and the 16 MANO joints, with the named fingertip vertices."""
        return to_fh21(np.concatenate([joints16, vertices[:, FINGERTIPS[fingertips]]], 1), "ho3d")

    def regressor21(self, fingertips: str) -> NDArray:
        """The (21, 778) matrix that takes a mesh to FH21 joints: J_regressor and one row a fingertip."""
        rows = np.zeros((21, 778))
        rows[:16] = self.J_regressor
        rows[np.arange(16, 21), FINGERTIPS[fingertips]] = 1.0
        return to_fh21(rows, "ho3d")


def axis_angle_to_matrix(vectors: NDArray) -> NDArray:
    """Axis-angle (..., 3) rad -> rotation matrices (..., 3, 3) (Rodrigues)."""
    angle = np.linalg.norm(vectors, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(vectors, -1, 0)
    zero = np.zeros_like(x)
    skew = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*x.shape, 3, 3)
    # sinc form: exact at zero angle
    first = np.sinc(angle / np.pi)
    second = 0.5 * np.sinc(angle / (2 * np.pi)) ** 2
    return np.eye(3) + first * skew + second * (skew @ skew)


def load_hand_model(path: Path) -> HandModel:
    """Read a hand model npz (written by `handbench prep mano`); no pickle is ever read here.

    Raises MissingError if it is not there, InvalidError if it is not a hand model.
    """
    if not path.exists():
        raise MissingError(f"There is no hand model at {path}.", "`handbench prep mano MANO_RIGHT.pkl` writes it.")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: np.asarray(file[name], np.float64) for name in MANO_ARRAYS}
            side, source = str(file["side"]), str(file["source"])
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InvalidError(
            f"{path} is not a hand model file ({error}).", "`handbench prep mano MANO_RIGHT.pkl` writes one."
        ) from error
    for name in ("f", "kintree_table"):
        arrays[name] = arrays[name].astype(np.int64)
    return HandModel(side=side, source=source, **arrays)


def hand_model_bytes(model: HandModel) -> bytes:
    """The model as an npz that smplx takes as it is (as a mapping of arrays)."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, side=model.side, source=model.source, **model.arrays())
    return buffer.getvalue()
