"""CLIP's space in pictures: what is in them, and what is nearest to what."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from handbench.inference.clip_space import SHIFTED, Towers, domains, nearest
from handbench.store.hands_file import HandsFile

# one direction of CLIP's space for each colour of a toy tower
RED, GREEN, BLUE = np.eye(512, dtype=np.float32)[:3]


class Colours(Towers):
    """An image's feature is its mean colour; a prompt's is the colour that it names."""

    def __init__(self):
        self.image, self.text, self.device = self, self, torch.device("cpu")

    def encode(self, image):
        feature = torch.zeros(len(image), 512)
        feature[:, :3] = image.float().mean((2, 3))
        return feature

    def pooled(self, texts, device):
        named = {"red": RED, "green": GREEN, "blue": BLUE}
        return torch.from_numpy(np.stack([next((v for k, v in named.items() if k in text), RED) for text in texts]))


@pytest.fixture(scope="module")
def coloured(tmp_path_factory):
    """Nine plain images: red, green, blue in turn, the later ones purer."""
    import cv2

    from handbench.hands.record import Hands
    from handbench.store.hands_writer import write_hands

    images = []
    for i in range(9):
        pixels = np.full((32, 32, 3), 90 - 10 * (i // 3), np.uint8)
        pixels[..., 2 - i % 3] = 250  # BGR
        images.append(cv2.imencode(".png", pixels)[1].tobytes())
    hands = Hands(id=np.array([f"x/{i}" for i in range(9)]), image_size=np.full((9, 2), 32), meta={"dataset": "x"})
    path = tmp_path_factory.mktemp("colours") / "x.h5"
    write_hands(path, hands, images)
    return HandsFile(path)


def test_the_nearest_image_is_the_one_between_image_and_prompt(coloured):
    red, blue = nearest(Colours(), coloured, "x/0", ["a red hand", "a blue hand"], 9, 2)
    # the other red ones are pure; the image itself is not among them
    assert red.ids == ["x/6", "x/3"]
    assert red.given_id == "x/0"
    # half way from red to blue a blue or a red picture is near, a green one is not
    assert not {"x/1", "x/4", "x/7"} & set(blue.ids)
    assert (np.diff(blue.cosines) <= 0).all()
    # (u + v) / |u + v| with u the image, v the prompt, by hand
    u = np.array([250.0, 90, 90]) / np.linalg.norm([250.0, 90, 90])
    wanted = u + RED[:3]
    pure = np.array([250.0, 70, 70]) / np.linalg.norm([250.0, 70, 70])
    assert red.cosines[0] == pytest.approx(pure @ wanted / np.linalg.norm(wanted), abs=1e-5)


def test_domains_are_unit_vectors_and_the_source_is_shifted_halfway(coloured):
    found = domains(Colours(), ("a", coloured), {"b": coloured}, 9)
    assert list(found) == ["a", SHIFTED, "b"]
    assert all(np.linalg.norm(each, axis=1) == pytest.approx(1) for each in found.values())
    assert np.array_equal(found["a"], found["b"])
    assert not np.allclose(found["a"], found[SHIFTED])
    again = domains(Colours(), ("a", coloured), {"b": coloured}, 9)
    assert np.array_equal(found[SHIFTED], again[SHIFTED])


@pytest.fixture
def prepared(handbench, home):
    for name in ("handsynth-source", "handsynth-target"):
        assert handbench("prep", name, "--limit", "8").code == 0
    return home


def test_the_commands_draw_and_write_their_numbers(handbench, prepared):
    pair = ("handsynth-source", "handsynth-target")
    ran = handbench("report", "tsne", *pair, "--clip", "random", "--samples", "8", "--json", "-")
    assert ran.code == 0, ran.err
    sets = json.loads(ran.out)["sets"]
    assert {name: one["n"] for name, one in sets.items()} == {pair[0]: 8, SHIFTED: 8, pair[1]: 8}
    assert (prepared / "pictures/clip/tsne-handsynth-source-handsynth-target.png").stat().st_size > 5000
    ran = handbench(
        "report", "nearest", pair[0], "--clip", "random", "--samples", "8", "--best", "3",
        "--sample", "2", "--prompt", "a photo of peach hand with lake room", "--json", "-",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    (row,) = json.loads(ran.out)["rows"]
    assert row["sample"].endswith("00000002")
    assert len(row["ids"]) == 3
    assert row["sample"] not in row["ids"]
    assert (prepared / "pictures/clip/nearest-handsynth-source.png").stat().st_size > 5000


def test_what_cannot_be_drawn_says_so(handbench, prepared):
    ran = handbench("report", "tsne", "handsynth-source", "handsynth-source", "--clip", "random")
    assert ran.code == 2
    assert "named twice" in ran.err
    ran = handbench("report", "tsne", "handsynth-source", "handsynth-target")
    assert ran.code == 3
    assert "clip-vit-b-32.safetensors" in ran.err
    ran = handbench("report", "nearest", "handsynth-source", "--clip", "random", "--sample", "x")
    assert ran.code == 2
    assert "has no sample" in ran.err
    ran = handbench("report", "tsne", "freihand", "stb", "--clip", "random")
    assert ran.code == 3
    assert "handbench prep freihand" in ran.err
