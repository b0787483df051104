"""CLIP's image tower: its input, its weights, and the archive that both towers are converted from."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from handbench.errors import InvalidError, MissingError
from handbench.methods.blocks.clip_archive import convert_archive
from handbench.methods.blocks.clip_image import MEAN, STD, load_image, preprocess
from handbench.methods.blocks.clip_text import EMBED, load_text
from tests.methods.test_clip_text import openai_state

BLOCK = {
    "ln_1.weight": (768,),
    "ln_1.bias": (768,),
    "attn.in_proj_weight": (2304, 768),
    "attn.in_proj_bias": (2304,),
    "attn.out_proj.weight": (768, 768),
    "attn.out_proj.bias": (768,),
    "ln_2.weight": (768,),
    "ln_2.bias": (768,),
    "mlp.c_fc.weight": (3072, 768),
    "mlp.c_fc.bias": (3072,),
    "mlp.c_proj.weight": (768, 3072),
    "mlp.c_proj.bias": (768,),
}
SHAPES = {
    "conv1.weight": (768, 3, 32, 32),
    "class_embedding": (768,),
    "positional_embedding": (50, 768),
    "ln_pre.weight": (768,),
    "ln_pre.bias": (768,),
    "ln_post.weight": (768,),
    "ln_post.bias": (768,),
    "proj": (768, 512),
    **{f"transformer.resblocks.{i}.{name}": shape for i in range(12) for name, shape in BLOCK.items()},
}


def visual_state() -> dict[str, torch.Tensor]:
    """The image tower under OpenAI's names and shapes, half precision."""
    generator = torch.Generator().manual_seed(1)
    return {f"visual.{name}": (torch.randn(shape, generator=generator) * 0.02).half() for name, shape in SHAPES.items()}


@pytest.fixture(scope="module")
def tower():
    return load_image("random", layers=2, width=128)


def test_images_of_any_size_and_kind_become_clips_input():
    grey = torch.full((2, 3, 64, 64), 255, dtype=torch.uint8)
    for image in (grey, grey.float()):
        seen = preprocess(image)
        assert seen.shape == (2, 3, 224, 224)
        expected = [(1 - m) / s for m, s in zip(MEAN, STD, strict=True)]
        assert seen[0, :, 100, 7].tolist() == pytest.approx(expected, rel=1e-5)
    # what is 224 wide is not resampled
    image = torch.randint(0, 256, (1, 3, 224, 224), dtype=torch.uint8)
    back = preprocess(image) * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)
    assert torch.equal((back * 255).round().to(torch.uint8), image)


def test_it_shrinks_without_aliasing():
    """Lines one pixel wide at 448 are an even grey at 224."""
    lines = torch.zeros(1, 3, 448, 448)
    lines[..., ::2] = 255
    inside = preprocess(lines)[..., 20:-20, 20:-20]
    assert (inside.amax((2, 3)) - inside.amin((2, 3))).max() < 0.2


def test_features_are_of_each_image_alone_and_have_no_gradient(tower):
    torch.manual_seed(0)
    images = torch.randint(0, 256, (4, 3, 96, 96), dtype=torch.uint8)
    features = tower.encode(images)
    assert features.shape == (4, EMBED)
    assert features.dtype == torch.float32
    assert not features.requires_grad
    torch.testing.assert_close(tower.encode(images[2:3], "cpu"), features[2:3], atol=1e-4, rtol=1e-4)
    assert (features[0] - features[1]).norm() > 1e-3


def test_a_random_tower_is_the_same_every_time_and_leaves_the_generator_alone(tower):
    torch.manual_seed(3)
    before = torch.rand(1)
    torch.manual_seed(3)
    again = load_image("random", 2, 128)
    assert torch.equal(before, torch.rand(1))
    image = torch.full((1, 3, 32, 32), 90.0)
    assert torch.equal(tower.encode(image), again.encode(image))
    assert not torch.allclose(tower.encode(image), load_image("random", 2, 128, seed=1).encode(image))


def test_one_file_has_both_towers(tmp_path, monkeypatch):
    monkeypatch.setenv("HANDBENCH_HOME", str(tmp_path))
    (tmp_path / "data").mkdir()
    state = {key: value for key, value in openai_state().items() if not key.startswith("visual.")}
    save_file({**state, **visual_state()}, tmp_path / "data/clip-vit-b-32.safetensors")
    image = load_image("openai")
    bias = image.tower.transformer.resblocks[11].mlp.c_fc.bias
    assert torch.equal(bias, visual_state()["visual.transformer.resblocks.11.mlp.c_fc.bias"].float())
    # QuickGELU: x · sigmoid(1.702 x)
    assert image.tower.transformer.resblocks[0].mlp.gelu(torch.tensor(1.0)).item() == pytest.approx(0.8458, abs=1e-4)
    assert image.encode(torch.zeros(1, 3, 256, 256)).shape == (1, EMBED)
    assert load_text("openai").pooled(["wrist"]).shape == (1, EMBED)


def test_a_file_with_the_text_tower_only_is_to_be_converted_again(tmp_path):
    state = {key: value for key, value in openai_state().items() if not key.startswith("visual.")}
    save_file(state, tmp_path / "text.safetensors")
    with pytest.raises(InvalidError, match="image tower") as caught:
        load_image(str(tmp_path / "text.safetensors"))
    assert "Convert again" in caught.value.hint


def test_missing_weights_are_named_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("HANDBENCH_HOME", str(tmp_path))
    with pytest.raises(MissingError, match=r"clip-vit-b-32\.safetensors") as caught:
        load_image("openai")
    assert "handbench prep clip" in caught.value.hint
    assert "model.clip.weights=random" in caught.value.hint


class Archive(nn.Module):
    """Stands for OpenAI's archive: some tensors under its names."""

    def __init__(self, state: dict[str, torch.Tensor]):
        super().__init__()
        for name, value in state.items():
            module: nn.Module = self
            *path, last = name.split(".")
            for part in path:
                if not hasattr(module, part):
                    module.add_module(part, nn.Module())
                module = getattr(module, part)
            module.register_parameter(last, nn.Parameter(value))

    def forward(self, x):
        return x


@pytest.mark.parametrize("lacking", ["none", "text", "image"])
def test_an_archive_is_converted_with_both_towers_or_not_at_all(tmp_path, lacking):
    state = {
        "positional_embedding": torch.ones(77, 512).half(),
        "visual.conv1.weight": torch.ones(768, 3, 32, 32).half(),
        "visual.ln_pre.bias": torch.zeros(768).half(),
        "logit_scale": torch.tensor(4.6),
    }
    left_out = {"text": "positional_embedding", "image": "visual.conv1.weight"}.get(lacking)
    state.pop(left_out, None)
    source, target = tmp_path / "ViT-B-32.pt", tmp_path / "clip.safetensors"
    torch.jit.trace(Archive(state), torch.zeros(1)).save(str(source))
    if lacking != "none":
        with pytest.raises(InvalidError, match=f"the {lacking} tower"):
            convert_archive(source, target)
        assert not target.exists()
        return
    written = load_file(convert_archive(source, target))
    assert sorted(written) == ["positional_embedding", "visual.conv1.weight", "visual.ln_pre.bias"]
    assert all(value.dtype == torch.float32 for value in written.values())
