"""Patches without a hand have none, and are otherwise like those with one."""

from __future__ import annotations

import numpy as np
import pytest

from handbench.datasets import handsynth
from handbench.hands.record import Hands
from handbench.methods.base import Method, ModelConfig
from handbench.preparation.generated import GENERATED, SyntheticSplit
from handbench.recipe import Data
from handbench.store.hands_file import HandsFile
from handbench.store.hands_writer import write_hands
from handbench.synth.hand import synthetic_hand
from handbench.training.augmented import AugmentedCrops
from tests.training.test_loop import toy_hand

N = 24


class Eye(Method):
    name = "eye"
    given = ("box", "camera")
    input_size = 64
    mirrors_left = True

    def __init__(self):
        super().__init__(ModelConfig(), toy_hand(), "freihand")

    def forward(self, image, batch):
        raise NotImplementedError

    lift = forward


@pytest.fixture(scope="module")
def split():
    return SyntheticSplit("train", N, 0, synthetic_hand(), GENERATED[handsynth.CARD.name])


@pytest.fixture(scope="module")
def masks(split):
    return [split.scenes.sample(i).amodal_mask for i in range(N)]


@pytest.fixture(scope="module")
def file(split, tmp_path_factory):
    block = split.read(0, N)
    path = tmp_path_factory.mktemp("beside") / "hands.h5"
    write_hands(path, block.hands, block.images)
    return HandsFile(path)


def patches(file: HandsFile, **data) -> AugmentedCrops:
    return AugmentedCrops(file, Data(margin=1.3, **data), np.arange(len(file)), Eye(), 0)


def uncovered(crops: AugmentedCrops, masks, draws: int) -> tuple[int, int]:
    """How many pictures were taken, and how many pixels of a hand are in them."""
    pictures = pixels = 0
    for i in range(N):
        for turn in range(draws):
            drawn = crops._draw(int(crops.index[i]), crops.views + turn)
            if crops._free_square(file_row(crops, i), drawn) is None:
                continue
            sample = crops._beside(i, turn)
            assert not sample["hand"].any()
            assert not sample["joints_valid"].any()
            pictures += 1
            v, u = np.nonzero(masks[i])
            affine = sample["affine"][0]
            seen = np.stack([u, v], 1) @ affine[:, :2].T + affine[:, 2]
            pixels += int(((seen > -0.5) & (seen < crops.size - 0.5)).all(1).sum())
    return pictures, pixels


def file_row(crops: AugmentedCrops, i: int) -> Hands:
    at = int(crops.index[i])
    return crops.file.read(at, at + 1)


@pytest.mark.parametrize("rotation", [0.0, 90.0])
def test_no_pixel_of_the_hand_is_in_a_patch_beside_it(file, masks, rotation):
    pictures, pixels = uncovered(patches(file, rotation=rotation), masks, 12)
    assert pictures >= 15
    assert pixels == 0


def test_without_vertices_the_box_of_the_joints_leaves_room_for_flesh(file, masks, tmp_path):
    bare = file.read(0, N).replace(vertices=None)
    write_hands(tmp_path / "bare.h5", bare, [file.image(i) for i in range(N)])
    pictures, pixels = uncovered(patches(HandsFile(tmp_path / "bare.h5"), rotation=45.0), masks, 12)
    assert pictures >= 5
    assert pixels == 0


def test_where_another_hand_may_be_in_the_picture_a_patch_is_a_texture(file, tmp_path):
    for name, free in (("rhd", False), ("mine", False), ("handsynth", True)):
        hands = file.read(0, N).replace(meta={**file.meta, "dataset": name})
        write_hands(tmp_path / f"{name}.h5", hands, [file.image(i) for i in range(N)])
        crops = patches(HandsFile(tmp_path / f"{name}.h5"))
        squares = [crops._free_square(file_row(crops, i), crops._draw(i, 1)) for i in range(N)]
        assert any(square is not None for square in squares) == free


def test_they_are_turned_coloured_and_mirrored_like_a_hand(file, tmp_path):
    left = file.read(0, N).replace(side=np.array(["left"] * N))
    write_hands(tmp_path / "left.h5", left, [file.image(i) for i in range(N)])
    crops = patches(HandsFile(tmp_path / "left.h5"), rotation=90.0, colour=0.3)
    samples = [crops._beside(i, 0) for i in range(N)]
    assert len({float(sample["rotation"][0]) for sample in samples}) == N
    assert all(sample["mirrored"].all() for sample in samples)
    # a mirrored patch has a mirroring affine
    assert all(np.linalg.det(sample["affine"][0][:, :2]) < 0 for sample in samples)
    plain = patches(HandsFile(tmp_path / "left.h5"), rotation=90.0)
    assert sum(not np.array_equal(plain._beside(i, 0)["image"], samples[i]["image"]) for i in range(N)) > N - 2
