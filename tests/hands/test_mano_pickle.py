"""A file in the form of MANO's official ones becomes a hand model, without chumpy and with nothing run."""

from __future__ import annotations

import contextlib
import pickle
import sys
import types

import numpy as np
import pytest
from scipy.sparse import csc_matrix

from handbench.errors import InvalidError, UsageError
from handbench.hands.joints import FINGERTIPS
from handbench.hands.mano import MANO_ARRAYS
from handbench.hands.mano_pickle import chumpy_array, read_mano_pickle

PROTOCOLS = range(6)
# modules as they are called now, and as they were when the official files were written
RENAMED = ((b"numpy._core.multiarray", b"numpy.core.multiarray"), (b"scipy.sparse._csc", b"scipy.sparse.csc"))


def made_up_hand(side: str = "right") -> dict[str, object]:
    """Arrays in MANO's shapes and frame: a flat right hand, fingers along -x, palm along -y, thumb towards +z."""
    rng = np.random.default_rng(3)
    joints = np.zeros((16, 3))
    joints[0] = [0.095, 0, 0]
    roots = {1: 0.02, 4: 0.0, 7: -0.04, 10: -0.02}  # index, middle, little, ring: place across the hand
    for first, z in roots.items():
        joints[first : first + 3] = [[0.0 - 0.025 * k, 0, z] for k in range(3)]
    joints[13:16] = [[0.07 - 0.025 * k, -0.015, 0.03 + 0.015 * k] for k in range(3)]
    vertices = rng.normal(0, 0.01, (778, 3))
    vertices[:16] = joints
    weights = np.zeros((778, 16))
    weights[np.arange(778), rng.integers(0, 16, 778)] = 1
    weights[:16] = np.eye(16)
    for finger, (tip, first) in enumerate(zip(FINGERTIPS["manopth"], (13, 1, 4, 10, 7), strict=True)):
        vertices[tip] = joints[first + 2] + [-0.02, 0, 0.005 * (finger == 0)]
        weights[tip] = np.eye(16)[first + 2]
    regressor = np.zeros((16, 778))
    regressor[:, :16] = np.eye(16)
    mean = np.zeros(45)
    mean.reshape(15, 3)[:, 2] = 0.3  # about +z: fingers along -x bend towards -y
    if side == "left":
        vertices[:, 0] *= -1
        mean = (mean.reshape(15, 3) * [1, -1, -1]).ravel()
    parents = [2**32 - 1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14]
    return {
        "v_template": vertices,
        "f": rng.integers(0, 778, (1538, 3)).astype(np.uint32),
        "posedirs": rng.normal(0, 1e-3, (778, 3, 135)),
        "shapedirs": rng.normal(0, 1e-3, (778, 3, 10)),
        "J_regressor": regressor,
        "weights": weights,
        "kintree_table": np.array([parents, range(16)], np.int64),
        "hands_components": np.linalg.qr(rng.normal(size=(45, 45)))[0],
        "hands_mean": mean,
        "hands_coeffs": rng.normal(size=(100, 45)),
        "J": joints,
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }


@contextlib.contextmanager
def chumpy_modules():
    """Stand-ins for chumpy's classes, as they were when the official files were written."""
    names = {"chumpy": [], "chumpy.ch": ["Ch"], "chumpy.reordering": ["Select"]}
    modules = {name: types.ModuleType(name) for name in names}
    for name, classes in names.items():
        for cls in classes:
            setattr(modules[name], cls, type(cls, (), {"__module__": name}))
    saved = {name: sys.modules.get(name) for name in names}
    sys.modules.update(modules)
    try:
        yield modules["chumpy.ch"].Ch, modules["chumpy.reordering"].Select
    finally:
        for name, module in saved.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module


