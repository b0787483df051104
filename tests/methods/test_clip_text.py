"""CLIP's text tower: real tokens, frozen, the same every time, and nothing is run or fetched to get it."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from handbench.errors import InvalidError, MissingError
from handbench.methods.blocks.clip_text import CHUNK, EMBED, LIMIT, count_tokens, load_text, tokenize


@pytest.fixture(scope="module")
def text():
    return load_text("random", layers=2, width=128)


def openai_state(seed: int = 0) -> dict[str, torch.Tensor]:
    """A state dict under OpenAI's names and shapes, half precision, with a tensor of the visual tower."""
    torch.manual_seed(seed)
    state = {
        "token_embedding.weight": torch.randn(49408, 512) * 0.02,
        "positional_embedding": torch.randn(77, 512) * 0.01,
        "ln_final.weight": torch.ones(512),
        "ln_final.bias": torch.zeros(512),
        "text_projection": torch.randn(512, 512) * 0.04,
        "visual.proj": torch.randn(4, 4),
        "logit_scale": torch.tensor(4.6),
    }
    shapes = {
        "ln_1.weight": (512,),
        "ln_1.bias": (512,),
        "attn.in_proj_weight": (1536, 512),
        "attn.in_proj_bias": (1536,),
        "attn.out_proj.weight": (512, 512),
        "attn.out_proj.bias": (512,),
        "ln_2.weight": (512,),
        "ln_2.bias": (512,),
        "mlp.c_fc.weight": (2048, 512),
        "mlp.c_fc.bias": (2048,),
        "mlp.c_proj.weight": (512, 2048),
        "mlp.c_proj.bias": (512,),
    }
    for i in range(12):
        for name, shape in shapes.items():
            state[f"transformer.resblocks.{i}.{name}"] = torch.randn(shape) * 0.02
    return {name: value.half() for name, value in state.items()}


def test_tokens_are_clips():
    # start, "a photo of a cat" (320 1125 539 320 2368 in CLIP's vocabulary), end
    tokens = tokenize(["a photo of a cat"])
    assert tokens.shape == (1, LIMIT)
    assert tokens[0, :7].tolist() == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert not tokens[0, 7:].any()
    assert [count_tokens(word) for word in ("MCP", "fingertip", "PIP", "DIP", "wrist")] == [4, 4, 3, 3, 3]


def test_a_prompt_that_is_too_long_is_refused_instead_of_cut(text):
    assert count_tokens("a " * 75) == 77
    tokenize(["a " * 75])
    with pytest.raises(InvalidError, match="78 tokens"):
        text.pooled(["a " * 76])


def test_a_random_tower_is_the_same_every_time_and_leaves_the_generator_alone(text):
    torch.manual_seed(3)
    before = torch.rand(1)
    torch.manual_seed(3)
    again = load_text("random", layers=2, width=128)
    assert torch.equal(before, torch.rand(1))
    prompts = ["From left to right", "From top to bottom"]
    assert torch.equal(text.pooled(prompts), again.pooled(prompts))
    assert not torch.allclose(text.pooled(prompts), load_text("random", 2, 128, seed=1).pooled(prompts))


def test_features_know_the_order_of_words(text):
    features = text.pooled(["index PIP, ring PIP", "ring PIP, index PIP", "index PIP, ring PIP"])
    assert features.shape == (3, EMBED)
    assert not features.requires_grad
    assert torch.equal(features[0], features[2])
    assert (features[0] - features[1]).norm() > 0.05 * features[0].norm()


def test_a_feature_does_not_depend_on_what_is_encoded_with_it(text):
    text._pooled.clear()
    alone = text.pooled(["wrist and thumb"])
    text._pooled.clear()
    torch.testing.assert_close(text.pooled(["something else", "wrist and thumb"])[1:], alone, atol=1e-5, rtol=1e-4)


