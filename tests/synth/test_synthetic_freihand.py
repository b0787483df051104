"""The written set has FreiHAND's layout, number by number."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from handbench.datasets.card import Wanted
from handbench.datasets.freihand import open_split
from handbench.errors import InvalidError, UsageError
from handbench.layouts.folder import Folder
from handbench.synth import freihand
from handbench.synth.hand import synthetic_hand
from handbench.synth.layout import Size

N, N_EVAL = 3, 2
SIZE = Size(samples=N, held=N_EVAL)


def write(out, size=SIZE, seed=11, advance=lambda steps: None):
    freihand.write(out, size, seed, synthetic_hand, advance)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    out = tmp_path_factory.mktemp("freihand") / "set"
    write(out)
    return out


def read(root, name):
    return json.loads((root / name).read_text())


def test_every_file_of_the_official_layout_is_there_and_nothing_else(root):
    want = {"handbench-synthetic.json"}
    for name in ("K", "mano", "scale", "xyz", "verts"):
        want |= {f"training_{name}.json", f"evaluation_{name}.json"}
    want |= {f"training/rgb/{i:08d}.jpg" for i in range(12)}
    want |= {f"training/mask/{i:08d}.jpg" for i in range(3)}
    want |= {f"evaluation/rgb/{i:08d}.jpg" for i in range(2)}
    want |= {f"evaluation/anno/{i:08d}.json" for i in range(2)}
    assert {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()} == want


@pytest.mark.parametrize(("split", "count"), [("training", 3), ("evaluation", 2)])
def test_annotations_have_the_official_shapes(root, split, count):
    shapes = {"K": (3, 3), "mano": (1, 61), "scale": (), "xyz": (21, 3), "verts": (778, 3)}
    for name, shape in shapes.items():
        entries = read(root, f"{split}_{name}.json")
        assert isinstance(entries, list)
        assert np.array(entries).shape == (count, *shape)


def test_images_are_square_jpegs_and_masks_show_the_hand(root):
    for path in sorted(root.rglob("*.jpg")):
        assert path.read_bytes()[:3] == b"\xff\xd8\xff"
        assert cv2.imread(str(path)).shape == (224, 224, 3)
    xyz, camera = np.array(read(root, "training_xyz.json")), np.array(read(root, "training_K.json"))
    for i in range(N):
        mask = cv2.imread(str(root / f"training/mask/{i:08d}.jpg"), cv2.IMREAD_GRAYSCALE)
        assert 0.02 < (mask > 127).mean() < 0.5
        uv = xyz[i] @ camera[i].T
        uv = uv[:, :2] / uv[:, 2:]
        assert ((uv > -40) & (uv < 264)).all()


def test_file_id_modulo_n_names_the_annotation(root):
    """The four versions of a sample share the hand and differ in what is behind it."""
    for i in range(N):
        mask = cv2.imread(str(root / f"training/mask/{i:08d}.jpg"), cv2.IMREAD_GRAYSCALE)
        mask = cv2.erode(mask, np.ones((5, 5))) > 200
        outside = cv2.dilate((~mask).astype(np.uint8), None) > 0
        images = [cv2.imread(str(root / f"training/rgb/{i + N * k:08d}.jpg")).astype(float) for k in range(4)]
        for k in range(1, 4):
            inside = np.corrcoef(images[0][mask].mean(1), images[k][mask].mean(1))[0, 1]
            assert inside > 0.9
            assert np.abs(images[0] - images[k])[outside].mean() > 15
        other = cv2.imread(str(root / f"training/rgb/{(i + 1) % N + N:08d}.jpg")).astype(float)
        assert np.corrcoef(images[0][mask].mean(1), other[mask].mean(1))[0, 1] < 0.85


def test_the_mano_vector_gives_back_the_mesh_by_the_official_rule(root):
    """Pose relative to the mean pose; root joint 9 at ((u, v) - c, f) / scale."""
    model = synthetic_hand()
    for split in ("training", "evaluation"):
        vector = np.array(read(root, f"{split}_mano.json"))[:, 0]
        camera = np.array(read(root, f"{split}_K.json"))
        verts, xyz = np.array(read(root, f"{split}_verts.json")), np.array(read(root, f"{split}_xyz.json"))
        pose, betas, uv, scale = vector[:, :48].copy(), vector[:, 48:58], vector[:, 58:60], vector[:, 60]
        pose[:, 3:] += model.hands_mean
        vertices, joints16 = model.forward(pose, betas)
        joints = model.joints21(vertices, joints16, "freihand")
        focal = 0.5 * (camera[:, 0, 0] + camera[:, 1, 1])
        root_xyz = np.column_stack([uv - camera[:, :2, 2], focal]) / scale[:, None]
        shift = (root_xyz - joints[:, 9])[:, None]
        assert np.abs(vertices + shift - verts).max() < 2e-10
        assert np.abs(joints + shift - xyz).max() < 2e-10


def test_scale_is_the_length_of_the_middle_fingers_first_phalanx(root):
    for split in ("training", "evaluation"):
        xyz = np.array(read(root, f"{split}_xyz.json"))
        assert np.allclose(
            read(root, f"{split}_scale.json"), np.linalg.norm(xyz[:, 9] - xyz[:, 10], axis=1), atol=3e-10
        )
    assert 0.03 < np.mean(read(root, "training_scale.json")) < 0.06


def test_evaluation_annotations_repeat_the_lists(root):
    for i in range(N_EVAL):
        entry = read(root, f"evaluation/anno/{i:08d}.json")
        assert sorted(entry) == ["K", "scale", "verts"]
        assert entry["verts"] == read(root, "evaluation_verts.json")[i]
        assert entry["K"] == read(root, "evaluation_K.json")[i]
    assert read(root, "evaluation_xyz.json")[0] != read(root, "training_xyz.json")[0]


def test_nobody_takes_it_for_freihand(root):
    marker = read(root, "handbench-synthetic.json")
    assert marker["source"] == "handbench synthetic hand"
    assert (marker["seed"], marker["samples"], marker["held"]) == (11, 3, 2)
    assert marker["version"]


def test_an_interrupted_run_continues_and_ends_the_same(root, tmp_path, monkeypatch):
    class Stop(Exception):
        pass

    done = []

    def stop(steps):
        done.append(steps)
        if sum(done) == 8:
            raise Stop

    out = tmp_path / "again"
    with pytest.raises(Stop):
        write(out, advance=stop)
    assert not list(out.glob("training_*.json*"))  # no list that looks whole
    kept = {p: p.stat().st_mtime_ns for p in out.rglob("*.jpg")}
    assert len(kept) == 10
    painted = []
    original = freihand.put_rgb
    monkeypatch.setattr(freihand, "put_rgb", lambda path, image: (painted.append(path), original(path, image)))
    told = []
    write(out, advance=told.append)
    assert len(painted) == 17 - 10
    assert all(p.stat().st_mtime_ns == t for p, t in kept.items())
    assert sum(told) == freihand.images(SIZE) == 14
    for path in root.rglob("*"):
        if path.is_file():
            assert (out / path.relative_to(root)).read_bytes() == path.read_bytes()


def test_a_folder_with_something_else_in_it_is_left_alone(root, tmp_path):
    (tmp_path / "training_K.json").write_text("[]")
    with pytest.raises(InvalidError, match="not empty"):
        write(tmp_path)
    assert (tmp_path / "training_K.json").read_text() == "[]"
    with pytest.raises(InvalidError, match="otherwise"):
        write(root, seed=12)
    for size in (Size(samples=0, held=1), Size(samples=1, held=-1)):
        with pytest.raises(UsageError, match="at least 1"):
            write(tmp_path / "new", size)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_truth_is_what_the_reader_finds(root, split):
    opened = open_split(Folder(root, "FreiHAND"), split, Wanted(partial=True, right=synthetic_hand()))
    hands = opened.read(0, len(opened)).hands
    true = freihand.truth(split, SIZE, 11, synthetic_hand)
    assert [name for name, _ in hands.arrays()] == [name for name, _ in true.arrays()]
    for name, expected in true.arrays():
        got = getattr(hands, name)
        if expected.dtype.kind == "f":
            assert np.abs(got - expected).max() < 1e-9, name
        else:
            assert np.array_equal(got, expected), name