def official_bytes(arrays: dict[str, object], protocol: int = 2) -> bytes:
    """The arrays as the official files hold them: the first ten of twenty shape directions chosen by chumpy, a sparse
    regressor, Python 2's module names."""
    directions = np.concatenate([arrays["shapedirs"], np.full((778, 3, 10), 9.0)], axis=2)
    with chumpy_modules() as (Ch, Select):
        base, chosen = Ch(), Select()
        base.__dict__ = {"x": directions, "_dirty_vars": {"x"}, "_itr": None}
        indices = np.arange(directions.size).reshape(directions.shape)[:, :, :10].ravel()
        chosen.__dict__ = {"a": base, "idxs": indices, "preferred_shape": (778, 3, 10), "_dirty_vars": set()}
        content = {**arrays, "shapedirs": chosen, "J_regressor": csc_matrix(arrays["J_regressor"])}
        data = pickle.dumps(content, protocol, fix_imports=True)
    for new, old in RENAMED:
        data = data.replace(new, old) if protocol < 4 else data
    return data


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("side", ["right", "left"])
def test_an_official_file_becomes_a_hand_model(side, protocol, write):
    arrays = made_up_hand(side)
    model = read_mano_pickle(write(official_bytes(arrays, protocol), f"MANO_{side.upper()}.pkl"))
    assert (model.side, model.source) == (side, "mano")
    for name in MANO_ARRAYS:
        np.testing.assert_array_equal(getattr(model, name), np.asarray(arrays[name], float))
    assert model.f.dtype == np.int64
    assert model.v_template.dtype == np.float64
    assert list(model.parents[:5]) == [-1, 0, 1, 2, 0]


def test_the_modules_of_chumpy_are_not_needed(write):
    path = write(official_bytes(made_up_hand()), "MANO_RIGHT.pkl")
    assert "chumpy" not in sys.modules
    read_mano_pickle(path)
    assert "chumpy" not in sys.modules


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("flat", [False, True])
def test_the_shape_of_the_hand_tells_its_side(side, flat, write):
    arrays = made_up_hand(side)
    if flat:
        arrays["hands_mean"] = np.zeros(45)
    assert read_mano_pickle(write(official_bytes(arrays), "model.pkl")).side == side


def test_a_name_that_contradicts_the_hand_is_an_error(write):
    path = write(official_bytes(made_up_hand("left")), "MANO_RIGHT.pkl")
    with pytest.raises(InvalidError, match="left hand"):
        read_mano_pickle(path)
    assert read_mano_pickle(path, "left").side == "left"
    with pytest.raises(InvalidError, match="left hand"):
        read_mano_pickle(path, "right")
    with pytest.raises(UsageError):
        read_mano_pickle(path, "upper")


def test_a_body_is_not_a_hand(write):
    arrays = {"v_template": np.zeros((6890, 3)), "f": np.zeros((13776, 3), np.uint32)}
    with pytest.raises(InvalidError, match=r"\(6890, 3\).*SMPL"):
        read_mano_pickle(write(pickle.dumps(arrays, 2), "SMPL.pkl"))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"weights": np.zeros((778, 24))}, r"'weights' has shape \(778, 24\)"),
        ({"v_template": np.full((778, 3), np.nan)}, "finite"),
        ({"v_template": "none"}, "no array"),
        ({"v_template": np.full((778, 3), "a")}, "finite numbers"),
        ({"f": np.full((1538, 3), 778)}, "0 to 777"),
        ({"kintree_table": np.full((2, 16), 15)}, "before its parent"),
        ({"J_regressor": csc_matrix((24, 6890))}, "SMPL"),
        ({"J_regressor": csc_matrix((2**39, 1))}, "shape"),
    ],
)
def test_a_wrong_part_is_named(change, match, write):
    arrays = made_up_hand()
    path = write(pickle.dumps({**arrays, **change}, 2), "MANO_RIGHT.pkl")
    with pytest.raises(InvalidError, match=match):
        read_mano_pickle(path)


def test_a_missing_part_is_named(write):
    arrays = made_up_hand()
    del arrays["hands_mean"]
    with pytest.raises(InvalidError, match="has no hands_mean"):
        read_mano_pickle(write(pickle.dumps(arrays, 2), "MANO_RIGHT.pkl"))
    with pytest.raises(InvalidError, match="holds a list"):
        read_mano_pickle(write(pickle.dumps([1], 2), "MANO_RIGHT.pkl"))


def test_a_selection_that_points_outside_is_an_error(write):
    with chumpy_modules() as (Ch, Select):
        base, chosen = Ch(), Select()
        base.__dict__ = {"x": np.zeros(4)}
        chosen.__dict__ = {"a": base, "idxs": np.array([9])}
        data = pickle.dumps({**made_up_hand(), "shapedirs": chosen}, 2)
        chosen.__dict__ = {"a": chosen, "idxs": np.array([0])}
        endless = pickle.dumps({**made_up_hand(), "shapedirs": chosen}, 2)
    with pytest.raises(InvalidError, match="shapedirs"):
        read_mano_pickle(write(data, "MANO_RIGHT.pkl"))
    with pytest.raises(InvalidError, match="shapedirs"):
        read_mano_pickle(write(endless, "MANO_RIGHT.pkl"))
    with pytest.raises(ValueError, match="no array"):
        chumpy_array({"x": np.zeros(3)})
