"""A split of several blocks, in FreiHAND's layout; and every official layout, written once."""

from __future__ import annotations

import json

import numpy as np
import pytest

from handbench.synth.layout import Size
from tests.conftest import CAMERA, hands_in_view, jpeg

FRAMES = 30
SIZES = {
    "dexter-object": Size(sequences=2, frames=3),
    "dexycb": Size(sequences=10, frames=2),
    "freihand": Size(samples=4, held=3),
    "ge-realworld": Size(samples=583),
    "hanco": Size(sequences=2, frames=3),
    "ho3d-v2": Size(sequences=3, frames=3),
    "ho3d-v3": Size(sequences=3, frames=3),
    "rhd": Size(samples=4, held=3),
    "stb": Size(sequences=12, frames=2),
}


def words_of(dataset):
    size = SIZES[dataset]
    if size.sequences:
        return ["--sequences", size.sequences, "--frames", size.frames]
    return ["--n", size.samples, *(["--n-eval", size.held] if size.held else [])]


def options_of(dataset, root):
    return ["--sequence-names", root / "sequence-names.txt"] if dataset == "dexycb" else []


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """Each layout once, by its command in a process's place."""
    from handbench.cli import app

    made = {}

    def of(dataset):
        if dataset not in made:
            root = tmp_path_factory.mktemp("official") / dataset
            words = ["synth", dataset, "--out", root, *words_of(dataset), "--seed", 4]
            assert (app([str(word) for word in words], standalone_mode=False) or 0) == 0
            made[dataset] = root
        return made[dataset]

    return of


@pytest.fixture
def several_blocks(tmp_path):
    """30 frames with four backgrounds: 120 images, four blocks of 32 or less. Written by hand."""
    root = tmp_path / "FreiHAND_pub_v2"
    (root / "training/rgb").mkdir(parents=True)
    lists = {"K": np.tile(CAMERA, (FRAMES, 1, 1)), "xyz": hands_in_view(FRAMES, 3)}
    for name, values in lists.items():
        (root / f"training_{name}.json").write_text(json.dumps(values.tolist()))
    for i in range(4 * FRAMES):
        (root / f"training/rgb/{i:08d}.jpg").write_bytes(jpeg(i))
    return root