def test_each_text_goes_through_the_tower_once_and_the_cache_is_bounded():
    text = load_text("random", layers=1, width=64)
    calls = []
    text.tower.register_forward_hook(lambda module, given, result: calls.append(len(given[0])))
    text.cache = 2
    text.pooled(["a", "b", "a"])
    text.pooled(["b", "a"])
    assert calls == [CHUNK]
    assert text.pooled(["a", "b", "c"]).shape == (3, EMBED)
    assert calls == [CHUNK] * 2
    # "a" was the one that waited longest
    text.pooled(["b", "c"])
    assert calls == [CHUNK] * 2
    text.pooled(["a"])
    assert calls == [CHUNK] * 3


def test_token_features_end_with_the_pooled_one(text):
    prompts = ["wrist", "index PIP and ring DIP"]
    features = text.encode(prompts)
    assert features.tokens.shape == (2, LIMIT, EMBED)
    assert features.end.tolist() == [2, 6]
    torch.testing.assert_close(features.tokens[[0, 1], features.end], features.pooled)


def test_openai_weights_are_read_from_safetensors_and_from_a_plain_state_dict(tmp_path, monkeypatch):
    state = openai_state()
    monkeypatch.setenv("HANDBENCH_HOME", str(tmp_path))
    (tmp_path / "data").mkdir()
    save_file(state, tmp_path / "data" / "clip-vit-b-32.safetensors")
    torch.save(state, tmp_path / "clip.pt")
    from_safetensors, from_state = load_text("openai"), load_text(str(tmp_path / "clip.pt"))
    expected = from_safetensors.pooled(["wrist"])
    assert expected.dtype == torch.float32
    assert torch.equal(expected, from_state.pooled(["wrist"]))
    block = from_safetensors.tower.transformer.resblocks[11]
    assert torch.equal(block.mlp.c_fc.bias, state["transformer.resblocks.11.mlp.c_fc.bias"].float())
    # OpenAI's weights were trained with QuickGELU: x · sigmoid(1.702 x)
    assert block.mlp.gelu(torch.tensor(1.0)).item() == pytest.approx(0.84580, abs=1e-4)


def test_missing_weights_are_named_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("HANDBENCH_HOME", str(tmp_path))
    with pytest.raises(MissingError, match=r"clip-vit-b-32\.safetensors") as caught:
        load_text("openai")
    assert "handbench prep clip" in caught.value.hint
    with pytest.raises(MissingError, match=r"nowhere\.pt"):
        load_text(str(tmp_path / "nowhere.pt"))


class Runs:
    """Unpickling it runs code."""

    def __reduce__(self):
        return (print, ("the gate is open",))


def test_a_pickle_or_a_torchscript_archive_is_refused_and_not_run(tmp_path, capsys):
    pickled = tmp_path / "pickle.pt"
    pickled.write_bytes(pickle.dumps({"text_projection": Runs()}))
    saved = tmp_path / "saved.pt"
    torch.save({"text_projection": Runs()}, saved)
    scripted = tmp_path / "scripted.pt"
    torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)).save(str(scripted))
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(b"\x10\x00")
    for path in (pickled, saved, scripted, cut):
        with pytest.raises(InvalidError, match=path.name) as caught:
            load_text(str(path))
        assert "handbench prep clip" in caught.value.hint
    assert "gate" not in capsys.readouterr().out


def test_a_file_of_other_weights_is_refused(tmp_path):
    save_file({"token_embedding.weight": torch.zeros(3, 3)}, tmp_path / "other.safetensors")
    with pytest.raises(InvalidError, match="does not hold the text tower"):
        load_text(str(tmp_path / "other.safetensors"))


def test_nothing_reaches_for_the_network():
    code = """
import socket
def refuse(*args, **kwargs):
    raise AssertionError("a connection was tried")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from handbench.methods.blocks.clip_text import load_text
assert load_text("random", 1, 64).pooled(["wrist"]).shape == (1, 512)
from handbench.methods.blocks.backbone import ResNet
ResNet("resnet18")
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_feature_does_not_depend_on_what_was_encoded_before_or_beside_it():
    prompts = [f"From left to right, the joints are {a} MCP, and {b} fingertip." for a in "abcdefg" for b in "xyz"]
    at_once = load_text("random", 2, 128).pooled(prompts)
    piecemeal = load_text("random", 2, 128)
    for start in (0, 1, 4, 9):
        piecemeal.pooled(prompts[start::5])
    assert torch.equal(piecemeal.pooled(prompts), at_once)
